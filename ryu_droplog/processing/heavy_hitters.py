"""The most frequent keys of a stream, in bounded memory: space-saving counters. Pure.

A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of frequent and top-k elements in data
streams", ICDT 2005: a key that is not counted takes the place of the least frequent one, and its
count as an error. So a key that makes up more than one part in `size` of the stream is there, and
counted at least as often as it came.
"""

from __future__ import annotations

from collections.abc import Hashable
from operator import itemgetter
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class HeavyHitters(Generic[K]):
    """Counts keys; each costs a constant time on average."""

    def __init__(self, size: int) -> None:
        """`size`: keys that are counted at once, from 1."""
        self._size = size
        self.total = 0
        """How many keys came."""
        self._counts: dict[K, int] = {}
        self._errors: dict[K, int] = {}
        """By how much a count may be too high; absent: by nothing."""
        self._rarest: list[K] = []
        """Keys that had the lowest count when it was last looked for."""
        self._lowest = 0

    def add(self, key: K) -> K | None:
        """Count a key; gives back another that it took the place of."""
        self.total += 1
        counts = self._counts
        count = counts.get(key)
        if count is not None:
            counts[key] = count + 1
            return None
        if len(counts) < self._size:
            counts[key] = 1
            return None
        gone = self._rarest_key()
        lowest = counts.pop(gone)
        self._errors.pop(gone, None)
        counts[key] = lowest + 1
        self._errors[key] = lowest
        return gone

    def __contains__(self, key: K) -> bool:
        """Whether a key is counted now."""
        return key in self._counts

    def most(self) -> list[tuple[K, int]]:
        """What is counted now, the most frequent first, and how often each came for certain."""
        # dict.items() of another thread's dict is copied at once, while nobody else runs.
        errors = self._errors.copy()
        least = [(key, n - errors.get(key, 0)) for key, n in list(self._counts.items())]
        return sorted(least, key=itemgetter(1), reverse=True)

    def _rarest_key(self) -> K:
        """A key with the lowest count: all that had it last time come first."""
        while True:
            while self._rarest:
                key = self._rarest.pop()
                if self._counts.get(key) == self._lowest:
                    return key
            self._lowest = min(self._counts.values())
            self._rarest = [key for key, n in self._counts.items() if n == self._lowest]
