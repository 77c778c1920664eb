"""The sink `kafka` with real brokers: Tansu, and the one that librdkafka has inside.

No broker here asks for SASL: tests/unit/test_kafka_options.py looks at what the client library is
told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .kafka import MockBroker, TansuBroker
from .kafka_sink import FLOWS, TOPIC, kafka, numbered, numbers, running, written
from .schemas import ecs
from .service import PATIENCE, eventually, free_port

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records_arrive_whole_and_in_the_order_of_their_signature(compression: str) -> None:
    count = 700
    with TansuBroker() as broker:
        broker.make_topic(TOPIC, partitions=3)
        with running(kafka(broker.brokers, compression=compression)) as sink:
            for first in range(0, count, 70):
                sink.put([numbered(number) for number in range(first, first + 70)])
            written(sink, count)
        records = broker.read(TOPIC, count, partitions=3)
    assert (0, 0, 0) == (sink.failed, sink.resent, sink.reading().unexplained())
    assert list(range(count)) == sorted(numbers(records))
    for flow in range(FLOWS):
        of_flow = [record for record in records if numbers([record])[0] % FLOWS == flow]
        assert list(range(flow, count, FLOWS)) == numbers(of_flow)
        assert 1 == len({record.partition() for record in of_flow})
    for record in records[:FLOWS]:
        document = json.loads(record.value() or b"")
        assert not ecs.problems(document)
        assert document["openvswitch"]["signature"].encode() == record.key()


def test_encoding_is_the_one_that_was_asked_for() -> None:
    with MockBroker() as broker:
        with running(kafka(broker.brokers, encode="opflex")) as sink:
            sink.put([numbered(1)])
            written(sink, 1)
        (record,) = broker.read(TOPIC, 1, partitions=4)
    assert b"SEC_GROUP_IN_TABLE MISS" in (record.value() or b"")
    assert (record.key() or b"").startswith(b"1:")


def test_certificate_of_the_broker_is_verified() -> None:
    with TansuBroker(tls=True) as broker:
        broker.make_topic(TOPIC)
        assert broker.certificates is not None
        ca = str(broker.certificates.ca)
        with running(kafka(broker.brokers, tls={"ca": ca})) as sink:
            sink.put([numbered(1)])
            written(sink, 1)
        with running(kafka(broker.brokers, tls={}, timeout=2.0)) as sink:
            sink.put([numbered(2)])
            eventually(lambda: sink.failure is not None, "a stranger's certificate is refused")
            assert sink.failure is not None
            assert "certificate" in sink.failure.text.lower()
            sink.abandoned.set()
        with running(kafka(broker.brokers, tls={"verify": False})) as sink:
            sink.put([numbered(3)])
            written(sink, 1)
        assert [1, 3] == numbers(broker.read(TOPIC, 2))


def test_broker_killed_under_load_costs_nothing_at_least_once(tmp_path: Path) -> None:
    count, batch = 20_000, 100
    with TansuBroker(lasting=True) as broker:
        broker.make_topic(TOPIC)
        sink = kafka(
            broker.brokers,
            timeout=3.0,
            delivery="at_least_once",
            spool={"directory": str(tmp_path)},
        )
        with running(sink):
            for first in range(0, count, batch):
                sink.put([numbered(number) for number in range(first, first + batch)])
                if first == count // 4:
                    eventually(lambda: sink.written > 0, "some drops are acknowledged")
                    broker.kill()
                if first == count // 2:
                    broker.start()
            written(sink, count)
        records = broker.read(TOPIC, count)
    assert set(range(count)) == set(numbers(records))
    reading = sink.reading().total()
    assert (count, 0, 0, 0) == (
        reading.written,
        reading.failed,
        reading.refused,
        sink.reading().unexplained(),
    )
    assert len(records) - count <= sink.resent, "what came twice was counted as sent again"


def test_losses_at_most_once_are_counted() -> None:
    """The broker that forgets is killed, and what it had not acknowledged is failed or refused."""
    count, batch = 10_000, 100
    with TansuBroker() as broker:
        broker.make_topic(TOPIC)
        with running(kafka(broker.brokers, queue=1_000, timeout=1.0)) as sink:
            sink.put([numbered(0)])
            written(sink, 1)
            broker.kill()
            for first in range(0, count, batch):
                sink.put([numbered(number) for number in range(first, first + batch)])
            eventually(lambda: sink.failed > 0, "drops have failed")
            broker.start()
            broker.make_topic(TOPIC)
            eventually(lambda: sink.waiting == 0, "the rest is written")
            sink.put([numbered(count)])
            eventually(lambda: sink.waiting == 0, "the last drop is written")
            assert sink.refused > 0
            assert 0 == sink.resent
            assert count + 2 == sink.written + sink.failed + sink.refused
            arrived = len(broker.read(TOPIC, sink.written - 1))
        assert sink.written - 1 <= arrived
        assert 0 == sink.reading().unexplained()


def test_broker_that_is_not_there_is_said_by_its_address() -> None:
    port = free_port()
    with running(kafka(f"127.0.0.1:{port}", timeout=1.0)) as sink:
        sink.put([numbered(1)])
        eventually(lambda: sink.failure is not None, "it is said")
        assert sink.failure is not None
        assert f"127.0.0.1:{port}" in sink.failure.text
        assert "Connection refused" in sink.failure.text
        sink.abandoned.set()


def test_broker_that_stands_still_does_not_hold_up_the_end() -> None:
    with TansuBroker() as broker:
        broker.make_topic(TOPIC)
        sink = kafka(broker.brokers)
        sink.start()
        sink.put([numbered(1)])
        written(sink, 1)
        broker.pause()
        sink.put([numbered(2)])
        eventually(lambda: sink.waiting == 1, "it is on its way")
        left = sink.close(1.0)
        assert 1 == left
        sink._thread.join(PATIENCE)
        assert not sink._thread.is_alive()
        broker.resume()


def test_record_too_large_for_the_broker_costs_itself_alone() -> None:
    with MockBroker() as broker:
        with running(kafka(broker.brokers, encode="native")) as sink:
            encode = sink.encode
            sink.encode = lambda drop: (  # type: ignore[method-assign]
                (b"key", bytes(2_000_000)) if drop.l4.src_port == 2 else encode(drop)
            )
            sink.put([numbered(number) for number in (1, 2, 3)])
            eventually(lambda: sink.waiting == 0, "all are told of")
        assert (2, 1) == (sink.written, sink.failed)
        assert any("too large" in notice for notice in sink.notices)


def test_chunk_and_place_of_a_record_are_in_its_header() -> None:
    with MockBroker() as broker:
        with running(kafka(broker.brokers)) as sink:
            sink.put([numbered(1), numbered(1 + FLOWS)])
            written(sink, 2)
        records = broker.read(TOPIC, 2, partitions=4)
    marks = [dict(record.headers() or [])["ryu-droplog-chunk"].decode() for record in records]
    assert ["0", "1"] == [mark.split("/")[1] for mark in marks]
    assert 1 == len({mark.split("/")[0] for mark in marks})


@pytest.mark.parametrize("hub", ["native", "eventlet"])
def test_sink_works_under_either_hub(hub: str) -> None:
    """In a process that has loaded the hub as the program does, beside its other threads."""
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests" / "unit")!r}]
from ryu_droplog.concurrency import hubs
hubs.ready()
from os_ken.lib import hub
from drops import drop
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.kafka import Kafka
options = Kafka.Options.model_validate({{"brokers": [sys.argv[1]], "topic": "t"}})
sink = Kafka(SinkSpec("bus", "kafka", options=options), SinkContext(hubs.real_threading()))
sink.start()
ticks = []
def tick():
    while True:
        ticks.append(1)
        hub.sleep(0.01)
hub.spawn(tick)
for _ in range(3):
    sink.put([drop()] * 100)
    hub.sleep(0.05)
while sink.written < 300:
    hub.sleep(0.02)
before = len(ticks)
while len(ticks) < before + 5:
    hub.sleep(0.01)
print(hub.HUB_TYPE, sink.written, sink.close(10), flush=True)
import os
os._exit(0)
"""
    with MockBroker() as broker:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, broker.brokers.split(",")[0]],
            env={"OSKEN_HUB_TYPE": hub, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert f"{hub} 300 0\n" == done.stdout, done.stderr


def test_send_test_is_acknowledged_by_the_broker(tmp_path: Path) -> None:
    with TansuBroker() as broker:
        broker.make_topic(TOPIC)
        path = tmp_path / "droplog.yaml"
        path.write_text(
            "sinks:\n"
            f'- {{name: bus, type: kafka, brokers: ["{broker.brokers}"], topic: {TOPIC},'
            f" delivery: at_least_once, spool: {{directory: {tmp_path}/spool}}}}\n"
        )
        command = [sys.executable, "-m", "ryu_droplog", "send-test", "--config", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert 0 == done.returncode, done.stderr
        mark, outcome = done.stdout.splitlines()
        assert "bus (kafka): acknowledged" == outcome
        (record,) = broker.read(TOPIC, 1)
    document = json.loads(record.value() or b"")
    assert mark == f"mark: {document['openvswitch']['record']['owner']['test']}"
    assert not (tmp_path / "spool").exists(), "a spool is the running program's"
