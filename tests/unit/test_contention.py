"""Which flows of ours go because of somebody's change: found as if each were looked at."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.openflow.flow_stats import Event, Update
from ryu_droplog.openflow.messages import OurFlow
from ryu_droplog.reconcile.contention import Contention
from ryu_droplog.reconcile.desired_state import DesiredFlow, FlowKey, FlowState
from ryu_droplog.reconcile.explicit_drops import Place

FORWARD = struct.pack("!HHB3x", 1, 8, 9)
"""An instruction: go to table 9."""


def match(register: int, value: int, mask: int = 0xFFFFFFFF) -> bytes:
    return struct.pack("!HBBII", 1, register << 1 | 1, 8, value & mask, mask)


def desired(
    slot: int, priority: int, below: bytes | None, *, table: int = 5, up: int = 1
) -> DesiredFlow:
    if below is None:
        return DesiredFlow(FlowKey(table, slot), priority, b"")
    return DesiredFlow(
        FlowKey(table, slot), priority + up, below + match(15, 0), Place(table, priority, below)
    )


def state_of(place: DesiredFlow) -> FlowState:
    flow = OurFlow(
        table_id=place.key.table_id,
        priority=place.priority,
        match=place.match,
        flow_cookie=place.key.slot,
        meter_id=None,
        lease=30,
    )
    return FlowState(place, flow)


def add_all(places: Sequence[DesiredFlow]) -> tuple[dict[FlowKey, FlowState], Contention]:
    held: dict[FlowKey, FlowState] = {}
    contention = Contention(held)
    for place in places:
        held[place.key] = state_of(place)
        contention.note(place.key, place)
    return held, contention


_MATCHES = st.builds(match, st.integers(0, 2), st.integers(0, 3), st.integers(1, 3)) | st.just(b"")
_PLACES = st.builds(
    desired,
    st.integers(1, 9),
    st.integers(1, 4),
    _MATCHES | st.none(),
    table=st.integers(4, 5),
    up=st.integers(1, 2),
)
_UPDATES = st.builds(
    Update,
    st.sampled_from((Event.ADDED, Event.DELETED, Event.MODIFIED)),
    st.integers(4, 5),
    st.integers(0, 6),
    st.just(0xABC),
    st.sampled_from((b"", FORWARD)),
    _MATCHES,
)


@given(st.lists(_PLACES, max_size=20), st.lists(_UPDATES, min_size=1))
def test_what_contends_is_found_as_if_each_flow_were_looked_at(
    places: list[DesiredFlow], updates: list[Update]
) -> None:
    """Places change, too: a key that comes again is the same flow of ours somewhere else."""
    held, contention = add_all(places)
    for update in updates:
        expected = {
            key
            for key, state in held.items()
            if key.table_id == update.table_id and state.desired.contends(update)
        }
        assert expected == {key for key, _ in contention.find(update)}


def test_flow_that_does_not_stand_contends_with_nothing() -> None:
    held, contention = add_all([desired(1, 10, match(0, 1))])
    held[FlowKey(5, 1)].flow = None
    assert [] == list(contention.find(Update(Event.ADDED, 5, 11, 9, FORWARD)))
    held.clear()
    assert [] == list(contention.find(Update(Event.ADDED, 5, 11, 9, FORWARD)))


def test_end_and_change_of_our_own_flow_are_found() -> None:
    place = desired(7, 10, match(0, 1))
    _, contention = add_all([place])
    removed = Update(Event.DELETED, 5, 11, 7, b"", place.match)
    assert [(place.key, "was removed")] == list(contention.find(removed))
    changed = Update(Event.MODIFIED, 5, 11, 7, FORWARD, place.match)
    assert [(place.key, "was changed")] == list(contention.find(changed))


def test_places_that_are_left_are_forgotten() -> None:
    held: dict[FlowKey, FlowState] = {}
    contention = Contention(held)
    for number in range(1000):
        place = desired(1, 10, match(0, number))
        held[place.key] = state_of(place)
        contention.note(place.key, place)
    assert 200 > len(contention)
    assert [FlowKey(5, 1)] == [key for key, _ in contention.find(Update(Event.ADDED, 5, 11, 9))]


@pytest.mark.timeout(60)
def test_owner_that_changes_very_much_beside_thousands_of_ours_is_followed() -> None:
    """20,000 changes beside 2,000 flows, where looking at each takes minutes."""
    _, contention = add_all([desired(slot, 10, match(0, slot)) for slot in range(1, 2001)])
    for number in range(20_000):
        beside = Update(Event.ADDED, 5, 10, 9, FORWARD, match(0, 1 << 20 | number))
        assert [] == list(contention.find(beside))
