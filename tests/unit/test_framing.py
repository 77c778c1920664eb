"""Messages are found wherever the stream is cut, and behind PacketIns that lie about their end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import openflow_bytes as wire
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.framing import Framer

ECHO = wire.message(wire.ECHO_REQUEST, xid=7)
BARRIER = wire.message(wire.BARRIER_REPLY, xid=8)
SMALL = wire.packet_in(bytes(60), bytes(12))
IN_PORT = bytes.fromhex("80000004 00000001")


def framed(chunks: Iterable[bytes]) -> list[bytes]:
    """All messages, of whatever kind, in order."""
    framer = Framer()
    found: list[bytes] = []
    for chunk in chunks:
        for item in framer.feed(chunk):
            found += item if isinstance(item, list) else [item]
    return found


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def test_packet_ins_come_together_and_in_order_with_others() -> None:
    items = list(Framer().feed(SMALL + SMALL + ECHO + BARRIER + SMALL + ECHO[:5]))
    assert [[SMALL, SMALL], ECHO, BARRIER, [SMALL]] == items


SIZES = st.one_of(
    st.integers(18, 1600), st.integers(65_400, 65_549), st.sampled_from([14, 15, 16, 17, 65_535])
)
PACKET_INS = st.builds(
    lambda size, fields: wire.packet_in(b"\xee" * size, IN_PORT * fields), SIZES, st.integers(0, 9)
)
MESSAGES = st.lists(st.one_of(PACKET_INS, st.sampled_from([ECHO, BARRIER])), max_size=8)


@given(MESSAGES, st.lists(st.integers(0, 200_000), max_size=9))
@settings(deadline=None)
def test_every_message_is_found_whole_wherever_the_stream_is_cut(
    messages: list[bytes], places: list[int]
) -> None:
    assert messages == framed(cut(b"".join(messages), places))


@pytest.mark.parametrize("size", [65_493, 65_494, 65_500, 65_510, 65_535, 65_536, 65_549])
def test_packet_in_whose_length_has_wrapped_ends_where_its_frame_does(size: int) -> None:
    """At each place that the first read may end in, and byte by byte."""
    large = wire.packet_in(b"\xee" * size, IN_PORT)
    stream = large + SMALL + ECHO
    for place in [*range(1, 80), len(large) - 1, len(large), len(large) + 1]:
        assert [large, SMALL, ECHO] == framed(cut(stream, [place]))
    assert [large, SMALL, ECHO] == framed(bytes((byte,)) for byte in stream)


@pytest.mark.parametrize("size", [65_550, 65_553])
@pytest.mark.parametrize("following", [b"", ECHO, SMALL])
def test_frame_of_a_few_bytes_is_told_from_a_tagged_one_of_65536_more(
    size: int, following: bytes
) -> None:
    short = wire.packet_in(b"\xee" * (size - 65_536), IN_PORT)
    large = wire.packet_in(b"\xee" * size, IN_PORT)
    assert short[:40] == large[:40]
    assert [short] == framed([short + following])[:1]
    assert [large] == framed([large + following])[:1]


def test_packet_in_that_was_cut_by_the_switch_ends_where_its_header_says() -> None:
    """Other switches send a part of the frame, and keep the whole in a buffer."""
    whole = wire.packet_in(bytes(1500), IN_PORT)
    part = whole[:2] + (128).to_bytes(2, "big") + whole[4:128]
    assert [part, ECHO] == framed([part + ECHO])


@pytest.mark.parametrize("kind", [0, 10, 19, 255])
@pytest.mark.parametrize("length", range(8))
def test_length_below_the_header_is_refused(kind: int, length: int) -> None:
    message = bytes((4, kind, 0, length)) + bytes(60)
    with pytest.raises(SwitchError, match=f"of type {kind} that says it has {length} bytes"):
        framed([message])


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_stream_is_cut_into_its_own_bytes_or_refused(chunks: list[bytes]) -> None:
    try:
        found = framed(chunks)
    except SwitchError:
        return
    assert b"".join(chunks).startswith(b"".join(found))
