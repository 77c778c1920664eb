"""What became of every packet event: the counters of this process."""

from __future__ import annotations

import threading
from collections import Counter


class EventCounters:
    """Counts, from several threads.

    Received = posted + counted up + discarded + waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.received = 0
        """Packet events that were read from the socket."""
        self.posted = 0
        """Packet events of which a new Event was made."""
        self.counted_up = 0
        """Packet events that raised the count of an Event."""
        self.discarded: Counter[str] = Counter()
        """Packet events that became no Event, by reason."""
        self.connections = 0
        """Connections that were accepted."""
        self.dropped: Counter[str] = Counter()
        """Connections that this side ended or refused, by reason."""

    def receive(self, count: int) -> None:
        with self._lock:
            self.received += count

    def post(self, posted: int, counted_up: int) -> None:
        with self._lock:
            self.posted += posted
            self.counted_up += counted_up

    def discard(self, reason: str, count: int = 1) -> None:
        if count:
            with self._lock:
                self.discarded[reason] += count

    def connect(self) -> None:
        with self._lock:
            self.connections += 1

    def drop(self, reason: str) -> None:
        with self._lock:
            self.dropped[reason] += 1

    @property
    def waiting(self) -> int:
        """Packet events that neither became an Event nor were discarded yet."""
        with self._lock:
            done = self.posted + self.counted_up + self.discarded.total()
            return self.received - done

    def in_words(self) -> str:
        """All of it on one line."""
        waiting = self.waiting
        with self._lock:
            line = (
                f"packet events: {self.received} received, {self.posted} posted, "
                f"{self.counted_up} counted up, {_total(self.discarded)} discarded"
                f"{_reasons(self.discarded)}, {waiting} waiting; "
                f"connections: {self.connections} accepted, {_total(self.dropped)} dropped"
            )
            return line + _reasons(self.dropped)


def _total(counts: Counter[str]) -> int:
    return sum(counts.values())


def _reasons(counts: Counter[str]) -> str:
    if not counts:
        return ""
    return f" ({', '.join(f'{name}: {count}' for name, count in sorted(counts.items()))})"
