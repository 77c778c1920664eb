-- From the topic into droplog.drops: records as the encoding ecs writes them (openvswitch.record).
-- After tables.sql. The names at the settings are examples; docs/fleet.md has TLS and passwords.

CREATE TABLE droplog.kafka_ecs
(
    openvswitch Tuple(record Tuple(
        version UInt16,
        time DateTime64(9, 'UTC'),
        first_time DateTime64(9, 'UTC'),
        repeated UInt32,
        node String,
        bridge String,
        datapath_id String,
        pipeline String,
        table Tuple(id UInt8, name String),
        reason String,
        cause String,
        problem String,
        signature String,
        community_id String,
        rule Tuple(name String, cookie String, priority UInt16, match String),
        direction String,
        port Tuple(number UInt32, name String),
        source Tuple(mac String, ip String, port UInt16),
        destination Tuple(mac String, ip String, port UInt16),
        owner String,
        context String,
        packet String,
        frame Tuple(length UInt32, data String)))
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka-1.example.net:9092',
    kafka_topic_list = 'ryu_droplog.drops',
    kafka_group_name = 'clickhouse-droplog',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_max_block_size = 65536,
    kafka_flush_interval_ms = 2000,
    kafka_handle_error_mode = 'stream',
    date_time_input_format = 'best_effort',
    input_format_skip_unknown_fields = 1,
    input_format_json_read_objects_as_strings = 1,
    input_format_json_ignore_unknown_keys_in_named_tuple = 1,
    input_format_json_defaults_for_missing_elements_in_named_tuple = 1;

CREATE MATERIALIZED VIEW droplog.unreadable_ecs TO droplog.unreadable AS
SELECT
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    if(_error = '', 'JSON, but not a record: it has no problem', _error) AS error,
    _raw_message AS message
FROM droplog.kafka_ecs
WHERE _error != '' OR openvswitch.record.problem = '';

CREATE MATERIALIZED VIEW droplog.drops_ecs TO droplog.drops AS
SELECT
    openvswitch.record.time AS time,
    if(openvswitch.record.repeated = 0, openvswitch.record.time, openvswitch.record.first_time) AS first_time,
    greatest(openvswitch.record.repeated, 1) AS packets,
    openvswitch.record.node AS node,
    openvswitch.record.bridge AS bridge,
    openvswitch.record.datapath_id AS datapath_id,
    openvswitch.record.pipeline AS pipeline,
    openvswitch.record.table.id AS table_id,
    openvswitch.record.table.name AS table_name,
    openvswitch.record.reason AS reason,
    openvswitch.record.cause AS cause,
    openvswitch.record.problem AS problem,
    openvswitch.record.signature AS signature,
    openvswitch.record.community_id AS community_id,
    openvswitch.record.rule.name AS rule_name,
    openvswitch.record.rule.cookie AS rule_cookie,
    openvswitch.record.rule.priority AS rule_priority,
    openvswitch.record.rule.match AS rule_match,
    openvswitch.record.direction AS direction,
    openvswitch.record.port.number AS port_number,
    openvswitch.record.port.name AS port_name,
    JSONExtract(openvswitch.record.packet, 'ethernet', 'type', 'UInt16') AS ethertype,
    JSONExtract(openvswitch.record.packet, if(JSONHas(openvswitch.record.packet, 'ipv4'), 'ipv4', 'ipv6'), 'protocol', 'UInt8') AS ip_protocol,
    openvswitch.record.source.mac AS source_mac,
    openvswitch.record.source.ip AS source_ip,
    openvswitch.record.source.port AS source_port,
    openvswitch.record.destination.mac AS destination_mac,
    openvswitch.record.destination.ip AS destination_ip,
    openvswitch.record.destination.port AS destination_port,
    openvswitch.record.owner AS owner,
    openvswitch.record.context AS context,
    openvswitch.record.packet AS packet,
    openvswitch.record.frame.length AS frame_length,
    openvswitch.record.frame.data AS frame_data,
    openvswitch.record.version AS version
FROM droplog.kafka_ecs
WHERE _error = '' AND openvswitch.record.problem != '';
