"""Between the reader and the chain: a bounded queue, so that the reader does nothing but read.

On the management socket the switch has room for a few hundred packets, some milliseconds of a
burst; whatever else the reading thread does, it does at their cost.
"""

from __future__ import annotations

import time
import traceback
from _queue import Empty, SimpleQueue
from collections import deque
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple, Protocol

from ryu_droplog.model.accounting import Ledger

QUEUE_SIZE = 200_000
QUEUE_BYTES = 64 * 1024 * 1024
"""PacketIns, and their bytes, that wait for the chain at most; what comes while it is full is
refused and counted."""
NOTICES = 10
LINGER = 0.01
"""Seconds between two batches: so the thread that reads need not wait for this one."""
TICK = 0.2
"""Seconds between two looks at the clock."""
_POLL = 0.005


class _Batch(NamedTuple):
    messages: Sequence[bytes]
    size: int
    """Bytes of all of them."""
    read_at: float
    """Seconds since the epoch."""
    came: float
    """Seconds of the intake's clock."""


class Way(Protocol):
    """What is behind an ingress queue: a chain."""

    def take(self, messages: Sequence[bytes], read_at: float, now: float) -> None:
        """Send PacketIns on their way, which came at `read_at` by the time of day."""

    def tick(self, now: float) -> None:
        """Close what time has ended; `now` here and in `take` is of a clock that is never set."""


class IngressQueue:
    """Takes batches of PacketIns, and sends them down the chain in a thread of its own."""

    def __init__(
        self,
        name: str,
        way: Way,
        ledger: Ledger,
        threads: ModuleType,
        queue_size: int = QUEUE_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it; `clock` is never set."""
        self._way = way
        self._ledger = ledger
        self._queue_size = queue_size
        self._clock = clock
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._accepted = 0
        self._taken = 0
        self._bytes_accepted = 0
        self._bytes_taken = 0
        self.notices: deque[str] = deque(maxlen=NOTICES)
        """What the user should know, for whoever may log: this thread may not."""
        self._ending = threads.Event()
        self._thread = threads.Thread(target=self._run, name=f"chain-{name}", daemon=True)
        self._thread.start()

    def put(self, messages: Sequence[bytes], read_at: float) -> None:
        """Take PacketIns, or refuse and count them when the queue is full; never waits.

        One thread calls this, the reader of the bridge; `read_at` is when it read them, in
        seconds since the epoch: what is written. What is measured, the throttle's windows, is
        measured by a clock of the intake's own, because the time of day may be set.
        """
        size = sum(map(len, messages))
        room = self._queue_size - (self._accepted - self._taken)
        if self._bytes_accepted - self._bytes_taken + size > QUEUE_BYTES:
            room = 0
        if len(messages) > room:
            self._ledger.overrun += len(messages) - room
            messages = messages[:room]
            size = sum(map(len, messages))
        if messages:
            self._accepted += len(messages)
            self._bytes_accepted += size
            self._queue.put(_Batch(messages, size, read_at, self._clock()))

    def settle(self, seconds: float) -> bool:
        """Wait until what was put so far is through the chain; False if the time is over first."""
        accepted = self._accepted
        deadline = time.monotonic() + seconds
        while self._taken < accepted:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def close(self, seconds: float) -> None:
        """Send what waits down the chain, for so many seconds at most."""
        self._queue.put(None)
        self._ending.set()
        self._thread.join(seconds)

    def _take(self, batch: _Batch) -> None:
        try:
            self._way.take(batch.messages, batch.read_at, batch.came)
        except Exception:  # a mistake of ours costs one batch, and not the thread
            self._ledger.malformed += len(batch.messages)
            self.notices.append(f"PacketIns could not be handled: {traceback.format_exc()}")
        self._taken += len(batch.messages)
        self._bytes_taken += batch.size

    def _run(self) -> None:
        next_tick = self._clock()
        while True:
            try:
                batch = self._queue.get(timeout=TICK)
            except Empty:
                pass
            else:
                if batch is None:
                    self._way.tick(float("inf"))
                    return
                self._take(batch)
                if self._queue.empty():
                    self._ending.wait(LINGER)
            now = self._clock()
            if now >= next_tick:
                next_tick = now + TICK
                self._way.tick(now)
