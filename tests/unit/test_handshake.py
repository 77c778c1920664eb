"""OpenFlow's handshake, played with bytes: what ends it well, and everything else."""

from __future__ import annotations

import itertools
import struct

import openflow_bytes as wire
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ryu_droplog.openflow.handshake import MOST_PORTS, Features, Handshake

PORTS = [wire.port(wire.LOCAL, b"br-int"), wire.port(3, b"tap1")]
EXPECTED = Features(0x1234, 254, {wire.LOCAL: "br-int", 3: "tap1"})
TALK = [wire.hello(1, 4), wire.features(0x1234), wire.ports(*PORTS)]
"""What a switch says, each part after a word of ours."""
QUEUE_REPLY = bytes.fromhex(
    "041700300000000100000001000000000000000100000001"
    "002000000000000000010000000000000000000000000000"
)
"""An OFPT_QUEUE_GET_CONFIG_REPLY with a property of length 0, at which os-ken turns for ever."""


def played(*parts: bytes) -> Handshake:
    handshake = Handshake()
    handshake.greeting()
    for part in parts:
        handshake.receive(part)
    return handshake


def test_greeting_offers_openflow_13_alone() -> None:
    expected = struct.pack("!BBHIHHI", 4, 0, 16, 1, 1, 8, 1 << 4)
    assert expected == Handshake().greeting()


def test_each_answer_of_the_switch_brings_the_next_request() -> None:
    handshake = Handshake()
    assert wire.message(5, xid=2) == handshake.receive(TALK[0])
    assert wire.message(18, struct.pack("!HH4x", 13, 0), xid=3) == handshake.receive(TALK[1])
    assert not handshake.done
    assert b"" == handshake.receive(TALK[2])
    assert handshake.done
    assert EXPECTED == handshake.features
    assert "br-int" == EXPECTED.local_name
    assert handshake.refusal is None


@given(st.lists(st.integers(0, 500), max_size=9))
def test_any_pieces_give_the_same(places: list[int]) -> None:
    stream = b"".join(TALK) + b"and more"
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    handshake = played(*(stream[a:b] for a, b in itertools.pairwise(edges)))
    assert EXPECTED == handshake.features
    assert b"and more" == handshake.rest


def test_ports_may_come_in_parts() -> None:
    parts = [wire.ports(PORTS[0], flags=wire.MORE), wire.ports(PORTS[1])]
    assert EXPECTED == played(*TALK[:2], *parts).features


def test_bridge_without_a_local_port_has_no_name() -> None:
    features = played(*TALK[:2], wire.ports(PORTS[1])).features
    assert features is not None
    assert "" == features.local_name


def test_echo_is_answered_with_what_it_carried() -> None:
    handshake = played(TALK[0])
    request = wire.message(wire.ECHO_REQUEST, b"are you there", xid=99)
    assert wire.message(wire.ECHO_REPLY, b"are you there", xid=99) == handshake.receive(request)


@pytest.mark.parametrize("size", [60, 65_500])
def test_what_may_come_at_any_time_is_passed_over_unread(size: int) -> None:
    early = [
        wire.packet_in(b"\xee" * size),
        wire.message(wire.FLOW_REMOVED, b"\xee"),
        wire.message(wire.PORT_STATUS),
    ]
    assert EXPECTED == played(TALK[0], *early, TALK[1], *early, TALK[2]).features


HELLO_WITHOUT_BITMAP = wire.message(wire.HELLO, version=6)


@pytest.mark.parametrize(
    "hello",
    [
        wire.hello(4),
        wire.hello(1, 4, 6),
        HELLO_WITHOUT_BITMAP,
        wire.message(wire.HELLO),
        wire.message(wire.HELLO, struct.pack("!HH8x", 77, 12) + bytes(4), version=5),
        wire.message(wire.HELLO, struct.pack("!HHII4x", 1, 12, 1 << 4, 0)),
    ],
)
def test_hello_that_allows_openflow_13_is_taken(hello: bytes) -> None:
    assert EXPECTED == played(hello, *TALK[1:]).features


@pytest.mark.parametrize(
    ("hello", "offered"),
    [
        (wire.message(wire.HELLO, version=1), "1.0"),
        (wire.message(wire.HELLO, b"whatever it is", version=1), "1.0"),
        (wire.hello(1, 5), "1.0, 1.4"),
        (wire.message(wire.HELLO, version=0), "no version"),
    ],
)
def test_hello_of_other_versions_is_refused_with_what_it_offers(hello: bytes, offered: str) -> None:
    expected = (
        f"the bridge does not speak OpenFlow 1.3, but {offered}"
        " (ovs-vsctl add bridge NAME protocols OpenFlow13)"
    )
    assert expected == played(hello).refusal


REFUSED = {
    "its hello has an element that says it has 0 bytes": [
        wire.message(wire.HELLO, struct.pack("!HH4x", 1, 0))
    ],
    "its hello has an element that says it has 9 bytes": [
        wire.message(wire.HELLO, struct.pack("!HH4x", 1, 9))
    ],
    "its hello has an element that is cut": [wire.message(wire.HELLO, bytes(3))],
    "it began with a message of type 23, not with a hello": [QUEUE_REPLY],
    "it began with a message of type 2, not with a hello": [wire.message(wire.ECHO_REQUEST)],
    "it sent a message of type 0 that says it has 7 bytes": [bytes.fromhex("0400000700000000")],
    "it sent a message of type 23, not its features": [TALK[0], QUEUE_REPLY],
    "it sent a message of OpenFlow version 1, not 4": [
        TALK[0],
        wire.message(wire.ECHO_REQUEST, version=1),
    ],
    "it sent a message of type 6, not its features": [TALK[0], wire.features(1, xid=9)],
    "its features have 31 bytes, expected 32": [TALK[0], wire.message(6, bytes(23), 2)],
    "it sent a message of type 6, not its ports": [*TALK[:2], TALK[1]],
    "it sent a message of type 19, not its ports": [*TALK[:2], wire.ports(*PORTS, xid=9)],
    "it sent a multipart reply of type 4, not its ports": [
        *TALK[:2],
        wire.multipart(4, bytes(96), 3),
    ],
    "a description of ports has 65 bytes": [*TALK[:2], wire.ports(PORTS[0], b"x")],
    "it sent a part of its ports that is empty, and said that more follow": [
        *TALK[:2],
        wire.ports(flags=wire.MORE),
    ],
    "it refuses the handshake: OFPET_BAD_REQUEST, OFPBRC_BAD_VERSION": [
        TALK[0],
        wire.message(wire.ERROR, struct.pack("!HH", 1, 0), 2),
    ],
    "it refuses the handshake: it refuses OpenFlow 1.3 (no common version? ?)": [
        wire.message(wire.ERROR, struct.pack("!HH", 0, 0) + b"no common version\n \x1b", version=1)
    ],
    "an error message has only 11 bytes": [TALK[0], wire.message(wire.ERROR, bytes(3))],
}


@pytest.mark.parametrize("refusal", REFUSED)
def test_what_makes_no_sense_ends_it_with_one_line(refusal: str) -> None:
    handshake = played(*REFUSED[refusal])
    assert refusal == handshake.refusal
    assert handshake.features is None
    assert b"" == handshake.receive(TALK[0]), "nothing is said any more"


def test_ports_without_end_are_refused() -> None:
    part = wire.ports(*(wire.port(number, b"same") for number in range(1000)), flags=wire.MORE)
    handshake = played(*TALK[:2])
    for _ in range(MOST_PORTS // 1000 + 1):
        assert not handshake.done
        handshake.receive(part)
    assert f"it has more than {MOST_PORTS} ports" == handshake.refusal


KINDS = st.one_of(st.integers(0, 30), st.integers(0, 255))
SAID = st.one_of(
    st.sampled_from(TALK),
    st.binary(max_size=40),
    st.builds(
        wire.message, KINDS, st.binary(max_size=80), st.integers(0, 4), st.sampled_from([4, 4, 1])
    ),
)


@given(st.lists(SAID, max_size=12), st.booleans())
@settings(max_examples=500, deadline=None)
def test_any_peer_is_answered_no_more_than_it_sent_and_in_words(
    parts: list[bytes], greets: bool
) -> None:
    handshake = Handshake()
    sent = received = 0
    for part in [TALK[0]] * greets + parts:
        was_done = handshake.done
        answer = handshake.receive(part)
        assert not (was_done and answer)
        sent, received = sent + len(part), received + len(answer)
    assert received <= sent + 24
    if handshake.refusal is not None:
        assert handshake.features is None
        assert handshake.refusal.isprintable()
        assert len(handshake.refusal) < 300
