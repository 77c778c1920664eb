"""What every sink has in common: a bounded queue, books, and a thread of its own.

A sink of your own is a subclass of `DropSink` (one drop at a time) or `BatchSink` (many at once);
docs/extending.md has a whole one.
"""

from __future__ import annotations

import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.accounting import SinkBook, SinkReading
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import TableKey
from ryu_droplog.processing.filter import FilterSet
from ryu_droplog.processing.shares import Share, divide, shares
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.queue import Batch, BatchQueue, packets
from ryu_droplog.text.phrases import timestamp, were

LINGER = 0.01
"""Seconds between two writes: many small ones would keep the reader from its work."""
TRY_AGAIN = 2.0
"""Seconds between two tries of a sink that cannot write, while nothing comes."""
NOTICES = 100
"""Notices that wait to be read at most; the oldest go first."""
MISTAKE_PAUSE = 60.0
"""Seconds between two tracebacks of mistakes in one sink; all are counted."""


class Failure(NamedTuple):
    """Why a sink cannot write."""

    since: float
    """Seconds since the epoch."""
    began: float
    """The same by the monotonic clock."""
    text: str
    missing: int
    """Drops that were missing before."""


class Outcome(NamedTuple):
    """What became of some drops."""

    written: Sequence[Share] = ()
    failed: Sequence[Share] = ()
    expired: Sequence[Share] = ()
    spooled: Sequence[Share] = ()
    """They have gone into the sink's spool."""


class Sink(ABC):
    """A place where drops go; fails alone.

    `put` never waits. Drops are filtered and encoded in the thread that puts them (see `encode`)
    and written in the sink's own.
    """

    Options: ClassVar[type[Any]]
    """Schema of the keys that this type of sink has beside the common ones."""
    LOGS: ClassVar[bool] = True
    """Whether what it writes is a log of drops: the first such sink is what the books of a table
    call logged."""
    BATCH: ClassVar[int] = 10_000
    """Drops that are written at once, at most; a batch of the chain is not divided."""
    ENCODES_EARLY: ClassVar[bool] = False
    """Whether `encode` is called by the thread that puts. Drops that are encoded while they are
    still in the processor's cache, and forgotten at once, cost a fifth less than drops that another
    thread encodes later; but an encoder that waits would hold up all other sinks."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        """`spec.options` is an instance of `Options`. Opens nothing yet: that is for `start`."""
        self.name = spec.title or spec.name
        self.spec = spec
        self.explain = context.explain
        self.identify = context.identify
        self.written = 0
        """Records that were written; one that stands for repeats is one."""
        self.failed = 0
        """Records that could not be encoded or written."""
        self.refused = 0
        """Records that came while the queue was full, or that had to go for others then."""
        self.filtered = 0
        """Records that the sink's own filters left out."""
        self.expired = 0
        """Records that were too old, or more than the sink's spool may hold."""
        self.notices: deque[str] = deque(maxlen=NOTICES)
        """What the user should know, for whoever may log: this thread may not."""
        self.broken = False
        """True when nobody will ever read what is written (a closed pipe)."""
        self.failure: Failure | None = None
        """Why it cannot write now, if so."""
        self.ending: Any = context.threads.Event()
        """Set when the sink is to end: what waits is still written."""
        self.abandoned: Any = context.threads.Event()
        """Set when the time for what waits is over: give up what you wait for."""
        self._filters = FilterSet(spec.filters)
        self._new_only = spec.new_only
        chosen = bool(spec.filters) or spec.new_only
        self._chooses = chosen or type(self).wants is not Sink.wants
        self._queue = BatchQueue(spec.queue.drops, spec.queue.overflow, context.threads)
        self._lock = self._queue.condition
        self._books: dict[TableKey, SinkBook] = {}
        self._handed_on = 0
        """Packets that `put` was called with."""
        self._recovered = 0
        """Packets that were in the sink's spool when it was opened."""
        self._spooled = 0
        """Packets that are in the sink's spool."""
        self._coming = 0
        """Drops that have their place in the queue, and are still being encoded."""
        self._in_flight: Sequence[Batch] = ()
        self._flying = 0
        """Drops in flight: being written."""
        self._next_mistake = 0.0
        name = f"sink-{self.name}"
        self._thread = context.threads.Thread(target=self._run, name=name, daemon=True)

    # What a type of sink may do in its own way

    def start(self) -> None:
        """Begin to write. Raises ConfigError where the destination cannot be opened at all."""
        self._thread.start()

    def wants(self, drop: Drop) -> bool:
        """Whether this type of sink takes the drop at all; what it does not is filtered."""
        return True

    def encode(self, drop: Drop) -> Any:
        """What `write` or `write_drop` is to get for a drop. What it raises costs this drop."""
        return drop

    @abstractmethod
    def deliver(self, batches: Sequence[Batch]) -> Outcome:
        """Write the batches, and say what became of their drops; see the two subclasses."""

    @property
    def acknowledged(self) -> bool:
        """Whether written means that the receiver has said so, not only that it was handed over."""
        return False

    def try_again(self) -> None:  # noqa: B027  not every sink can tell without a drop
        """Look whether what could not be written to can be again, in the sink's own thread."""

    def finish(self) -> None:  # noqa: B027  not every sink holds something
        """Let go of what the sink holds, in the sink's own thread."""

    # For the chains

    def put(self, drops: Sequence[Drop], by_table: Sequence[Share] | None = None) -> None:
        """Take drops; never waits, and counts what it cannot take.

        `by_table` are their shares, where they are known.
        """
        if by_table is None:
            by_table = shares(drops)
        handed_on = sum([share.packets for share in by_table])
        filtered: Sequence[Share] = ()
        failed: Sequence[Share] = ()
        if self._chooses:
            drops, by_table, filtered, failed = self._filter(drops)
        with self._lock:
            self._handed_on += handed_on
            if self._chooses:
                self._count("filtered", filtered)
                self._count("failed", failed)
            busy = self._coming + self._flying
            room, removed = self._queue.room_for(len(drops), busy)
            for batch in removed:
                self._count("refused", batch.by_table)
            if room < len(drops):
                late = len(drops) - room
                if self._queue.overflow == "oldest":  # of what comes, the oldest, too
                    gone, by_table = divide(by_table, late)
                    drops = drops[late:]
                else:
                    by_table, gone = divide(by_table, room)
                    drops = drops[:room]
                self._count("refused", gone)
            self._coming += room
        if not room:
            return
        items: Sequence[Any] = drops
        failed = ()
        if self.ENCODES_EARLY:
            items, by_table, failed = self._encode(drops, by_table)
        with self._lock:
            self._coming -= room
            if failed:
                self._count("failed", failed)
            if items:
                self._queue.put(Batch(items, by_table))

    def close(self, seconds: float) -> int:
        """Write what waits, for so many seconds at most; returns how many drops were left over."""
        with self._lock:
            self.ending.set()
            self._lock.notify()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        else:
            self._guarded(self.finish)
        left = self.waiting
        self.abandoned.set()
        return left

    # For whoever asks how it is

    @property
    def waiting(self) -> int:
        """Records in the queue, or being written."""
        with self._lock:
            return self._queue.length + self._coming + self._flying

    @property
    def lost(self) -> int:
        """Records that will never be written, though the filters let them through."""
        return self.failed + self.refused + self.expired

    def reading(self, source: str | None = None) -> SinkReading:
        """The books at one moment; with a `source`, its tables alone.

        While a chain is in `put` some drops are on neither side of the equation: it holds when the
        chains are held (`IngressQueue.held`).
        """
        with self._lock:
            in_flight = packets(self._in_flight)
            waiting = packets(self._queue.batches)
            waiting.update(in_flight)
            return SinkReading(
                self.name,
                self._handed_on,
                {
                    key: replace(book)
                    for key, book in self._books.items()
                    if source is None or key[0] == source
                },
                waiting,
                in_flight.total(),
                self._spooled,
                self._recovered,
            )

    def state(self) -> dict[str, Any]:
        """For `status`: what became of the records, and why it cannot write now, if so."""
        held, failure = self.failure, None
        if held is not None:
            failure = {
                "since": timestamp(held.since),
                "seconds": round(time.monotonic() - held.began, 1),
                "error": held.text.strip().splitlines()[-1],
                "lost": self.lost - held.missing,
            }
        return {
            "written": self.written,
            "failed": self.failed,
            "refused": self.refused,
            "filtered": self.filtered,
            "expired": self.expired,
            "waiting": self.waiting,
            "failure": failure,
        }

    # For subclasses

    def note(self, failure: str | None) -> None:
        """For `write`: say once that writing fails and why, and once that it works again."""
        missing, held = self.lost, self.failure
        if failure is None and held is not None:
            lost = missing - held.missing
            self.failure = None
            missed = were(lost, "drop")
            self.notices.append(f"{self.name}: writing again; {missed} not written")
        elif failure is not None and held is None:
            self.failure = Failure(time.time(), time.monotonic(), failure, missing)
            self.notices.append(f"{self.name}: cannot write: {failure}; counting the drops")

    def settle(self, outcome: Outcome, in_flight: Sequence[Batch] = ()) -> None:
        """Count what became of drops that were in flight; `in_flight` is what still is.

        For a `deliver` that learns it bit by bit: what it then returns is the rest.
        """
        with self._lock:
            for name in ("written", "failed", "expired"):
                self._count(name, getattr(outcome, name))
            self._spooled += sum(share.packets for share in outcome.spooled)
            self._in_flight = in_flight
            self._flying = sum(len(batch.items) for batch in in_flight)

    def recover(self, packets: int) -> None:
        """So many were in the sink's spool when it was opened."""
        with self._lock:
            self._recovered += packets
            self._spooled += packets

    def leave_spool(self, outcome: Outcome) -> None:
        """Count what became of drops that were in the sink's spool."""
        with self._lock:
            for name in ("written", "failed", "expired"):
                by_table: Sequence[Share] = getattr(outcome, name)
                self._count(name, by_table)
                self._spooled -= sum(share.packets for share in by_table)

    def mistake(self, what: str) -> None:
        """Say what this type of sink did wrong, once a minute at most."""
        now = time.monotonic()
        if now >= self._next_mistake:
            self._next_mistake = now + MISTAKE_PAUSE
            self.notices.append(f"{self.name}: {what}")

    def _encode(
        self, drops: Sequence[Drop], by_table: Sequence[Share]
    ) -> tuple[list[Any], Sequence[Share], Sequence[Share]]:
        """What is to be written, its shares, and those of the drops that cannot be encoded."""
        encode = self.encode
        items: list[Any] = []
        failed: list[Drop] = []
        for drop in drops:
            try:
                items.append(encode(drop))
            except Exception:
                failed.append(drop)
                self.mistake(f"a drop cannot be encoded: {traceback.format_exc().rstrip()}")
        if failed:
            lost = set(map(id, failed))
            by_table = shares(drop for drop in drops if id(drop) not in lost)
        return items, by_table, shares(failed)

    def _filter(
        self, drops: Sequence[Drop]
    ) -> tuple[list[Drop], list[Share], list[Share], list[Share]]:
        """The drops that are kept and their shares, and the shares of filtered and failed ones."""
        match, new_only = self._filters.match, self._new_only
        kept: list[Drop] = []
        filtered: list[Drop] = []
        failed: list[Drop] = []
        for drop in drops:
            try:
                left_out = new_only and drop.acknowledged
                wanted = not left_out and self.wants(drop) and match(drop) is None
                (kept if wanted else filtered).append(drop)
            except Exception:
                failed.append(drop)
                self.mistake(f"a drop cannot be filtered: {traceback.format_exc().rstrip()}")
        return kept, shares(kept), shares(filtered), shares(failed)

    def _count(self, outcome: str, by_table: Sequence[Share]) -> None:
        """With the lock held."""
        records = 0
        packets: dict[TableKey, int] = {}
        for key, number, repeated, summarised in by_table:
            packets[key] = packets.get(key, 0) + (repeated or number)
            records += number
            if repeated and outcome == "written":
                if summarised:
                    self._book(key).summarised += repeated
                else:
                    self._book(key).repeats += repeated
        for key, number in packets.items():
            book = self._book(key)
            setattr(book, outcome, getattr(book, outcome) + number)
        setattr(self, outcome, getattr(self, outcome) + records)

    def _book(self, key: TableKey) -> SinkBook:
        """The book of a table, opened if need be; with the lock held."""
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = SinkBook()
        return book

    def _run(self) -> None:
        while True:
            batches = self._take()
            if not batches:
                break
            try:
                outcome = self.deliver(batches)
            except Exception:  # the thread goes on
                self.mistake(f"a mistake in writing: {traceback.format_exc().rstrip()}")
                outcome = Outcome((), [share for batch in batches for share in batch.by_table])
            self.settle(outcome)
            self.ending.wait(LINGER)
        self._guarded(self.finish)

    def _take(self) -> list[Batch]:
        """What comes next; none at the end. Until then a sink that cannot write tries again."""
        while True:
            with self._lock:
                if not self._queue.batches and not self.ending.is_set():
                    self._lock.wait(TRY_AGAIN if self.failure else None)
                batches = self._queue.take(self.BATCH)
                self._in_flight = batches
                self._flying = sum(len(batch.items) for batch in batches)
                if batches or (self.ending.is_set() and not self._coming):
                    return batches
            if self.failure:
                self._guarded(self.try_again)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            self.mistake(f"a mistake: {traceback.format_exc().rstrip()}")

    def _late(self, batches: Sequence[Batch]) -> tuple[list[Any], list[Share], list[Share]]:
        """What is to be written, its shares, and the shares of what could not be encoded."""
        if self.ENCODES_EARLY:
            return (
                [item for batch in batches for item in batch.items],
                [share for batch in batches for share in batch.by_table],
                [],
            )
        items: list[Any] = []
        good: list[Share] = []
        failed: list[Share] = []
        for batch in batches:
            waiting = iter(batch.items)
            for share in batch.by_table:
                encoded, ahead, behind = self._encode(list(islice(waiting, share.drops)), [share])
                items += encoded
                good += ahead
                failed += behind
        return items, good, failed


class BatchSink(Sink):
    """Writes many drops at once: the first so many of them, or all."""

    @abstractmethod
    def write(self, items: Sequence[Any]) -> int:
        """Write what was encoded, in the sink's own thread; returns how many were written.

        Those that were not are the last ones; what it raises costs all of them. It may wait, but
        should give up once `abandoned` is set.
        """

    def deliver(self, batches: Sequence[Batch]) -> Outcome:
        items, by_table, failed = self._late(batches)
        written = self.write(items) if items else 0
        if not isinstance(written, int) or not 0 <= written <= len(items):
            self.mistake(f"write() said that {written!r} of {len(items)} drops were written")
            written = 0
        if written == len(items):
            return Outcome(by_table, failed)
        good, bad = divide(by_table, written)
        return Outcome(good, [*bad, *failed])


class DropSink(Sink):
    """Writes one drop at a time."""

    @abstractmethod
    def write_drop(self, item: Any) -> None:
        """Write one, in the sink's own thread; what it raises costs this one.

        It may wait, but should give up once `abandoned` is set.
        """

    def deliver(self, batches: Sequence[Batch]) -> Outcome:
        items, by_table, failed = self._late(batches)
        written: list[Share] = []
        waiting = iter(items)
        for share in by_table:
            single = share._replace(drops=1)
            for item in islice(waiting, share.drops):
                try:
                    self.write_drop(item)
                except Exception:
                    failed.append(single)
                    self.mistake(f"a drop was not written: {traceback.format_exc().rstrip()}")
                else:
                    written.append(single)
        return Outcome(written, failed)
