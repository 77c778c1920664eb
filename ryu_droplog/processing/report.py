"""The books in words, as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ryu_droplog.model.accounting import SinkBook, SourceReading
from ryu_droplog.text.phrases import count

_LOSSES = (
    ("metered", "rate-limited by the meter"),
    ("pruned", "filtered"),
    ("folded", "deduplicated"),
    ("summarised", "summarised"),
    ("lost_in_switch", "lost in the switch"),
    ("refused", "refused by a full queue"),
    ("failed", "lost because they could not be written"),
    ("waiting", "still on their way"),
)
_NEWS = ("dropped", "lost_in_switch", "refused", "failed", "explicit")
HEADINGS = {
    "dropped": "dropped",
    "logged": "logged",
    "pruned": "filtered",
    "folded": "deduplicated",
    "summarised": "summarised",
    "metered": "rate-limited",
    "lost_in_switch": "lost in switch",
    "refused": "refused",
    "failed": "not written",
    "waiting": "waiting",
    "explicit": "counted only",
}
"""Columns of the books, with what they are called."""


COUNTERS = (
    "counted",
    "metered",
    "received",
    "unsent",
    "logged",
    "pruned",
    "folded",
    "summarised",
    "refused",
    "failed",
    "explicit",
    "handed_on",
    "waiting",
)
"""The columns of a table, in packets; those of `status --json` that are added up."""
ALL = ""
"""Key of all tables together."""

Snapshot = Mapping[str, Mapping[str, Any]]


def snapshot(
    reading: SourceReading, logged: Mapping[int, SinkBook], queued: Mapping[int, int]
) -> dict[str, dict[str, Any]]:
    """The name and all columns of each table by its number as text, and of all together by `ALL`.

    `logged` and `queued` say what became in the log of what was handed on, by the table's number.

    On a bridge that the OpFlex agent manages, one flow counts for all tables and each drop is
    received for its own: there only the total balances.
    """
    rows: dict[str, dict[str, Any]] = {}
    total = dict.fromkeys(COUNTERS, 0)
    for number in sorted(reading.tables):
        table, log = reading.tables[number], logged.get(number) or SinkBook()
        windows = reading.deduplicated[number]
        columns = {
            "counted": table.counted + table.summarised + table.credited,
            "metered": table.metered,
            "received": table.received,
            "unsent": table.summarised,
            "logged": log.written - log.repeats - log.summarised,
            "pruned": table.filtered + log.filtered,
            "folded": log.repeats,
            "summarised": log.summarised,
            "refused": log.refused,
            "failed": table.failed + log.failed + log.expired,
            "explicit": table.explicit,
            "handed_on": table.handed_on,
            "waiting": windows + queued.get(number, 0),
        }
        for name, packets in columns.items():
            total[name] += packets
        rows[str(number)] = {"table": reading.names[number], **_with_derived(columns)}
    # These came from the switch, too; of which table, nobody knows.
    unread = reading.refused + reading.missed
    unusable = reading.malformed + reading.failed
    total["received"] += unread + unusable + reading.waiting
    total["refused"] += unread
    total["failed"] += unusable
    total["waiting"] += reading.waiting
    rows[ALL] = {"table": "all tables", **_with_derived(total)}
    return rows


def _with_derived(columns: dict[str, int]) -> dict[str, int]:
    """The columns, and what follows from them.

    `dropped` is what the switch counted, or what must have been counted when its number is behind:
    Open vSwitch brings a flow's counter up to date about twice a second. What of it was neither
    rate-limited nor received, nor dropped without being sent, got lost in the switch.
    """
    seen = columns["metered"] + columns["received"] + columns["unsent"]
    dropped = max(columns["counted"], seen)
    return {**columns, "dropped": dropped, "lost_in_switch": dropped - seen}


def in_words(bridge: str, before: Snapshot, now: Snapshot) -> str | None:
    """What has come to the books between two snapshots, in one line; None: nothing was dropped."""

    def increase(table: str, column: str) -> int:
        return int(now[table][column]) - int(before.get(table, {}).get(column, 0))

    reasons = {words: increase(ALL, column) for column, words in _LOSSES}
    if not any(increase(ALL, column) > 0 for column in _NEWS):
        return None
    tables = {
        table: max(increase(table, "dropped"), increase(table, "received"))
        for table in now
        if table != ALL
    }
    where = _where(tables, now)
    text = f"{bridge}: {count(increase(ALL, 'dropped'), 'drop')}"
    text += f": {where}; " if where else "; "
    text += f"{increase(ALL, 'logged')} logged"
    others = [f"{n} {words}" for words, n in reasons.items() if n > 0]
    text = f"{text}, {', '.join(others)}" if others else text
    if increase(ALL, "explicit") > 0:
        owners = {table: increase(table, "explicit") for table in now if table != ALL}
        text += f"; {increase(ALL, 'explicit')} more by explicit drops, counted only: "
        text += _where(owners, now)
    return text


def _where(tables: Mapping[str, int], now: Snapshot) -> str:
    """Numbers by table, the largest first."""
    most = sorted(tables, key=lambda table: tables[table], reverse=True)
    return ", ".join(f"{tables[t]} in {now[t]['table']}" for t in most if tables[t] > 0)


def attention(state: Mapping[str, Any], lasting: float = 0.0) -> list[str]:
    """What has not been seen on a bridge for `lasting` seconds although it should be, and why.

    A line each. `state` is a bridge's as `status` sends it; nothing is told of one that is not
    connected.
    """
    if not state["connected"]:
        return []
    told = []
    for row in state.get("other_runs", ()):
        who = f"generation {row['generation']}"
        if row["at_work"]:
            told.append(
                f"another ryu_droplog is at work on this bridge ({who}):"
                f" {count(row['flows'], 'flow')} of its own left alone, and what they take is not"
                " logged here"
            )
        elif not lasting:  # it will be known soon
            told.append(
                f"{count(row['flows'], 'flow')} and {count(row['meters'], 'meter')} of another run"
                f" ({who}) are left alone for {row['seconds_to_decide']:g} s more, to see whether"
                " it is at work"
            )
    for row in _since(state.get("coming", ()), lasting):
        told.append(
            f"{row['name']} has come into use, and is not watched before the next plan (since"
            f" {row['missing_seconds']:g} s)"
        )
    for row in _since(state.get("tables", ()), lasting):
        retry = f"; next try in {row['retry_seconds']:g} s" if "retry_seconds" in row else ""
        why = row.get("refusal", "its flow is being added")
        told.append(
            f"{row['name']} is not watched (since {row['missing_seconds']:g} s): {why}{retry}"
        )
    missing = _since(state.get("explicit", ()), lasting)
    if missing:
        longest = max(missing, key=lambda row: float(row["missing_seconds"]))
        told.append(
            f"{count(len(missing), 'explicit drop')} not logged now, the first since"
            f" {longest['missing_seconds']:g} s: {longest.get('refusal', 'it is being added')}"
        )
    return told


def _since(rows: Iterable[Mapping[str, Any]], seconds: float) -> list[Mapping[str, Any]]:
    """Those of which something has been missing for so long."""
    return [row for row in rows if row.get("missing_seconds", -1.0) >= seconds]


def as_table(bridges: Mapping[str, Mapping[str, Any]]) -> str:
    """The books of all bridges, a line a table; `bridges` as `status` sends them."""
    rows = [["bridge", "table", *HEADINGS.values()]]
    for bridge, state in bridges.items():
        books = state["books"]
        # PacketIns that nobody could read are in no table's book.
        in_tables = sum(book["received"] for key, book in books.items() if key != ALL)
        of_no_table = in_tables != books[ALL]["received"]
        for key, book in books.items():
            if key != ALL or len(books) != 2 or of_no_table:
                numbers = [str(book[column]) for column in HEADINGS]
                rows.append([bridge, book["table"], *numbers])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
