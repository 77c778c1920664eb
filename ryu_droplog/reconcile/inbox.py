"""What waits for a bridge's reconciler: any thread of the hub puts, one takes; bounded in bytes."""

from __future__ import annotations

from typing import Any

from os_ken.lib import hub

from ryu_droplog.model.errors import SwitchError

MOST_WAITING = 128 * 1024 * 1024
"""Bytes of a switch's news that may wait: of some hundred thousand changes of flows.

Open vSwitch sends no more than 128 KiB of them ahead of what is read, and they are read at once;
they wait only while a plan of a very large bridge is made.
"""
_OVERHEAD = 100
"""Bytes that each costs beside its own."""


class Inbox:
    """A queue of news, some of which a switch has sent."""

    def __init__(self) -> None:
        self._queue: Any = hub.Queue()
        self._came = 0
        """Bytes that have come in all; only the reader of the connection writes it."""
        self._taken = 0
        """Bytes that were taken; only the reconciler writes it."""

    def put(self, news: object) -> None:
        """Put what this program itself has to say."""
        self._queue.put((news, 0))

    def put_of_switch(self, news: object, size: int) -> None:
        """Put what a switch has sent, of `size` bytes; from one thread alone.

        Raises SwitchError when more waits than can be worked off.
        """
        size += _OVERHEAD
        if self._came + size - self._taken > MOST_WAITING:
            raise SwitchError("it tells changes of flows faster than they can be followed")
        self._came += size
        self._queue.put((news, size))

    def qsize(self) -> int:
        """How many wait now."""
        return int(self._queue.qsize())

    def get(self, seconds: float) -> Any:
        """The next one; raises hub.QueueEmpty when none comes within so many seconds.

        With 0 it does not wait.
        """
        if seconds:
            news, size = self._queue.get(timeout=seconds)
        else:
            news, size = self._queue.get(block=False)
        self._taken += size
        return news
