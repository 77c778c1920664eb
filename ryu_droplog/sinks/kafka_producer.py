"""A producer of librdkafka's (confluent-kafka): its configuration, and a chunk on its way.

https://docs.confluent.io/platform/current/clients/librdkafka/html/md_CONFIGURATION.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from ryu_droplog import __version__
from ryu_droplog.sinks.delivery import NotSent
from ryu_droplog.sinks.kafka_options import KafkaOptions
from ryu_droplog.sinks.secrets import Secret

CHUNK_HEADER = "ryu-droplog-chunk"
"""Name of the header that tells records apart: the chunk's id and the record's place in it."""
LINGER = 5
"""Milliseconds that the library waits for more of a batch."""
POLL = 0.1
"""Seconds after which a wait for the brokers is looked at again."""
SERVED = 256
"""Records that are produced between two looks at what was acknowledged."""
_PROTOCOLS = {
    (False, False): "plaintext",
    (True, False): "ssl",
    (False, True): "sasl_plaintext",
    (True, True): "sasl_ssl",
}
# What no other try would change.
_REJECTED = frozenset(
    (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
    )
)
# What tells more of a broker than that it is gone.
_VAGUE = frozenset((KafkaError._ALL_BROKERS_DOWN, KafkaError._MSG_TIMED_OUT))


def configuration(options: KafkaOptions, password: Secret | None) -> dict[str, Any]:
    """What librdkafka is told. Each partition keeps the order in which records were produced."""
    tls, sasl = options.tls, options.sasl
    told: dict[str, Any] = {
        "bootstrap.servers": ",".join(options.brokers),
        "client.id": f"ryu-droplog-{__version__}",
        "security.protocol": _PROTOCOLS[tls is not None, sasl is not None],
        "enable.idempotence": True,  # with it acks=all, and order over the library's own retries
        "compression.type": options.compression,
        "partitioner": "murmur2_random",  # that of Kafka's own clients
        "linger.ms": LINGER,
        "message.timeout.ms": round(options.timeout * 1000),
        "socket.keepalive.enable": True,
        "log_level": 0,  # it would write to standard error; errors are told by error_cb
    }
    if tls is not None:
        told["enable.ssl.certificate.verification"] = tls.verify
        told["ssl.endpoint.identification.algorithm"] = "https" if tls.verify else "none"
        if tls.ca is not None:
            told["ssl.ca.location"] = tls.ca
        if tls.certificate is not None:
            told["ssl.certificate.location"] = tls.certificate
            told["ssl.key.location"] = tls.key or tls.certificate
    if sasl is not None:
        assert password is not None
        told["sasl.mechanism"] = sasl.mechanism
        told["sasl.username"] = sasl.user
        told["sasl.password"] = password.reveal()
    return told


class Delivery:
    """What has become of the records of a chunk, by their places in it."""

    def __init__(self, number: int) -> None:
        self.acknowledged: set[int] = set()
        self.rejected: set[int] = set()
        self.pending = 0
        """Records of which the library has not told anything yet."""
        self.number = number
        self.error = ""
        """Why the last of them was not taken."""

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing that could be sent again."""
        return len(self.acknowledged) + len(self.rejected) == self.number

    def report(self, place: int, error: KafkaError | None, _message: object) -> None:
        """Called by the library, in `poll`."""
        self.pending -= 1
        if error is None:
            self.acknowledged.add(place)
        else:
            self.refuse(place, error)

    def refuse(self, place: int, error: KafkaError) -> None:
        """The record was not taken."""
        self.error = error.str()
        if error.code() in _REJECTED:
            self.rejected.add(place)


class KafkaProducer:
    """A connection to a cluster. For one thread."""

    def __init__(
        self, options: KafkaOptions, password: Secret | None, gives_up: Callable[[], bool]
    ) -> None:
        """`gives_up` is asked several times a second. Raises NotSent where the library refuses."""
        self._topic = options.topic
        self._gives_up = gives_up
        self._timeout = options.timeout
        self.is_broken = False
        """Whether it will never work again, or a new password may help."""
        self.trouble = ""
        """What the library last said that was wrong."""
        try:
            told = configuration(options, password)
            self._producer = Producer({**told, "error_cb": self._error})
        except KafkaException as error:
            raise NotSent(error.args[0].str()) from error

    def find_topic(self) -> None:
        """Wait until the cluster tells of the topic; raises NotSent with what is wrong."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                topics = self._producer.list_topics(self._topic, timeout=POLL * 5).topics
            except KafkaException as error:
                self._producer.poll(0)
                wrong = self.trouble or error.args[0].str()
                if self.is_broken or self._gives_up() or time.monotonic() > deadline:
                    raise NotSent(wrong) from error
                continue
            wrong_topic = topics[self._topic].error
            if wrong_topic is not None:
                raise NotSent(f"topic {self._topic}: {wrong_topic.str()}")
            self.trouble = ""
            return

    def send(self, id: str, items: Sequence[Sequence[bytes]], settled: Collection[int]) -> Delivery:
        """Send the records but for those that are settled; waits until each is told of.

        Each has a key and a value; `id` is the chunk's.
        """
        producer, topic = self._producer, self._topic
        delivery = Delivery(len(items) - len(settled))
        for place, (key, value) in enumerate(items):
            if place in settled:
                continue
            header: list[tuple[str, str | bytes | None]]
            header = [(CHUNK_HEADER, f"{id}/{place}".encode())]
            report = partial(delivery.report, place)
            try:
                producer.produce(topic, value, key, headers=header, on_delivery=report)
            except KafkaException as error:
                delivery.refuse(place, error.args[0])
                continue
            except BufferError:  # the library's queue is full
                producer.poll(POLL)
                delivery.error = "the queue of the client library is full"
                continue
            delivery.pending += 1
            if not place % SERVED:
                producer.poll(0)
        while producer.flush(POLL) and delivery.pending and not self._gives_up():
            pass
        if delivery.pending:
            self._purge(delivery)
        if delivery.is_settled:
            self.trouble = ""
        return delivery

    def _purge(self, delivery: Delivery) -> None:
        """Have the library forget what was not acknowledged."""
        self._producer.purge()
        self._producer.flush(POLL)
        delivery.error = delivery.error or "no answer"

    def _error(self, error: KafkaError) -> None:
        """Called by the library, in `poll` and `flush`."""
        if error.fatal() or error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self.is_broken = True
        if error.code() not in _VAGUE or not self.trouble:
            self.trouble = error.str()
