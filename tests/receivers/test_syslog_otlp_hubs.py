"""The sinks `syslog` and `otlp` under both hubs of os-ken: the hub's thread waits for neither."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from .certificates import Certificates, make_certificates
from .otlp import OtlpReceiver
from .rsyslog import Rsyslog

ROOT = Path(__file__).resolve().parents[2]
HUBS = ["eventlet", "native"][: 2 if version("os-ken") >= "4" else 1]
"""Those that this os-ken has."""
PROGRAM = """
import json, sys, time
from ryu_droplog.concurrency import hubs
hubs.ready()
from os_ken.lib import hub
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.sinks.context import SinkContext
from tests.receivers.sending import drops

kind, options, awaited, count = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], 3000
made = SINKS.get(kind)
sink = made(
    SinkSpec("soc", kind, options=made.Options.model_validate(options)),
    SinkContext(hubs.real_threading(), node="node.test"),
)
sink.start()
sink.put(drops(count))
ticks, slowest, last, deadline = 0, 0.0, time.monotonic(), time.monotonic() + 60
while time.monotonic() < deadline and ticks < 1000:
    if awaited == "written" and sink.written == count:
        break
    if awaited == "stalls" and ticks >= 100 and sink.waiting:
        break
    hub.sleep(0.02)
    now = time.monotonic()
    ticks, slowest, last = ticks + 1, max(slowest, now - last), now
sink.abandoned.set()
print(json.dumps({"written": sink.written, "slowest": slowest, "ticks": ticks,
                  "notices": list(sink.notices)}))
sys.stdout.flush()
sink.close(20)
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of an authority that signed the receiver's."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def rsyslog() -> Iterator[Rsyslog]:
    """One for all tests here."""
    with Rsyslog() as started:
        yield started


def run(hub: str, kind: str, options: Mapping[str, object], awaited: str) -> dict[str, object]:
    """What the program says in a process with that hub."""
    command: Sequence[str] = [sys.executable, "-c", PROGRAM, kind, json.dumps(options), awaited]
    done = subprocess.run(
        command,
        env={**os.environ, "OSKEN_HUB_TYPE": hub, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("way", ["tcp", "tls", "unix"])
def test_messages_arrive(rsyslog: Rsyslog, hub: str, way: str) -> None:
    options = {"to": getattr(rsyslog, way), "format": "rfc5424"}
    if way == "tls":
        options["tls"] = {"ca": str(rsyslog.certificates.ca)}
    assert run(hub, "syslog", options, "written")["written"] == 3000


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_log_records_arrive(certificates: Certificates, hub: str, protocol: str) -> None:
    for given in (None, certificates):
        with OtlpReceiver(given) as receiver:
            endpoint = receiver.grpc if protocol == "grpc" else receiver.http
            tls = {"ca": str(certificates.ca)} if given else {}
            options = {"endpoint": endpoint, "protocol": protocol, "tls": tls}
            assert run(hub, "otlp", options, "written")["written"] == 3000
            assert len(receiver.read(3000)) == 3000


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("syslog", "tls"),
        ("otlp", "http"),
        ("otlp", "grpc"),
    ],
)
def test_receiver_that_is_silent_does_not_stop_the_hub(hub: str, kind: str, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        port = silent.getsockname()[1]
        slashes = "" if kind == "syslog" else "//"
        key = "to" if kind == "syslog" else "endpoint"
        options = {key: f"{scheme}:{slashes}127.0.0.1:{port}"}
        told = run(hub, kind, options, "stalls")
    assert told["written"] == 0
    assert isinstance(told["ticks"], int)
    assert told["ticks"] >= 100, told
