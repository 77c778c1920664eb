"""Whether another run is at work on a bridge, or dead."""

from __future__ import annotations

import pytest
from clocks import Clock

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Effect, Event, Flow, Update
from ryu_droplog.reconcile.other_runs import SLACK, OtherRuns

OWN, DEAD, OTHER, THIRD = 0x111100, 0x222200, 0x333300, 0x444400
TELLS_US = bytes.fromhex(
    "0004002800000000 ffff0020000023200025000000000000 00010008d4070000 0002000500000000"
)
NORMAL = bytes.fromhex("0004001800000000 00000010fffffffa0000000000000000")
DEFAULT = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def others(clock: Clock) -> OtherRuns:
    return OtherRuns({OWN, DEAD}, DEFAULT, clock)


def number(run: int, table: int = 0, addition: int = 1) -> int:
    return cookie.Cookie(True, run | addition, table).pack()


def flow(run: int, lease: int, table: int = 0, addition: int = 1) -> Flow:
    effect = Effect(acts=True, controller_ids=[cookie.SIGNATURE])
    return Flow(table, 0, number(run, table, addition), b"", 0, 0, effect, TELLS_US, lease)


def update(event: int, run: int, instructions: bytes = TELLS_US) -> Update:
    return Update(event, 0, 0, number(run), instructions)


def state(others: OtherRuns) -> dict[int, bool]:
    return {other.run: other.at_work for other in others.seen}


def test_runs_that_are_known_to_be_dead_are_so_at_once(others: OtherRuns) -> None:
    assert {OWN, DEAD} == others.see([flow(OWN, 60), flow(DEAD, 60)], [DEAD])
    assert not others.seen
    assert others.due() is None


def test_flows_of_others_are_of_no_run(others: OtherRuns) -> None:
    effect = Effect(acts=True)
    theirs = Flow(0, 0, number(OTHER), b"", 0, 0, effect, NORMAL, 60)
    assert not others.see([theirs], [])
    assert not others.note(update(Event.MODIFIED, OTHER, NORMAL))
    assert not others.note(Update(Event.MODIFIED, 0, 0, 0x1234, TELLS_US))
    assert not others.seen


def test_run_that_shows_no_sign_is_dead_after_its_longest_lease(
    others: OtherRuns, clock: Clock
) -> None:
    there = [flow(OTHER, 30), flow(OTHER, 90, table=1)]
    assert not others.see(there, [OTHER])
    assert OTHER in others
    assert {OTHER: False} == state(others)
    assert clock.now + 90 + SLACK == others.due()
    clock.now += 89
    assert not others.see([], [OTHER])
    clock.now += 1 + SLACK
    assert {OTHER} == others.see([], [OTHER])
    assert OTHER not in others


@pytest.mark.parametrize("event", [Event.ADDED, Event.MODIFIED])
def test_run_that_adds_or_renews_a_flow_is_at_work(
    others: OtherRuns, clock: Clock, event: int
) -> None:
    assert not others.see([flow(OTHER, 30)], [])
    clock.now += 20
    assert others.note(update(event, OTHER))
    assert {OTHER: True} == state(others)
    assert clock.now + 30 + SLACK == others.due()


def test_flow_that_stands_longer_than_its_lease_was_renewed(
    others: OtherRuns, clock: Clock
) -> None:
    """Open vSwitch does not tell of a renewal that changes no action."""
    assert not others.see([flow(OTHER, 30)], [])
    clock.now += 30 + SLACK / 2
    assert not others.see([flow(OTHER, 30)], [])
    assert {OTHER: False} == state(others), "it may be about to end"
    clock.now += SLACK
    assert not others.see([flow(OTHER, 30)], [])
    assert {OTHER: True} == state(others)


def test_flow_that_is_new_was_added_by_a_run_at_work(others: OtherRuns, clock: Clock) -> None:
    assert not others.see([flow(OTHER, 30)], [])
    clock.now += 10
    assert not others.see([flow(OTHER, 30, addition=2)], [])
    assert {OTHER: True} == state(others)


def test_no_flow_that_has_a_lease_is_ever_left_by_a_run_that_is_called_dead(
    others: OtherRuns, clock: Clock
) -> None:
    """At the very moment at which it is due, too."""
    assert not others.see([flow(OTHER, 30), flow(OTHER, 20, table=1)], [])
    for _ in range(5):
        due = others.due()
        assert due is not None
        clock.now = due
        assert not others.see([flow(OTHER, 20, table=1)], [])
        assert {OTHER: True} == state(others)


def test_flow_without_a_lease_says_nothing(others: OtherRuns, clock: Clock) -> None:
    assert not others.see([flow(OTHER, 0)], [])
    clock.now += DEFAULT + SLACK
    assert {OTHER} == others.see([flow(OTHER, 0)], [])


def test_run_at_work_that_dies_is_dead_a_lease_later(others: OtherRuns, clock: Clock) -> None:
    others.see([flow(OTHER, 30)], [OTHER])
    for _ in range(10):
        clock.now += 20
        others.note(update(Event.MODIFIED, OTHER))
        assert not others.see([flow(OTHER, 30)], [OTHER])
    clock.now += 30 + SLACK
    assert {OTHER} == others.see([], [OTHER])


def test_run_that_leaves_nothing_is_forgotten(others: OtherRuns) -> None:
    others.see([flow(OTHER, 30), flow(THIRD, 30)], [OTHER])
    assert not others.see([flow(THIRD, 30)], [])
    assert [THIRD] == list(state(others))


def test_run_that_comes_later_is_at_work(others: OtherRuns, clock: Clock) -> None:
    assert not others.see([], [])
    assert others.note(update(Event.ADDED, OTHER))
    assert {OTHER: True} == state(others)
    assert clock.now + DEFAULT + SLACK == others.due()
    others.see([flow(OTHER, 3)], [])
    assert clock.now + 3 + SLACK == others.due()


def test_end_of_a_flow_is_no_sign_of_life(others: OtherRuns) -> None:
    assert not others.note(update(Event.DELETED, OTHER)), "nothing was known of it"
    others.see([flow(OTHER, 30)], [])
    assert others.note(update(Event.DELETED, OTHER))
    assert {OTHER: False} == state(others)


def test_news_of_runs_that_are_dead_change_nothing(others: OtherRuns) -> None:
    assert others.note(update(Event.MODIFIED, OWN)), "it is of this program all the same"
    assert not others.seen
