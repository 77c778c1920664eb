"""RFC 5424 to receivers that cut, talk, vanish, or are none."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forwarding import numbered
from sinks import context, spec
from waiting import eventually

from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.syslog import Syslog

PATIENCE = 30.0
wait_until = partial(eventually, patience=PATIENCE)
pytestmark = pytest.mark.usefixtures("short_pauses")


@contextmanager
def running(to: str, **options: Any) -> Iterator[Sink]:
    """A sink at work."""
    keys = {"to": to, "format": "rfc5424", "encode": "opflex", **options}
    sink = Syslog(spec(Syslog, "siem", **keys), context())
    sink.start()
    try:
        yield sink
    finally:
        sink.abandoned.set()
        sink.close(PATIENCE)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A TCP socket that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(PATIENCE)
        yield made


def address(of: socket.socket, scheme: str = "tcp") -> str:
    return f"{scheme}:127.0.0.1:{of.getsockname()[1]}"


def frames(data: bytes) -> list[bytes]:
    """The whole messages in a stream."""
    messages = []
    while (head := re.match(rb"(\d+) ", data)) is not None:
        end = head.end() + int(head[1])
        if end > len(data):
            break
        messages.append(data[head.end() : end])
        data = data[end:]
    return messages


def ports(messages: list[bytes]) -> list[int]:
    return [int(message.partition(b" SPT=")[2].split()[0]) for message in messages]


def test_receiver_that_cuts_in_mid_frame_costs_what_was_under_way(listener: socket.socket) -> None:
    with running(address(listener)) as sink:
        arrived: list[int] = []
        for _ in range(3):
            sink.put([numbered(number) for number in range(1, 301)])
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                arrived += ports(frames(connection.recv(1000, socket.MSG_WAITALL)))
        sink.put([numbered(9)])
        connection, _ = listener.accept()
        with connection:
            assert wait_until(lambda: sink.waiting == 0)
            data = b""
            while not data.endswith(b" SPT=9 DPT=53 LEN=8"):
                data += connection.recv(65_536)
        assert sink.written + sink.failed == 901
        assert sink.reading().unexplained() == 0
        assert arrived


def test_receiver_that_talks_is_not_listened_to(listener: socket.socket) -> None:
    with running(address(listener)) as sink:
        sink.put([numbered(1)])
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 welcome\r\n" * 100)
            assert wait_until(lambda: sink.written == 1)
            sink.put([numbered(2)])
            assert wait_until(lambda: sink.written == 2)
            data = b""
            while len(frames(data)) < 2:
                data += connection.recv(65_536)
        assert ports(frames(data)) == [1, 2]


def test_receiver_that_closed_while_nothing_came_gets_the_next_drop(
    listener: socket.socket,
) -> None:
    with running(address(listener)) as sink:
        for number in (1, 2, 3):
            sink.put([numbered(number)])
            connection, _ = listener.accept()
            with connection:
                assert wait_until(lambda number=number: sink.written == number)
                data = b""
                while not frames(data):
                    data += connection.recv(65_536)
                assert ports(frames(data)) == [number]
        assert sink.failed == 0


def test_receiver_without_tls_is_said_and_gets_nothing(listener: socket.socket) -> None:
    with running(address(listener, "tls")) as sink:
        sink.put([numbered(1)])
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 welcome\r\n" * 10)
            assert wait_until(lambda: bool(sink.notices))
        assert "tls: " in sink.notices[0]
        assert (sink.written, sink.failed) == (0, 0)


def test_datagrams_to_nobody_are_found_out_and_go_on_later() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
    with running(f"udp:127.0.0.1:{port}") as sink:
        sink.put([numbered(number) for number in range(1, 101)])
        assert wait_until(lambda: bool(sink.notices))
        assert f"udp:127.0.0.1:{port}: Connection refused" in sink.notices[0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            receiver.bind(("127.0.0.1", port))
            receiver.settimeout(PATIENCE)
            arrived = [0]
            while arrived[-1] != 100:
                arrived += ports([receiver.recv(65_536)])
        assert arrived == sorted(arrived), "in order, none twice"
        assert wait_until(lambda: sink.written == 100)


def test_unix_socket_that_is_made_later_gets_what_waited(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with running(f"unix:{path}") as sink:
        sink.put([numbered(1), numbered(2)])
        assert wait_until(lambda: bool(sink.notices))
        assert f"unix:{path}: No such file or directory" in sink.notices[0]
        for number in (1, 3):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
                daemon.bind(str(path))
                daemon.settimeout(PATIENCE)
                arrived = ports([daemon.recv(65_536), daemon.recv(65_536)])
            assert arrived == [number, number + 1]
            path.unlink()
            sink.put([numbered(3), numbered(4)])


def test_daemon_that_never_reads_is_let_go_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(path))
        with running(f"unix:{path}") as sink:
            sink.put([numbered(number) for number in range(5000)])
            assert wait_until(lambda: sink.waiting > 0)
        assert sink.reading().unexplained() == 0
        assert not sink._thread.is_alive()
