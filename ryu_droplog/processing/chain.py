"""The way of a packet, from a PacketIn or a datagram to the sinks, on one page."""

from __future__ import annotations

import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ryu_droplog.model.accounting import SourceBooks, TableBook
from ryu_droplog.model.drop import Arrival, Drop
from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.model.location import Location
from ryu_droplog.packet import ethernet
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.processing.ring import Ring
from ryu_droplog.processing.shares import Share, shares
from ryu_droplog.processing.summaries import WINDOW, Summaries, Summary

COMPLAINT_PAUSE = 60.0
"""Seconds between two complaints about messages that contradict themselves, or about mistakes of
this program; all are counted."""
SHOWN = 64
"""Bytes of such a message that are shown."""
_NO_BOOK = TableBook()
"""Stands where no book is open yet; nothing is counted there."""


def mark_none(drops: Sequence[Drop]) -> int:
    """Know of no drop."""
    return 0


class Reader(Protocol):
    """Names drops: a `PacketInReader`, or a `GeneveLogReader` for datagrams."""

    def read(self, message: bytes) -> Arrival | None:
        """Take a message apart; None when it tells of no drop. Raises MalformedMessage."""


class DropFilter(Protocol):
    """Leaves drops out: a `FilterSet`, a `CaptureFilter`."""

    def match(self, drop: Drop) -> str | None:
        """Why the drop is left out; None: it is not."""


class Taker(Protocol):
    """Takes drops at the end of the way: a sink."""

    def put(self, drops: Sequence[Drop], by_table: Sequence[Share]) -> None:
        """Take them, counted by table; never waits, and counts itself what it cannot take."""


class Chain:
    """read - decode - filters - deduplication - sinks, for one source of drops.

    Every drop is counted where its way ends: here, or by the sink. A mistake in this program costs
    the one message that met it. Runs in one thread, its ingress queue's; filters, deduplicator and
    sinks may be replaced by others at any time.
    """

    def __init__(
        self,
        reader: Reader,
        books: SourceBooks,
        deduplicator: Deduplicator | None,
        sinks: Sequence[Taker],
        filters: Sequence[DropFilter] = (),
        ring: Ring | None = None,
        mark: Callable[[Sequence[Drop]], int] = mark_none,
    ) -> None:
        """`deduplicator` is this chain's own; None: each drop is handed on.

        `ring` keeps what is handed on, for observers; None: nobody may ask. `mark` marks the drops
        that the baseline has, and says how many packets these are.
        """
        self._reader = reader
        self._books = books
        self._deduplicator = deduplicator
        self._sinks = sinks
        self._filters = filters
        self._ring = ring
        self._mark = mark
        self._next_deduplicator = deduplicator
        self._summaries = Summaries()
        self._next_complaint: dict[type[Exception], float] = {}
        self.complaints: deque[str] = deque(maxlen=2)
        """What was wrong with a message, for whoever may log."""

    def change(
        self,
        deduplicator: Deduplicator | None,
        sinks: Sequence[Taker],
        filters: Sequence[DropFilter],
    ) -> None:
        """Go on with others; what waits in an earlier deduplicator is sent to the new sinks.

        From any thread. A batch that is on its way ends as it began.
        """
        self._sinks, self._filters, self._next_deduplicator = sinks, filters, deduplicator

    def take(self, messages: Sequence[bytes], read_at: float, now: float) -> None:
        """Send a batch of messages on its way; never waits, never raises.

        :param read_at: when they were read, in seconds since the epoch: the time that is written
        :param now: the same moment by the clock of `tick`
        """
        self._change_deduplicator()
        self._hand_on(self._without_repeats(self._decode(messages, read_at, now), now))

    def summarise(self, summary: Summary, read_at: float, now: float) -> None:
        """Take packets that the switch counted and did not send; times as in `take`.

        The filters judge them by one of them.
        """
        location, metadata, frame = summary.sample
        packets, book = summary.packets, self._books.tables[location.key[1]]
        book.credited += summary.credited
        book.summarised += packets
        if not packets:
            return
        try:
            drop = ethernet.decode(frame, read_at, location, metadata)
            drop.received = now
            names = (drop_filter.match(drop) for drop_filter in self._filters)
            name = next((name for name in names if name is not None), None)
        except Exception as error:
            book.failed += packets
            self._complain(error, frame, now)
            return
        if name is not None:
            self._books.filtered_by[name] += packets
            book.filtered += packets
            return
        window = WINDOW if self._deduplicator is None else self._deduplicator.window
        self._summaries.take(summary.key, drop, packets, now + window)

    def tick(self, now: float) -> None:
        """Close the windows that have ended by `now`, seconds of a clock that is never set."""
        self._change_deduplicator()
        self._hand_on(self._summaries.expire(now))
        if self._deduplicator is not None:
            self._hand_on(self._deduplicator.expire(now))

    def deduplicated(self) -> Counter[int]:
        """Drops in open windows, by the number of their table's book, measured."""
        waiting: Counter[int] = Counter()
        for drop, packets in self._summaries.waiting():
            waiting[drop.location.key[1]] += packets
        if self._deduplicator is not None:
            for drop, repeated in self._deduplicator.waiting():
                waiting[drop.location.key[1]] += repeated
        return waiting

    def _decode(self, messages: Sequence[bytes], read_at: float, now: float) -> list[Drop]:
        drops: list[Drop] = []
        waiting = iter(messages)
        # One time around, and one more for each mistake in this program.
        while not self._decode_some(waiting, drops, read_at, now):
            pass
        return drops

    def _decode_some(
        self, waiting: Iterator[bytes], drops: list[Drop], read_at: float, now: float
    ) -> bool:
        """Decode what waits up to the first mistake of ours, which is counted; True: all of it."""
        books, tables = self._books, self._books.tables
        read, filters = self._reader.read, self._filters
        decode = ethernet.decode
        last: Location | None = None
        book = _NO_BOOK  # replaced at once: there is no location before the first message
        counted = False
        message = b""
        try:
            for message in waiting:
                counted = False
                try:
                    arrival = read(message)
                except MalformedMessage as error:
                    books.malformed += 1
                    self._complain(error, message, now)
                    continue
                if arrival is None:
                    books.unrecognised += 1
                    continue
                location, metadata, raw = arrival
                if location is not last:
                    last, book = location, tables[location.key[1]]
                book.received += 1
                counted = True
                drop = decode(raw, read_at, location, metadata)
                drop.received = now
                if drop.truncated:
                    books.truncated += 1
                if not location.named:
                    books.unnamed += 1
                for drop_filter in filters:
                    name = drop_filter.match(drop)
                    if name is not None:
                        books.filtered_by[name] += 1
                        book.filtered += 1
                        break
                else:
                    drops.append(drop)
        except Exception as error:
            if counted:
                book.failed += 1
            else:
                books.failed += 1
            self._complain(error, message, now)
            return False
        return True

    def _without_repeats(self, drops: list[Drop], now: float) -> list[Drop]:
        if self._deduplicator is None:
            return drops
        take = self._deduplicator.take
        kept: list[Drop] = []
        for drop in drops:
            try:
                kept += take(drop, now)
            except Exception as error:
                self._books.tables[drop.location.key[1]].failed += 1
                self._complain(error, drop.frame, now)
        return kept

    def _hand_on(self, drops: Sequence[Drop]) -> None:
        if not drops:
            return
        try:
            self._books.acknowledged += self._mark(drops)
        except Exception as error:  # unmarked, they go on their way
            self._complain(error, drops[0].frame, drops[0].received)
        by_table = shares(drops)
        tables = self._books.tables
        for share in by_table:
            tables[share.key[1]].handed_on += share.packets
        for sink in self._sinks:
            sink.put(drops, by_table)
        if self._ring is not None:
            try:
                self._ring.put(drops)
            except Exception as error:  # what observers do not see is in all books all the same
                self._complain(error, drops[0].frame, drops[0].received)

    def _change_deduplicator(self) -> None:
        if self._deduplicator is not self._next_deduplicator:
            held, self._deduplicator = self._deduplicator, self._next_deduplicator
            if held is not None:
                self._hand_on(held.expire(float("inf")))

    def _complain(self, error: Exception, message: bytes, now: float) -> None:
        """Tell of it, unless one of its kind was told of a short time ago."""
        kind = MalformedMessage if isinstance(error, MalformedMessage) else Exception
        if now < self._next_complaint.get(kind, 0.0):
            return
        self._next_complaint[kind] = now + COMPLAINT_PAUSE
        text = f"{error}; it begins with {message[:SHOWN].hex(' ', -4)}"
        if kind is Exception:
            trace = "".join(traceback.format_exception(error)).rstrip()
            text = (
                "a packet could not be handled, and is counted as failed; it begins with"
                f" {message[:SHOWN].hex(' ', -4)}: {trace}"
            )
        self.complaints.append(text)
