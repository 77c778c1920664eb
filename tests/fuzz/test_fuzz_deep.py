"""Whatever the bytes of a packet and of what the switch noted: a record in every encoding."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from ryu_droplog.model.location import Location
from ryu_droplog.packet import ethernet
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.records.context import EncoderContext

LOCATION = Location(("br-int", 4), "br-int", 4, "TABLE_4", "MISS")
OBJECTS = ("native", "ecs", "ocsf", "hubble", "json")
ENCODE = {name: ENCODERS.get(name)(EncoderContext("node")) for name in ENCODERS.names()}

# Heads behind which every decoder is reached, so that what is drawn is read by one of them.
MACS = bytes(12)
V4 = MACS + bytes.fromhex("080045000000000000004000ffff0a0000010a000002")
V6 = MACS + bytes.fromhex("86dd60000000ffff") + b"\xff\x40" + bytes(32)


def _v4(protocol: int, *behind: int) -> bytes:
    return V4[:23] + bytes((protocol,)) + V4[24:] + bytes(behind)


def _v6(protocol: int, *behind: int) -> bytes:
    return V6[:20] + bytes((protocol,)) + V6[21:] + bytes(behind)


def _ports(port: int) -> tuple[int, ...]:
    return (1, 1, *port.to_bytes(2, "big"), 0, 0, 0, 0)


HEADS = [
    b"",
    MACS,
    MACS + bytes.fromhex("88a8"),
    MACS + bytes.fromhex("8847"),
    MACS + bytes.fromhex("0806"),
    *(_v4(protocol) for protocol in (1, 2, 4, 6, 17, 41, 47, 132)),
    *(_v4(17, *_ports(port)) for port in (53, 67, 547, 4789, 6081)),
    *(_v6(protocol) for protocol in (0, 43, 44, 51, 58, 60)),
    *(_v6(58, kind, 0, 0, 0) for kind in (128, 131, 133, 135, 137)),
]


@given(st.sampled_from(HEADS), st.binary(max_size=200), st.integers(0, 240))
@example(MACS, bytes.fromhex("0800"), 14)
def test_any_frame_is_taken_apart_within_its_bounds(head: bytes, rest: bytes, length: int) -> None:
    frame = (head + rest)[:length]
    walk, end = decode(frame)
    assert 0 <= end <= len(frame)
    assert len(walk.source) in (0, 4, 16)
    assert walk.depth == 0


@given(st.sampled_from(HEADS), st.binary(max_size=200), st.binary(max_size=80))
def test_any_packet_is_one_line_in_every_encoding(
    head: bytes, rest: bytes, metadata: bytes
) -> None:
    drop = ethernet.decode(head + rest, 1.5, LOCATION, metadata)
    for name, encode in ENCODE.items():
        line = encode(drop)
        assert line.isascii()
        assert b"\n" not in line
        if name in OBJECTS:
            assert isinstance(json.loads(line), dict)
