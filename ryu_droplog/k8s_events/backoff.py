"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Twice as long after each failure, with jitter, so that many do not come back at once."""

    def __init__(
        self,
        first: float = 1.0,
        longest: float = 60.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`first` and `longest` in seconds; `jitter` gives numbers from 0 to 1."""
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._failures = 0

    def failed(self) -> float:
        """One failure more: seconds to wait, from a half of the full time to all of it."""
        full = min(self._longest, self._first * float(1 << min(self._failures, 30)))
        self._failures += 1
        return full * (0.5 + 0.5 * self._jitter())

    def reset(self) -> None:
        """It works again."""
        self._failures = 0
