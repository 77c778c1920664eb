"""What became of the drops of each table in the log: over all sinks that were the log in turn.

The log is the first sink of the configuration that writes one. Another takes its place when the
configuration says so, and what the former has counted stays in the books.
"""

from __future__ import annotations

from collections import Counter

from ryu_droplog.model.accounting import SinkBook, add
from ryu_droplog.model.location import TableKey
from ryu_droplog.sinks.base import Sink


class LogBooks:
    """The books of the log; any thread may ask."""

    def __init__(self) -> None:
        self._sinks: tuple[Sink, ...] = ()
        self._past: dict[TableKey, SinkBook] = {}

    def begin(self, sink: Sink) -> None:
        """From now on this sink is the log, too: those before may still have something to write."""
        if sink not in self._sinks:
            self._sinks = (*self._sinks, sink)

    def end(self, sink: Sink) -> None:
        """The sink has ended; nothing if it was never the log."""
        if sink in self._sinks:
            past = {key: add([book], SinkBook()) for key, book in self._past.items()}
            reading = sink.reading()
            for key, book in reading.tables.items():
                add([book], past.setdefault(key, SinkBook()))
            for key, number in reading.queued.items():  # it was not written in time
                past.setdefault(key, SinkBook()).failed += number
            self._sinks, self._past = tuple(s for s in self._sinks if s is not sink), past

    def of(self, source: str) -> tuple[dict[int, SinkBook], Counter[int]]:
        """What became of a source's drops by the number of the book, and how many still wait."""
        books: dict[int, SinkBook] = {}
        waiting: Counter[int] = Counter()
        readings = [sink.reading(source) for sink in self._sinks]
        for (owner, number), book in self._past.items():
            if owner == source:
                books[number] = add([book], SinkBook())
        for reading in readings:
            for (_, number), book in reading.tables.items():
                add([book], books.setdefault(number, SinkBook()))
            for (owner, number), drops in reading.queued.items():
                if owner == source:
                    waiting[number] += drops
        return books, waiting
