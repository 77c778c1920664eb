"""How long to wait before something that failed is tried again. Pure: it neither waits nor asks
what time it is.

The only back-off of the program; the clean-up process alone, which runs without the package, has
two lines of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Longer after each failure, with jitter, so that many who failed do not come back at once."""

    def __init__(
        self,
        first: float = 1.0,
        longest: float = 60.0,
        factor: float = 2.0,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`first` and `longest` in seconds: the full pause after the first failure, and the limit
        that it reaches by `factor` with each failure more. `jitter` gives numbers from 0 to 1.

        Raises ValueError where a pause would be none, or would not grow.
        """
        if not 0 < first <= longest or factor <= 1:
            raise ValueError(
                f"back-off: got first {first:g} s, longest {longest:g} s, factor {factor:g};"
                " expected 0 < first <= longest and factor > 1"
            )
        self._first = first
        self._longest = longest
        self._factor = factor
        self._jitter = jitter
        self._next = first
        self.full = 0.0
        """Seconds of the full pause that the last failure has led to; 0: there was none."""

    def failed(self) -> float:
        """One failure more: seconds to wait, from a half of the full pause to all of it."""
        self.full, self._next = self._next, min(self._longest, self._next * self._factor)
        return self.full * (0.5 + 0.5 * self._jitter())

    def reset(self) -> None:
        """It works again: the next failure is the first."""
        self._next, self.full = self._first, 0.0
