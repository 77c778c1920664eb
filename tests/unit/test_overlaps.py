"""Whether one of many matches overlaps another: as `overlap` says it of each, at a bounded cost."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.openflow.overlaps import Effort, Overlaps
from ryu_droplog.openflow.oxm_match import overlap

PLENTY = 10_000_000


@st.composite
def _matches(draw: st.DrawFn) -> bytes:
    match = b""
    for register in draw(st.lists(st.integers(0, 3), unique=True)):
        value, mask = draw(st.integers(0, 7)), draw(st.none() | st.integers(0, 7))
        if mask is None:
            match += struct.pack("!HBBI", 1, register << 1, 4, value)
        else:
            match += struct.pack("!HBBII", 1, register << 1 | 1, 8, value & mask, mask)
    return match


@given(st.lists(_matches()), st.lists(_matches(), min_size=1))
def test_one_of_many_overlaps_where_overlap_says_so_of_one(
    known: list[bytes], asked: list[bytes]
) -> None:
    overlaps: Overlaps[bytes] = Overlaps(Effort(PLENTY))
    taken: list[bytes] = []
    for match in known:
        assert any(overlap(one, match) for one in taken) == overlaps.any(match)
        overlaps.add(match, match)
        taken.append(match)
    for match in asked:
        overlapping = sorted(one for one in taken if overlap(one, match))
        assert overlapping == sorted(overlaps.find(match))


def test_where_the_effort_is_spent_anything_may_overlap() -> None:
    effort = Effort(3)
    overlaps: Overlaps[str] = Overlaps(effort)
    overlaps.add(struct.pack("!HBBI", 1, 0, 4, 1), "one")
    other = struct.pack("!HBBI", 1, 0, 4, 2)
    assert not Overlaps[str](Effort(PLENTY)).any(other)
    assert overlaps.any(other)
    assert effort.spent
