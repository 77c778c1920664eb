"""Books as `status` tells them, for tests of who writes and reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ryu_droplog.model.accounting import SinkBook, SourceBooks, SourceReading, TableBook
from ryu_droplog.processing.report import ALL, snapshot

NO_WINDOWS: Counter[int] = Counter()


def reading(
    books: SourceBooks,
    name: str = "br-int",
    waiting: int = 0,
    deduplicated: Counter[int] = NO_WINDOWS,
) -> SourceReading:
    """The books of a source, as they are."""
    return books.reading(name, waiting, deduplicated)


def rows(*tables: tuple[str, Mapping[str, int]], **others: int) -> dict[str, dict[str, Any]]:
    """A snapshot with these columns, the tables counted from 0; what is not said to have ended
    waits for the log. `others` are of no table.
    """
    books = SourceBooks(**others)
    log: dict[int, SinkBook] = {}
    queued: dict[int, int] = {}
    for number, (name, columns) in enumerate(tables):
        table = books.book(number, name)
        own = {column: n for column, n in columns.items() if column in TableBook.__slots__}
        for column, value in own.items():
            if column != "failed":
                setattr(table, column, value)
        table.filtered = columns.get("pruned", 0)
        logged, repeats = columns.get("logged", 0), columns.get("folded", 0)
        refused, failed = columns.get("refused", 0), columns.get("failed", 0)
        log[number] = SinkBook(
            refused=refused, failed=failed, written=logged + repeats, repeats=repeats
        )
        ended = log[number].ended + table.filtered
        queued[number] = max(0, table.received - ended)
        table.handed_on = table.received - table.filtered
    return snapshot(reading(books), log, queued)


def total(books: SourceBooks, log: Mapping[int, SinkBook] | None = None) -> dict[str, Any]:
    """All tables together."""
    return snapshot(reading(books), log or {}, {})[ALL]
