"""What the page shows of all drops that one filter lets through. Pure: the clock is given.

A signature is the same drop of the same ends. All that is shown is made of signatures with their
counts by time: so a span of the last half hour can be looked at without the records of it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ryu_droplog.observe.filters import Predicate
from ryu_droplog.observe.query import Condition
from ryu_droplog.observe.shown import address_of, name_of, port_of, protocol_of, rule_of
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of
from ryu_droplog.web.history import CURVE, STEP, STEPS, Counts, Span, step_of

SIGNATURES = 4_000
"""Signatures of a view at most: the one that was dropped least lately is forgotten."""
TABLES = 1_024
SHOWN = 100
"""Signatures that are told at most; the page has as many rows."""
SHOWN_TABLES = 64
SHOWN_ENDS = 24
"""Rows and columns of the matrix at most."""
LATEST = 40
"""Of the last drops, those that are told."""
NEW = 300.0
"""Seconds for which a signature is new."""
VARYING = frozenset(("port", "from-port", "interface", "mac"))
"""Filters by what may differ between drops of one signature."""

_WHY = {"MISS": "no flow of the table matches it", "DENY": "a flow of the table drops it"}

TableKey = tuple[str, str, int]
"""Node, bridge and number of the table."""


class Taken(NamedTuple):
    """A record with what the page needs of it."""

    number: int
    """Counts all records that this process has read."""
    record: Record
    step: int
    packets: int


class Signature:
    """The drops of one signature."""

    __slots__ = ("counts", "first", "last", "packets", "since", "taken")

    def __init__(self, taken: Taken, now: float) -> None:
        self.taken = taken
        self.counts = Counts()
        self.packets = 0
        self.since = now
        """When this process first saw it; seconds since the epoch."""
        self.first = taken.record.first_time or taken.record.time
        self.last = taken.record.time

    def add(self, taken: Taken) -> None:
        """Count a drop."""
        self.taken = taken
        self.packets += taken.packets
        self.counts.add(taken.step, taken.packets)
        self.last = max(self.last, taken.record.time)

    def copy(self) -> Signature:
        """Another with the same counts, for another view."""
        made = Signature(self.taken, self.since)
        made.counts = self.counts.copy()
        made.packets, made.first, made.last = self.packets, self.first, self.last
        return made


class View:
    """The drops that one filter lets through."""

    def __init__(self, conditions: Sequence[Condition], matches: Predicate) -> None:
        self.conditions = conditions
        self.matches = matches
        self.version = 0
        """Grows with each drop that is shown."""
        self._signatures: OrderedDict[str, Signature] = OrderedDict()
        self._tables: OrderedDict[TableKey, tuple[str, Counts]] = OrderedDict()
        self._latest: deque[Taken] = deque(maxlen=LATEST)
        self.forgotten = 0
        """Signatures that were forgotten, because there were too many."""

    # What comes

    def add(self, taken: Taken, now: float) -> None:
        """Take a record, if it fits."""
        record = taken.record
        if not self.matches(record):
            return
        self.version += 1
        self._latest.append(taken)
        signature = self._signatures.get(record.signature)
        if signature is None:
            signature = self._keep(record.signature, Signature(taken, now))
        else:
            self._signatures.move_to_end(record.signature)
        signature.add(taken)
        self._counts_of(record).add(taken.step, taken.packets)

    def seed(self, other: View, kept: Iterable[Taken], now: float) -> None:
        """Take what is known already: of the signatures of `other`, a view of all, or of `kept`.

        `kept` are the last records: they are taken where the filter may tell drops of one
        signature apart.
        """
        if any(condition.filter in VARYING for condition in self.conditions):
            for taken in kept:
                self.add(taken, now)
            return
        for key, signature in other._signatures.items():
            record = signature.taken.record
            if self.matches(record):
                self._keep(key, signature.copy())
                self._counts_of(record).merge(signature.counts)
        self._latest.extend(taken for taken in other._latest if self.matches(taken.record))
        self.version += 1

    def forget(self, now: float) -> None:
        """Forget the counts that are too old to be shown, and tables that have none."""
        oldest = step_of(now) - STEPS + 1
        for signature in self._signatures.values():
            signature.counts.forget(oldest)
        for key, (_, counts) in list(self._tables.items()):
            counts.forget(oldest)
            if not counts.total(oldest, step_of(now)):
                del self._tables[key]

    def find(self, key: str) -> Taken | None:
        """The last drop of a signature; None: it is not known."""
        signature = self._signatures.get(key)
        return signature.taken if signature is not None else None

    def _keep(self, key: str, signature: Signature) -> Signature:
        if len(self._signatures) >= SIGNATURES:
            self._signatures.popitem(last=False)
            self.forgotten += 1
        self._signatures[key] = signature
        return signature

    def _counts_of(self, record: Record) -> Counts:
        key = record.node, record.bridge, record.table.id
        found = self._tables.get(key)
        if found is None:
            if len(self._tables) >= TABLES:
                self._tables.popitem(last=False)
            found = self._tables[key] = record.table.name, Counts()
        return found[1]

    # What is shown

    def shown(self, now: float, span: Span) -> dict[str, Any]:
        """All of it as data, for a span of time; `now` in seconds since the epoch."""
        step = step_of(now)
        first, last = span.bounds(step)
        counted = [
            (signature.counts.total(first, last), key, signature)
            for key, signature in self._signatures.items()
        ]
        present = [one for one in counted if one[0]]
        rows = [self._row(key, signature, n, now, step) for n, key, signature in present]
        open_rows = sorted((row for row in rows if not row["acked"]), key=_order)
        acked = sorted((row for row in rows if row["acked"]), key=_order)
        return {
            "now": now,
            "step": STEP,
            "first": first,
            "last": last,
            "packets": sum(counts.total(first, last) for _, counts in self._tables.values()),
            "signatures": open_rows[:SHOWN],
            "signatures_in_all": len(open_rows),
            "acked": acked[:SHOWN],
            "acked_in_all": len(acked),
            "forgotten": self.forgotten,
            "heat": self._heat(now, first, last),
            "ends": _matrix(present),
            "latest": [_line(taken) for taken in reversed(self._latest)],
        }

    def _row(
        self, key: str, signature: Signature, packets: int, now: float, step: int
    ) -> dict[str, Any]:
        record = signature.taken.record
        return {
            "key": key,
            "number": signature.taken.number,
            "packets": packets,
            "in_all": signature.packets,
            "rate": round(signature.counts.rate(now), 2),
            "first": signature.first,
            "last": signature.last,
            "new": now - seconds_of(signature.first) < NEW,
            "curve": signature.counts.list(step, CURVE),
            "acked": is_acked(record),
            **facts_of(record),
        }

    def _heat(self, now: float, first: int, last: int) -> dict[str, Any]:
        step = step_of(now)
        rows: list[dict[str, Any]] = []
        for (node, bridge, table_id), (name, counts) in self._tables.items():
            listed = counts.list(step)
            if any(listed):
                in_span = counts.total(first, last)
                rows.append(
                    {
                        "node": node,
                        "bridge": bridge,
                        "id": table_id,
                        "name": name,
                        "packets": in_span,
                        "rate": round(counts.rate(now), 2),
                        "counts": listed,
                    }
                )
        rows.sort(key=lambda row: (-sum(row["counts"]), row["bridge"], row["id"]))
        rows = rows[:SHOWN_TABLES]
        rows.sort(key=lambda row: (row["node"], row["bridge"], row["id"]))
        return {"first": step - STEPS + 1, "steps": STEPS, "rows": rows}


def is_acked(record: Record) -> bool:
    """Whether the baseline has this drop: somebody knows of it."""
    return record.acknowledged is not None


def facts_of(record: Record) -> dict[str, Any]:
    """What is shown of a drop in one row; all texts are as they were read."""
    return {
        "node": record.node,
        "bridge": record.bridge,
        "table": record.table.name,
        "table_id": record.table.id,
        "reason": record.reason,
        "why": why_of(record),
        "protocol": protocol_of(record),
        "source": address_of(record.source),
        "source_name": name_of(record.source),
        "destination": address_of(record.destination),
        "destination_name": name_of(record.destination),
        "destination_port": record.destination.port if record.destination else None,
        "port": port_of(record),
        "direction": record.direction,
    }


def why_of(record: Record) -> str:
    """Why, in one line: the owner's rule, the owner's notes, the pipeline's probable cause."""
    owner_says = str(record.owner.get("why", ""))
    parts = [rule_of(record), owner_says or record.cause]
    return ": ".join(part for part in parts if part) or _WHY.get(record.reason, record.drop_reason)


def _order(row: dict[str, Any]) -> tuple[bool, float, int, str]:
    """New ones first, then the fastest."""
    return not row["new"], -row["rate"], -row["packets"], row["key"]


def _line(taken: Taken) -> dict[str, Any]:
    record = taken.record
    return {
        "number": taken.number,
        "key": record.signature,
        "time": record.time,
        "repeated": record.repeated,
        "source_port": record.source.port if record.source else None,
        **facts_of(record),
    }


def _matrix(present: Iterable[tuple[int, str, Signature]]) -> dict[str, Any]:
    """Who talks to whom: of the ends with the most losses, packets from each to each."""
    cells: dict[tuple[str, str], int] = {}
    senders: dict[str, int] = {}
    receivers: dict[str, int] = {}
    ips: dict[str, str] = {}
    for packets, _, signature in present:
        record = signature.taken.record
        source, target = _end(record, ips, source=True), _end(record, ips, source=False)
        cells[source, target] = cells.get((source, target), 0) + packets
        senders[source] = senders.get(source, 0) + packets
        receivers[target] = receivers.get(target, 0) + packets
    rows, columns = list(_most(senders)), list(_most(receivers))
    shown = [
        [rows.index(source), columns.index(target), packets]
        for (source, target), packets in cells.items()
        if source in rows and target in columns
    ]
    return {
        "sources": [{"name": name, "ip": ips[name], "packets": senders[name]} for name in rows],
        "destinations": [
            {"name": name, "ip": ips[name], "packets": receivers[name]} for name in columns
        ],
        "cells": shown,
        "others": sum(cells.values()) - sum(cell[2] for cell in shown),
    }


def _end(record: Record, ips: dict[str, str], *, source: bool) -> str:
    end = record.source if source else record.destination
    name = name_of(end) or address_of(end)
    ips.setdefault(name, end.ip if end is not None else "")
    return name


def _most(packets: dict[str, int]) -> Iterator[str]:
    yield from sorted(packets, key=lambda name: (-packets[name], name))[:SHOWN_ENDS]
