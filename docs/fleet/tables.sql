-- What is kept of the drops of a fleet: each record for 30 days, sums by minute for a year.
-- docs/fleet.md says why the keys are as they are. Feed it by intake-ecs.sql or intake-native.sql.

CREATE DATABASE IF NOT EXISTS droplog;

-- One row a record (docs/record.md). What is not there is '' or 0.
CREATE TABLE droplog.drops
(
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    first_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD), -- of the packets that the record stands for
    packets UInt32 CODEC(ZSTD),                         -- that the record stands for, 1 or more
    node LowCardinality(String),
    bridge LowCardinality(String),
    datapath_id LowCardinality(String),
    pipeline LowCardinality(String),
    table_id UInt8,
    table_name LowCardinality(String),
    reason LowCardinality(String),
    cause LowCardinality(String),
    problem String CODEC(ZSTD),
    signature String CODEC(ZSTD),
    community_id String CODEC(ZSTD),
    rule_name LowCardinality(String),
    rule_cookie String CODEC(ZSTD),
    rule_priority UInt16 CODEC(ZSTD),
    rule_match LowCardinality(String),
    direction LowCardinality(String),
    port_number UInt32 CODEC(ZSTD),
    port_name String CODEC(ZSTD),
    ethertype UInt16 CODEC(ZSTD),
    ip_protocol UInt8 CODEC(ZSTD),
    source_mac String CODEC(ZSTD),
    source_ip String CODEC(ZSTD),
    source_port UInt16 CODEC(ZSTD),
    destination_mac String CODEC(ZSTD),
    destination_ip String CODEC(ZSTD),
    destination_port UInt16 CODEC(ZSTD),
    owner String CODEC(ZSTD),
    -- The rest of the record as JSON, and the bytes of the packet, in base64: for a week.
    context String CODEC(ZSTD) TTL toDateTime(time) + INTERVAL 7 DAY,
    packet String CODEC(ZSTD(3)) TTL toDateTime(time) + INTERVAL 7 DAY,
    frame_length UInt32 CODEC(ZSTD),
    frame_data String CODEC(ZSTD(3)) TTL toDateTime(time) + INTERVAL 7 DAY,
    version UInt16,
    INDEX ends (source_ip, destination_ip) TYPE bloom_filter GRANULARITY 4
)
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (toStartOfHour(time), problem, node, time)
TTL toDateTime(time) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 0;

-- One row for each problem, node and minute.
CREATE TABLE droplog.drop_minutes
(
    minute DateTime('UTC'),
    problem String CODEC(ZSTD),
    node LowCardinality(String),
    first SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(Delta, ZSTD),
    last SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(Delta, ZSTD),
    packets SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD),
    records SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute)
ORDER BY (problem, node, minute)
TTL minute + INTERVAL 1 YEAR
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW droplog.drop_minutes_intake TO droplog.drop_minutes AS
SELECT
    toStartOfMinute(time) AS minute,
    problem,
    node,
    min(drops.first_time) AS first,
    max(drops.time) AS last,
    sum(drops.packets) AS packets,
    count() AS records
FROM droplog.drops AS drops
GROUP BY minute, problem, node;

-- One row for each problem: what it is, and when it was first seen.
CREATE TABLE droplog.problems
(
    problem String,
    bridge SimpleAggregateFunction(anyLast, LowCardinality(String)),
    pipeline SimpleAggregateFunction(anyLast, LowCardinality(String)),
    table_id SimpleAggregateFunction(anyLast, UInt8),
    table_name SimpleAggregateFunction(anyLast, LowCardinality(String)),
    reason SimpleAggregateFunction(anyLast, LowCardinality(String)),
    cause SimpleAggregateFunction(anyLast, LowCardinality(String)),
    rule_name SimpleAggregateFunction(anyLast, LowCardinality(String)),
    rule_priority SimpleAggregateFunction(anyLast, UInt16),
    rule_match SimpleAggregateFunction(anyLast, LowCardinality(String)),
    ethertype SimpleAggregateFunction(anyLast, UInt16),
    ip_protocol SimpleAggregateFunction(anyLast, UInt8),
    destination_port SimpleAggregateFunction(anyLast, UInt16),
    first SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY problem
TTL toDateTime(last) + INTERVAL 1 YEAR;

CREATE MATERIALIZED VIEW droplog.problems_intake TO droplog.problems AS
SELECT
    problem,
    anyLast(drops.bridge) AS bridge,
    anyLast(drops.pipeline) AS pipeline,
    anyLast(drops.table_id) AS table_id,
    anyLast(drops.table_name) AS table_name,
    anyLast(drops.reason) AS reason,
    anyLast(drops.cause) AS cause,
    anyLast(drops.rule_name) AS rule_name,
    anyLast(drops.rule_priority) AS rule_priority,
    anyLast(drops.rule_match) AS rule_match,
    anyLast(drops.ethertype) AS ethertype,
    anyLast(drops.ip_protocol) AS ip_protocol,
    anyLast(drops.destination_port) AS destination_port,
    min(drops.first_time) AS first,
    max(drops.time) AS last
FROM droplog.drops AS drops
GROUP BY problem;

-- The same, one row for each also before ClickHouse has merged its parts.
CREATE VIEW droplog.problem_list AS
SELECT
    problem,
    anyLast(listed.table_name) AS table_name,
    anyLast(listed.reason) AS reason,
    anyLast(listed.cause) AS cause,
    anyLast(listed.rule_name) AS rule_name,
    anyLast(listed.rule_priority) AS rule_priority,
    anyLast(listed.rule_match) AS rule_match,
    anyLast(listed.ethertype) AS ethertype,
    anyLast(listed.ip_protocol) AS ip_protocol,
    anyLast(listed.destination_port) AS destination_port,
    min(listed.first) AS first,
    max(listed.last) AS last
FROM droplog.problems AS listed
GROUP BY problem;

-- What was in the topic and is no record, for a week.
CREATE TABLE droplog.unreadable
(
    taken DateTime('UTC') DEFAULT now('UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    error String,
    message String -- empty where it is JSON: read it in the topic, by partition and offset
)
ENGINE = MergeTree
PARTITION BY toDate(taken)
ORDER BY (topic, partition, offset)
TTL taken + INTERVAL 7 DAY;
