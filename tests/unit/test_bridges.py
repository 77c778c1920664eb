"""Bridges that no entry names: how many there may be, and when each is forgotten.

A stand-in takes the place of a `BridgeSource`, which needs a switch to be connected;
`tests/functional` has the real one (`test_listen.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Any, cast

import pytest
from clocks import Clock

from ryu_droplog.config.settings import Arrivals
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.sources.bridge import BridgeSource
from ryu_droplog.sources.bridges import BridgeSources

CHANNEL = cast(Connection, None)


class Stand:
    """What `BridgeSources` uses of a bridge's source."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connected = False
        self.closed = threading.Event()

    def begin(self, connection: Connection, dead: Collection[int]) -> Any:
        self.connected = True
        return self

    def forget(self) -> None:
        assert not self.closed.is_set()

    def close(self, seconds: float) -> None:
        self.closed.set()

    def report(self) -> str | None:
        assert self.closed.is_set(), "what waits comes to the books before the report"
        return f"{self.name}: 1 drops"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bridge_sources(clock: Clock) -> BridgeSources:
    made = BridgeSources(threading, clock)
    made.change(lambda name: name == "listed", Arrivals(bridges=2, forget=60))
    return made


def begin(bridge_sources: BridgeSources, name: str) -> Stand:
    bridge_source, _ = bridge_sources.begin(
        name, lambda: cast(BridgeSource, Stand(name)), CHANNEL, ()
    )
    return cast(Stand, bridge_source)


def reports(bridge_sources: BridgeSources, count: int) -> list[str]:
    found: list[str] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        found += bridge_sources.reports()
        time.sleep(0.01)
    return found


def test_bridge_that_no_entry_names_is_forgotten_after_its_time_with_its_books(
    bridge_sources: BridgeSources, clock: Clock
) -> None:
    for name in ("listed", "a"):
        begin(bridge_sources, name).connected = False
    bridge_sources.tidy()
    clock.now += 59
    bridge_sources.tidy()
    assert ["listed", "a"] == list(bridge_sources.by_name)
    clock.now += 1
    bridge_sources.tidy()
    assert ["listed"] == list(bridge_sources.by_name)
    assert ["a: 1 drops"] == reports(bridge_sources, 1)


def test_time_begins_anew_with_each_connection(bridge_sources: BridgeSources, clock: Clock) -> None:
    stand = begin(bridge_sources, "a")
    for _ in range(3):
        stand.connected = False
        bridge_sources.tidy()
        clock.now += 59
        bridge_sources.tidy()
        assert stand is begin(bridge_sources, "a")
    clock.now += 1000
    bridge_sources.tidy()
    assert ["a"] == list(bridge_sources.by_name), "it is connected"


def test_no_more_than_so_many_may_be_there_and_the_longest_away_makes_room(
    bridge_sources: BridgeSources, clock: Clock
) -> None:
    first, second = begin(bridge_sources, "a"), begin(bridge_sources, "b")
    assert not bridge_sources.has_room("c")
    assert bridge_sources.has_room("a"), "it is there already"
    begin(bridge_sources, "a")
    second.connected = False
    bridge_sources.tidy()
    clock.now += 5
    first.connected = False
    bridge_sources.tidy()
    assert bridge_sources.has_room("c")
    assert ["a"] == list(bridge_sources.by_name)
    assert ["b: 1 drops"] == reports(bridge_sources, 1)


def test_room_is_kept_for_one_who_is_about_to_begin(
    bridge_sources: BridgeSources, clock: Clock
) -> None:
    assert [True, True, False] == [bridge_sources.has_room(name) for name in ("a", "b", "c")]
    clock.now += 31
    bridge_sources.tidy()
    assert bridge_sources.has_room("c")
