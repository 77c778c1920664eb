"""IPFIX messages as they leave: sets, sequence numbers, sizes, and collectors that come and go."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from drops import location
from frames import ARP, IPV4, IPV6, arp, ethernet, ipv4, ipv6, udp
from record_drops import HOSTILE, METADATA, TIME, dropped, place
from sinks import spec
from waiting import eventually

from ryu_droplog.concurrency import hubs
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.ipfix import Ipfix

PATIENCE = 60.0
wait_until = partial(eventually, patience=PATIENCE)
UNIT = Path(__file__).parent
PORT, COUNT, STATUS, TABLE, REASON = 11, 2, 89, 96, 335


class Message(NamedTuple):
    """An IPFIX message, taken apart by the text of RFC 7011."""

    sequence: int
    domain: int
    records: list[dict[int, bytes]]
    templates: int
    size: int


class Reader:
    """A collecting process."""

    def __init__(self) -> None:
        self.templates: dict[int, list[tuple[int, int]]] = {}

    def read(self, message: bytes) -> Message:
        """Take one apart. Raises where it is not a message, or its template has not come."""
        version, length, _time, sequence, domain = struct.unpack_from("!HHIII", message)
        assert (version, length) == (10, len(message))
        records: list[dict[int, bytes]] = []
        templates, start = 0, 16
        while start < length:
            set_id, set_length = struct.unpack_from("!HH", message, start)
            assert 4 < set_length <= length - start
            body = message[start + 4 : start + set_length]
            start += set_length
            if set_id == 2:
                templates += self._templates(body)
            else:
                records += self._records(self.templates[set_id], body)
        return Message(sequence, domain, records, templates, length)

    def _templates(self, body: bytes) -> int:
        count = 0
        while body:
            number, fields = struct.unpack_from("!HH", body)
            ends = [struct.unpack_from("!HH", body, 4 + 4 * n) for n in range(fields)]
            self.templates[number] = [(int(a), int(b)) for a, b in ends]
            body, count = body[4 + 4 * fields :], count + 1
        return count

    def _records(self, fields: list[tuple[int, int]], body: bytes) -> list[dict[int, bytes]]:
        records = []
        while body:
            record = {}
            for element, size in fields:
                if size == 0xFFFF:
                    size, body = body[0], body[1:]
                    if size == 255:
                        size, body = int.from_bytes(body[:2], "big"), body[2:]
                assert len(body) >= size
                record[element], body = body[:size], body[size:]
            records.append(record)
        return records


def drop(number: int) -> Drop:
    """A drop that is known again by its destination port."""
    return dropped(ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 17, udp(9, number))))


def ports(messages: list[Message]) -> list[int]:
    """The drops in messages."""
    return [int.from_bytes(r[PORT], "big") for message in messages for r in message.records]


def sink(to: str, **options: Any) -> Ipfix:
    """A started sink."""
    made = Ipfix(spec(Ipfix, "flows", to=to, **options), SinkContext(threading))
    made.start()
    return made


class Udp:
    """A UDP port, and how to read messages from it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**23)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE)
        self.port = self.socket.getsockname()[1]
        self.reader = Reader()

    def read(self, drops: int) -> list[Message]:
        """Messages, until so many drops have come."""
        messages: list[Message] = []
        while len(ports(messages)) < drops:
            messages.append(self.reader.read(self.socket.recv(65_535)))
        return messages

    def __enter__(self) -> Udp:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.mark.parametrize(("mtu", "most"), [(576, 528), (1500, 1452), (9000, 8952)])
def test_messages_fit_into_a_packet_and_count_their_records(mtu: int, most: int) -> None:
    with Udp() as collector:
        made = sink(f"udp:127.0.0.1:{collector.port}", mtu=mtu, observation_domain=7)
        made.put([drop(number) for number in range(500)])
        messages = collector.read(500)
        made.put([drop(500)])
        messages += collector.read(1)
        assert made.close(PATIENCE) == 0
    assert list(range(501)) == ports(messages)
    assert 3 == messages[0].templates
    assert most >= max(message.size for message in messages)
    assert most - 200 < max(message.size for message in messages)
    sequence = 0
    for message in messages:
        assert (sequence, 7) == (message.sequence, message.domain)
        sequence += len(message.records)
    assert (501, 0) == (made.written, made.failed)


def test_templates_are_sent_again_over_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time)
    monkeypatch.setattr("ryu_droplog.sinks.ipfix.time", clock)
    with Udp() as collector:
        made = sink(f"udp:127.0.0.1:{collector.port}", template_interval=30.0)
        counts = []
        for number, moment in enumerate((100.0, 129.9, 130.0, 159.9, 160.0)):
            now[0] = moment
            made.put([drop(number)])
            counts.append([message.templates for message in collector.read(1)])
        made.close(PATIENCE)
    assert [[3, 0], [0], [3, 0], [0], [3, 0]] == counts


def test_kinds_of_packets_keep_their_order_and_have_their_elements() -> None:
    frames = [
        ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 17, udp(9, 10))),
        ethernet(IPV6, ipv6("2001:db8::1", "2001:db8::2", 17, udp(9, 11))),
        ethernet(ARP, arp("192.0.2.5", "192.0.2.6")),
        b"\x01\x02",
        b"",
        ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 17, udp(9, 12))),
    ]
    with Udp() as collector:
        made = sink(f"udp:127.0.0.1:{collector.port}")
        made.put([dropped(frame) for frame in frames])
        assert made.close(PATIENCE) == 0
        _, message = (collector.reader.read(collector.socket.recv(65_535)) for _ in range(2))
    addresses = [record.get(8) or record.get(27) for record in message.records]
    four = socket.inet_aton("192.0.2.1")
    assert [four, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), None, None, None, four] == (
        addresses
    )
    assert [28, 48, 28, 0, 0, 28] == [int.from_bytes(r[1], "big") for r in message.records]
    assert bytes(6) == message.records[3][56]


def test_what_a_drop_stands_for_and_why() -> None:
    repeated = dropped(location=place("DENY", policy="no-http"))
    repeated.repeated, repeated.first_time = 300, TIME - 1.5
    permitted = dropped(location=place("PERMIT"))
    with Udp() as collector:
        made = sink(f"udp:127.0.0.1:{collector.port}")
        made.put([repeated, dropped(), permitted])
        assert made.close(PATIENCE) == 0
        _, message = (collector.reader.read(collector.socket.recv(65_535)) for _ in range(2))
    denied, missed, allowed = message.records
    numbers = [
        tuple(int.from_bytes(record[element], "big") for element in (COUNT, 1, STATUS, 233, 10))
        for record in (denied, missed, allowed)
    ]
    assert [(300, 18_000, 130, 3, 3), (1, 60, 128, 3, 3), (1, 60, 64, 0, 3)] == numbers
    times = [int.from_bytes(denied[element], "big") for element in (152, 153)]
    assert [int((TIME - 1.5) * 1000), int(TIME * 1000)] == times
    assert (b"Acc-SEC_GROUP_IN_TABLE", b"DENY no-http") == (denied[TABLE], denied[REASON])


def test_names_of_others_are_escaped_and_cut() -> None:
    bridges = BridgeDirectory()
    bridges.learn_ports("br-int", {3: HOSTILE})
    where = location(4, name="t" * 300, bridge=HOSTILE)
    made = Ipfix(spec(Ipfix, "x", to="udp:127.0.0.1:9"), SinkContext(threading, bridges=bridges))
    for seconds in (-1.0, 0.0, 1e300):
        record = made.encode(decode(drop(1).frame, seconds, where, METADATA))
        assert b"\x1b" not in record.data[80:]
    assert b"\xff\x01\x02" + b"t" * 255 + b"..." in record.data


class Tcp:
    """A TCP port, and how to read messages from one connection after the other."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(PATIENCE)
        self.port = self.listener.getsockname()[1]

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        return connection


def read_stream(connection: socket.socket, drops: int) -> list[Message]:
    """The messages of a connection from its beginning, until so many drops have come."""
    messages: list[Message] = []
    reader = Reader()
    with connection.makefile("rb") as stream:
        while len(ports(messages)) < drops:
            head = stream.read(16)
            messages.append(
                reader.read(head + stream.read(struct.unpack("!2xH", head[:4])[0] - 16))
            )
    return messages


def test_each_tcp_connection_begins_with_templates_and_sequence_0() -> None:
    collector = Tcp()
    made = sink(f"tcp:127.0.0.1:{collector.port}")
    for first in (0, 1000):
        made.put([drop(number) for number in range(first, first + 1000)])
        with collector.accept() as connection:
            messages = read_stream(connection, 1000)
        assert list(range(first, first + 1000)) == ports(messages)
        assert (3, 0, 0) == (messages[0].templates, messages[0].sequence, messages[1].sequence)
        assert not any(message.templates for message in messages[1:])
    assert made.close(PATIENCE) == 0
    assert 2000 == made.written
    collector.listener.close()


def test_drops_wait_for_a_collector_that_is_not_there() -> None:
    collector = Tcp()
    collector.listener.close()
    made = sink(f"tcp:127.0.0.1:{collector.port}")
    made.put([drop(1)])
    assert wait_until(lambda: made.failure is not None)
    made.put([drop(2)])
    assert 2 == made.waiting
    collector = Tcp(collector.port)
    with collector.accept() as connection:
        assert [1, 2] == ports(read_stream(connection, 2))
    assert made.close(PATIENCE) == 0
    assert f"flows: cannot write: tcp:127.0.0.1:{collector.port}: Connection ref" in made.notices[0]
    collector.listener.close()


def test_collector_that_does_not_read_holds_up_no_end() -> None:
    collector = Tcp()
    made = sink(f"tcp:127.0.0.1:{collector.port}")
    made.put([drop(number % 65_536) for number in range(100_000)])
    connection = collector.accept()
    assert wait_until(lambda: made.written + made.waiting == 100_000 and made.waiting > 0)
    begin = time.monotonic()
    left = made.close(PATIENCE)
    assert PATIENCE / 2 > time.monotonic() - begin
    assert made.written + made.failed + left == 100_000
    connection.close()
    collector.listener.close()


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("127.0.0.1:4739", "udp:HOST:PORT or tcp:HOST:PORT"),
        ("tls:127.0.0.1:4739", "udp:HOST:PORT or tcp:HOST:PORT"),
        ("udp:127.0.0.1", "udp:HOST:PORT with an IPv6 address in brackets and a port from 1"),
        ("tcp:127.0.0.1:0", "tcp:HOST:PORT with an IPv6 address in brackets and a port from 1"),
    ],
)
def test_address_that_is_none_is_refused(to: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Ipfix.Options(to=to)


PROGRAM = """
import sys
sys.path.insert(0, {unit!r})
from ryu_droplog.concurrency import hubs
hubs.ready()
from sinks import spec
from record_drops import dropped
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.ipfix import Ipfix
from ryu_droplog.sinks.pcapng import Pcapng
threads = hubs.real_threading()
sinks = [
    Ipfix(spec(Ipfix, "a", to="udp:localhost:{udp}"), SinkContext(threads)),
    Ipfix(spec(Ipfix, "b", to="tcp:localhost:{tcp}"), SinkContext(threads)),
    Pcapng(spec(Pcapng, "c", path={path!r}, rotate=dict(bytes=1000, compress=True)),
           SinkContext(threads)),
]
for sink in sinks:
    sink.start()
for sink in sinks:
    sink.put([dropped()] * 100)
    print(sink.close(10), sink.written, list(sink.notices))
"""


@pytest.mark.parametrize("hub", hubs.available())
def test_sinks_write_in_real_threads_under_either_hub(hub: str, tmp_path: Path) -> None:
    stream = Tcp()
    with Udp() as datagrams:
        program = PROGRAM.format(
            unit=str(UNIT), udp=datagrams.port, tcp=stream.port, path=str(tmp_path / "x.pcapng")
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**os.environ, "OSKEN_HUB_TYPE": hub},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == "0 100 []\n" * 3, done.stderr
        assert 100 == len(ports(datagrams.read(100)))
        with stream.accept() as connection:
            assert 100 == len(ports(read_stream(connection, 100)))
    stream.listener.close()
