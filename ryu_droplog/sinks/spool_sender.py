"""The way through a spool: the sink's thread puts chunks in, a second thread sends them.

The spool is opened by the second thread, which waits where another sink has it open still: one
whose settings were changed writes to its end while the next one begins.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.model.errors import why
from ryu_droplog.model.location import NO_TABLE, TableKey
from ryu_droplog.processing.shares import Share
from ryu_droplog.sinks.base import Outcome
from ryu_droplog.sinks.delivery import Chunk, Fate
from ryu_droplog.sinks.queue import Batch
from ryu_droplog.sinks.spool import Kept, Spool, SpoolDamaged, SpoolInUse, pack
from ryu_droplog.text.phrases import count, were

if TYPE_CHECKING:
    from ryu_droplog.sinks.forwarding import ForwardingSink
    from ryu_droplog.sinks.forwarding_options import SpoolOptions

DRAIN_TIME = 2.0
"""Seconds that a sink which is to end goes on sending what is in its spool."""
LOOK = 1.0
"""Seconds between two looks for what has grown too old, while nothing comes."""
AGAIN = 0.1, 5.0
"""Seconds between two tries to open or to write a spool, at first and at most."""


class SpoolSender:
    """The spool of one sink, and the thread that sends what is in it."""

    def __init__(
        self, sink: ForwardingSink, path: Path, options: SpoolOptions, threads: ModuleType
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self.path = path
        self._sink = sink
        self._options = options
        self._lock: Any = threads.Lock()
        """For the spool, which is not for several threads at once."""
        self._woken: Any = threads.Event()
        self._ending: Any = threads.Event()
        self._spool: Spool | None = None
        self._drops: Counter[TableKey] = Counter()
        self._packets: Counter[TableKey] = Counter()
        """What is in the spool, by table."""
        self._last = 0
        """Number of the last chunk that is in the books as spooled."""
        self._put = 0
        self._sending = 0
        """Number of the chunk that is being sent."""
        self._was_in_use = False
        name = f"spool-{sink.name}"
        self._thread: Any = threads.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Open the spool, in its thread, and send what is in it."""
        self._thread.start()

    # For the sink's thread

    def take(self, batch: Batch) -> Outcome:
        """Commit a chunk, however long the disk is full; its drops fail where the sink gives up."""
        data, backoff = pack(batch.items), Backoff(*AGAIN)
        while not self._sink.gives_up:
            with self._lock:
                if self._spool is not None:
                    try:
                        return self._append(self._spool, data, batch)
                    except SpoolDamaged as error:
                        self._give_up_spool(error)
                    except OSError as error:
                        self._sink.mistake(f"cannot write to the spool: {why(error)}")
            self._sink.pause(backoff.failed())
        return Outcome(failed=batch.by_table)

    def wake(self) -> None:
        """What was taken is in the books: it may be sent."""
        self._last = max(self._last, self._put)
        self._woken.set()

    def finish(self) -> None:
        """Let what is in the spool be sent for a moment, if it can be, and close it."""
        self._ending.set()
        self._woken.set()
        if self._thread.ident is not None:
            if self._sink.failure is None:
                self._thread.join(DRAIN_TIME)
            self._sink.stop_waiting()
            self._thread.join()
        with self._lock:
            if self._spool is not None:
                if self._spool.drops:
                    left = were(self._spool.drops, "drop")
                    self._sink.notices.append(f"{self._sink.name}: {left} left in {self.path}")
                self._spool.close()
                self._spool = None

    # With the lock held

    def _append(self, spool: Spool, data: bytes, batch: Batch) -> Outcome:
        self._expire(spool)
        while not spool.has_room(data):
            oldest = spool.oldest(but=self._sending)
            if self._sink.spec.queue.overflow == "newest" or oldest is None:
                return Outcome(expired=batch.by_table)
            self._remove(spool, oldest, Fate.EXPIRED)
        kept = spool.append(data, batch.by_table)
        self._enter(kept)
        self._put = kept.number
        return Outcome(spooled=batch.by_table)

    def _enter(self, kept: Kept) -> None:
        for share in _shares(kept):
            self._drops[share.key] += share.drops
            self._packets[share.key] += share.packets

    def _remove(self, spool: Spool, kept: Kept, fate: Fate) -> None:
        spool.remove(kept)
        by_table = _shares(kept)
        for share in by_table:
            self._drops[share.key] -= share.drops
            self._packets[share.key] -= share.packets
        self._sink.leave_spool(self._sink.outcome_of(fate, by_table))

    def _expire(self, spool: Spool) -> None:
        for kept in spool.expired(but=self._sending):
            self._remove(spool, kept, Fate.EXPIRED)

    def _open(self) -> None:
        options = self._options
        spool = Spool(self.path, options.bytes, options.age, time.time)
        notices = [f"{self._sink.name}: {text}" for text in spool.set_aside]
        if spool.drops:
            left = count(spool.drops, "drop")
            notices.append(f"{self._sink.name}: {left} of an earlier run in {self.path}")
        self._sink.notices.extend(notices)
        self._drops[NO_TABLE] += spool.drops
        self._packets[NO_TABLE] += spool.packets
        newest = spool.newest()
        self._last = self._put = newest
        self._sink.recover(spool.packets)
        self._spool = spool
        if self._was_in_use:
            self._was_in_use = False
            self._sink.note(None)

    def _give_up_spool(self, error: SpoolDamaged) -> None:
        """Close a spool that cannot be used any more; what it held has failed.

        The next look opens it again, or sets it aside. With the lock held.
        """
        if self._spool is None:
            return
        self._spool.close()
        self._spool = None
        lost = [
            Share(key, self._drops[key], packets)
            for key, packets in self._packets.items()
            if packets
        ]
        text = f"{self._sink.name}: the spool {self.path} is damaged ({error})"
        self._sink.notices.append(f"{text}; {were(self._drops.total(), 'drop')} in it")
        self._drops.clear()
        self._packets.clear()
        self._sink.leave_spool(Outcome(failed=lost))

    # In the thread that sends

    def _run(self) -> None:
        backoff = Backoff(*AGAIN)
        try:
            while not self._sink.gives_up:
                try:
                    is_more = self._step()
                except Exception as error:  # the thread goes on
                    self._say(error)
                    self._sink.pause(backoff.failed())
                    continue
                backoff.reset()
                if not is_more:
                    if self._ending.is_set():
                        break
                    self._woken.wait(LOOK)
                    self._woken.clear()
        finally:
            self._sink.release()

    def _say(self, error: Exception) -> None:
        if isinstance(error, SpoolDamaged):
            with self._lock:
                self._give_up_spool(error)
        elif isinstance(error, SpoolInUse):
            self._was_in_use = True
            self._sink.note(why(error))
        elif isinstance(error, OSError):
            self._sink.mistake(f"cannot use the spool {self.path}: {why(error)}")
        else:
            self._sink.mistake(f"a mistake: {traceback.format_exc().rstrip()}")

    def _step(self) -> bool:
        """Send the chunk that waits longest; whether there may be another."""
        with self._lock:
            if self._spool is None:
                self._open()
            spool = self._spool
            assert spool is not None
            self._expire(spool)
            kept = spool.oldest(until=self._last)
            if kept is None:
                return False
            items = spool.items(kept)
            if items is None:
                self._sink.mistake(f"a chunk in {self.path} is damaged")
                self._remove(spool, kept, Fate.FAILED)
                return True
            if not kept.is_sent:
                spool.mark_sent(kept)
            self._sending = kept.number
        try:
            expires = kept.time + self._options.age
            fate = self._sink.forward(Chunk(kept.id, items), kept.is_sent, expires)
        finally:
            self._sending = 0
        if fate is Fate.GIVEN_UP:
            return False
        with self._lock:
            if self._spool is spool:  # else it is damaged, and what it held has failed
                self._remove(spool, kept, fate)
        return True


def _shares(kept: Kept) -> list[Share]:
    """What the chunk is in the books: what was there before is of no table of this run."""
    if kept.is_recovered:
        return [share._replace(key=NO_TABLE) for share in kept.shares]
    return kept.shares
