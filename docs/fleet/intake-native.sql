-- From the topic into droplog.drops: records as the encoding native writes them.
-- After tables.sql. The names at the settings are examples; docs/fleet.md has TLS and passwords.

CREATE TABLE droplog.kafka_native
(
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
    frame Tuple(length UInt32, data String)
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

CREATE MATERIALIZED VIEW droplog.unreadable_native TO droplog.unreadable AS
SELECT
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    if(_error = '', 'JSON, but not a record: it has no problem', _error) AS error,
    _raw_message AS message
FROM droplog.kafka_native
WHERE _error != '' OR problem = '';

CREATE MATERIALIZED VIEW droplog.drops_native TO droplog.drops AS
SELECT
    time AS time,
    if(repeated = 0, time, first_time) AS first_time,
    greatest(repeated, 1) AS packets,
    node AS node,
    bridge AS bridge,
    datapath_id AS datapath_id,
    pipeline AS pipeline,
    table.id AS table_id,
    table.name AS table_name,
    reason AS reason,
    cause AS cause,
    problem AS problem,
    signature AS signature,
    community_id AS community_id,
    rule.name AS rule_name,
    rule.cookie AS rule_cookie,
    rule.priority AS rule_priority,
    rule.match AS rule_match,
    direction AS direction,
    port.number AS port_number,
    port.name AS port_name,
    JSONExtract(packet, 'ethernet', 'type', 'UInt16') AS ethertype,
    JSONExtract(packet, if(JSONHas(packet, 'ipv4'), 'ipv4', 'ipv6'), 'protocol', 'UInt8') AS ip_protocol,
    source.mac AS source_mac,
    source.ip AS source_ip,
    source.port AS source_port,
    destination.mac AS destination_mac,
    destination.ip AS destination_ip,
    destination.port AS destination_port,
    owner AS owner,
    context AS context,
    packet AS packet,
    frame.length AS frame_length,
    frame.data AS frame_data,
    version AS version
FROM droplog.kafka_native
WHERE _error = '' AND problem != '';
