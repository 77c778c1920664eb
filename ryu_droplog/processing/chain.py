"""The way of a packet, from a PacketIn or a datagram to the sinks, on one page."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ryu_droplog.model.accounting import Ledger
from ryu_droplog.model.drop import Arrival, Drop
from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.packet import ethernet
from ryu_droplog.processing.dedup import Deduplicator

COMPLAINT_PAUSE = 60.0
"""Seconds between two complaints about messages that contradict themselves; all are counted."""
SHOWN = 64
"""Bytes of such a message that are shown."""


class Reader(Protocol):
    """Names drops: a `PacketInReader` for PacketIns, `GeneveLogReader` for datagrams."""

    def read(self, message: bytes) -> Arrival | None:
        """Take a message apart; None when it tells of no drop. Raises MalformedMessage."""


class DropFilter(Protocol):
    """Leaves drops out: a `FilterSet`, a `Capture`."""

    def match(self, drop: Drop) -> str | None:
        """Why the drop is left out; None: it is not."""


class Taker(Protocol):
    """Takes drops at the end of the way: a sink."""

    def put(self, drops: Sequence[Drop]) -> None:
        """Take them; never waits."""


class Chain:
    """read - frame - filters - throttle - sinks, for one source of drops.

    Every drop is counted where its way ends: here, or by the sink. Runs in one thread, its
    intake's; filters, throttle and sinks may be replaced by another one at any time.
    """

    def __init__(
        self,
        reader: Reader,
        ledger: Ledger,
        throttle: Deduplicator | None,
        sinks: Sequence[Taker],
        filters: Sequence[DropFilter] = (),
    ) -> None:
        """`throttle` is this chain's own; None: repeats are not folded."""
        self._reader = reader
        self._ledger = ledger
        self._throttle = throttle
        self._sinks = sinks
        self._filters = filters
        self._next_throttle = throttle
        self._next_complaint = 0.0
        self.complaints: deque[str] = deque(maxlen=1)
        """What was wrong with a message, for whoever may log."""

    def change(
        self, throttle: Deduplicator | None, sinks: Sequence[Taker], filters: Sequence[DropFilter]
    ) -> None:
        """Go on with others; what an earlier throttle holds back is sent to the new sinks.

        From any thread. A batch that is on its way ends as it began.
        """
        self._sinks, self._filters, self._next_throttle = sinks, filters, throttle

    def take(self, messages: Sequence[bytes], read_at: float, now: float) -> None:
        """Send a batch of messages on its way; never waits, never raises on their content.

        :param read_at: when they were read, in seconds since the epoch: the time that is written
        :param now: the same moment by the clock of `tick`
        """
        self._change_throttle()
        ledger = self._ledger
        read = self._reader.read
        filters = self._filters
        drops = []
        for message in messages:
            try:
                arrival = read(message)
            except MalformedMessage as error:
                ledger.malformed += 1
                self._complain(error, message, now)
                continue
            if arrival is None:
                ledger.strangers += 1
                continue
            location, metadata, raw = arrival
            drop = ethernet.decode(raw, read_at, location, metadata)
            book = location.book
            book.received += 1
            if drop.truncated:
                ledger.truncated += 1
            if not location.named:
                ledger.unnamed += 1
            for leave_out in filters:
                name = leave_out.match(drop)
                if name is not None:
                    book.pruned += 1
                    ledger.pruned_by[name] += 1
                    break
            else:
                drops.append(drop)
        self._pass_on(self._fold(drops, now))

    def tick(self, now: float) -> None:
        """Close the throttle's windows that have ended by `now`, seconds of a clock never set."""
        self._change_throttle()
        if self._throttle is not None:
            self._pass_on(self._throttle.expire(now))

    def _change_throttle(self) -> None:
        if self._throttle is not self._next_throttle:
            held, self._throttle = self._throttle, self._next_throttle
            if held is not None:
                self._pass_on(held.expire(float("inf")))

    def _fold(self, drops: list[Drop], now: float) -> list[Drop]:
        if self._throttle is None:
            return drops
        return [kept for drop in drops for kept in self._throttle.take(drop, now)]

    def _pass_on(self, drops: Sequence[Drop]) -> None:
        if drops:
            for sink in self._sinks:
                sink.put(drops)

    def _complain(self, error: MalformedMessage, message: bytes, now: float) -> None:
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAINT_PAUSE
            self.complaints.append(f"{error}; it begins with {message[:SHOWN].hex(' ', -4)}")
