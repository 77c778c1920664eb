"""The books: every drop that the switch counted was logged, or it is known where its way ended.

For each table:

    counted = held back by the meter + lost in the switch + received
    received = logged + pruned + folded + refused + failed + waiting

The switch tells what it counted and what its meter held back; `lost in the switch` and `waiting`
are what is missing between those numbers and ours. What flows of the bridge's owner drop without
telling us is counted beside that, as `explicit`. Each counter is written by one thread alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields


@dataclass(slots=True)
class TableBook:
    """The drops of one table of one bridge, in packets, since the program started."""

    counted: int = 0
    """By our flow in that table: over restarts of the switch, and over adding the flow again."""
    metered: int = 0
    """Held back by the table's meter."""
    received: int = 0
    """PacketIns that reached the program."""
    logged: int = 0
    """Written, each by a line of its own."""
    pruned: int = 0
    """Left out: by a filter, or because no flow asked for it (`prune`, `capture`)."""
    folded: int = 0
    """Written, as a number at the end of a repeated drop's line."""
    refused: int = 0
    """Lost: the queue of the sink was full."""
    failed: int = 0
    """Lost: the sink could not write (a full disk, no syslog)."""
    explicit: int = 0
    """Dropped by flows of the owner's and seen in their counters only; no part of `counted`."""

    @property
    def dropped(self) -> int:
        """What the switch counted, or what must have been counted when its number is behind.

        Open vSwitch brings a flow's counter up to date about twice a second.
        """
        return max(self.counted, self.metered + self.received)

    @property
    def lost_in_switch(self) -> int:
        """Counted by the flow, not held back by the meter, and never seen here."""
        return self.dropped - self.metered - self.received

    @property
    def waiting(self) -> int:
        """On the way: in a queue, or in a window of the throttle that is still open."""
        gone = self.logged + self.pruned + self.folded + self.refused + self.failed
        return self.received - gone

    @property
    def lost(self) -> int:
        """Neither written nor held back on purpose."""
        return self.lost_in_switch + self.refused + self.failed


COLUMNS = (
    *(name.name for name in fields(TableBook)),
    "dropped",
    "lost_in_switch",
    "waiting",
)
"""All that a book tells, counters first."""


@dataclass(slots=True)
class Ledger:
    """The books of one bridge."""

    tables: dict[int, TableBook] = field(default_factory=dict)
    """By the id of the table that dropped the packet."""
    names: dict[int, str] = field(default_factory=dict)
    """What the drop line calls these tables."""
    overrun: int = 0
    """PacketIns that came while the queue before the chain was full; nobody looked at them."""
    missed: int = 0
    """Datagrams that the kernel dropped, because the socket's buffer was full."""
    pruned_by: Counter[str] = field(default_factory=Counter)
    """Drops that were left out, by the name of the filter."""
    malformed: int = 0
    """PacketIns and datagrams that contradict themselves; of which table, they do not say."""
    strangers: int = 0
    """PacketIns that no flow of this run sent, datagrams without a drop log; not in the books."""
    truncated: int = 0
    """Drops whose frame was cut inside a header; logged all the same."""
    unnamed: int = 0
    """Drops in a table that neither the pipeline nor the bridge has a name for."""

    def book(self, table_id: int, name: str) -> TableBook:
        """The book of a table, opened if need be."""
        self.names[table_id] = name
        return self.tables.setdefault(table_id, TableBook())

    def total(self) -> TableBook:
        """All tables together.

        On a bridge that the OpFlex agent manages, one flow counts for all tables and each drop is
        received for its own: there only the total balances.
        """
        total = TableBook()
        for book in list(self.tables.values()):
            for name in asdict(book):
                setattr(total, name, getattr(total, name) + getattr(book, name))
        # These were counted by the switch, and did not get lost there.
        total.received += self.overrun + self.malformed + self.missed
        total.refused += self.overrun + self.missed
        total.failed += self.malformed
        return total

    def rows(self) -> Iterator[tuple[int, str, TableBook]]:
        """Id, name and book of each table, in the order of their ids."""
        for table_id, book in sorted(self.tables.items()):
            yield table_id, self.names[table_id], book
