"""A connection over a real socket, whose other end says what a switch never would."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import openflow_bytes as wire
import pytest
from os_ken.lib import hub
from os_ken.ofproto import ofproto_parser
from test_handshake import PORTS, QUEUE_REPLY

from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.model.errors import SwitchError, SwitchTimeout
from ryu_droplog.openflow import connection as module
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import Connection, new_handshake
from ryu_droplog.openflow.flow_removed import FlowRemoved

UPDATE = b"ONF\0" + (1870).to_bytes(4, "big")
FLOW = 1
METER_FEATURES = 11


def _of_hub(sock: socket.socket) -> socket.socket:
    """A socket that the hub of these tests may wait for."""
    if hub.HUB_TYPE != "eventlet":
        return sock
    from eventlet.greenio import GreenSocket

    return GreenSocket(sock)


class Far:
    """A connection that is served in a thread, and the socket at its far end."""

    def __init__(self) -> None:
        self.sock, near = map(_of_hub, socket.socketpair())
        self.sock.settimeout(20)
        self.packet_ins: list[bytes] = []
        self.updates: list[bytes] = []
        self.removed: list[FlowRemoved] = []
        self.refusal = ""
        """Why flow updates are refused, where they are to be; what a Session's callback raises."""
        self.ready = False
        self.connection = Connection(
            near,
            "a peer",
            new_handshake(),
            on_packet_ins=lambda found, now: self.packet_ins.extend(found),
            on_ready=self._on_ready,
            on_flow_updates=self._on_flow_updates,
            on_flow_removed=self.removed.append,
        )
        self.thread = start(self.connection.serve)

    def _on_flow_updates(self, body: bytes) -> None:
        if self.refusal:
            raise SwitchError(self.refusal)
        self.updates.append(body)

    def _on_ready(self, connection: Connection) -> None:
        self.ready = True

    def shake_hands(self) -> None:
        for part in (wire.hello(4), wire.features(0x12), wire.ports(*PORTS)):
            self.sock.sendall(part)
        self.read()  # hello
        self.read()  # features request
        self.read()  # port description request
        assert eventually(lambda: self.ready)

    def read(self) -> tuple[int, int, bytes]:
        """Type, xid and the rest of the next message from the connection."""
        _, kind, length, xid = struct.unpack("!BBHI", self._exactly(8))
        return kind, xid, self._exactly(length - 8)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.sock.recv(size - len(data))
            assert chunk, self.connection.refusal
            data += chunk
        return data

    def flood(self, message: bytes) -> None:
        """Send it again and again, until that can no longer be done."""
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(10_000):
                self.sock.sendall(message)

    def ended(self) -> str | None:
        """The reason, once the connection has ended."""
        assert join([self.thread], 20)
        assert not self.connection.is_active
        return self.connection.refusal

    def exchange(self, *requests: Any, answer_time: float = 20.0) -> list[Any]:
        """What `Connection.exchange` gives or raises comes into the list, from another thread."""
        results: list[Any] = []

        def run() -> None:
            try:
                results.extend(self.connection.exchange(requests, answer_time))
            except SwitchError as error:
                results.append(error)

        self._asking = start(run)
        return results

    def waited(self, results: list[Any]) -> list[Any]:
        """What the last `exchange` gave, once it has."""
        assert join([self._asking], 20)
        return results


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    """After the handshake; os-ken's parsers fail the test."""

    def never(*arguments: object) -> None:
        raise AssertionError("os-ken's parser was called")

    monkeypatch.setattr(ofproto_parser, "msg", never)
    opened = Far()
    opened.shake_hands()
    yield opened
    opened.connection.stop()
    assert join([opened.thread], 20)
    opened.sock.close()


def eventually(holds: Any) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        hub.sleep(0.01)
    return bool(holds())


def features_request(far: Far) -> Any:
    return far.connection.ofproto_parser.OFPMeterFeaturesStatsRequest(far.connection)


def test_switch_is_known_after_the_handshake(far: Far) -> None:
    connection = far.connection
    assert (0x12, "br-int", {wire.LOCAL: "br-int", 3: "tap1"}) == (
        connection.id,
        connection.name,
        connection.ports,
    )


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (QUEUE_REPLY, "it sent a message of type 23, which was not asked for"),
        (wire.hello(4), "it sent a message of type 0, which was not asked for"),
        (wire.features(1), "it sent a message of type 6, which was not asked for"),
        (wire.message(255), "it sent a message of type 255, which was not asked for"),
        (
            wire.message(wire.ECHO_REQUEST, version=1),
            "it sent a message of OpenFlow version 1, not 4",
        ),
        (wire.message(10, bytes(80), version=1), "it sent a message of OpenFlow version 1, not 4"),
        (bytes(8), "it sent a message of type 0 that says it has 0 bytes"),
        (wire.message(wire.FLOW_REMOVED, bytes(9)), "a flow-removed message has only 17 bytes"),
        (wire.message(wire.PORT_STATUS, bytes(9)), "a port-status message has 17 bytes"),
        (wire.message(wire.MULTIPART_REPLY), "a multipart reply has only 8 bytes"),
    ],
)
def test_what_makes_no_sense_ends_the_connection_with_one_line(
    far: Far, message: bytes, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    far.sock.sendall(message * 3)
    assert refusal == far.ended()
    assert not caplog.records


def test_peer_that_does_not_greet_first_ends_the_connection() -> None:
    far = Far()
    far.sock.sendall(QUEUE_REPLY)
    assert "it began with a message of type 23, not with a hello" == far.ended()


def test_packet_in_near_64_kb_and_the_next_one_are_handed_on(far: Far) -> None:
    large = wire.packet_in(b"\xee" * 65_500)
    small = wire.packet_in(bytes(60))
    far.sock.sendall(large + small + wire.message(wire.ECHO_REQUEST, xid=5))
    assert (wire.ECHO_REPLY, 5, b"") == far.read()
    assert [large, small] == far.packet_ins


def test_replies_come_to_their_request(far: Far) -> None:
    results = far.exchange(features_request(far), messages.delete_meter(far.connection, 7))
    kind, first, _ = far.read()
    assert 18 == kind
    second, barrier = far.read()[1], far.read()[1]
    far.sock.sendall(wire.multipart(METER_FEATURES, b"one", first, wire.MORE))
    far.sock.sendall(wire.multipart(METER_FEATURES, b"two", first))
    far.sock.sendall(wire.message(wire.ERROR, struct.pack("!HH", 12, 7), second))
    far.sock.sendall(wire.message(wire.BARRIER_REPLY, xid=barrier))
    features, deletion = far.waited(results)
    assert ([b"one", b"two"], None) == (features.bodies, features.error)
    assert ([], (12, 7, b"")) == (deletion.bodies, deletion.error)


def test_what_answers_nothing_that_was_asked_is_dropped(far: Far) -> None:
    for kind in (wire.ERROR, 4, 8, wire.BARRIER_REPLY):
        far.sock.sendall(wire.message(kind, bytes(20), xid=0x80000001))
    far.sock.sendall(wire.multipart(FLOW, bytes(99), 0x80000001))
    far.sock.sendall(wire.multipart(0xFFFF, UPDATE, 0x80000001))
    far.sock.sendall(wire.message(wire.ECHO_REQUEST, xid=5))
    assert (wire.ECHO_REPLY, 5, b"") == far.read()
    assert not far.updates


def wrong_answers(first: int, barrier: int) -> dict[str, bytes]:
    return {
        "another multipart": wire.multipart(FLOW, bytes(56), first),
        "no multipart": wire.message(8, bytes(4), first),
        "a barrier to a request": wire.message(wire.BARRIER_REPLY, xid=first),
        "a multipart to the barrier": wire.multipart(METER_FEATURES, bytes(16), barrier),
    }


@pytest.mark.parametrize("wrong", wrong_answers(0, 0))
def test_answer_of_another_kind_ends_the_connection(far: Far, wrong: str) -> None:
    results = far.exchange(features_request(far))
    far.sock.sendall(wrong_answers(far.read()[1], far.read()[1])[wrong])
    refusal = far.ended()
    assert refusal is not None
    assert refusal.endswith("that was not asked for")
    [error] = far.waited(results)
    assert "the connection ended before the switch answered" in str(error)


def test_barrier_that_is_refused_ends_the_connection(far: Far) -> None:
    results = far.exchange()
    far.sock.sendall(wire.message(wire.ERROR, struct.pack("!HH", 1, 1), far.read()[1]))
    assert "it refuses a barrier: OFPET_BAD_REQUEST, OFPBRC_BAD_TYPE" == far.ended()
    assert isinstance(far.waited(results)[0], SwitchError)


def test_answer_without_end_ends_the_connection(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANSWERED", 1_000_000)
    results = far.exchange(features_request(far))
    first = far.read()[1]
    part = wire.multipart(METER_FEATURES, bytes(50_000), first, wire.MORE)
    far.flood(part)
    assert "it answered with more than 1000000 bytes" == far.ended()
    assert isinstance(far.waited(results)[0], SwitchError)


def test_answer_of_empty_parts_without_end_is_waited_for_no_longer(far: Far) -> None:
    results = far.exchange(features_request(far), answer_time=0.5)
    part = wire.multipart(METER_FEATURES, b"", far.read()[1], wire.MORE)
    while not results:
        far.sock.sendall(part)
    assert isinstance(far.waited(results)[0], SwitchTimeout)


def test_updates_of_the_flow_monitor_and_ends_of_flows_are_handed_on(far: Far) -> None:
    body = UPDATE + b"\0\x08\0\x03\0\0\0\x01"
    removed = struct.pack("!QHBBIIHHQQ", 77, 1, 2, 4, 0, 0, 0, 0, 5, 6) + struct.pack("!HH4x", 1, 4)
    far.sock.sendall(wire.multipart(0xFFFF, body, 0) + wire.message(wire.FLOW_REMOVED, removed))
    far.sock.sendall(wire.multipart(0xFFFF, b"other" * 4, 0) + wire.multipart(FLOW, b"", 0))
    assert eventually(lambda: far.removed)
    assert [body] == far.updates
    assert [FlowRemoved(77, 4, 5)] == far.removed


def test_ports_come_and_go(far: Far) -> None:
    def told(reason: int, number: int, name: bytes) -> bytes:
        body = struct.pack("!B7x", reason) + wire.port(number, name)
        return wire.message(wire.PORT_STATUS, body)

    far.sock.sendall(told(0, 4, b"tap2") + told(2, 3, b"new") + told(1, wire.LOCAL, b"br-int"))
    assert eventually(lambda: far.connection.ports == {3: "new", 4: "tap2"})


def test_peer_that_asks_and_never_reads_is_left(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNREAD", 4)
    request = wire.message(wire.ECHO_REQUEST, bytes(60_000))
    far.flood(request)
    assert "it does not read what it asks for" == far.ended()


def test_peer_that_never_reads_a_request_is_left(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    far.connection.socket.settimeout(0.5)
    for _ in range(100):
        results = far.exchange(*(messages.delete_meter(far.connection, one) for one in range(200)))
    refusal = far.ended()
    assert refusal is not None
    assert refusal.startswith("it did not read what it was sent within")
    assert isinstance(far.waited(results)[0], SwitchError)


def test_callback_that_cannot_go_on_ends_the_connection(far: Far) -> None:
    far.refusal = "too much"
    far.sock.sendall(wire.multipart(0xFFFF, UPDATE, 0))
    assert "too much" == far.ended()


def test_stop_ends_a_connection_that_says_nothing() -> None:
    far = Far()
    far.read()
    far.connection.stop()
    assert far.ended() is None


class Pace:
    """Notes what the reader asks about its rest, and rests as long as it is told to."""

    def __init__(self, seconds: float) -> None:
        self.asked: list[dict[str, bool]] = []
        self._seconds = seconds

    def rest(self, now: float, **state: bool) -> float:
        self.asked.append(state)
        return self._seconds


def paced(far: Far, seconds: float = 0.0) -> Pace:
    far.connection._pace = pace = Pace(seconds)  # type: ignore[assignment]
    far.connection.may_rest = True
    return pace


def test_reader_does_not_rest_unless_it_may(far: Far) -> None:
    pace = paced(far)
    far.connection.may_rest = False
    far.sock.sendall(wire.packet_in(bytes(60)))
    assert eventually(lambda: far.packet_ins)
    assert [] == pace.asked


def test_reader_tells_packet_ins_from_all_else(far: Far) -> None:
    pace = paced(far)
    alone = {"packet_ins_only": True, "full": False, "asked": False}
    far.sock.sendall(wire.packet_in(bytes(60)) * 3)
    assert eventually(lambda: 3 == len(far.packet_ins) and pace.asked)
    assert [alone] == pace.asked[:1]
    pace.asked.clear()
    update = wire.multipart(0xFFFF, UPDATE + bytes(8), 0)
    for other in (update, wire.message(wire.ECHO_REQUEST, xid=5)):
        far.sock.sendall(wire.packet_in(bytes(60)) + other)
        assert eventually(lambda: pace.asked)
        assert [{**alone, "packet_ins_only": False}] == pace.asked
        pace.asked.clear()


def test_reader_knows_that_somebody_waits_for_an_answer(far: Far) -> None:
    pace = paced(far)
    results = far.exchange(features_request(far))
    _, first, _ = far.read()
    _, barrier, _ = far.read()
    far.sock.sendall(wire.packet_in(bytes(60)))
    assert eventually(lambda: pace.asked)
    assert [{"packet_ins_only": True, "full": False, "asked": True}] == pace.asked
    far.sock.sendall(wire.multipart(METER_FEATURES, bytes(16), first))
    far.sock.sendall(wire.message(wire.BARRIER_REPLY, xid=barrier))
    assert 1 == len(far.waited(results))


def test_what_comes_during_a_rest_is_taken_by_the_next_read(far: Far) -> None:
    paced(far, 0.05)
    reads: list[int] = []
    far.connection._on_packet_ins = lambda found, now: reads.append(len(found))
    message = wire.packet_in(bytes(60))
    far.sock.sendall(message)
    assert eventually(lambda: reads)
    for _ in range(100):
        far.sock.sendall(message)
    assert eventually(lambda: 101 == sum(reads))
    assert len(reads) < 20
