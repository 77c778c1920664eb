"""Follows changes of some tables of a database, so that nobody asks for them again and again.

By `monitor` of RFC 7047 section 4.1.5 without conditions, and of a database that a fleet of nodes
asks without what is there already: the server then makes one text of each change for all who follow
the same columns, and a fleet costs it little more than one node.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ryu_droplog.concurrency.threads import start
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.client import columns, convert
from ryu_droplog.ovsdb.jsonrpc import Connection, Credentials, until

PROBE = 15.0
"""Seconds without a change after which the server is asked whether it is still there."""
ANSWER_TIME = 10.0
"""Seconds that it has to say so."""

Change = tuple[str, Struct | None]
"""UUID of a row, and its columns as they are now; None: it is gone."""


class _Update(Struct):
    """A `row-update` (section 4.1.6)."""

    new: dict[str, Any] | None = None


class Follower:
    """One connection, which a thread of the hub reads until it ends or is closed."""

    def __init__(
        self,
        address: str,
        database: str,
        credentials: Credentials | None,
        tables: Mapping[str, type[Struct]],
        changed: Callable[[Mapping[str, Sequence[Change]]], None],
        *,
        deadline: float,
        size: int,
        initial: bool = False,
    ) -> None:
        """Connect, and follow the columns of `tables` that their rows have fields for.

        `changed` gets all changes of one or more transactions at once, by table, in that thread;
        none is passed over. `initial`: all rows that are there come first, as one change, before
        this returns. `deadline` is for the beginning, `size` bounds what comes at once, in bytes.
        Raises SwitchError.
        """
        self._tables = tables
        self._changed = changed
        self.ended = ""
        """Why nothing is followed any more; empty: it is."""
        self._connection = Connection(address, credentials, deadline=deadline, size=size)
        selection = {"initial": initial, "insert": True, "delete": True, "modify": True}
        requests = {
            table: {"columns": columns(row), "select": selection} for table, row in tables.items()
        }
        try:
            rows = self._connection.request("monitor", [database, None, requests], deadline)
            if initial:
                changed(self._changes(rows))
        except BaseException:
            self._connection.close()
            raise
        start(self._follow)

    def close(self) -> None:
        """Follow nothing any more; from any thread, and never waits."""
        self.ended = self.ended or "it was closed"
        self._connection.interrupt()

    def _follow(self) -> None:
        try:
            while not self.ended:
                probe = until(PROBE * random.uniform(0.8, 1.2))
                notifications = self._connection.notifications(probe)
                for notification in notifications:
                    if notification.get("method") == "update":
                        params = convert(notification.get("params"), tuple[Any, Any])
                        self._changed(self._changes(params[1]))
                if not notifications:
                    self._connection.request("echo", [], until(ANSWER_TIME))
        except SwitchError as error:
            self.ended = self.ended or str(error)
        finally:
            self.ended = self.ended or "a mistake of this program"
            self._connection.close()

    def _changes(self, table_updates: Any) -> dict[str, list[Change]]:
        updates = convert(table_updates, dict[str, dict[str, _Update]])
        return {
            table: [
                (uuid, None if update.new is None else convert(update.new, self._tables[table]))
                for uuid, update in rows.items()
            ]
            for table, rows in updates.items()
            if table in self._tables
        }
