"""The one thing that this program ever writes to OVSDB, and only when asked: a Controller row.

A row of `type=service` has the switch connect to us by TCP, whose buffers take a burst that the
management socket cannot. It causes no flush of flows and has no part in fail_mode (ovs-vswitchd.
conf.db(5), Controller). RFC 7047 section 4.1.3 is the `transact` method.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb import jsonrpc
from ryu_droplog.ovsdb.client import (
    OPEN_VSWITCH,
    Client,
    NoValue,
    Select,
    Uuid,
    convert,
)

MARK = "ryu-droplog"
"""Key in the row's external_ids, with the bridge's name as its value."""
INACTIVITY_PROBE = 60_000
"""Milliseconds after which the switch asks whether we live; a stalled program keeps its drops."""
MAX_BACKOFF = 1000
"""Milliseconds between two tries of the switch to connect, at most."""


class _ServiceRow(Struct, rename={"uuid": "_uuid"}):
    """A row of Controller."""

    uuid: Uuid
    target: str
    controller_rate_limit: int | NoValue


class _Counted(Struct):
    """What `mutate` answers."""

    count: int


class ServiceRow:
    """Our Controller row of one bridge."""

    def __init__(self, database: str, bridge: str, target: str) -> None:
        """`database` is the path of ovsdb-server's socket, `target` is `tcp:ADDRESS:PORT`."""
        self._database = database
        self._bridge = bridge
        self._target = target

    def ensure(self) -> None:
        """Put the row there, alone of our kind.

        Raises SwitchError when the database or the bridge is not there.
        """
        database = Client(self._database)
        rows = self._rows(database)
        if [row.target for row in rows] != [self._target]:
            self._remove(rows, database)
            self._insert(database)

    def limit(self) -> int | None:
        """The packet-ins a second that somebody holds our row to, if any; raises SwitchError."""
        limits = [row.controller_rate_limit for row in self._rows(Client(self._database))]
        return next((limit for limit in limits if isinstance(limit, int)), None)

    def remove(self) -> None:
        """Take every row of ours away from the bridge, and no other; raises SwitchError."""
        database = Client(self._database)
        self._remove(self._rows(database), database)

    def will(self) -> bytes:
        """The request that takes our row away, for when the program is killed."""
        rows = self._rows(Client(self._database))
        return jsonrpc.encode("transact", [OPEN_VSWITCH, *self._removal(rows)])

    def _remove(self, rows: list[_ServiceRow], database: Client) -> None:
        if rows:
            database.run(*self._removal(rows))

    def _insert(self, database: Client) -> None:
        row = {
            "target": self._target,
            "type": "service",
            "inactivity_probe": INACTIVITY_PROBE,
            "max_backoff": MAX_BACKOFF,
            "external_ids": ["map", [[MARK, self._bridge]]],
        }
        insert = {"op": "insert", "table": "Controller", "row": row, "uuid-name": "service"}
        link = {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", self._bridge]],
            "mutations": [["controller", "insert", ["named-uuid", "service"]]],
        }
        _, linked = database.run(insert, link)
        if convert(linked, _Counted).count != 1:
            raise SwitchError(f"{self._bridge}: there is no such bridge in {self._database}")

    def _rows(self, database: Client) -> list[_ServiceRow]:
        mark = ["map", [[MARK, self._bridge]]]
        where = [("external_ids", "includes", mark)]
        return database.select(Select("Controller", _ServiceRow, where))

    def _removal(self, rows: list[_ServiceRow]) -> list[dict[str, Any]]:
        uuids = [row.uuid for row in rows]
        return [
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["name", "==", self._bridge]],
                "mutations": [["controller", "delete", ["set", uuids]]],
            }
        ]
