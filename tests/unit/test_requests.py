"""Questions to a switch over a real connection, and what is made of its answers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import openflow_bytes as wire
import pytest
from fake_switch import flow
from test_connection import Far

from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow import requests
from ryu_droplog.openflow.connection import Answer
from ryu_droplog.openflow.flow_stats import Flow

FLOW, METER, METER_CONFIG = 1, 9, 10
PKTPS, BURST, STATS = 1 << 1, 1 << 2, 1 << 3


@pytest.fixture
def far() -> Iterator[Far]:
    opened = Far()
    opened.shake_hands()
    yield opened
    opened.connection.stop()
    assert join([opened.thread], 20)
    opened.sock.close()


class Asked:
    """A question that is put in a thread of its own."""

    def __init__(self, question: object) -> None:
        self.results: list[object] = []
        self.errors: list[str] = []
        self._question = question
        self._thread = start(self._run)

    def _run(self) -> None:
        try:
            self.results.append(self._question())  # type: ignore[operator]
        except SwitchError as error:
            self.errors.append(str(error))

    def result(self) -> object:
        assert join([self._thread], 20)
        assert [] == self.errors
        return self.results[0]

    def error(self) -> str:
        assert join([self._thread], 20)
        assert [] == self.results
        return self.errors[0]


def answered(far: Far, *bodies: bytes, kind: int) -> list[tuple[int, int, bytes]]:
    """Answer a question and the barrier behind it; returns the requests that came."""
    came = []
    for body in bodies:
        came.append(far.read())
        far.sock.sendall(wire.multipart(kind, body, came[-1][1]))
    came.append(far.read())
    assert 20 == came[-1][0], "a barrier"
    far.sock.sendall(wire.message(wire.BARRIER_REPLY, xid=came[-1][1]))
    return came[:-1]


def test_flows_of_all_parts_are_one_list(far: Far) -> None:
    asked = Asked(lambda: requests.dump(far.connection, 5, 0xFF))
    _, xid, body = far.read()
    assert (5, 0xFF) == struct.unpack_from("!QQ", body, 24)
    far.sock.sendall(wire.multipart(FLOW, flow(1) + flow(2), xid, wire.MORE))
    far.sock.sendall(wire.multipart(FLOW, flow(3), xid))
    _, barrier, _ = far.read()
    far.sock.sendall(wire.message(wire.BARRIER_REPLY, xid=barrier))
    found = asked.result()
    assert isinstance(found, list)
    assert [1, 2, 3] == [one.table_id for one in found]


def test_flows_that_the_switch_does_not_tell_are_an_error(far: Far) -> None:
    asked = Asked(lambda: requests.dump(far.connection))
    _, xid, _ = far.read()
    far.sock.sendall(wire.message(wire.ERROR, struct.pack("!HH", 1, 5), xid))  # eperm
    _, barrier, _ = far.read()
    far.sock.sendall(wire.message(wire.BARRIER_REPLY, xid=barrier))
    assert asked.error().startswith("the switch does not tell its flows: ")


def test_counts_are_those_of_wanted_cookies(far: Far) -> None:
    asked = Asked(lambda: requests.dump_counts(far.connection, lambda number: number == 7))
    drop, goes_on = bytes(0), struct.pack("!HHB3x", 1, 8, 2)
    flows = flow(1, 5, 7, goes_on) + flow(2, 5, 8, goes_on) + flow(3, 5, 9, drop)
    answered(far, flows, kind=FLOW)
    found = asked.result()
    assert isinstance(found, list)
    assert [1, 3] == [count.table_id for count in found]


def meter(meter_id: int, flags: int = PKTPS | BURST | STATS, kind: int = 1) -> bytes:
    """One entry of OFPMP_METER_CONFIG with one band."""
    return struct.pack("!HHI HHII4x", 24, flags, meter_id, kind, 16, 100, 200)


def test_meters_of_ours_are_known_by_number_flags_and_band(far: Far) -> None:
    asked = Asked(lambda: requests.meter_ids(far.connection))
    first, last = requests.METER_BASE, requests.METER_END - 1
    entries = [
        *(meter(number) for number in (first, last, first - 1, last + 1, 1)),
        meter(first + 1, flags=PKTPS),
        meter(first + 2, kind=2),
    ]
    answered(far, b"".join(entries), kind=METER_CONFIG)
    assert [first, last] == asked.result()


def test_meter_that_is_not_there_has_no_number_of_packets(far: Far) -> None:
    asked = Asked(lambda: requests.meter_drops(far.connection, [4, 5]))
    band = struct.pack("!QQ", 11, 1100)
    stats = struct.pack("!IH6xIQQII", 4, 40 + len(band), 1, 99, 9900, 60, 0) + band
    answered(far, stats, b"", kind=METER)
    assert {4: 11} == asked.result()


@pytest.mark.parametrize(("bodies", "most"), [([], 0), ([(2000,)], 2000), ([(1,), (7,)], 7)])
def test_most_meters_are_what_the_switch_says(bodies: list[tuple[int]], most: int) -> None:
    parts = [struct.pack("!IIIBB2x", number, 2, 15, 1, 0) for (number,) in bodies]
    assert most == requests.max_meter(Answer(bodies=parts))


@pytest.mark.parametrize("count", [0, 1, 200, 201])
def test_many_messages_are_exchanged_in_parts_and_answered_in_order(far: Far, count: int) -> None:
    parser = far.connection.ofproto_parser
    questions = [parser.OFPGetConfigRequest(far.connection) for _ in range(count)]
    asked = Asked(lambda: requests.exchange_many(far.connection, questions))
    sizes, size, numbered = [], 0, 0
    while numbered < count or size:
        kind, xid, _ = far.read()
        if kind == 20:
            sizes.append(size)
            size = 0
            far.sock.sendall(wire.message(wire.BARRIER_REPLY, xid=xid))
        else:
            size, numbered = size + 1, numbered + 1
            far.sock.sendall(wire.message(8, struct.pack("!HH", 0, numbered), xid))
    answers = asked.result()
    assert isinstance(answers, list)
    assert list(range(1, count + 1)) == [
        struct.unpack_from("!H", body, 10)[0] for answer in answers for body in answer.bodies
    ]
    most = requests.MESSAGES_AT_ONCE
    assert [most] * (count // most) + [count % most] * bool(count % most) == sizes


def test_names_of_ports_are_printable_and_follow_the_switch(far: Far) -> None:
    far.connection.ports.clear()
    far.connection.ports.update({1: "tap1", 2: "a\nb"})
    assert {1: "tap1", 2: "a\\nb"} == requests.port_names(far.connection)


@pytest.mark.parametrize("generation", [0, 0x0100, 0x01FF, 0xFFFF00])
def test_meters_tell_the_run_that_made_them(generation: int) -> None:
    first = requests.first_meter(generation)
    assert requests.METER_BASE <= first < requests.METER_END
    runs = {requests.run_of_meter(first + table) for table in range(256)}
    assert {generation >> 8 << 8} == runs


def test_flow_that_stands_on_the_switch_is_deleted_as_it_stands(far: Far) -> None:
    asked = Asked(lambda: requests.dump(far.connection))
    answered(far, flow(4, 5, 0xD407 << 32), kind=FLOW)
    found = asked.result()
    assert isinstance(found, list)
    [stands] = found
    assert isinstance(stands, Flow)
    ours, telling = requests.leftover(stands), requests.telling(stands, 9)
    expected = (4, 5, stands.match, 0xD407 << 32)
    assert expected == (ours.table_id, ours.priority, ours.match, ours.cookie)
    assert expected == (telling.table_id, telling.priority, telling.match, telling.cookie)
    assert (b"", 9) == (telling.actions, telling.meter_id)


def test_owner_s_actions_are_what_stands_there_without_ours(far: Far) -> None:
    """A flow that was rewritten by a run that was killed gets its own actions back."""
    output = bytes.fromhex("0000 0010 00000007 ffff 000000000000")
    ours = bytes.fromhex(
        "ffff 0028 00002320 0025 000000000000 0000 0006 ffff 0000 0001 0006"
        f"{cookie.SIGNATURE:04x} 0000 0002 0005 00 000000"
    )
    ours = ours[:2] + struct.pack("!H", len(ours)) + ours[4:]
    apply = struct.pack("!HH4x", 4, 8 + len(output + ours)) + output + ours
    asked = Asked(lambda: requests.dump(far.connection))
    answered(far, flow(4, 5, 1, apply), kind=FLOW)
    found = asked.result()
    assert isinstance(found, list)
    assert output == requests.telling(found[0]).actions
