"""The sink `syslog` with a real rsyslog, by each way in, and with what may go wrong there."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ryu_droplog.config.sink_spec import QueueSpec

from .certificates import make_certificates
from .rsyslog import Rsyslog
from .sending import NODE, drops, numbered, place, ports, running, said, settled
from .service import HOST, eventually, free_port

WAYS = pytest.mark.parametrize("way", ["udp", "tcp", "tls", "unix"])
HOSTILE = '\x1b[2J\u202e"} ]\\\n\u732b\U0001f408\ud800'
SHOWN = '\\x1b[2J\\u202e"} ]\\\\n\u732b\U0001f408\\ud800'


@pytest.fixture(scope="module")
def rsyslog() -> Iterator[Rsyslog]:
    """One for the tests that leave it as it is."""
    with Rsyslog() as started:
        yield started


def settings(rsyslog: Rsyslog, way: str) -> dict[str, object]:
    """The keys of a sink that goes there."""
    keys: dict[str, object] = {"to": getattr(rsyslog, way), "format": "rfc5424"}
    if way == "tls":
        keys["tls"] = {"ca": str(rsyslog.certificates.ca)}
    return keys


@WAYS
def test_drops_arrive_with_structured_data(rsyslog: Rsyslog, way: str) -> None:
    before = len(rsyslog.lines())
    where = place(policy="no-dns", reason="DENY")
    with running("syslog", **settings(rsyslog, way), encode="opflex", facility="local3") as sink:
        sink.put([numbered(7, where)])
        line = rsyslog.read(before + 1)[before]
    assert (line.facility, line.severity, line.arrival) == (19, 4, way)
    assert line.time == "2025-11-24T16:00:00.250000Z"
    assert (line.host, line.application, line.message_id) == (NODE, "ryu_droplog", "DENY")
    data = line.structured_data["ryu_droplog@32473"]
    assert {key: data[key] for key in ("bridge", "table", "policy", "src", "sport", "dport")} == {
        "bridge": "br-int",
        "table": "SEC_GROUP_IN_TABLE",
        "policy": "no-dns",
        "src": "10.0.0.1",
        "sport": "7",
        "dport": "53",
    }
    assert line.message.lstrip().startswith("Acc-SEC_GROUP_IN_TABLE DENY no-dns  SMAC=")


@WAYS
def test_hostile_names_arrive_escaped(rsyslog: Rsyslog, way: str) -> None:
    before = len(rsyslog.lines())
    where = place(HOSTILE, bridge=HOSTILE, policy=HOSTILE)
    with running("syslog", **settings(rsyslog, way)) as sink:
        sink.put([numbered(7, where), numbered(8)])
        hostile, plain = rsyslog.read(before + 2)[before:]
    data = hostile.structured_data["ryu_droplog@32473"]
    assert data["bridge"] == data["table"] == data["policy"] == SHOWN
    record = json.loads(hostile.message)["openvswitch"]["record"]
    assert record["packet"]["udp"]["source_port"] == 7
    assert json.loads(plain.message)["source"]["port"] == 8


@WAYS
def test_long_messages_are_cut_where_the_user_says(rsyslog: Rsyslog, way: str) -> None:
    before = len(rsyslog.lines())
    where = place("T" * 250, policy="P" * 5000)
    for limit in (1000, 60_000):
        with running("syslog", **settings(rsyslog, way), message_bytes=limit) as sink:
            sink.put([numbered(7, where)])
            settled(sink, 1)
    short, long = rsyslog.read(before + 2)[before:]
    assert len(short.raw) <= 1000
    assert int(short.structured_data["ryu_droplog@32473"]["truncated"]) > 5000
    assert "truncated" not in long.structured_data["ryu_droplog@32473"]
    assert json.loads(long.message)["rule"]["name"] == "P" * 5000


@pytest.mark.parametrize("encode", ["native", "ecs", "ocsf", "cef", "extended", "json"])
def test_every_encoding_arrives(rsyslog: Rsyslog, encode: str) -> None:
    before = len(rsyslog.lines())
    with running("syslog", **settings(rsyslog, "tcp"), encode=encode) as sink:
        sink.put([numbered(7)])
        message = rsyslog.read(before + 1)[before].message.lstrip()
    if encode == "cef":
        assert message.startswith("CEF:0|ryu_droplog|ryu_droplog|")
    elif encode == "extended":
        assert ports([message]) == [7]
    else:
        assert isinstance(json.loads(message), dict)


@pytest.mark.parametrize("way", ["tcp", "tls", "unix"])
def test_many_arrive_in_order(rsyslog: Rsyslog, way: str) -> None:
    before = len(rsyslog.lines())
    with running("syslog", **settings(rsyslog, way), encode="opflex") as sink:
        sink.put(drops(10_000))
        lines = rsyslog.read(before + 10_000)[before:]
        settled(sink, 10_000)
    assert ports([line.message for line in lines]) == list(range(1, 10_001))


def test_certificate_of_another_authority_is_refused(rsyslog: Rsyslog, tmp_path: Path) -> None:
    others = make_certificates(tmp_path)
    with running("syslog", to=rsyslog.tls, tls={"ca": str(others.ca)}) as sink:
        sink.put(drops(1))
        said(sink, "cannot write: ")
        assert any("certificate is not accepted" in notice for notice in sink.notices)
        assert (sink.written, sink.failed) == (0, 0)
        sink.abandoned.set()


def test_certificate_of_another_host_is_refused(rsyslog: Rsyslog) -> None:
    keys = settings(rsyslog, "tls") | {"to": f"tls:127.0.0.2:{rsyslog.tls_port}"}
    with running("syslog", **keys) as sink:
        sink.put(drops(1))
        said(sink, "cannot write: ")
        sink.abandoned.set()
    assert sink.written == 0


def test_certificate_is_not_verified_where_the_user_says_so(rsyslog: Rsyslog) -> None:
    before = len(rsyslog.lines())
    with running("syslog", to=rsyslog.tls, tls={"verify": False}) as sink:
        sink.put(drops(1))
        rsyslog.read(before + 1)
        settled(sink, 1)


@WAYS
def test_restart_is_survived(way: str) -> None:
    with (
        Rsyslog() as rsyslog,
        running("syslog", **settings(rsyslog, way), encode="opflex") as sink,
    ):
        sink.put(drops(10))
        rsyslog.read(10)
        rsyslog.kill()
        sink.put(drops(10, 11))
        said(sink, "cannot write")
        sink.put(drops(10, 21))
        rsyslog.start()
        eventually(lambda: sink.written + sink.failed == 30, "nothing waits")
        sink.put(drops(10, 31))
        settled(sink, 40 - sink.failed, sink.failed)

        def arrived_ports() -> list[int]:
            return ports([line.message for line in rsyslog.lines()])

        eventually(lambda: 40 in arrived_ports(), "the last one")
        arrived = arrived_ports()
        assert arrived[:10] == list(range(1, 11))
        assert set(range(21, 41)) <= set(arrived)
        said(sink, "writing again")


def test_unix_stream_has_octet_counts(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with running("syslog", to=f"unix:{path}", format="rfc5424", encode="opflex") as sink:
            sink.put(drops(2))
            connection, _ = listener.accept()
            with connection:
                settled(sink, 2)
                data = connection.recv(65_536)
    for number in (1, 2):
        length, _, data = data.partition(b" ")
        message, data = data[: int(length)], data[int(length) :]
        assert message.startswith(b"<28>1 ")
        assert ports([message.decode()]) == [number]
    assert data == b""


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_daemon_that_does_not_read_holds_up_its_own_thread_alone(way: str) -> None:
    with Rsyslog() as rsyslog:
        queue = QueueSpec(1000, "oldest")
        with running("syslog", queue=queue, **settings(rsyslog, way)) as sink:
            sink.put(drops(1))
            settled(sink, 1)
            rsyslog.pause()
            begin = time.monotonic()
            for round in range(200):
                sink.put(drops(100, 1 + 100 * round))
            assert time.monotonic() - begin < 30
            assert sink.refused > 0
            assert sink.reading().unexplained() == 0
            rsyslog.resume()
            eventually(lambda: sink.waiting == 0, "it reads again")
        assert sink.written + sink.failed + sink.refused == 20_001


def test_nobody_there_is_said_and_waited_for() -> None:
    port = free_port()
    with running("syslog", to=f"tcp:{HOST}:{port}", encode="opflex") as sink:
        sink.put(drops(3))
        said(sink, f"soc: cannot write: tcp:{HOST}:{port}: Connection refused")
        with socket.create_server((HOST, port)) as server:
            connection, _ = server.accept()
            with connection:
                settled(sink, 3)
