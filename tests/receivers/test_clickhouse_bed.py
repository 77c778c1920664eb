"""ClickHouse's engine: tables that outlive a crash, and records read from a broker of Kafka's."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from .clickhouse import ClickHouse
from .kafka import TansuBroker

RECORDS = 5000


def test_tables_outlive_a_crash() -> None:
    with ClickHouse() as engine:
        engine.query("CREATE TABLE drops (number UInt64) ENGINE = MergeTree ORDER BY number")
        engine.query("INSERT INTO drops SELECT number FROM numbers(10)")
        engine.restart()
        assert engine.query("SELECT sum(number) AS total FROM drops") == [{"total": 45}]
        with pytest.raises(AssertionError, match="missing"):
            engine.query("SELECT * FROM missing")


def test_a_view_takes_records_from_kafka() -> None:
    with TansuBroker() as broker, ClickHouse() as engine:
        broker.make_topic("drops")
        producer = Producer({**broker.client})
        for number in range(RECORDS):
            producer.produce("drops", json.dumps({"number": number}).encode())
            producer.poll(0)
        assert producer.flush(60) == 0
        engine.query("CREATE TABLE drops (number UInt64) ENGINE = MergeTree ORDER BY number")
        engine.query(
            f"""CREATE TABLE queue (number UInt64) ENGINE = Kafka SETTINGS
                kafka_broker_list = '{broker.brokers}', kafka_topic_list = 'drops',
                kafka_group_name = 'clickhouse', kafka_format = 'JSONEachRow',
                kafka_flush_interval_ms = 500"""
        )
        engine.query("CREATE MATERIALIZED VIEW taken TO drops AS SELECT number FROM queue")
        engine.wait("SELECT count() FROM drops", RECORDS, patience=100)
        engine.wait("SELECT uniqExact(number) FROM drops", RECORDS)
