"""What all sources say, and from when to when each statement held.

Sources tell it, in their threads; whoever asks takes no lock. Times are of a clock that is never
set, the one by which drops are received.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice
from math import inf
from types import MappingProxyType, ModuleType
from typing import Any

from msgspec import Struct

from ryu_droplog.identity.statement import Key, Statement

HISTORY = 20_000
"""Statements that hold no more, and times of changes, that are remembered at most."""
EPOCHS = 8
"""Spans of time between two changes whose answers are remembered."""
ENDS = 100_000
"""Statements that one source may make; those beyond are not known."""


class Held(Struct, eq=False):
    """A statement, and when it held: from `begin`, before `end`."""

    statement: Statement
    begin: float
    end: float = inf

    def at(self, moment: float) -> bool:
        """Whether it held then."""
        return self.begin <= moment < self.end


class Epoch(Struct, frozen=True, eq=False):
    """A time in which nothing changed."""

    since: float
    answers: dict[Any, Any]
    """What was found out of flows, for whoever asks again."""
    bridges: dict[Any, Any]
    """And of bridges."""


class Knowledge:
    """The statements of all sources."""

    def __init__(self, threads: ModuleType, clock: Callable[[], float] = time.monotonic) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self._clock = clock
        self._changing = threads.Lock()
        self._by_source: dict[str, dict[Hashable, Held]] = {}
        self._index: dict[Key, tuple[Held, ...]] = {}
        self._ranges: tuple[Held, ...] = ()
        """Those that say something of a range of addresses."""
        self._closed: deque[Held] = deque()
        self._changes: list[float] = []
        """When anything changed."""
        self._domains: Mapping[str, Mapping[str, int]] = {}
        self.domains: Mapping[str, int] = MappingProxyType({})
        """Bridges of this host by name and by datapath id: those with one number are connected."""
        self.epochs: tuple[Epoch, ...] = (Epoch(-inf, {}, {}),)
        """The newest first."""

    def tell(
        self,
        source: str,
        statements: Mapping[Hashable, Statement],
        domains: Mapping[str, int] | None = None,
    ) -> bool:
        """Take all that a source says from now on; whether that is anything else than before.

        `domains` are the bridges that it knows, as the attribute has them; None: it knows none.
        """
        with self._changing:
            said = self._by_source.setdefault(source, {})
            new = dict(islice(statements.items(), ENDS))
            over = [
                key
                for key, held in said.items()
                if (now_said := new.get(key)) is not held.statement and now_said != held.statement
            ]
            begun = {key: value for key, value in new.items() if key not in said}
            begun |= {key: new[key] for key in over if key in new}
            if not over and not begun and self._domains.get(source) == domains:
                return False
            now = self._clock()
            for key in over:
                self._close(said.pop(key), now)
            for key, statement in begun.items():
                said[key] = self._open(statement, now)
            self._take_domains(source, domains)
            self._changes.append(now)
            if len(self._changes) > HISTORY:
                self._changes = self._changes[-(HISTORY // 2) :]
            self.epochs = (Epoch(now, {}, {}), *self.epochs[: EPOCHS - 1])
            self._forget()
            return True

    def ends(self, source: str) -> int:
        """How many statements of a source hold now."""
        return len(self._by_source.get(source, ()))

    def at(self, key: Key, moment: float) -> list[Held]:
        """What was said then of an end with this key."""
        return [held for held in self._index.get(key, ()) if held.at(moment)]

    def knows(self, key: Key) -> bool:
        """Whether anybody says, or has said, anything of an end with this key."""
        return key in self._index

    def changes(self, after: float, until: float) -> Sequence[float]:
        """When anything changed after the one moment and not after the other, in order."""
        changes = self._changes
        return changes[bisect_right(changes, after) : bisect_right(changes, until)]

    def in_range(self, address: bytes, moment: float) -> list[Held]:
        """What was said then of the smallest range that has this address."""
        found: list[Held] = []
        longest = 0
        for held in self._ranges:
            for prefix in held.statement.prefixes:
                if prefix.has(address) and held.at(moment) and prefix.length >= longest:
                    found = [held] if prefix.length > longest else [*found, held]
                    longest = prefix.length
        return found

    @property
    def has_ranges(self) -> bool:
        """Whether anything is said of ranges of addresses."""
        return bool(self._ranges)

    def _open(self, statement: Statement, now: float) -> Held:
        held = Held(statement, now)
        for key in statement.found_by():
            self._index[key] = (*self._index.get(key, ()), held)
        if statement.prefixes:
            self._ranges = (*self._ranges, held)
        return held

    def _close(self, held: Held, now: float) -> None:
        held.end = now
        self._closed.append(held)

    def _forget(self) -> None:
        """Drop the oldest of what holds no more, where there is too much of it."""
        while len(self._closed) > HISTORY:
            gone = self._closed.popleft()
            for key in gone.statement.found_by():
                left = tuple(held for held in self._index.get(key, ()) if held is not gone)
                if left:
                    self._index[key] = left
                else:
                    self._index.pop(key, None)
            if gone.statement.prefixes:
                self._ranges = tuple(held for held in self._ranges if held is not gone)

    def _take_domains(self, source: str, domains: Mapping[str, int] | None) -> None:
        by_source = {key: value for key, value in self._domains.items() if key != source}
        if domains is not None:
            by_source[source] = domains
        self._domains = by_source
        # A number means something to the source that gives it.
        numbers: dict[tuple[str, int], int] = {}
        self.domains = {
            bridge: numbers.setdefault((name, number), len(numbers))
            for name, known in by_source.items()
            for bridge, number in known.items()
        }
