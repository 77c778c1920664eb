"""What every sink has in common: a bounded queue, and a thread of its own that empties it."""

from __future__ import annotations

import time
import traceback
from _queue import Empty, SimpleQueue
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from ryu_droplog.model.accounting import TableBook
from ryu_droplog.model.drop import Drop
from ryu_droplog.text.phrases import timestamp, were

QUEUE_SIZE = 100_000
"""Drops that wait for a sink at most; what comes while it is full is refused, and counted."""
LINGER = 0.01
"""Seconds between two writes: many small ones would keep the reader from its work."""
TRY_AGAIN = 2.0
"""Seconds between two tries of a sink that cannot write, while nothing comes."""
NOTICES = 100
"""Notices that wait to be read at most; the oldest go first."""


class Failure(NamedTuple):
    """Why a sink cannot write."""

    since: float
    """Seconds since the epoch."""
    began: float
    """The same by the monotonic clock."""
    text: str
    missing: int
    """Lines that were missing before."""


class _Share(NamedTuple):
    """Successive lines of one table: so many drops, or one line that stands for its repeats."""

    book: TableBook
    lines: int
    repeated: int
    """0, or how many drops the one line stands for."""


class _Batch(NamedTuple):
    lines: Sequence[Any]
    shares: Sequence[_Share]


class Sink(ABC):
    """A place where drops go.

    `put` never waits. The thread is a real one under either hub of os-ken, so that a slow disk
    never holds up whoever reads from the switch; that is why this module uses the queue of C,
    which eventlet does not replace, and takes `threading` from its caller.
    """

    keeps_books = True
    """Whether a drop's way ends here for the books; one sink of a chain keeps them."""

    def __init__(self, name: str, threads: ModuleType, queue_size: int = QUEUE_SIZE) -> None:
        """`threads` is the `threading` module as it was before eventlet changed it."""
        self.name = name
        self.written = 0
        """Lines that were written."""
        self.failed = 0
        """Lines that could not be written."""
        self.refused = 0
        """Lines that came while the queue was full."""
        self.notices: deque[str] = deque(maxlen=NOTICES)
        """What the user should know, for whoever may log: this thread may not."""
        self.broken = False
        """True when nobody will ever read what is written (a closed pipe)."""
        self.failure: Failure | None = None
        """Why it cannot write now, if so."""
        self._queue_size = queue_size
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._accepted = 0
        self._lock = threads.Lock()
        self._ending = threads.Event()
        self._abandoned = threads.Event()
        """Set when the time for what waits is over: `write` gives up what it waits for."""
        self._thread = threads.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    def start(self) -> None:
        """Begin to write. Raises ConfigError where the destination cannot be opened at all."""
        self._thread.start()

    def put(self, drops: Sequence[Drop]) -> None:
        """Take drops, or refuse and count them when the queue is full; never waits."""
        with self._lock:
            room = self._queue_size - self.waiting
            if len(drops) > room:
                self._refuse(drops[room:])
                drops = drops[:room]
            self._accepted += len(drops)
        if drops:
            self._queue.put(_Batch(self.render(drops), _shares(drops)))

    def close(self, seconds: float) -> int:
        """Write what waits, for so many seconds at most; returns how many drops were left over."""
        self._queue.put(None)
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        else:
            self.finish()
        left = self.waiting
        self._abandoned.set()
        return left

    @property
    def waiting(self) -> int:
        """Lines in the queue, or being written."""
        return self._accepted - self.written - self.failed

    def state(self) -> dict[str, Any]:
        """For `status`: what became of the lines, and why it cannot write now, if so."""
        held, failure = self.failure, None
        if held is not None:
            failure = {
                "since": timestamp(held.since),
                "seconds": round(time.monotonic() - held.began, 1),
                "error": held.text.strip().splitlines()[-1],
                "lost": self.failed + self.refused - held.missing,
            }
        return {
            "written": self.written,
            "failed": self.failed,
            "refused": self.refused,
            "waiting": self.waiting,
            "failure": failure,
        }

    def _run(self) -> None:
        ended = False
        while not ended:
            taken = [self._next()]
            taken += [self._queue.get() for _ in range(self._queue.qsize())]
            ended = None in taken
            batches = [batch for batch in taken if batch is not None]
            lines = [line for batch in batches for line in batch.lines]
            if lines:
                written = self._write(lines)
                self._account([share for batch in batches for share in batch.shares], written)
                self._ending.wait(LINGER)
        self.finish()

    def _next(self) -> _Batch | None:
        """What comes next; until then a sink that cannot write looks whether it can again."""
        while True:
            try:
                return self._queue.get(timeout=TRY_AGAIN if self.failure else None)
            except Empty:
                self.try_again()

    def _write(self, lines: Sequence[Any]) -> int:
        try:
            return self.write(lines)
        except Exception:  # a mistake of ours costs one batch, and not the thread
            self.note(traceback.format_exc())
            return 0

    def _account(self, shares: Sequence[_Share], written: int) -> None:
        """The first `written` lines were written, the rest were not."""
        for book, lines, repeated in shares:
            good = min(lines, written)
            written -= good
            if not self.keeps_books:
                pass
            elif repeated:
                book.folded += repeated * good
                book.failed += repeated * (lines - good)
            else:
                book.logged += good
                book.failed += lines - good
            self.written += good
            self.failed += lines - good

    def _refuse(self, drops: Sequence[Drop]) -> None:
        self.refused += len(drops)
        for drop in drops if self.keeps_books else ():
            drop.location.book.refused += drop.repeated or 1

    def note(self, failure: str | None) -> None:
        """For `write`: say once that writing fails and why, and once that it works again."""
        missing, held = self.failed + self.refused, self.failure
        if failure is None and held is not None:
            lost = missing - held.missing
            self.failure = None
            missed = were(lost, "drop")
            self.notices.append(f"{self.name}: writing again; {missed} not written")
        elif failure is not None and held is None:
            self.failure = Failure(time.time(), time.monotonic(), failure, missing)
            self.notices.append(f"{self.name}: cannot write: {failure}; counting the drops")

    def render(self, drops: Sequence[Drop]) -> Sequence[Any]:
        """What `write` is to get, one line a drop; in the thread of whoever calls `put`.

        Drops that are spelt while they are still in the processor's cache, and forgotten at once,
        cost a fifth less than drops that another thread spells later.
        """
        return drops

    @abstractmethod
    def write(self, lines: Sequence[Any]) -> int:
        """Write what was rendered, in the sink's own thread; returns how many lines were written.

        Those that were not are the last ones. Raises nothing.
        """

    def try_again(self) -> None:  # noqa: B027  not every sink can tell without a drop
        """Look whether what could not be written to can be again, in the sink's own thread."""

    def finish(self) -> None:  # noqa: B027  not every sink holds something
        """Let go of what the sink holds, in the sink's own thread."""


def _shares(drops: Sequence[Drop]) -> list[_Share]:
    shares = []
    book, lines = drops[0].location.book, 0
    for drop in drops:
        if drop.repeated:
            shares += [_Share(book, lines, 0), _Share(drop.location.book, 1, drop.repeated)]
            lines = 0
        elif drop.location.book is book:
            lines += 1
        else:
            shares.append(_Share(book, lines, 0))
            book, lines = drop.location.book, 1
    shares.append(_Share(book, lines, 0))
    return shares
