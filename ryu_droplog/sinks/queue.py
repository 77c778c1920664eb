"""The bounded queue of a sink: batches of encoded drops, each with what they are in the books."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

from ryu_droplog.model.location import TableKey
from ryu_droplog.processing.shares import Share, divide

Overflow = Literal["newest", "oldest"]
"""Which drops are refused while a queue is full: those that come, or those that wait longest."""


class Batch(NamedTuple):
    """Drops that go their way together."""

    items: Sequence[Any]
    """One for each drop, in the order in which they came."""
    by_table: Sequence[Share]
    """The same drops in the books."""


def packets(batches: Sequence[Batch]) -> Counter[TableKey]:
    """How many packets the batches stand for, by table."""
    number: Counter[TableKey] = Counter()
    for batch in batches:
        for share in batch.by_table:
            number[share.key] += share.packets
    return number


class BatchQueue:
    """Batches in the order in which they came; any number of threads put, one takes.

    Not locked: `condition` is for whoever uses it, and is to be held for all but `wait`.
    """

    def __init__(self, size: int, overflow: Overflow, threads: ModuleType) -> None:
        """`size` in drops, from 1."""
        self.condition: Any = threads.Condition()
        self.batches: deque[Batch] = deque()
        self.length = 0
        """Drops in all batches."""
        self._size = size
        self.overflow = overflow

    def room_for(self, number: int, busy: int) -> tuple[int, list[Batch]]:
        """How many of so many drops may come now, and which of those that wait are refused for it.

        `busy` drops have left the queue and are still with the sink: they count as well.
        """
        free = self._size - self.length - busy
        if number <= free or self.overflow == "newest":
            return max(min(number, free), 0), []
        number = min(number, self._size - busy)
        refused: list[Batch] = []
        while self.batches and number > self._size - self.length - busy:
            missing = number - (self._size - self.length - busy)
            batch = self.batches.popleft()
            if missing < len(batch.items):
                ahead, behind = divide(batch.by_table, missing)
                self.batches.appendleft(Batch(batch.items[missing:], behind))
                batch = Batch(batch.items[:missing], ahead)
            self.length -= len(batch.items)
            refused.append(batch)
        return max(number, 0), refused

    def put(self, batch: Batch) -> None:
        """Add a batch at the end."""
        self.batches.append(batch)
        self.length += len(batch.items)
        self.condition.notify()

    def take(self, most: int) -> list[Batch]:
        """All that waits, up to so many drops, but for the last batch, which is taken whole."""
        taken: list[Batch] = []
        number = 0
        while self.batches and number < most:
            batch = self.batches.popleft()
            number += len(batch.items)
            taken.append(batch)
        self.length -= number
        return taken
