"""Bridges that no entry names: how many there may be, and when each is forgotten.

A stand-in takes the place of a watch, which needs a switch to be connected; `tests/functional` has
the real one (`test_listen.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Any, cast

import pytest

from ryu_droplog.config.settings import Arrivals
from ryu_droplog.openflow.connection import Channel
from ryu_droplog.sources.bridge import Watch
from ryu_droplog.sources.bridges import Watches

CHANNEL = cast(Channel, None)


class Stand:
    """What `Watches` uses of a watch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connected = False
        self.closed = threading.Event()

    def begin(self, channel: Channel, dead: Collection[int]) -> Any:
        self.connected = True
        return self

    def forget(self) -> None:
        assert not self.closed.is_set()

    def close(self, seconds: float) -> None:
        self.closed.set()

    def report(self) -> str | None:
        assert self.closed.is_set(), "what waits comes to the books before the report"
        return f"{self.name}: 1 drops"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watches(clock: Clock) -> Watches:
    made = Watches(threading, clock)
    made.change(lambda name: name == "listed", Arrivals(bridges=2, forget=60))
    return made


def begin(watches: Watches, name: str) -> Stand:
    watch, _ = watches.begin(name, lambda: cast(Watch, Stand(name)), CHANNEL, ())
    return cast(Stand, watch)


def reports(watches: Watches, count: int) -> list[str]:
    found: list[str] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        found += watches.reports()
        time.sleep(0.01)
    return found


def test_bridge_that_no_entry_names_is_forgotten_after_its_time_with_its_books(
    watches: Watches, clock: Clock
) -> None:
    for name in ("listed", "a"):
        begin(watches, name).connected = False
    watches.tidy()
    clock.now += 59
    watches.tidy()
    assert ["listed", "a"] == list(watches.by_name)
    clock.now += 1
    watches.tidy()
    assert ["listed"] == list(watches.by_name)
    assert ["a: 1 drops"] == reports(watches, 1)


def test_time_begins_anew_with_each_connection(watches: Watches, clock: Clock) -> None:
    stand = begin(watches, "a")
    for _ in range(3):
        stand.connected = False
        watches.tidy()
        clock.now += 59
        watches.tidy()
        assert stand is begin(watches, "a")
    clock.now += 1000
    watches.tidy()
    assert ["a"] == list(watches.by_name), "it is connected"


def test_no_more_than_so_many_may_be_there_and_the_longest_away_makes_room(
    watches: Watches, clock: Clock
) -> None:
    first, second = begin(watches, "a"), begin(watches, "b")
    assert not watches.has_room("c")
    assert watches.has_room("a"), "it is there already"
    begin(watches, "a")
    second.connected = False
    watches.tidy()
    clock.now += 5
    first.connected = False
    watches.tidy()
    assert watches.has_room("c")
    assert ["a"] == list(watches.by_name)
    assert ["b: 1 drops"] == reports(watches, 1)


def test_room_is_kept_for_one_who_is_about_to_begin(watches: Watches, clock: Clock) -> None:
    assert [True, True, False] == [watches.has_room(name) for name in ("a", "b", "c")]
    clock.now += 31
    watches.tidy()
    assert watches.has_room("c")
