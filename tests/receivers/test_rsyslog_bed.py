"""rsyslog: RFC 5424 by each way in, structured data read back, and a restart."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest

from .rsyslog import Line, Rsyslog

MESSAGE = (
    r"<132>1 2026-11-25T01:02:03.456789Z node.test ryu-droplog 42 drop"
    r' [drop@32473 table="0" rule="a \"b\" \\ \]"] dropped: über'
)
EXPECTED = Line(
    facility=16,
    severity=4,
    time="2026-11-25T01:02:03.456789Z",
    host="node.test",
    application="ryu-droplog",
    process="42",
    message_id="drop",
    structured_data={"drop@32473": {"table": "0", "rule": r'a "b" \ ]'}},
    message="dropped: über",
    arrival="",
    raw="",
)


@pytest.fixture(scope="module")
def rsyslog() -> Iterator[Rsyslog]:
    """One for all tests here."""
    with Rsyslog() as started:
        yield started


def frame(message: str) -> bytes:
    """Octet-counted (RFC 6587, section 3.4.1)."""
    text = message.encode()
    return b"%d %s" % (len(text), text)


def last(rsyslog: Rsyslog, before: int) -> Line:
    """The message after the first `before`, without what differs by the way that it came."""
    line = rsyslog.read(before + 1)[before]
    assert line.raw.endswith("dropped: über")
    return replace(line, raw="", arrival="", message=line.message.lstrip())


def test_udp(rsyslog: Rsyslog) -> None:
    before = len(rsyslog.lines())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(MESSAGE.encode(), ("127.0.0.1", rsyslog.udp_port))
    assert last(rsyslog, before) == EXPECTED
    assert rsyslog.lines()[-1].arrival == "udp"


def test_tcp_before_and_after_a_restart(rsyslog: Rsyslog) -> None:
    before = len(rsyslog.lines())
    for number in range(2):
        with socket.create_connection(("127.0.0.1", rsyslog.tcp_port)) as client:
            client.sendall(frame(MESSAGE) + frame(MESSAGE))
        assert last(rsyslog, before + 2 * number + 1) == EXPECTED
        rsyslog.restart()
    assert [line.arrival for line in rsyslog.lines()[before:]] == ["tcp"] * 4


def test_tls(rsyslog: Rsyslog) -> None:
    before = len(rsyslog.lines())
    context = ssl.create_default_context(cafile=rsyslog.certificates.ca)
    with (
        socket.create_connection(("127.0.0.1", rsyslog.tls_port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(frame(MESSAGE))
    assert last(rsyslog, before) == EXPECTED
    assert rsyslog.lines()[-1].arrival == "tls"


def test_unix_socket(rsyslog: Rsyslog) -> None:
    before = len(rsyslog.lines())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(MESSAGE.encode(), str(rsyslog.socket_path))
    assert last(rsyslog, before) == EXPECTED
    assert rsyslog.lines()[-1].arrival == "unix"
