"""What may stand beside a flow of ours, and what may not."""

from __future__ import annotations

import pytest

from ryu_droplog.model.cookie import CAPTURE_SLOT_MAX
from ryu_droplog.openflow.flow_stats import Event, Update
from ryu_droplog.reconcile.desired_state import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    DesiredFlow,
    FlowKey,
    FlowState,
    Slots,
)
from ryu_droplog.reconcile.explicit_drops import Place

IP, ARP = bytes.fromhex("80000a020800"), bytes.fromhex("80000a020806")
NORMAL = bytes.fromhex("0004001800000000 00000010fffffffa0000000000000000")
ABOVE = DesiredFlow(
    FlowKey(5, 1), 12, IP + bytes.fromhex("00011f080000000080000000"), Place(5, 10, IP)
)


def added(priority: int, match: bytes, instructions: bytes = NORMAL) -> Update:
    return Update(Event.ADDED, 5, priority, 77, instructions, match)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (added(9, IP), False),
        (added(10, IP), True),
        (added(10, IP, b""), True),
        (Update(Event.DELETED, 5, 10, 77, b"", IP), True),
        (added(10, b""), True),
        (added(10, b"", b""), False),
        (Update(Event.DELETED, 5, 10, 77, NORMAL, b""), False),
        (added(10, ARP), False),
        (added(11, IP), True),
        (added(12, b"", b""), True),
        (added(12, ARP), False),
        (added(13, IP), False),
    ],
)
def test_flow_above_a_drop_conflicts_with_what_would_take_its_packets(
    update: Update, expected: bool
) -> None:
    assert expected == ABOVE.contends(update)


@pytest.mark.parametrize(("priority", "expected"), [(0, True), (1, False)])
def test_table_miss_conflicts_with_anything_at_priority_0(priority: int, expected: bool) -> None:
    assert expected == DesiredFlow(FlowKey(5, 0), 0, b"").contends(added(priority, ARP))


def test_pause_doubles_up_to_its_bound_and_withdrawals_are_counted() -> None:
    state = FlowState(ABOVE)
    pauses = []
    for _ in range(9):
        state.added(1.0)
        state.put_off(2.0)
        pauses.append(state.backoff.full)
    assert [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE] == pauses[:3]
    assert LONGEST_PAUSE == pauses[-1]
    assert 9 == state.withdrawn


def test_flow_that_never_stood_was_not_withdrawn() -> None:
    state = FlowState(ABOVE)
    state.put_off(2.0, "refused")
    assert (0, "refused") == (state.withdrawn, state.refusal)


def test_place_keeps_its_slot_and_a_slot_is_used_again_last() -> None:
    slots = Slots()
    places = [Place(1, priority, b"") for priority in range(CAPTURE_SLOT_MAX + 1)]
    taken = [slots.take(place) for place in places]
    assert [*range(1, CAPTURE_SLOT_MAX + 1), None] == taken
    assert taken == [slots.take(place) for place in places]
    slots.keep(lambda key: key.slot != 7)
    assert 7 == slots.take(places[-1])


def test_tables_have_slots_of_their_own() -> None:
    slots = Slots()
    assert [1, 1] == [slots.take(Place(table, 0, b"")) for table in (1, 2)]
