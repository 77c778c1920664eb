"""Drops counted for `top`: by signature, table, pair and port, with rates and history. Pure.

Bounded: of each view the rows with the fewest packets are folded into one, which says so. There is
no clock here: records bring their time, and who asks says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct, field

from ryu_droplog.observe.impact import Impacts
from ryu_droplog.observe.shown import PARTS, address_of, end_text, name_of, port_of, protocol_of
from ryu_droplog.observe.stream import Lost, Said
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of
from ryu_droplog.text.printable import word

ROWS = 1000
"""Rows of a view that are counted at most."""
HISTORY = 60
"""Seconds of history."""
RATE_SPAN = 10
"""Seconds over which a rate is taken."""
OTHERS = "(others)"
_BARS = "▁▂▃▄▅▆▇█"


class Row(Struct):
    """What was counted of one signature, table, pair or port."""

    label: str
    record: Record | None = None
    """The last one; None: of several."""
    packets: int = 0
    folded: int = 0
    """Rows that were folded into it."""
    seconds: dict[int, int] = field(default_factory=dict)
    """Packets by the second since the epoch."""

    def add(self, second: int, packets: int) -> None:
        """Count."""
        self.packets += packets
        self.seconds[second] = self.seconds.get(second, 0) + packets
        if len(self.seconds) > 2 * HISTORY:
            oldest = max(self.seconds) - HISTORY
            self.seconds = {at: n for at, n in self.seconds.items() if at > oldest}

    def rate(self, now: float) -> float:
        """Packets a second, of the last `RATE_SPAN` seconds."""
        last = int(now)
        return sum(self.seconds.get(last - back, 0) for back in range(RATE_SPAN)) / RATE_SPAN

    def curve(self, now: float, width: int = 20) -> str:
        """The last `HISTORY` seconds as bars, a space where nothing came."""
        step = HISTORY / width
        parts = [0] * width
        for second, packets in self.seconds.items():
            back = int(now) - second
            if 0 <= back < HISTORY:
                parts[width - 1 - int(back / step)] += packets
        most = max(parts)
        last = len(_BARS) - 1
        return "".join(_BARS[round(part * last / most)] if part else " " for part in parts)


class View(NamedTuple):
    """One way to count."""

    title: str
    key: Callable[[Record], str]
    label: Callable[[Record], str]


def _place(record: Record) -> str:
    return f"{word(record.bridge)} {record.table.id} {word(record.table.name)} {record.reason}"


def _kind(record: Record) -> str:
    """As a signature: without the sender's port, and with the place."""
    source, destination = record.source, end_text(record.destination)
    name = name_of(source)
    sender = f"{name} ({address_of(source)})" if name else address_of(source)
    kind = protocol_of(record).removeprefix("TCP Flags: ")
    return f"{sender} -> {destination} {kind} {word(record.table.name)} {record.reason}"


def _pair(record: Record) -> str:
    return f"{PARTS['source'](record)} -> {PARTS['destination'](record)}"


def _port(record: Record) -> str:
    return f"{word(record.bridge)} {port_of(record) or '(not known)'}"


VIEWS: dict[str, View] = {
    "signature": View("signature", lambda record: record.signature, _kind),
    "table": View("table", _place, _place),
    "pair": View("pair", _pair, _pair),
    "port": View("port", _port, _port),
}
"""By name, in the order in which they are shown."""
SORTS: dict[str, Callable[[Row, float], tuple[float, ...]]] = {
    "rate": lambda row, now: (row.rate(now), row.packets),
    "packets": lambda row, now: (row.packets,),
    "last": lambda row, now: (max(row.seconds, default=0), row.packets),
}
"""By name: the largest first."""


class Tally:
    """The rows of one view."""

    def __init__(self, view: View, rows: int = ROWS) -> None:
        self._view, self._limit = view, rows
        self._rows: dict[str, Row] = {}
        self._others = Row(OTHERS)

    def add(self, record: Record, second: int, packets: int) -> None:
        """Count one record."""
        key = self._view.key(record)
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= self._limit:
                self._fold()
            row = self._rows[key] = Row(self._view.label(record))
        row.record = record
        row.add(second, packets)

    def rows(self, sort: str, now: float, text: str = "") -> list[Row]:
        """Those with `text` in their label, the largest by `sort` first, the others last."""
        order = SORTS[sort]
        text = text.lower()
        found = [row for row in self._rows.values() if text in row.label.lower()]
        found.sort(key=lambda row: row.label)
        found.sort(key=lambda row: order(row, now), reverse=True)
        return [*found, self._others] if self._others.folded and not text else found

    def _fold(self) -> None:
        """Fold the tenth that has the fewest packets."""
        keys = sorted(self._rows, key=lambda key: self._rows[key].packets)
        for key in keys[: max(self._limit // 10, 1)]:
            row = self._rows.pop(key)
            self._others.folded += 1
            for second, packets in row.seconds.items():
                self._others.add(second, packets)
            self._others.packets += row.packets - sum(row.seconds.values())
        self._others.label = f"{OTHERS}: {self._others.folded:,} rows with few packets"


class Tallies:
    """All views of the same records."""

    def __init__(self, rows: int = ROWS) -> None:
        self.views = {name: Tally(view, rows) for name, view in VIEWS.items()}
        self.total = Row("all")
        self.impacts = Impacts()
        self.lost = 0
        """Drops that are missing, because they were read too slowly."""
        self.latest = 0.0
        """Time of the youngest record, in seconds since the epoch."""

    def take(self, said: Said) -> None:
        """Count a record, or what is missing; of other news there is nothing to count."""
        if isinstance(said, Record):
            self.add(said)
        elif isinstance(said, Lost):
            self.lose(said.number)

    def add(self, record: Record) -> None:
        """Count one record; one that stands for several packets counts as those."""
        at, packets = seconds_of(record.time), record.repeated or 1
        self.latest = max(self.latest, at)
        for tally in self.views.values():
            tally.add(record, int(at), packets)
        self.total.add(int(at), packets)
        self.impacts.add(record)

    def lose(self, drops: int) -> None:
        """So many drops are missing."""
        self.lost += drops
        self.impacts.miss()
