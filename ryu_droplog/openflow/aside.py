"""A question that is asked aside, so that nobody waits for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from os_ken.lib import hub

from ryu_droplog.openflow.threads import start

SPACING = 1.0
"""Seconds between two beginnings of the same question."""


class Aside:
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
        self._asking = False
        self._last = -float("inf")

    def ask(self) -> None:
        """Have it asked; never blocks. A wish that comes meanwhile is met by one question more."""
        with self._lock:
            self._wished = True
            if self._asking:
                return
            self._asking = True
        start(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wished:
                    self._asking = False
                    return
            rest = self._last + self._spacing - self._clock()
            if rest > 0:
                hub.sleep(rest)
            self._wished = False
            self._last = self._clock()
            try:
                self._question()
            except BaseException:
                self._asking = False
                raise
