"""What the switch counts of our flows and meters, added up in the books.

A flow's counter starts anew whenever the flow is added again, a meter's whenever the meter is; the
books go on. A flow's last count comes with its FLOW_REMOVED, whoever removed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.reconcile.explicit_drops import Place


class DropCount(NamedTuple):
    """What an owner's drop flow has counted."""

    place: Place
    cookie: int
    packets: int
    plain: bool
    """Whether it is a drop by its own actions, without asking its owner."""
    tells: bool
    """Whether an action of ours sends its packets to us."""


class Counters:
    """Readings of counters that start from 0 now and then, turned into sums that do not."""

    def __init__(self, books: SourceBooks) -> None:
        self._books = books
        self._flows: dict[int, int] = {}
        self._meters: dict[int, int] = {}
        self._drops: dict[Place, tuple[int, int]] | None = None

    def flow(self, cookie: int, table_id: int, name: str, packets: int) -> None:
        """The flow with this cookie has counted so many packets since it was added."""
        book = self._books.book(table_id, name)
        book.counted += _increase(self._flows, cookie, packets)

    def meter(self, table_id: int, name: str, packets: int) -> None:
        """The table's meter has dropped so many packets since it was made."""
        book = self._books.book(table_id, name)
        book.metered += _increase(self._meters, table_id, packets)

    def explicit(self, drops: Iterable[DropCount], name: Callable[[int], str]) -> None:
        """All drop flows of the owner's have counted so much since each was added.

        What they had counted when they were first read is from before this program's time, and not
        added; nor is what a flow had counted before its owner said that it drops.
        """
        before, self._drops = self._drops, {}
        for place, cookie, packets, plain, tells in drops:
            self._drops[place] = (cookie, packets)
            if before is None or (place not in before and not plain):
                continue
            last_cookie, last = before.get(place, (cookie, 0))
            increase = packets - last if cookie == last_cookie and packets >= last else packets
            if increase:
                book = self._books.book(place.table_id, name(place.table_id))
                if tells:
                    book.counted += increase
                else:
                    book.explicit += increase

    def end_flow(self, cookie: int) -> None:
        """The flow with this cookie has ended, and its last count was read."""
        self._flows.pop(cookie, None)

    def forget_meters(self, table_ids: Iterable[int]) -> None:
        """The next readings are of new meters."""
        for table_id in table_ids:
            self._meters.pop(table_id, None)


def _increase(last: dict[int, int], key: int, now: int) -> int:
    before = last.get(key, 0)
    last[key] = now
    return now - before if now >= before else now
