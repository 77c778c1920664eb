"""The sink `notification` with a listener of oslo.messaging's: over RabbitMQ and over Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.notification import Notification

from .certificates import make_certificates
from .kafka import MockBroker, TansuBroker
from .kafka_sink import FLOWS, numbered
from .rabbitmq import NotificationListener, RabbitMq
from .service import PATIENCE, eventually, free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitMq]:
    with RabbitMq() as broker:
        yield broker


@contextmanager
def running(queue: int = 100_000, **options: Any) -> Iterator[Notification]:
    """The sink at work; it is ended in any case."""
    made = Notification.Options.model_validate({"window": 1.0, **options})
    spec = SinkSpec("bus", "notification", options=made, queue=QueueSpec(queue))
    sink = Notification(spec, SinkContext(threading, node="node-1"))
    sink.start()
    try:
        yield sink
    finally:
        sink.close(PATIENCE)


def whole(url: str, folder: Path) -> dict[str, str]:
    """The option for a URL with a password in it."""
    path = folder / "url"
    path.write_text(f"{url}\n")
    return {"url_file": str(path)}


def written(sink: Notification, count: int) -> None:
    eventually(lambda: sink.written >= count, f"{count} drops acknowledged, {sink.state()}")


def test_storm_is_one_message_with_counts(rabbit: RabbitMq, tmp_path: Path) -> None:
    """More than the queue has room for: what is counted needs none."""
    count, batch = 21_000, 100
    port = urlsplit(rabbit.url).port
    (tmp_path / "password").write_text("guest\n")
    options = {
        "transport_url": f"rabbit://guest@127.0.0.1:{port}/",
        "password_file": str(tmp_path / "password"),
        "window": 3600.0,
        "signatures": 3,
    }
    with NotificationListener(rabbit.url) as listener:
        with running(queue=5_000, **options) as sink:
            for first in range(0, count, batch):
                sink.put([numbered(number) for number in range(first, first + batch)])
                eventually(lambda: sink._queue.length == 0, "the batch is counted")
            assert (0, 0) == (sink.written, sink.refused)
            assert count == sink.waiting
            assert 0 == sink.reading().unexplained()
            assert 0 == sink.close(PATIENCE)
        (message,) = listener.read(1)
    assert (count, 0, 0) == (sink.written, sink.failed, sink.reading().unexplained())
    assert ("warn", "ryu_droplog.node-1", "ryu_droplog.drop") == (
        message.priority,
        message.publisher_id,
        message.event_type,
    )
    payload = message.payload
    assert (1, "node-1", count) == (payload["version"], payload["node"], payload["packets"])
    assert [count // FLOWS] * 3 == [kind["packets"] for kind in payload["drops"]]
    assert {
        "packets": count // FLOWS * (FLOWS - 3),
        "signatures": FLOWS - 3,
        "more_signatures": False,
    } == payload["others"]
    first = payload["drops"][0]
    assert first["signature"] == first["record"]["signature"]
    assert first["first_time"] == first["last_time"] == "2025-11-24T16:00:00.250000000Z"


def test_broker_and_sink_know_each_other_by_their_certificates(tmp_path: Path) -> None:
    with RabbitMq(tls=True) as broker:
        files = broker.certificates
        assert files is not None
        own = {"certificate": str(files.client_certificate), "key": str(files.client_key)}
        keys = whole(broker.url, tmp_path)
        with running(**keys, tls={"ca": str(files.ca), **own}) as sink:
            sink.put([numbered(0)])
            written(sink, 1)
        strangers = make_certificates(tmp_path / "strangers")
        with running(**keys, tls={"ca": str(strangers.ca), **own}) as sink:
            sink.put([numbered(1)])
            eventually(lambda: sink.failure is not None, "the broker's certificate is refused")
            assert sink.failure is not None
            assert "certificate verify failed" in sink.failure.text
            sink.abandoned.set()
        assert 0 == sink.written


def test_kafka_driver_waits_for_the_broker(tmp_path: Path) -> None:
    with TansuBroker() as broker:
        broker.make_topic("notifications.warn")
        with running(transport_url=f"kafka://{broker.brokers}/") as sink:
            sink.put([numbered(1)])
            written(sink, 1)
        (record,) = broker.read("notifications.warn", 1)
    assert b"ryu_droplog.drop" in (record.value() or b"")


def test_kafka_that_is_not_there_acknowledges_nothing() -> None:
    with running(transport_url=f"kafka://127.0.0.1:{free_port()}/") as sink:
        sink.put([numbered(1)])
        eventually(lambda: sink.failed == 1, "it has failed")
        assert sink.failure is not None
        assert (0, 0) == (sink.written, sink.reading().unexplained())


def test_broker_killed_and_started_again_loses_nothing_at_least_once(tmp_path: Path) -> None:
    with RabbitMq() as broker, NotificationListener(broker.url) as listener:
        options = {
            **whole(broker.url, tmp_path),
            "delivery": "at_least_once",
            "spool": {"directory": str(tmp_path / "spool")},
        }
        with running(**options) as sink:
            sink.put([numbered(1)])
            written(sink, 1)
            broker.kill()
            for number in range(2, 5):
                sink.put([numbered(number)])
            eventually(lambda: sink.failure is not None, "it is said")
            broker.start()
            written(sink, 4)
        eventually(
            lambda: sum(taken.payload["packets"] for taken in listener.read(0)) >= 4,
            "all drops have arrived",
        )
    assert (4, 0, 0) == (sink.written, sink.failed, sink.reading().unexplained())


def test_loss_at_most_once_is_counted_and_said(tmp_path: Path) -> None:
    with running(**whole(f"rabbit://guest:guest@127.0.0.1:{free_port()}/", tmp_path)) as sink:
        sink.put([numbered(1), numbered(2)])
        eventually(lambda: sink.failed == 2, "they have failed")
        assert sink.failure is not None
        assert "Connection refused" in sink.failure.text
        assert "guest" not in sink.failure.text
        assert 0 == sink.reading().unexplained()


def test_process_that_is_killed_is_replaced(rabbit: RabbitMq, tmp_path: Path) -> None:

    with NotificationListener(rabbit.url) as listener:
        with running(**whole(rabbit.url, tmp_path), delivery="at_least_once") as sink:
            sink.put([numbered(1)])
            written(sink, 1)
            before = sink._client._process
            os.kill(before, signal.SIGKILL)
            sink.put([numbered(2)])
            written(sink, 2)
            assert before != sink._client._process
        listener.read(2)


@pytest.mark.parametrize("hub", ["native", "eventlet"])
def test_program_goes_on_under_either_hub(hub: str, rabbit: RabbitMq, tmp_path: Path) -> None:
    """The hub's threads run on beside the sink, and nothing of oslo.messaging is loaded."""
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests" / "unit")!r}]
from ryu_droplog.concurrency import hubs
hubs.ready()
from os_ken.lib import hub
from drops import drop
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.notification import Notification
options = Notification.Options.model_validate({{"url_file": sys.argv[1], "window": 1.0}})
spec = SinkSpec("bus", "notification", options=options)
sink = Notification(spec, SinkContext(hubs.real_threading(), node="n"))
sink.start()
ticks = []
def tick():
    while True:
        ticks.append(1)
        hub.sleep(0.01)
hub.spawn(tick)
sink.put([drop()] * 100)
while sink.written < 100:
    before = len(ticks)
    while len(ticks) < before + 5:
        hub.sleep(0.01)
left = sink.close(10)
loaded = [name for name in sys.modules if name.startswith(("oslo_messaging", "oslo_service"))]
print(hub.HUB_TYPE, sink.written, left, loaded, flush=True)
import os
os._exit(0)
"""
    path = whole(rabbit.url, tmp_path)["url_file"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, path],
        env={"OSKEN_HUB_TYPE": hub, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert f"{hub} 100 0 []\n" == done.stdout, done.stderr


def test_send_test_does_not_wait_for_the_window(tmp_path: Path) -> None:
    with MockBroker() as broker:
        path = tmp_path / "droplog.yaml"
        path.write_text(
            "sinks: [{name: bus, type: notification, window: 1h,"
            f' transport_url: "kafka://{broker.brokers}/"}}]\n'
        )
        command = [sys.executable, "-m", "ryu_droplog", "send-test", "--config", str(path)]
        command += ["--timeout", "50"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "bus (notification): acknowledged" == done.stdout.splitlines()[1]
