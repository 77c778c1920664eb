"""Whether the books balance: the equations of `model.accounting`, looked at while nothing moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from ryu_droplog.model.accounting import SinkReading, SourceReading
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sources.base import Source

RECHECK = 1.0
"""Seconds between two readings that have to agree before an imbalance counts."""
INTERVAL = 10.0
"""Seconds between two looks while the books balance."""


class Reading(NamedTuple):
    """All books at one moment."""

    sources: Sequence[SourceReading]
    sinks: Sequence[SinkReading]

    def all(self) -> Iterator[SourceReading | SinkReading]:
        """Of the sources, then of the sinks."""
        yield from self.sources
        yield from self.sinks

    def unexplained(self) -> dict[str, int]:
        """Packets that an equation misses, by the name of the source or sink; those with any."""
        numbers = {book.name: book.unexplained() for book in self.all()}
        return {name: packets for name, packets in numbers.items() if packets}


def read(sources: Iterable[Source], sinks: Iterable[Sink]) -> Reading:
    """Read all books; every chain waits meanwhile, for some microseconds a table."""
    with ExitStack() as held:
        return Reading(
            [held.enter_context(source.held()) for source in sources],
            [sink.reading() for sink in sinks],
        )


class BooksCheck:
    """Looks now and then whether the books balance, and says once what does not.

    An imbalance counts when two readings agree on it that are `RECHECK` apart: counters of
    different threads may be read in the middle of a change.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock()
        self._suspected: dict[str, int] = {}
        self.unexplained: dict[str, int] = {}
        """Packets that an equation misses, by the name of the source or sink, as last confirmed."""

    def look(self, read: Callable[[], Reading]) -> Iterator[str]:
        """Read the books if it is time; what to say of them as an error, each imbalance once."""
        now = self._clock()
        if now < self._next:
            return
        reading = read()
        missing = reading.unexplained()
        confirmed = {
            name: packets
            for name, packets in missing.items()
            if self._suspected.get(name) == packets
        }
        self._suspected = missing
        self._next = now + (INTERVAL if missing == confirmed else RECHECK)
        before, self.unexplained = self.unexplained, confirmed
        for book in reading.all():
            number = confirmed.get(book.name, 0)
            if number and number != before.get(book.name):
                sides = "; ".join(book.sides())
                yield f"{book.name}: the books do not balance, unexplained: {abs(number)}: {sides}"
