"""Writes records into a broker, as the sink `kafka` does: keyed, compressed, idempotent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from fleet.node import Event

PROGRESS_SECONDS = 2.0
"""Between two lines of progress."""
ANSWER_SECONDS = 30.0
"""In which a broker has to say which topics there are."""
FLUSH_SECONDS = 300.0
"""In which the broker has to take what is still on the way at the end."""
_LOOK_EVERY = 1000
_SETTINGS: dict[str, str | int | float | bool | None] = {
    "enable.idempotence": True,
    "compression.type": "zstd",
    "linger.ms": 50,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 200_000,
}


class WriteError(Exception):
    """The broker did not take a record."""


def write(
    events: Iterable[Event], brokers: str, topic: str, total: int, quiet: bool = False
) -> tuple[int, int, float]:
    """Write all records; gives their number, their bytes before compression, and the seconds.

    `quiet`: without a word of progress on standard error. Raises WriteError when the broker refuses
    a record, or does not answer.
    """
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error)

    producer = Producer({**_SETTINGS, "bootstrap.servers": brokers})
    written = size = 0
    begin = told = time.monotonic()
    try:
        topics = producer.list_topics(timeout=ANSWER_SECONDS).topics
    except KafkaException as error:
        raise WriteError(f"{brokers}: {error.args[0].str()}") from None
    if topic not in topics:
        raise WriteError(f"{topic}: no such topic: make it as docs/fleet/topic.sh does")
    for event in events:
        while True:
            try:
                producer.produce(topic, event.data, event.key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
                _check(errors, topic)
        written += 1
        size += len(event.data)
        if written % _LOOK_EVERY:
            continue
        producer.poll(0)
        _check(errors, topic)
        now = time.monotonic()
        if not quiet and now - told >= PROGRESS_SECONDS:
            told = now
            rate = written / (now - begin)
            print(f"{written:,} of {total:,} records, {rate:,.0f}/s", file=sys.stderr, flush=True)
    left = producer.flush(FLUSH_SECONDS)
    _check(errors, topic)
    if left:
        raise WriteError(f"{topic}: {left:,} records were not acknowledged")
    return written, size, time.monotonic() - begin


def _check(errors: list[KafkaError], topic: str) -> None:
    if errors:
        raise WriteError(f"{topic}: {errors[0].str()}")
