"""Drops to Apache Kafka, and to whatever else speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.records.signature import Signatures
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk, NotAcknowledged, PartlyRejected, Rejected
from ryu_droplog.sinks.forwarding import ForwardingSink
from ryu_droplog.sinks.kafka_options import KafkaOptions

if TYPE_CHECKING:
    from ryu_droplog.sinks.kafka_producer import KafkaProducer

KEY_COST = 64
"""Bytes that a record needs beside its value, roughly."""


class Kafka(ForwardingSink):
    """A producer. The key of a record is the signature of the drop, so that all drops of a kind
    are in one partition, in their order."""

    Options = KafkaOptions
    BATCH = 10_000
    CHUNK_DROPS = 10_000
    CHUNK_BYTES = 16_000_000

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        """Raises ConfigError where the package of the extra cannot be loaded."""
        super().__init__(spec, context)
        try:
            from ryu_droplog.sinks import kafka_producer
        except ImportError as error:
            wrong = f"{self.name}: {error}; expected pip install 'ryu-droplog[kafka]'"
            raise ConfigError(wrong) from error
        self._make = kafka_producer.KafkaProducer
        self._options: KafkaOptions = spec.options
        self._signatures = Signatures()
        self._producer: KafkaProducer | None = None
        self._doubtful = True
        """Whether the last chunk did not arrive."""
        self._chunk = ""
        """Id of the chunk that some records of were acknowledged, and some were not."""
        self._settled: set[int] = set()
        self._rejected_of_chunk = 0

    @property
    def acknowledged(self) -> bool:
        return True

    def encode(self, drop: Drop) -> tuple[bytes, bytes]:
        return self._signatures.of(drop), self._spell(drop)

    def sizes(self, items: Sequence[tuple[bytes, bytes]]) -> Iterable[int]:
        return [len(record) + KEY_COST for _, record in items]

    def send(self, chunk: Chunk) -> None:
        if self._chunk != chunk.id:
            self._chunk, self._settled, self._rejected_of_chunk = chunk.id, set(), 0
        elif self._may_repeat:
            self.resent -= len(self._settled)  # these are not sent again
        producer = self._connected()
        try:
            if self._doubtful:
                producer.find_topic()
            delivery = producer.send(chunk.id, chunk.items, self._settled)
        finally:
            if producer.is_broken:
                self.disconnect()
        self._doubtful = not delivery.is_settled or producer.is_broken
        self._settled |= delivery.acknowledged | delivery.rejected
        self._rejected_of_chunk += len(delivery.rejected)
        missing = len(chunk.items) - len(self._settled)
        why = producer.trouble or delivery.error
        if missing and (self._may_repeat or missing == len(chunk.items)):
            raise NotAcknowledged(why)
        lost = missing + self._rejected_of_chunk
        if lost == len(chunk.items):
            raise Rejected(why)
        if lost:
            raise PartlyRejected(lost, why)

    def disconnect(self) -> None:
        self._producer, self._doubtful = None, True

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            sasl = self._options.sasl
            password = sasl.password() if sasl is not None else None
            self._producer = self._make(self._options, password, lambda: self.gives_up)
        return self._producer
