"""What others change while a plan is made: remembered as far as there is room, and no further."""

from __future__ import annotations

from collections.abc import Callable

from ryu_droplog.openflow.flow_stats import Update

MOST_CHANGES = 1000
"""Changes, a table, that are remembered."""
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of matches and instructions that are remembered of all tables together."""


class Changes:
    """Changes of flows by table. Where there were too many, any place may have changed."""

    def __init__(self) -> None:
        self._updates: dict[int, list[Update]] = {}
        self._full: set[int] = set()
        """Tables of which not all is remembered."""
        self._bytes = 0

    def note(self, update: Update) -> None:
        """Remember a change."""
        table_id = update.table_id
        if table_id in self._full:
            return
        updates = self._updates.setdefault(table_id, [])
        self._bytes += len(update.match) + len(update.instructions)
        if len(updates) < MOST_CHANGES and self._bytes <= MOST_BYTES:
            updates.append(update)
        else:
            self._full.add(table_id)
            del self._updates[table_id]

    def any(self, table_id: int, contends: Callable[[Update], bool]) -> bool:
        """Whether one of a table's changes does that, or may."""
        return table_id in self._full or any(map(contends, self._updates.get(table_id, ())))

    def clear(self) -> None:
        """Forget all: what comes from now on is another plan's."""
        self._updates.clear()
        self._full.clear()
        self._bytes = 0
