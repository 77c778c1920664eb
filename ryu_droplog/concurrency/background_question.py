"""A question that is asked aside, so that nobody waits for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any

from os_ken.lib import hub

from ryu_droplog.concurrency.threads import start

SPACING = 1.0
"""Seconds between two beginnings of the same question."""


class BackgroundQuestion:
    """Asks in a thread of its own: one question at a time, and none more often than `SPACING`."""

    def __init__(
        self,
        question: Callable[[], None],
        spacing: float = SPACING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._question = question
        self._spacing = spacing
        self._clock = clock
        self._lock = Lock()
        self._wished = False
        self.asking = False
        """Whether a question is being asked, or waits for its time."""
        self._last = -float("inf")
        self._stopped = False
        self._wake: Any = hub.Queue()

    def stop(self) -> None:
        """Ask nothing more; a question that is being asked comes to its end."""
        self._stopped = True
        self._wake.put(None)

    def ask(self) -> None:
        """Have it asked; never blocks. A wish that comes meanwhile is met by one question more."""
        with self._lock:
            self._wished = True
            if self.asking:
                return
            self.asking = True
        start(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wished or self._stopped:
                    self.asking = False
                    return
            rest = self._last + self._spacing - self._clock()
            if rest > 0 and not self._stopped:
                with suppress(hub.QueueEmpty):
                    self._wake.get(timeout=rest)
                continue
            self._wished = False
            self._last = self._clock()
            try:
                self._question()
            except BaseException:
                self.asking = False
                raise
