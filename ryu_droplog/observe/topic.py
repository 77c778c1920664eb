"""Records from a topic of Kafka: what a whole fleet writes there, as `native` or as `ecs`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ryu_droplog.observe.query import NoRecordsError, QueryError
from ryu_droplog.observe.stream import Said, read_record
from ryu_droplog.plugins.extras import check_installed
from ryu_droplog.text.printable import MESSAGE, printable

PREFIX = "kafka:"
ANSWER_TIME = 10.0
"""Seconds that brokers have for an answer."""
BATCH = 500
_POLL = 0.2


class Topic:
    """All partitions of one topic; nothing is written to the brokers, no offset and no group."""

    def __init__(self, place: str, properties: Mapping[str, str]) -> None:
        """`place` is `kafka:BROKERS/TOPIC`, `properties` are librdkafka's.

        Raises NoRecordsError where nobody answers, or there is no such topic, and QueryError where
        `place` names none.
        """
        brokers, slash, self._topic = place.removeprefix(PREFIX).rpartition("/")
        if not (slash and brokers and self._topic):
            raise QueryError(f"got {place}; expected {PREFIX}BROKER:PORT[,BROKER:PORT…]/TOPIC")
        try:
            check_installed("confluent_kafka", "confluent-kafka", "kafka")
        except ValueError as error:
            raise NoRecordsError(f"{place}: needs {error}") from error
        import confluent_kafka

        self._kafka = confluent_kafka
        self._shown = printable(place)
        self._failure = ""
        self._reached: dict[int, int] = {}
        """By partition, the offset of what was not read yet."""
        settings: dict[str, Any] = {
            **properties,
            "bootstrap.servers": brokers,
            "group.id": f"ryu-droplog-observe-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "error_cb": self._note,
            "log_level": 0,  # what is wrong is said in one line, not in the library's
        }
        try:
            self._consumer = confluent_kafka.Consumer(settings)
            self._partitions = self._find()
        except confluent_kafka.KafkaException as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Let go of the brokers."""
        self._consumer.close()

    def now(self) -> list[int]:
        """Of each partition, the offset of what is written next."""
        return [self._watermarks(partition)[1] for partition in self._partitions]

    def since(self, seconds: float) -> list[int]:
        """Of each partition, the offset of the first that was written then or later."""
        asked = [
            self._kafka.TopicPartition(self._topic, partition, int(seconds * 1000))
            for partition in self._partitions
        ]
        try:
            found = self._consumer.offsets_for_times(asked, ANSWER_TIME)
        except self._kafka.KafkaException as error:
            raise self._error(error) from error
        ends = self.now()
        by_partition = {one.partition: one.offset for one in found}
        return [
            by_partition[partition] if by_partition.get(partition, -1) >= 0 else end
            for partition, end in zip(self._partitions, ends, strict=True)
        ]

    def before(self, ends: Sequence[int], number: int) -> list[int]:
        """Of each partition, the offset of the last so many before `ends`."""
        return [
            max(self._watermarks(partition)[0], end - number)
            for partition, end in zip(self._partitions, ends, strict=True)
        ]

    def reached(self, ends: Sequence[int]) -> list[int]:
        """Of each partition, the offset behind `ends` and behind all that was read."""
        return [
            max(self._reached.get(partition, 0), end)
            for partition, end in zip(self._partitions, ends, strict=True)
        ]

    def read(self, begins: Sequence[int], ends: Sequence[int] | None) -> Iterator[Said]:
        """The records from these offsets on; None: and those to come, without end.

        Else up to the end of each partition: where the broker says that nothing is left, or behind
        `ends` at the first record that was written since. What a broker tells as the end of a
        partition is not its end with all of them.
        """
        left = None if ends is None else set(self._partitions)
        last = dict(zip(self._partitions, ends or (), strict=ends is not None))
        began = time.time() * 1000
        self._consumer.assign(
            [
                self._kafka.TopicPartition(self._topic, partition, begin)
                for partition, begin in zip(self._partitions, begins, strict=True)
            ]
        )
        silent_since = time.monotonic()
        while left is None or left:
            messages = self._consumer.consume(BATCH, _POLL)
            if not messages:
                if self._failure and time.monotonic() > silent_since + ANSWER_TIME:
                    raise NoRecordsError(f"{self._shown}: {self._failure}")
                yield None
                continue
            silent_since, self._failure = time.monotonic(), ""
            for message in messages:
                partition, offset = message.partition() or 0, message.offset() or 0
                error = message.error()
                if error is not None:
                    if error.code() != self._kafka.KafkaError._PARTITION_EOF:
                        raise self._error(self._kafka.KafkaException(error))
                    if left is not None:
                        left.discard(partition)
                    continue
                if left is not None:
                    if partition not in left:
                        continue
                    if offset >= last[partition] and message.timestamp()[1] > began:
                        left.discard(partition)
                        continue
                self._reached[partition] = offset + 1
                yield read_record(message.value() or b"")

    def _find(self) -> list[int]:
        metadata = self._consumer.list_topics(self._topic, ANSWER_TIME)
        topic = metadata.topics[self._topic]
        if topic.error is not None:
            raise NoRecordsError(f"{self._shown}: {printable(str(topic.error), MESSAGE)}")
        return sorted(topic.partitions)

    def _watermarks(self, partition: int) -> tuple[int, int]:
        place = self._kafka.TopicPartition(self._topic, partition)
        try:
            low, high = self._consumer.get_watermark_offsets(place, ANSWER_TIME)
        except self._kafka.KafkaException as error:
            raise self._error(error) from error
        return low, high

    def _note(self, error: Any) -> None:
        self._failure = printable(str(error), MESSAGE)

    def _error(self, error: Exception) -> NoRecordsError:
        reason = error.args[0] if error.args else error
        text = reason.str() if hasattr(reason, "str") else str(reason)
        return NoRecordsError(f"{self._shown}: {printable(text, MESSAGE)}")


def last_of(topic: Topic, ends: Sequence[int], number: int) -> Iterator[list[int]]:
    """Beginnings from which to read for the last so many that fit, each further back.

    Ends with the beginning of the topic.
    """
    back = max(number, BATCH)
    while True:
        begins = topic.before(ends, back)
        yield begins
        back *= 8
        if topic.before(ends, back) == begins:
            return
