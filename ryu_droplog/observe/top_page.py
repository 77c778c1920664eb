"""What `top --once` writes, and the lines that the terminal view shares with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ryu_droplog.observe.tallies import VIEWS, Row, Tallies
from ryu_droplog.processing.report import HEADINGS
from ryu_droplog.text.phrases import count
from ryu_droplog.text.printable import word

_ALWAYS = ("dropped", "logged")
_NEVER = ("explicit",)
"""Drops of the owner's that are only counted were never to be logged."""
_HIDDEN = ("metered", "summarised", "lost_in_switch", "refused")
"""Columns of the books: packets of which no record came."""


def take_books(
    tallies: Tallies, answers: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, int]]:
    """The books, as `totals` has them; `tallies` learns whether packets have no record."""
    books = totals(answers)
    if hides(books):
        tallies.impacts.miss()
    return books


def totals(answers: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, int]]:
    """Of the answers of running programs to a request for their status: by source, its books."""
    found: dict[str, Mapping[str, int]] = {}
    for answer in answers:
        for sources in (answer.get("bridges") or {}, answer.get("receive") or {}):
            for name, state in sources.items():
                found[word(name)] = state.get("books", {}).get("", {})
    return found


def hides(books: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether packets were dropped of which there is no record."""
    return any(book.get(column) for book in books.values() for column in _HIDDEN)


def books_lines(books: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each source: `br-int: 12 dropped, 12 logged`."""
    lines = []
    for name, book in books.items():
        parts = [
            f"{book.get(key, 0):,} {words}"
            for key, words in HEADINGS.items()
            if key in _ALWAYS or (book.get(key) and key not in _NEVER)
        ]
        lines.append(f"{name}: {', '.join(parts)}")
    return lines


def summary(tallies: Tallies, now: float) -> str:
    """`12 drops, 0.5/s`, and what is missing."""
    text = f"{count(tallies.total.packets, 'drop')}, {tallies.total.rate(now):.1f}/s"
    return text + (f", {count(tallies.lost, 'drop')} missing" if tallies.lost else "")


def as_text(
    tallies: Tallies,
    books: Mapping[str, Mapping[str, int]] | None,
    now: float,
    sort: str,
    rows: int,
) -> str:
    """All views below each other, the impact and the books."""
    lines = [summary(tallies, now)]
    impact = tallies.impacts.at(now).in_words()
    lines += [f"impact (inferred from SYNs): {impact}"] if impact else []
    for name, tally in tallies.views.items():
        lines += ["", f"by {VIEWS[name].title}", f"{'PACKETS':>10} {'RATE/S':>9}  LAST MINUTE"]
        found = tally.rows(sort, now)
        for row in found[:rows]:
            curve = row.curve(now)
            lines.append(f"{row.packets:>10,} {row.rate(now):>9.1f}  {curve}  {row.label}")
        if len(found) > rows:
            lines.append(f"{'':>22}{count(len(found) - rows, 'more row')}")
    if books:
        lines += ["", "books", *(f"  {line}" for line in books_lines(books))]
    return "\n".join(lines)


def as_json(
    tallies: Tallies,
    books: Mapping[str, Mapping[str, int]] | None,
    now: float,
    sort: str,
    rows: int,
) -> dict[str, Any]:
    """The same as data."""
    return {
        "packets": tallies.total.packets,
        "rate": tallies.total.rate(now),
        "missing": tallies.lost,
        "impact": tallies.impacts.at(now)._asdict(),
        "views": {
            name: [_row_data(row, now) for row in tally.rows(sort, now)[:rows]]
            for name, tally in tallies.views.items()
        },
        "books": books,
    }


def _row_data(row: Row, now: float) -> dict[str, Any]:
    told: dict[str, Any] = {"label": row.label, "packets": row.packets, "rate": row.rate(now)}
    if row.folded:
        return {**told, "folded": row.folded}
    return {**told, "signature": row.record.signature if row.record else ""}
