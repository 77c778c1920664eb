"""How many drops a second go to Kafka, beside what confluent-kafka alone produces.

Two brokers: Tansu, a process of its own, and the one that librdkafka has inside, which is much
faster. The library alone produces records that were made before, with the same configuration, and
waits until all are acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from confluent_kafka import Producer

from benchmarks.into_receiver import Work, make, measure, through, use_receivers
from benchmarks.report import Report
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.kafka import Kafka
from ryu_droplog.sinks.kafka_options import KafkaOptions
from ryu_droplog.sinks.kafka_producer import configuration

TOPIC = "drops"
SERVED = 256
"""Records that the library is given between two looks at what was acknowledged."""
FLUSH_TIME = 60.0


class Kept(Kafka):
    """Makes records, and sends none."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self.records: list[Sequence[bytes]] = []

    def send(self, chunk: Chunk) -> None:
        self.records += chunk.items


def run(report: Report, quick: bool) -> None:
    """Measure both brokers, with and without compression."""
    use_receivers()
    brokers: Any = import_module("receivers.kafka")
    section = report.section("forward_kafka", "kafka: drops a second to a broker")
    with brokers.TansuBroker() as tansu, brokers.MockBroker() as mock:
        tansu.make_topic(TOPIC)
        ways = {}
        for name, broker in (("Tansu", tansu), ("librdkafka's", mock)):
            for compression in ("none", "lz4"):
                keys: dict[str, Any] = {
                    "brokers": broker.brokers.split(","),
                    "topic": TOPIC,
                    "compression": compression,
                }
                case = f"{name}, {compression}"
                ways[f"{case}: library alone"] = lambda work, keys=keys: _library(work, keys)
                ways[case] = lambda work, keys=keys: through(work, make("kafka", **keys))
        measure(section, ways, quick)
    section.note(
        "library alone: confluent-kafka with records that were made before; processor: of this"
        " process, in which librdkafka's broker is, too, a drop; every record is acknowledged"
    )


def _library(work: Work, keys: dict[str, Any]) -> tuple[float, float]:
    kept = make("kafka", Kept, **keys)
    through(work, kept)
    assert isinstance(kept, Kept)
    producer = Producer(configuration(KafkaOptions.model_validate(keys), None))
    producer.list_topics(TOPIC, timeout=FLUSH_TIME)
    failed: list[object] = []

    def delivered(error: object, message: object) -> None:
        if error is not None:
            failed.append(error)

    begin, processor = time.monotonic(), time.process_time()
    for number, (key, value) in enumerate(kept.records):
        producer.produce(TOPIC, value, key, on_delivery=delivered)
        if not number % SERVED:
            producer.poll(0)
    left = producer.flush(FLUSH_TIME)
    took = time.monotonic() - begin, time.process_time() - processor
    if left or failed:
        raise RuntimeError(f"{left} records were left, {len(failed)} failed")
    return took
