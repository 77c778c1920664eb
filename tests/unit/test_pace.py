"""When a plan is due: soon, never starved, and within its share of the time."""

from __future__ import annotations

import pytest
from clocks import Clock

from ryu_droplog.reconcile.pace import LONGEST_QUIET, QUIET, SAVED, SHARE, Pace


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def test_without_news_no_plan_is_due(pace: Pace) -> None:
    assert pace.due() is None
    assert pace.since is None


def test_news_are_taken_up_after_a_moment_of_quiet(pace: Pace, clock: Clock) -> None:
    pace.news()
    assert 100 + QUIET == pace.due()
    clock.now += QUIET / 2
    pace.news()
    assert clock.now + QUIET == pace.due()
    assert pace.since == 100
    pace.taken_up()
    assert pace.due() is None


def test_news_that_do_not_end_put_a_plan_off_by_a_bounded_time(pace: Pace, clock: Clock) -> None:
    for _ in range(1000):
        pace.news()
        clock.now += QUIET / 10
    assert pytest.approx(100 + LONGEST_QUIET) == pace.due()


@pytest.mark.parametrize("seconds", [0.004, 0.03, 1.0, 4.0])
def test_planning_takes_its_share_of_the_time_at_most(
    pace: Pace, clock: Clock, seconds: float
) -> None:
    begin, planned = clock.now, 0.0
    while clock.now < begin + 1000:
        pace.news()
        due = pace.due()
        assert due is not None
        clock.now = max(clock.now, due)
        pace.taken_up()
        clock.now += seconds
        pace.took(seconds)
        planned += seconds
    assert SHARE * (clock.now - begin) + SAVED + seconds >= planned
    assert SHARE * (clock.now - begin) * 0.9 < planned or seconds < 0.02


def test_plan_of_a_small_bridge_waits_for_nothing_after_a_quiet_time(
    pace: Pace, clock: Clock
) -> None:
    for _ in range(4):
        pace.news()
        assert clock.now + QUIET == pace.due()
        pace.taken_up()
        clock.now += QUIET + 0.03
        pace.took(0.03)


def test_retry_and_news_wait_for_the_share_of_a_large_bridge(pace: Pace, clock: Clock) -> None:
    clock.now += 4.0
    pace.took(4.0)
    expected = 100 - SAVED / SHARE + 4.0 / SHARE
    assert expected == pytest.approx(pace.afford(0.0))
    pace.news()
    assert expected == pytest.approx(pace.due())
    pace.waive()
    assert clock.now + QUIET == pace.due()


def test_tables_of_the_news_are_known_until_the_plan_is_carried_out(
    pace: Pace, clock: Clock
) -> None:
    assert [0, 20] == pace.news([0, 20])
    clock.now += 1
    assert [21] == pace.news([20, 21])
    assert {0: 100.0, 20: 100.0, 21: 101.0} == pace.tables
    pace.taken_up()
    clock.now += 1
    assert [30] == pace.news([30])
    assert {0: 100.0, 20: 100.0, 21: 101.0, 30: 102.0} == pace.tables
    pace.carried_out()
    assert {30: 102.0} == pace.tables
