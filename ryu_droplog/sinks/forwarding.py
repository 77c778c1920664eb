"""What sinks that send to receivers have in common: chunks that are sent until they have arrived.

A sink of this kind is a subclass of `ForwardingSink` with a `send`. What `send` raises decides what
becomes of the chunk (the types are in `sinks.delivery`):

    NotSent        the receiver has nothing of it: it is sent again
    OSError, NotAcknowledged
                   it may have arrived: it is sent again at `at_least_once`, and has failed at
                   `at_most_once`
    Rejected       the receiver will never take it: it has failed
    PartlyRejected it has arrived, but for some drops, which have failed
    anything else  a mistake of ours: it has failed, and the traceback is shown once a minute

Between two tries there is a back-off with jitter; meanwhile the queue overflows as configured.
With a spool (`sinks.spool`) the sink's thread moves what comes to the disk, and a second thread
sends from there.
"""

from __future__ import annotations

import time
import traceback
import uuid
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError, DropLogError, why
from ryu_droplog.processing.shares import Share, divide
from ryu_droplog.sinks.base import Outcome, Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import (
    Chunk,
    Fate,
    NotAcknowledged,
    NotSent,
    PartlyRejected,
    Rejected,
)
from ryu_droplog.sinks.forwarding_options import DeliveryOptions
from ryu_droplog.sinks.queue import Batch
from ryu_droplog.sinks.spool import DIRECTORY_MODE
from ryu_droplog.sinks.spool_sender import SpoolSender

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""Seconds between two tries, in full."""


class ForwardingSink(Sink):
    """Sends chunks to a receiver.

    `spec.options` is a `ForwardingOptions`; where it is a `DeliveryOptions`, too, it may be
    `at_least_once` and have a spool.
    """

    BATCH = 2_000
    CHUNK_DROPS: ClassVar[int] = 2_000
    """Drops in a chunk, at most."""
    CHUNK_BYTES: ClassVar[int] = 4_000_000
    """Bytes of a chunk, at most, but for one drop that is more alone."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        options = spec.options
        self._spell = context.encoder(options.encode, options.payload)
        self.resent = 0
        """Records that were sent again: beside the books, for each is one drop all the same."""
        self._rejected = 0
        """Drops of the last chunk that were rejected while the others were taken."""
        self._may_repeat = getattr(options, "delivery", "") == "at_least_once"
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._stop: Any = context.threads.Event()
        """Set when what waits in the spool is to stay there."""
        self._sender: SpoolSender | None = None
        if isinstance(options, DeliveryOptions) and options.spool is not None:
            path = Path(str(options.spool_file(spec.name)))
            self._sender = SpoolSender(self, path, options.spool, context.threads)

    # What a type of sink does in its own way

    @abstractmethod
    def send(self, chunk: Chunk) -> None:
        """Send a chunk and wait until it is acknowledged, where the receiver does that.

        Always called by the same thread. It waits no longer than the receiver may take, and gives
        up (by NotSent or NotAcknowledged) when `gives_up` is true; to be asked several times a
        second.
        """

    def disconnect(self) -> None:
        """Let go of the connection; called by the thread that sends, at the end."""

    def encode(self, drop: Drop) -> Any:
        """The line of the encoding that the options ask for."""
        return self._spell(drop)

    # For subclasses

    @property
    def gives_up(self) -> bool:
        """Whether it is time to stop waiting for the receiver."""
        return bool(self.abandoned.is_set() or self._stop.is_set())

    # What `Sink` asks for

    def start(self) -> None:
        if self._sender is not None:
            directory = self._sender.path.parent
            try:
                directory.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            except OSError as error:
                wrong = f"{self.name}: the spool cannot be in {directory}: {why(error)}"
                raise ConfigError(wrong) from error
            self._sender.start()
        super().start()

    def deliver(self, batches: Sequence[Batch]) -> Outcome:
        items, by_table, failed = self._late(batches)
        rest = Batch(items, by_table)
        self.settle(Outcome(failed=failed), [rest] if items else ())
        while rest.items:
            number = self._number_of(rest.items)
            ahead, behind = divide(rest.by_table, number)
            first, rest = Batch(rest.items[:number], ahead), Batch(rest.items[number:], behind)
            if self._sender is not None:
                outcome = self._sender.take(first)
            else:
                fate = self.forward(Chunk(uuid.uuid4().hex, first.items))
                outcome = self.outcome_of(fate, ahead)
            self.settle(outcome, [rest] if rest.items else ())
            if self._sender is not None:
                self._sender.wake()
        return Outcome()

    def finish(self) -> None:
        if self._sender is not None:
            self._sender.finish()
        else:
            self.release()

    def state(self) -> dict[str, Any]:
        told = super().state() | {"resent": self.resent}
        if self._sender is not None:
            told |= {"spooled": self._spooled, "recovered": self._recovered}
        return told

    # For the thread that sends

    def forward(self, chunk: Chunk, is_sent: bool = False, expires: float | None = None) -> Fate:
        """Send a chunk until it has arrived, or never will.

        `is_sent`: it was sent before. `expires` is when it is too old, in seconds since the epoch.
        """
        self._rejected = 0
        while True:
            after = 0.0
            if is_sent:
                self.resent += len(chunk.items)
            try:
                try:
                    self.send(chunk)
                except PartlyRejected as error:
                    self._rejected = min(error.number, len(chunk.items))
                    self.mistake(f"{error.number} drops were rejected: {error}")
            except NotSent as error:
                failure, after = str(error), error.after
            except (OSError, NotAcknowledged) as error:
                failure = why(error) if isinstance(error, OSError) else str(error)
                if not self._may_repeat:
                    self.note(failure)
                    return Fate.FAILED
                is_sent = True
            except Rejected as error:
                self.mistake(f"{len(chunk.items)} drops were rejected: {error}")
                return Fate.FAILED
            except DropLogError as error:  # a file with a password that is gone, say
                failure = str(error)
            except Exception:
                self.mistake(f"a mistake in sending: {traceback.format_exc().rstrip()}")
                return Fate.FAILED
            else:
                self.note(None)
                self._backoff.reset()
                return Fate.WRITTEN
            if self.gives_up:
                return Fate.GIVEN_UP
            self.note(failure)
            if expires is not None and time.time() > expires:
                return Fate.EXPIRED
            if not self.pause(max(self._backoff.failed(), after)):
                return Fate.GIVEN_UP

    def outcome_of(self, fate: Fate, by_table: Sequence[Share]) -> Outcome:
        """The shares of a chunk by what became of it: of the last one that `forward` was given."""
        if fate is Fate.WRITTEN:
            drops = sum(share.drops for share in by_table)
            written, failed = divide(by_table, drops - self._rejected)
            return Outcome(written=written, failed=failed)
        if fate is Fate.GIVEN_UP:
            return Outcome(failed=by_table)
        return Outcome(**{fate.value: by_table})

    def stop_waiting(self) -> None:
        """Leave in the spool what is there."""
        self._stop.set()

    def release(self) -> None:
        """Let go of the connection, whatever happens then."""
        self._guarded(self.disconnect)

    def pause(self, seconds: float) -> bool:
        """Wait, and say whether to go on: False as soon as the sink gives up."""
        deadline = time.monotonic() + seconds
        while not self.gives_up:
            left = deadline - time.monotonic()
            if left <= 0:
                return True
            self.abandoned.wait(min(left, 0.1))
        return False

    def _number_of(self, items: Sequence[Any]) -> int:
        """How many of the drops the next chunk has."""
        first = items[: self.CHUNK_DROPS]
        number = bisect_right(list(accumulate(self.sizes(first))), self.CHUNK_BYTES)
        return max(number, 1)

    def sizes(self, items: Sequence[Any]) -> Iterable[int]:
        """Bytes of encoded drops, roughly."""
        return map(len, items)
