"""A sink of the type `kafka` and its drops, for the tests with real brokers."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from confluent_kafka import Message
from drops import drop, location
from frames import IPV4, ethernet, ipv4, udp

from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.kafka import Kafka

from .service import PATIENCE, eventually

TOPIC = "ryu_droplog.drops"
FLOWS = 7
"""Destination ports among which the drops are, and so signatures."""
WHERE = location(4, name="SEC_GROUP_IN_TABLE", prefix="Acc-")


def numbered(number: int) -> Drop:
    """A drop that is known again by its source port, in one of `FLOWS` flows."""
    packet = ipv4("10.0.0.1", "10.0.0.2", 17, udp(number % 65536, 5000 + number % FLOWS))
    return drop(ethernet(IPV4, packet), WHERE, 1_764_000_000.25 + number // 65536)


def numbers(records: Sequence[Message]) -> list[int]:
    """The source ports of records in `ecs`, in their order."""
    return [json.loads(record.value() or b"")["source"]["port"] for record in records]


def kafka(brokers: str, queue: int = 1_000_000, **options: Any) -> Kafka:
    """The sink, as a configuration would make it."""
    keys = {"brokers": brokers.split(","), "topic": TOPIC, "timeout": 30.0, **options}
    made = Kafka.Options.model_validate(keys)
    spec = SinkSpec("bus", "kafka", options=made, queue=QueueSpec(queue))
    return Kafka(spec, SinkContext(threading, node="node-1"))


@contextmanager
def running(sink: Kafka) -> Iterator[Kafka]:
    """The sink at work; it is ended in any case."""
    sink.start()
    try:
        yield sink
    finally:
        sink.close(PATIENCE)


def written(sink: Kafka, count: int) -> None:
    """Wait until so many were acknowledged."""
    eventually(lambda: sink.written >= count, f"{count} drops acknowledged, {sink.state()}")
