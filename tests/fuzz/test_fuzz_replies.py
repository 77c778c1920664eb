"""Whatever a switch sends: read at once, or refused with a SwitchError; never os-ken's parser.

A call may take 50 ms of the processor, for 64 KB of the worst that could be thought of. `lasting`
says how to let it run for long.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lasting import examples, lasting
from os_ken.ofproto import ofproto_parser

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import openflow_bytes as wire
from fake_switch import DESCRIPTION, flow, table, update
from test_fuzz_packet import mutated

from ryu_droplog.model.errors import MalformedMessage, SwitchError
from ryu_droplog.openflow import flow_stats, oxm_match, replies, tables
from ryu_droplog.openflow.flow_removed import parse_flow_removed
from ryu_droplog.openflow.framing import Framer
from ryu_droplog.openflow.handshake import Handshake
from ryu_droplog.packet import packet_in as packetin

MOST_TIME = 0.05
"""Seconds of the processor that a call may take."""

CLONES = b""
for _ in range(64):
    CLONES = struct.pack("!HHIH6x", 0xFFFF, 16 + len(CLONES), 0x2320, 42) + CLONES
CT = struct.pack("!HHIHHIHB3xH", 0xFFFF, 24, 0x2320, 35, 1, 0, 0, 4, 0)
CONTROLLER2 = struct.pack("!HHIH6xHHH2x", 0xFFFF, 24, 0x2320, 37, 1, 6, 7)
RESUBMIT = struct.pack("!HHIHHB3x", 0xFFFF, 16, 0x2320, 14, 0xFFF8, 20)


def applied(*actions: bytes) -> bytes:
    body = b"".join(actions)
    return struct.pack("!HH4x", 4, 8 + len(body)) + body


ACTIONS = [applied(CLONES), applied(CT, RESUBMIT), applied(CONTROLLER2), b""]
FLOWS = b"".join(flow(number, 5, 9, body) for number, body in enumerate(ACTIONS))
UPDATES = b"".join(update(number, 5, 0, body)[8:] for number, body in enumerate(ACTIONS))
METERS = struct.pack("!HHIHHII4x", 24, 0xD, 7, 1, 16, 9, 9) * 3
METER_STATS = struct.pack("!IH6xIQQIIQQ", 7, 56, 1, 5, 6, 7, 8, 9, 9) * 3
TABLES = table(0, b"zero") + table(1, b"")
PORTS = wire.port(wire.LOCAL, b"br-int") + wire.port(3, b"tap1")
REMOVED = wire.message(
    wire.FLOW_REMOVED,
    struct.pack("!QHBBIIHHQQ", 1, 1, 2, 4, 0, 0, 0, 0, 5, 6) + bytes.fromhex("0001000400000000"),
)
PACKET_IN = wire.packet_in(bytes(60), bytes.fromhex("80000004 00000001 00010004 0000000a"))
ERROR = wire.message(wire.ERROR, struct.pack("!HH", 5, 3) + bytes(64))
STATUS = wire.message(wire.PORT_STATUS, struct.pack("!B7x", 2) + wire.port(3, b"tap1"))
CONFIG = wire.message(8, struct.pack("!HH", 0, 128))
GREETING = wire.hello(1, 4) + wire.features(7) + wire.ports(wire.port(wire.LOCAL, b"br-int"))


def read_packet_in(message: bytes) -> None:
    found = packetin.parse(message)
    packetin.context(found.metadata)
    packetin.drop_record(found.metadata)


def read_updates(body: bytes) -> None:
    for found in flow_stats.parse_updates(body):
        flow_stats.effect_of(found.instructions)
        oxm_match.overlap(found.match, bytes.fromhex("80000a02 0806"))


def read_flows(body: bytes) -> None:
    for found in flow_stats.parse_flow_stats(body):
        flow_stats.without_controller(flow_stats.actions_of(found.instructions), 7)


def read_match(fields: bytes) -> None:
    register = oxm_match.free_bit(fields)
    if register is not None:
        oxm_match.with_free_bit(fields, register)


MATCH = bytes.fromhex(
    "80000a02 0800 80001604 0a0000ff 00011f08 00000000 00000001 0001d204 00000021"
)
READERS: list[tuple[Callable[[bytes], Any], bytes]] = [
    (read_flows, FLOWS),
    (lambda body: list(flow_stats.parse_counts(body, bool)), FLOWS),
    (read_updates, UPDATES),
    (lambda body: tables.parse_table_features([body]), TABLES),
    (lambda body: list(replies.meter_configs_of(body)), METERS),
    (lambda body: list(replies.meter_drops_of(body)), METER_STATS),
    (replies.ports_of, PORTS),
    (replies.port_status_of, STATUS),
    (replies.software_of, DESCRIPTION),
    (replies.max_meter_of, struct.pack("!IIIBB2x", 1, 2, 3, 4, 5)),
    (replies.config_flags, CONFIG),
    (lambda message: replies.error_text(replies.error_of(message)), ERROR),
    (parse_flow_removed, REMOVED),
    (oxm_match.text, MATCH),
    (read_match, MATCH),
    (lambda fields: oxm_match.overlap(fields, MATCH), MATCH),
    (read_packet_in, PACKET_IN),
    (lambda data: list(Framer().feed(data)), PACKET_IN + ERROR + wire.packet_in(bytes(65_500))),
    (lambda data: Handshake().receive(data), GREETING),
]
LARGEST = 65_000
ANYTHING = st.one_of(
    mutated([seed for _, seed in READERS]),
    st.binary(max_size=200),
    st.builds(lambda unit: unit * (LARGEST // len(unit)), st.binary(min_size=1, max_size=80)),
)


def quickest(read: Callable[[bytes], Any], data: bytes) -> float:
    """Seconds of the processor that it takes: the least of a few tries, if the first is slow."""
    least = 1.0
    for _ in range(10):
        refusal = ""
        began = time.thread_time()
        try:
            read(data)
        except (SwitchError, MalformedMessage) as error:
            refusal = str(error)
        least = min(least, time.thread_time() - began)
        assert refusal.isprintable()
        assert len(refusal) < 300
        if least < MOST_TIME:
            break
    return least


def _never(*arguments: object) -> None:
    raise AssertionError("os-ken's parser was called")


@lasting
@given(st.integers(0, len(READERS) - 1), ANYTHING)
@settings(max_examples=examples(3000), deadline=None)
@example(0, flow(0, instructions=applied(CLONES * 8)) * 7)
@example(0, flow(0, instructions=applied(bytes.fromhex("0000000800000000") * 8000)))
@example(2, UPDATES * 25)
@example(2, update(0, 5, 0, applied(CONTROLLER2 * 2500))[8:])
@example(16, wire.packet_in(b"", bytes(65_000)))
def test_any_bytes_are_read_at_once_or_refused(number: int, data: bytes) -> None:
    theirs, ofproto_parser.msg = ofproto_parser.msg, _never
    try:
        assert quickest(READERS[number][0], data[:LARGEST]) < MOST_TIME  # no message has more
    finally:
        ofproto_parser.msg = theirs


def test_seeds_are_what_they_are_meant_to_be() -> None:
    """The mutations start from what is read to its end."""
    for read, seed in READERS:
        read(seed)
    assert len(ACTIONS) == len(list(flow_stats.parse_flow_stats(FLOWS)))
    assert len(ACTIONS) == len(list(flow_stats.parse_updates(UPDATES)))
