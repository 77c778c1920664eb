"""Templates of flows: what is filled in is, byte for byte, what would be encoded anew."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from record_drops import FLOW, HOSTILE, METADATA, OBSERVED, TIME, context, dropped, place
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.layers.l2 import ARP, Dot1Q
from test_deep import ETHER, FRAMES, V4, V6

from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.plugins.parts import ENCODERS, PACKERS
from ryu_droplog.records import templates
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.json_text import utf8_to_json
from ryu_droplog.records.layouts import layout_of
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.templates import FLOW_CACHE_SIZE, FlowDocuments

STAMPS: list[Any] = [("NOP", None), ("NOP", None), ("Timestamp", (5, 6))]
OTHER: list[Any] = [("MSS", 1460), ("NOP", None), ("WScale", 8), ("SAckOK", b""), ("EOL", None)]
USUAL: dict[str, Any] = {
    "syn": V4 / TCP(sport=1, dport=2, options=[("MSS", 1460), ("SAckOK", b"")]),
    "segment": V4 / TCP(sport=1, dport=2, flags="PA", options=STAMPS) / b"payload",
    "other options": V4 / TCP(sport=1, dport=2, options=OTHER),
    "reset without id": ETHER / IP(id=0, src="10.0.0.1", dst="10.0.0.2") / TCP(flags="R"),
    "tcp over ipv6": V6 / TCP(sport=1, dport=2, options=STAMPS),
    "udp": V4 / UDP(sport=1, dport=2) / b"payload",
    "dns over ipv6": V6 / FRAMES["dns"][UDP],
    "echo": V4 / ICMP(id=3, seq=4) / b"payload",
    "unreachable": V4 / ICMP(type=3, code=1) / V4[IP],
    "icmpv6": V6 / ICMPv6EchoRequest(id=3, seq=4),
    "tagged": ETHER / Dot1Q(vlan=7) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2),
    "fragment": ETHER / IP(src="10.0.0.1", dst="10.0.0.2", frag=9, id=7) / UDP(),
    "arp": ETHER / ARP(op=1, psrc="10.9.9.1", pdst="10.9.9.2"),
}
ALL = {name: bytes(frame) for name, frame in {**FRAMES, **USUAL}.items()}
WAYS = [ENCODERS.get("native"), ENCODERS.get("ecs"), PACKERS.get("native"), PACKERS.get("ecs")]
Way = Callable[[EncoderContext], Encode]
PLACE = place("DENY", FLOW, "100 %b no-http")


def drop_of(frame: bytes, time: float = TIME) -> Drop:
    return decode(frame, time, PLACE, METADATA)


def alike(frame: bytes, chance: random.Random, bits: int | None = None) -> bytes:
    """Another frame of the same flow: other bits wherever packets of a flow may differ."""
    layout = layout_of(drop_of(frame))
    if layout is None:
        return frame
    free = ~layout.mask & (chance.getrandbits(8 * layout.length) if bits is None else bits)
    free &= (1 << 8 * layout.length) - 1
    head = (layout.common(frame) | free).to_bytes(layout.length, "big")
    return head + chance.randbytes(len(frame) - layout.length)


def anew(way: Way, told: EncoderContext, drop: Drop) -> bytes:
    """The drop, encoded without any template."""
    with patch.object(templates, "layout_of", return_value=None):
        return way(told)(drop)


def assert_filled_in(frame: bytes, seed: int, **more: object) -> None:
    """Encode packets of the frame's flow one after the other, and each anew."""
    chance = random.Random(seed)
    other = alike(frame, chance)
    frames = [other, other, *(alike(frame, chance) for _ in range(3)), frame]
    frames += [alike(frame, chance, 0), alike(frame, chance, -1), other, other + b"\0\0"]
    told = context(**more)
    for way in WAYS:
        encode: Encode = way(told)
        for number, each in enumerate(frames):
            drop = drop_of(each, TIME + number // 3)
            assert anew(way, told, drop) == encode(drop)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("payload", ["headers", "full"])
def test_packets_of_a_flow_are_encoded_as_each_alone(name: str, payload: str) -> None:
    for length in {0, 13, 14, 17, 18, 33, 34, 38, 41, 42, 50, 53, 54, 58, 66, 74, len(ALL[name])}:
        assert_filled_in(ALL[name][:length], length, payload=payload)


@given(
    st.sampled_from(sorted(ALL)),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
    st.integers(0, 2**32),
)
@example("syn", [(16, 0), (17, 0)], 200, 1)  # a total length of 0
@example("syn", [(16, 0), (17, 30)], 200, 1)  # one that cuts the TCP header
@example("dns", [(38, 0), (39, 9)], 200, 1)
def test_packets_with_any_header_are_encoded_as_each_alone(
    name: str, changes: list[tuple[int, int]], length: int, seed: int
) -> None:
    frame = bytearray(ALL[name][:length])
    for position, value in changes:
        if position < len(frame):
            frame[position] = value
    assert_filled_in(bytes(frame), seed)


def forbidden(*arguments: object) -> Any:
    raise AssertionError("it is made anew")


@pytest.mark.parametrize("name", ["tcp options", "segment", "udp", "dns", "echo", "tagged", "arp"])
@pytest.mark.parametrize("way", WAYS)
def test_third_packet_of_a_flow_is_not_decoded(
    name: str, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, chance = way(context()), random.Random(1)
    frames = [alike(ALL[name], chance) for _ in range(4)]
    for frame in frames[:2]:
        encode(drop_of(frame))
    expected = anew(way, context(), drop_of(frames[2]))
    monkeypatch.setattr(RecordMaker, "record", forbidden)
    assert expected == encode(drop_of(frames[2]))
    other = bytearray(ALL[name])
    other[26] ^= 1
    with pytest.raises(AssertionError, match="made anew"):
        encode(drop_of(bytes(other)))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_learnt_meanwhile_is_told(way: Way) -> None:
    owner: dict[str, str | int] = {}
    bridges = BridgeDirectory()
    told = context(bridges=bridges, explain=lambda drop: dict(owner))
    encode: Encode = way(told)
    made = set()
    for change in (
        lambda: None,
        lambda: bridges.learn_ports("br-int", {3: "tap3"}),
        lambda: bridges.learn_ports("br-int", {3: "tap4"}),
        lambda: bridges.learn_datapath_id("br-int", 0xCAFE),
        lambda: owner.update(direction="ingress"),
    ):
        change()
        for _ in range(3):
            made.add(encode(drop_of(ALL["syn"])))
            assert anew(way, told, drop_of(ALL["syn"])) == encode(drop_of(ALL["syn"]))
    assert 5 == len(made)


def test_directory_that_learns_nothing_new_leaves_templates_alone() -> None:
    bridges = BridgeDirectory()
    bridges.learn_ports("br-int", {3: "tap3"})
    bridges.learn_datapath_id("br-int", 1)
    changes = bridges.changes
    bridges.learn_ports("br-int", {3: "tap3"})
    bridges.learn_datapath_id("br-int", 1)
    assert changes == bridges.changes


def test_observed_time_is_of_the_batch() -> None:
    times = iter((OBSERVED, OBSERVED + 1, OBSERVED + 2))
    encode = ENCODERS.get("native")(context(clock=lambda: next(times)))
    made = [
        json.loads(encode(drop_of(ALL["udp"], TIME + time)))["observed_time"][17:19]
        for time in (0, 0, 0, 1, 1, 2)
    ]
    assert ["01", "01", "01", "02", "02", "03"] == made


def test_repeats_in_a_known_flow_have_their_number() -> None:
    encode = ENCODERS.get("ecs")(context())
    for _ in range(3):
        encode(drop_of(ALL["udp"]))
    drop = drop_of(ALL["udp"])
    drop.repeated, drop.first_time = 19, TIME - 9
    made = json.loads(encode(drop))
    assert 19 == made["openvswitch"]["record"]["repeated"] == made["network"]["packets"]


@pytest.mark.parametrize("name", ["native", "ecs"])
def test_hostile_names_are_filled_in_as_they_are_encoded(name: str) -> None:
    location = place("DENY", FLOW._replace(names={"x": HOSTILE}), HOSTILE, "%b%d%", "\0\ufffd%")
    told = context(node=HOSTILE, explain=lambda drop: {"x": HOSTILE})
    encode = ENCODERS.get(name)(told)
    for _ in range(3):
        drop = dropped(location=location)
        assert anew(ENCODERS.get(name), told, drop) == encode(drop)


def test_flows_that_are_remembered_have_a_bound() -> None:
    documents = FlowDocuments(context(), lambda record, walk: record, utf8_to_json)
    for number in range(2 * FLOW_CACHE_SIZE):
        frame = ALL["udp"][:26] + number.to_bytes(4, "big") + ALL["udp"][30:]
        documents.encode(drop_of(frame))
        assert documents.remembered <= FLOW_CACHE_SIZE
