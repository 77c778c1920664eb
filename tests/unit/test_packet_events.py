"""Packet events over real Unix sockets: what they say, and listeners that come and go."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clocks import forget
from drops import drop, location
from frames import ARP, IPV4, IPV6, QTAG, arp, ethernet, icmp, ipv4, ipv6, syn, tcp, udp, vlan
from living import ends
from sinks import Kept, context, spec
from sinks import packet_events as packet_events_to
from waiting import eventually

from ryu_droplog.config.sink_spec import QueueSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.sinks import packet_events
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.sinks.packet_events import ARRAY, PacketEvents, packet_event

NOW = 1708415956.845663
PATIENCE = 10.0
wait_until = partial(eventually, patience=PATIENCE)
HELD = 30
WHERE = location(4, bridge="br-access", name="SEC_GROUP_IN_TABLE", prefix="Acc-")
EXAMPLE = (
    b'{"TimeStamp":"Tue Feb 20 07:59:16 UTC 2024","DropReason":"Acc-SEC_GROUP_IN_TABLE MISS",'
    b'"SourceMac":"00:22:bd:f8:19:ff","DestinationMac":"0a:58:0a:02:00:c3","EtherType":"IPv4",'
    b'"SourceIP":"10.2.0.229","DestinationIP":"10.2.0.195","IPProto":"TCP","SourcePort":"42934",'
    b'"DestinationPort":"80"}'
)
V4 = ("10.0.0.1", "10.0.0.2")
V6 = ("fe80::1", "ff02::2")


def numbered(number: int, where: Location = WHERE) -> Drop:
    """A drop that is known again by its source port."""
    return drop(ethernet(IPV4, ipv4(*V4, 17, udp(number, 53))), where, NOW)


def numbers(array: list[dict[str, str]]) -> list[int]:
    return [int(event["SourcePort"]) for event in array]


def arrays(data: bytes) -> list[list[dict[str, str]]]:
    """JSON arrays with nothing in between."""
    text, start, found = data.decode("ascii"), 0, []
    while start < len(text):
        array, start = json.JSONDecoder().raw_decode(text, start)
        found.append(array)
    return found


def flat(arrays_of_numbers: list[list[int]]) -> list[int]:
    return [number for array in arrays_of_numbers for number in array]


class Listener:
    """Whoever waits for packet events; reads when it is told to."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(5)
        self._socket.settimeout(PATIENCE)

    def accept(self) -> socket.socket:
        connection, _ = self._socket.accept()
        connection.settimeout(PATIENCE)
        return connection

    def close(self) -> None:
        self._socket.close()


class Narrow(PacketEvents):
    """Its socket's buffer is too small for an array of drops at `LONG`."""

    def __init__(self, path: Path) -> None:
        settings = spec(PacketEvents, "narrow", QueueSpec(HELD), socket=str(path))
        super().__init__(settings, context(), retry=0.02)

    def _connect(self) -> Any:
        sock = super()._connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return sock


LONG = location(4, name="t", reason="DENY", policy="x" * 4000)


def read_numbers(connection: socket.socket, count: int) -> list[list[int]]:
    """Source ports of the next so many events, array by array."""
    data = b""
    while data.count(b'"TimeStamp"') < count or not data.endswith(b"]"):
        part = connection.recv(65536)
        assert part, "the connection has ended"
        data += part
    return [numbers(array) for array in arrays(data)]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC for the test alone; texts of other zones are forgotten before and after."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        forget(packet_events)
        yield
    time.tzset()
    forget(packet_events)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[Listener]:
    listener = Listener(path)
    yield listener
    listener.close()


@pytest.fixture
def sink(path: Path) -> Iterator[PacketEvents]:
    sink = packet_events_to(path, retry=0.02)
    sink.start()
    yield sink
    sink.close(PATIENCE)


def settled(sink: PacketEvents, written: int, failed: int = 0) -> bool:
    return wait_until(lambda: (sink.written, sink.failed) == (written, failed))


# What an event says


def event(frame: bytes) -> dict[str, Any]:
    return json.loads(packet_event(drop(frame, WHERE, NOW)))


def tail(frame: bytes) -> tuple[str, ...]:
    """EtherType, addresses, protocol and ports of its event."""
    return tuple(event(frame).values())[4:]


def test_example_of_the_field_is_written_byte_for_byte() -> None:
    assert EXAMPLE == packet_event(drop(syn(), WHERE, NOW))


def test_time_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-5:30")
    time.tzset()
    assert "Tue Feb 20 13:29:16 XYZ 2024" == event(syn())["TimeStamp"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet(ARP, arp("13.0.0.3", "13.0.0.5")), ("ARP", "13.0.0.3", "13.0.0.5", "", "", "")),
        (
            ethernet(QTAG, vlan(7, IPV4), ipv4(*V4, 17, udp(1, 2))),
            ("IPv4", *V4, "UDP", "1", "2"),
        ),
        (
            ethernet(QTAG, vlan(7, QTAG), vlan(8, ARP), arp(*V4)),
            ("ARP", *V4, "", "", ""),
        ),
        (ethernet(IPV4, ipv4(*V4, 1, icmp(8))), ("IPv4", *V4, "ICMP", "", "")),
        (ethernet(IPV6, ipv6(*V6, 6, tcp(0, 65535))), ("IPv6", *V6, "TCP", "0", "65535")),
        (ethernet(IPV6, ipv6(*V6, 58, bytes(8))), ("IPv6", *V6, "58_unrecognized", "", "")),
        (ethernet(IPV4, ipv4(*V4, 2, bytes(8))), ("IPv4", *V4, "2_unrecognized", "", "")),
        (ethernet(IPV4, ipv4(*V4, 17, bytes(8), offset=1)), ("IPv4", *V4, "UDP", "", "")),
        (ethernet(0x88CC, bytes(50)), ("35020_unrecognized", "", "", "", "", "")),
        (ethernet(QTAG, vlan(7, 0)), ("0_unrecognized", "", "", "", "", "")),
    ],
    ids=[
        *("ARP", "tagged", "tagged twice", "ICMP", "TCP over IPv6", "ICMPv6", "IGMP"),
        *("later fragment", "LLDP", "type 0"),
    ],
)
def test_packet_is_told_as_far_as_an_event_has_places(
    frame: bytes, expected: tuple[str, ...]
) -> None:
    assert expected == tail(frame)


def test_frame_cut_at_any_length_leaves_empty_what_is_gone() -> None:
    whole = event(syn())
    texts = list(whole)
    for size in range(len(syn())):
        cut = event(syn()[:size])
        assert texts == list(cut)
        assert all(cut[key] in ("", whole[key]) for key in texts)
        known = [key for key in texts if cut[key]]
        ends = {"DestinationMac": 6, "SourceMac": 12, "EtherType": 14, "SourceIP": 34}
        expected = [key for key, end in ends.items() if size >= end]
        assert set(expected) == set(known) & set(ends)
        assert ("SourcePort" in known) == (size >= 54)
    assert ("", "", "") == tuple(event(b"").values())[2:5]


def test_cut_tag_is_the_type_that_is_known() -> None:
    assert ("Qtag", "", "", "", "", "") == tail(ethernet(QTAG, b"\0"))


def test_odd_label_is_still_json() -> None:
    label = 'a "b" \\x20 \u00e9 DENY'
    where = location(4, name=label, reason="DENY")
    assert f"{label} DENY" == json.loads(packet_event(drop(syn(), where, NOW)))["DropReason"]


# Arrays


def test_one_drop_is_an_array_of_one(listener: Listener, sink: PacketEvents) -> None:
    sink.put([drop(syn(), WHERE, NOW)])
    assert settled(sink, 1)
    assert b"[" + EXAMPLE + b"]" == listener.accept().recv(65536)


def test_many_drops_are_arrays_of_ten_back_to_back(listener: Listener, sink: PacketEvents) -> None:
    sink.put([numbered(number) for number in range(25)])
    connection = listener.accept()
    assert [
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 25)),
    ] == read_numbers(connection, 25)
    sink.put([numbered(25)])
    assert [[25]] == read_numbers(connection, 1)
    assert settled(sink, 26)
    sink.close(PATIENCE)
    assert b"" == connection.recv(1)


def test_permit_is_never_sent(listener: Listener, sink: PacketEvents) -> None:
    permitted = location(reason="PERMIT")
    sink.put([numbered(1, permitted)])
    sink.put([numbered(2), numbered(3, permitted), numbered(4, location(reason="DENY"))])
    sink.put([])
    assert [[2, 4]] == read_numbers(listener.accept(), 2)
    assert settled(sink, 2)
    assert (0, 0) == (sink.refused, sink.waiting)


def test_permits_take_no_room_in_the_queue(path: Path) -> None:
    sink = packet_events_to(path)
    sink.put([numbered(number, location(reason="PERMIT")) for number in range(100)])
    sink.put([numbered(number) for number in range(HELD)])
    assert (0, HELD) == (sink.refused, sink.waiting)


# Listeners that come and go


def test_listener_that_comes_later_gets_what_waited(path: Path, sink: PacketEvents) -> None:
    sink.put([numbered(number) for number in range(3)])
    assert wait_until(lambda: len(sink.notices) == 1)
    sink.put([numbered(3)])
    assert (0, 4) == (sink.written, sink.waiting)
    listener = Listener(path)
    connection = listener.accept()
    assert [0, 1, 2, 3] == flat(read_numbers(connection, 4))
    assert settled(sink, 4)
    listener.close()
    assert [
        f"packet events to {path}: cannot write: No such file or directory; counting the drops",
        f"packet events to {path}: writing again; 0 drops were not written",
    ] == list(sink.notices)


def test_more_than_may_wait_are_refused_and_counted_the_newest_first(
    path: Path, sink: PacketEvents
) -> None:
    for number in range(HELD + 12):
        sink.put([numbered(number)])
    assert (12, HELD) == (sink.refused, sink.waiting)
    listener = Listener(path)
    got = flat(read_numbers(listener.accept(), HELD))
    listener.close()
    assert list(range(HELD)) == got
    assert settled(sink, HELD)


def test_listener_that_goes_away_in_an_array_gets_it_again_whole(path: Path) -> None:
    """It reads one array and a half of three, as its small buffer has no room for more."""
    listener = Listener(path)
    sink = Narrow(path)
    sink.start()
    sink.put([numbered(number, LONG) for number in range(HELD)])
    connection = listener.accept()
    first = b""
    while len(first) < 60_000:
        first += connection.recv(1000)
    connection.close()
    text = first.decode()
    array, end = json.JSONDecoder().raw_decode(text)
    assert list(range(10)) == numbers(array)
    assert text[end:].startswith('[{"TimeStamp"')
    assert ARRAY > text[end:].count('"TimeStamp"')
    connection = listener.accept()
    again = read_numbers(connection, HELD - ARRAY)
    assert [list(range(10, 20)), list(range(20, 30))] == again
    assert settled(sink, HELD)
    assert 0 == sink.close(PATIENCE)
    assert b"" == connection.recv(1)
    listener.close()
    assert (0, 0) == (sink.failed, sink.refused)


def test_listener_that_reads_late_gets_each_array_once_and_whole(
    monkeypatch: pytest.MonkeyPatch, path: Path, listener: Listener
) -> None:
    """Each send gives up in the middle of an array, and goes on where it was."""
    monkeypatch.setattr(packet_events, "SEND_TIME", 0.01)
    sink = Narrow(path)
    sink.start()
    sink.put([numbered(number, LONG) for number in range(HELD)])
    connection = listener.accept()
    data = b""
    while data.count(b'"TimeStamp"') < HELD or not data.endswith(b"]"):
        time.sleep(0.05)
        data += connection.recv(16384)
    assert [list(range(first, first + 10)) for first in (0, 10, 20)] == [
        numbers(array) for array in arrays(data)
    ]
    assert settled(sink, HELD)
    assert 0 == sink.close(PATIENCE)
    assert [] == list(sink.notices)


def test_listener_that_starts_anew_between_two_arrays_misses_none(
    path: Path, sink: PacketEvents
) -> None:
    listener = Listener(path)
    sink.put([numbered(1)])
    connection = listener.accept()
    assert [[1]] == read_numbers(connection, 1)
    connection.close()
    listener.close()
    sink.put([numbered(2)])
    assert wait_until(lambda: len(sink.notices) == 1)
    listener = Listener(path)
    assert [[2]] == read_numbers(listener.accept(), 1)
    listener.close()
    assert settled(sink, 2)


def test_listener_that_resets_is_reached_again(listener: Listener, sink: PacketEvents) -> None:
    """It leaves unread bytes behind: the next send fails with ECONNRESET or EPIPE."""
    sink.put([numbered(1)])
    connection = listener.accept()
    assert settled(sink, 1)
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()
    sink.put([numbered(2)])
    assert [[2]] == read_numbers(listener.accept(), 1)
    assert settled(sink, 2)


def test_listener_that_never_reads_holds_nobody_up(listener: Listener, sink: PacketEvents) -> None:
    """What its buffer has room for is written; then `HELD` wait, and the rest is refused."""
    big = location(4, name="t", reason="DENY", policy="x" * 60_000)
    put = 0
    while not sink.refused:
        sink.put([numbered(put % 65536, big)])
        put += 1
    assert put == sink.written + sink.waiting + sink.refused
    assert HELD == sink.waiting
    connection = listener.accept()
    for _ in range(1000):
        sink.put([numbered(1, big)])
    begin = time.monotonic()
    left_over = sink.close(PATIENCE)
    assert PATIENCE > time.monotonic() - begin
    assert 0 == left_over
    assert put + 1000 == sink.written + sink.failed + sink.refused
    assert 0 < sink.failed <= HELD
    connection.close()
    assert ends(f"sink-{sink.name}", PATIENCE)


def test_close_without_a_listener_counts_what_waited_as_failed(path: Path) -> None:
    sink = packet_events_to(path, retry=3600.0)
    sink.start()
    sink.put([numbered(number) for number in range(5)])
    assert wait_until(lambda: len(sink.notices) == 1)
    sink.put([numbered(5)])
    assert 0 == sink.close(PATIENCE)
    assert (0, 6, 0) == (sink.written, sink.failed, sink.refused)
    assert ends(f"sink-{sink.name}", PATIENCE)


def test_close_still_sends_what_waits_to_a_listener(path: Path, listener: Listener) -> None:
    sink = packet_events_to(path)
    sink.put([numbered(number) for number in range(HELD)])
    sink.start()
    assert 0 == sink.close(PATIENCE)
    assert (HELD, 0) == (sink.written, sink.failed)
    assert list(range(HELD)) == flat(read_numbers(listener.accept(), HELD))


def test_file_that_is_no_socket_is_tried_again(path: Path, sink: PacketEvents) -> None:
    path.write_text("no socket")
    sink.put([numbered(1)])
    assert wait_until(lambda: len(sink.notices) == 1)
    listener = Listener(path)
    assert [[1]] == read_numbers(listener.accept(), 1)
    listener.close()


def test_descriptors_do_not_grow_while_nobody_listens(path: Path, sink: PacketEvents) -> None:
    path.write_text("no socket")
    sink.put([numbered(1)])
    assert wait_until(lambda: len(sink.notices) == 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    time.sleep(0.3)  # fifteen tries
    assert before + 1 >= len(list(Path("/proc/self/fd").iterdir()))


def test_books_of_the_tables_are_not_touched(path: Path) -> None:
    sink = packet_events_to(path, retry=0.02)
    where = location()
    log = LogBooks()
    kept = Kept()
    log.begin(kept)
    repeated = numbered(99, where)
    repeated.repeated = 7
    sink.put([numbered(number, where) for number in range(HELD + 5)])
    sink.start()
    listener = Listener(path)
    assert list(range(HELD)) == flat(read_numbers(listener.accept(), HELD))
    assert settled(sink, HELD)
    sink.put([repeated])
    assert settled(sink, HELD + 1)
    listener.close()
    path.unlink()
    sink._retry = 3600.0
    for number in range(HELD + 5):
        sink.put([numbered(number, where)])
    sink.close(PATIENCE)
    assert sink.refused > 5
    assert ({}, {}) == log.of("br-int")
