"""Pauses between tries: they grow to a limit, begin anew, and differ from one another."""

from __future__ import annotations

import random

import pytest

from ryu_droplog.concurrency.backoff import Backoff


def full() -> float:
    return 1.0


def test_pause_doubles_to_its_longest_and_begins_anew() -> None:
    backoff = Backoff(1.0, 10.0, jitter=full)
    assert [1.0, 2.0, 4.0, 8.0, 10.0] == [backoff.failed() for _ in range(5)]
    assert {10.0} == {backoff.failed() for _ in range(2000)}
    backoff.reset()
    assert 1.0 == backoff.failed()


def test_full_pause_is_known_whatever_the_jitter_took_away() -> None:
    backoff = Backoff(1.0, 8.0, jitter=lambda: 0.0)
    assert 0.0 == backoff.full
    assert (0.5, 1.0) == (backoff.failed(), backoff.full)
    assert (1.0, 2.0) == (backoff.failed(), backoff.full)
    backoff.reset()
    assert 0.0 == backoff.full


def test_pause_grows_by_the_factor() -> None:
    backoff = Backoff(0.5, 20.0, 3.0, jitter=full)
    assert [0.5, 1.5, 4.5, 13.5, 20.0] == [backoff.failed() for _ in range(5)]


def test_jitter_takes_up_to_a_half_away_and_no_part_of_the_growth() -> None:
    backoff = Backoff(1.0, 8.0, jitter=lambda: 0.0)
    assert [0.5, 1.0, 2.0, 4.0, 4.0] == [backoff.failed() for _ in range(5)]


def test_those_who_fail_together_come_back_at_different_times() -> None:
    source = random.Random(7)
    pauses = {Backoff(10.0, 60.0, jitter=source.random).failed() for _ in range(100)}
    assert 100 == len(pauses)
    assert all(5.0 <= pause <= 10.0 for pause in pauses)


@pytest.mark.parametrize(
    ("first", "longest", "factor"), [(0.0, 1.0, 2.0), (2.0, 1.0, 2.0), (1.0, 2.0, 1.0)]
)
def test_pauses_that_would_be_none_or_not_grow_are_refused(
    first: float, longest: float, factor: float
) -> None:
    with pytest.raises(ValueError, match="expected 0 < first <= longest and factor > 1"):
        Backoff(first, longest, factor)
