"""The books: every drop that the switch counted was logged, or it is known where its way ended.

The unit is packets; a record that stands for n repeats counts n. For each table of a source:

    counted = rate-limited by the meter + lost in the switch + received + summarised
    received + summarised = failed + filtered + in windows that are still open + handed on

and for each source, where what cannot be read is of no table:

    arrived = refused at the ingress queue + waiting there + unrecognised + malformed + failed
              + received by all tables

and for each sink, from when it joins:

    handed on + recovered from its spool = filtered there + refused + failed + expired + written
                                           + queued + spooled + in flight

Every term is counted where it happens or is the measured length of a queue, but for one: what was
lost in the switch is derived from what the switch counted. So each equation is a check, and what
is missing on one side is `unexplained`. Each counter is written by one thread at a time, under the
lock of the chain or the sink that it belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple, TypeVar

from ryu_droplog.model.location import TableKey

B = TypeVar("B", "TableBook", "SinkBook")


@dataclass(slots=True)
class TableBook:
    """The drops of one table up to the sinks, in packets, since the program started."""

    counted: int = 0
    """By our flow in that table: over restarts of the switch, and over adding the flow again.
    What its summary flows have counted is `summarised` and `credited`."""
    metered: int = 0
    """Rate-limited: held back by the table's meter."""
    explicit: int = 0
    """Dropped by flows of the owner's and seen in their counters only; no part of `counted`."""
    received: int = 0
    """Read from a PacketIn or datagram."""
    summarised: int = 0
    """Counted by the switch at summary flows in that table, which send nothing."""
    credited: int = 0
    """Counted by the switch at summary flows, though other flows of ours had taken the packets:
    they are among those that were rate-limited or received."""
    failed: int = 0
    """Lost by a mistake in this program, before the sinks."""
    filtered: int = 0
    """Left out by a filter, or because no flow asked for them."""
    handed_on: int = 0
    """Handed on to the sinks."""


@dataclass(slots=True)
class SinkBook:
    """What became of the drops of one table at one sink, in packets."""

    filtered: int = 0
    """Left out by the sink's own filters."""
    refused: int = 0
    """Lost: the queue was full."""
    failed: int = 0
    """Lost: they could not be encoded or written."""
    expired: int = 0
    """Lost: they were too old, or more than the spool may hold."""
    written: int = 0
    """Written; where the receiver acknowledges, acknowledged."""
    repeats: int = 0
    """Of those written, how many are only a number at the end of a repeated drop's line."""
    summarised: int = 0
    """Of those written, how many are a number that the switch counted."""

    @property
    def ended(self) -> int:
        """All that do not wait any more."""
        return self.filtered + self.refused + self.failed + self.expired + self.written


def add(books: Iterable[B], into: B) -> B:
    """Add the counters of all books to one, which is returned."""
    for book in books:
        for column in fields(into):
            name = column.name
            setattr(into, name, getattr(into, name) + getattr(book, name))
    return into


@dataclass(slots=True)
class SourceBooks:
    """The books of one source of drops: a bridge, or a socket."""

    tables: dict[int, TableBook] = field(default_factory=dict)
    """By number: for a bridge, the id of the table that dropped the packet."""
    names: dict[int, str] = field(default_factory=dict)
    """What the drop line calls these tables."""
    arrived: int = 0
    """PacketIns and datagrams that were read from the switch or the socket."""
    refused: int = 0
    """Of these, those that came while the ingress queue was full; nobody looked at them."""
    acknowledged: int = 0
    """Packets that were handed on marked, because the baseline has them; a part of `handed_on`."""
    missed: int = 0
    """Datagrams that the kernel dropped, because the socket's buffer was full; no part of
    `arrived`."""
    unrecognised: int = 0
    """PacketIns that no flow of this run sent, datagrams without a drop log: no drops of ours."""
    malformed: int = 0
    """PacketIns and datagrams that contradict themselves; of which table, they do not say."""
    failed: int = 0
    """PacketIns and datagrams lost by a mistake in this program before their table was known."""
    filtered_by: Counter[str] = field(default_factory=Counter)
    """Drops that were filtered, by the name of the filter."""
    truncated: int = 0
    """Drops whose frame was cut inside a header; logged all the same."""
    unnamed: int = 0
    """Drops in a table that neither the pipeline nor the bridge has a name for."""

    def book(self, number: int, name: str) -> TableBook:
        """The book of a table, opened if need be."""
        self.names[number] = name
        return self.tables.setdefault(number, TableBook())

    def reading(self, name: str, waiting: int, deduplicated: Counter[int]) -> SourceReading:
        """All of it at one moment, for which nothing is counted meanwhile.

        `waiting` and `deduplicated` are as in `SourceReading`, measured at the same moment.
        """
        return SourceReading(
            name,
            {number: replace(table) for number, table in list(self.tables.items())},
            dict(self.names),
            self.arrived,
            self.refused,
            self.missed,
            self.unrecognised,
            self.malformed,
            self.failed,
            waiting,
            deduplicated,
        )


class SourceReading(NamedTuple):
    """The books of a source at one moment, between two batches of its chain."""

    name: str
    tables: dict[int, TableBook]
    """Copies, by number."""
    names: dict[int, str]
    arrived: int
    refused: int
    missed: int
    unrecognised: int
    malformed: int
    failed: int
    waiting: int
    """Messages in the ingress queue, measured."""
    deduplicated: Counter[int]
    """Drops in windows that are still open, by the number of the table's book, measured."""

    def unexplained(self) -> int:
        """Packets that are missing (above 0) or too many in the equations; 0: the books balance."""
        ended = self.refused + self.waiting + self.unrecognised + self.malformed + self.failed
        missing = abs(self.arrived - ended - sum(t.received for t in self.tables.values()))
        return missing + sum(
            abs(
                t.received
                + t.summarised
                - t.failed
                - t.filtered
                - self.deduplicated[number]
                - t.handed_on
            )
            for number, t in self.tables.items()
        )

    def sides(self) -> Iterator[str]:
        """Each equation that does not hold, with its two sides, in words."""
        received = sum(table.received for table in self.tables.values())
        right = self.refused + self.waiting + self.unrecognised + self.malformed + self.failed
        if self.arrived != right + received:
            yield (
                f"{self.arrived} arrived, but {self.refused} refused + {self.waiting} waiting"
                f" + {self.unrecognised} unrecognised + {self.malformed} malformed"
                f" + {self.failed} failed + {received} received are {right + received}"
            )
        for number, table in self.tables.items():
            in_windows = self.deduplicated[number]
            right = table.failed + table.filtered + in_windows + table.handed_on
            if table.received + table.summarised != right:
                summarised = f" + {table.summarised} summarised" if table.summarised else ""
                yield (
                    f"{self.names[number]}: {table.received} received{summarised},"
                    f" but {table.failed} failed"
                    f" + {table.filtered} filtered + {in_windows} deduplicated"
                    f" + {table.handed_on} handed on are {right}"
                )


class SinkReading(NamedTuple):
    """The books of a sink at one moment."""

    name: str
    handed_on: int
    """By the chains, since it joined."""
    tables: dict[TableKey, SinkBook]
    """Copies."""
    queued: dict[TableKey, int]
    """Drops in the queue and in flight, by table, measured."""
    in_flight: int
    """Of these, those that are being written."""
    spooled: int
    """Drops in the spool, measured."""
    recovered: int
    """Drops that an earlier run had left in the spool."""

    def total(self) -> SinkBook:
        """All tables together."""
        return add(self.tables.values(), SinkBook())

    def unexplained(self) -> int:
        """Packets that are missing (above 0) or too many (below 0); 0: the books balance."""
        waiting = sum(self.queued.values()) + self.spooled
        return self.handed_on + self.recovered - self.total().ended - waiting

    def sides(self) -> Iterator[str]:
        """The equation with its two sides, in words, if it does not hold."""
        if not self.unexplained():
            return
        total, queued = self.total(), sum(self.queued.values())
        yield (
            f"{self.handed_on} handed on + {self.recovered} recovered, but"
            f" {total.filtered} filtered + {total.refused} refused + {total.failed} failed"
            f" + {total.expired} expired"
            f" + {total.written} written + {queued} queued or in flight + {self.spooled} spooled"
            f" are {total.ended + queued + self.spooled}"
        )
