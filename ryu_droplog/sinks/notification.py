"""Drops to OpenStack's bus, as notifications of oslo.messaging: one for all of some seconds."""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Sequence
from itertools import islice

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.processing.shares import Share
from ryu_droplog.records.signature import Signatures
from ryu_droplog.sinks.base import Outcome
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.forwarding import ForwardingSink
from ryu_droplog.sinks.notification_client import NotificationClient
from ryu_droplog.sinks.notification_options import NotificationOptions
from ryu_droplog.sinks.notification_window import Window
from ryu_droplog.sinks.queue import Batch

LOOK = 0.5
"""Seconds after which a window is looked at again while nothing comes."""


class Notification(ForwardingSink):
    """Gathers drops for a window's time, and sends one message with their counts.

    A drop is in flight from when it is counted until the message with it is acknowledged, and
    needs no room in the queue meanwhile.
    """

    Options = NotificationOptions
    BATCH = 10_000

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        options: NotificationOptions = spec.options
        self._options = options
        self._node = context.node
        self._signatures = Signatures()
        self._collected = 0
        """Drops in the window that is open, or on its way."""
        publisher = options.publisher_id or f"ryu_droplog.{context.node}"
        self._client = NotificationClient(options.topic, publisher, lambda: self.gives_up)

    @property
    def acknowledged(self) -> bool:
        return True

    @property
    def waiting(self) -> int:
        return super().waiting + self._collected

    def encode(self, drop: Drop) -> tuple[bytes, Drop]:
        return self._signatures.of(drop), drop

    def deliver(self, batches: Sequence[Batch]) -> Outcome:
        window = Window()
        try:
            self._gather(window, batches)
            return self._close_window(window)
        except Exception:  # what was taken beside `batches` is counted here, too
            self.mistake(f"a mistake in gathering: {traceback.format_exc().rstrip()}")
            return Outcome(failed=window.by_table)
        finally:
            self._collected = 0

    def _gather(self, window: Window, batches: Sequence[Batch]) -> None:
        """Count the batches, and all that come until the window's time is over."""
        deadline = time.monotonic() + self._options.window
        while True:
            failed: list[Share] = []
            for batch in batches:
                failed += self._add(window, batch)
            self._collected = window.records
            self.settle(Outcome(failed=failed), [Batch((), window.by_table)])
            left = deadline - time.monotonic()
            if left <= 0 or self.ending.is_set():
                return
            with self._lock:
                if not self._queue.batches:
                    self._lock.wait(min(left, LOOK))
                batches = self._queue.take(self.BATCH)
                self._in_flight = [Batch((), window.by_table), *batches]
                self._flying = sum(len(batch.items) for batch in batches)

    def _add(self, window: Window, batch: Batch) -> list[Share]:
        """Count a batch; the shares of what could not be."""
        failed: list[Share] = []
        drops = iter(batch.items)
        for share in batch.by_table:
            items, good, bad = self._encode(list(islice(drops, share.drops)), [share])
            for signature, drop in items:
                window.add(signature, drop)
            window.count(good)
            failed += bad
        return failed

    def _close_window(self, window: Window) -> Outcome:
        if not window.records:
            return Outcome()
        by_table = window.by_table
        message = window.message(self._node, self._options.signatures, self._spell)
        if self._sender is None:
            return self.outcome_of(self.forward(Chunk(uuid.uuid4().hex, [message])), by_table)
        outcome = self._sender.take(Batch([message], by_table))
        self.settle(outcome)
        self._sender.wake()
        return Outcome()

    def send(self, chunk: Chunk) -> None:
        """A chunk is one message, which has an item."""
        (message,) = chunk.items
        self._client.send(chunk.id, message, self._options.url())

    def disconnect(self) -> None:
        self._client.close()
