"""The one thing that this program ever writes to OVSDB, and only when asked: a Controller row.

A row of `type=service` has the switch connect to us by TCP, whose buffers take a burst that the
management socket cannot. It causes no flush of flows and has no part in fail_mode (ovs-vswitchd.
conf.db(5), Controller). RFC 7047 section 4.1.3 is the `transact` method.
"""

from __future__ import annotations

from typing import Any

from ryu_droplog.errors import SwitchError
from ryu_droplog.openflow import jsonrpc

MARK = "ryu-droplog"
"""Key in the row's external_ids, with the bridge's name as its value."""
INACTIVITY_PROBE = 60_000
"""Milliseconds after which the switch asks whether we live; a stalled program keeps its drops."""
MAX_BACKOFF = 1000
"""Milliseconds between two tries of the switch to connect, at most."""
_DATABASE = "Open_vSwitch"


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
        rows = self._rows()
        if [row["target"] for row in rows] != [self._target]:
            self.remove()
            self._insert()

    def limit(self) -> int | None:
        """The packet-ins a second that somebody holds our row to, if any; raises SwitchError."""
        limits = [row["controller_rate_limit"] for row in self._rows()]
        return next((limit for limit in limits if isinstance(limit, int)), None)

    def remove(self) -> None:
        """Take every row of ours away from the bridge, and no other; raises SwitchError."""
        uuids = [row["_uuid"] for row in self._rows()]
        if uuids:
            self._transact(self._removal(uuids))

    def will(self) -> bytes:
        """The request that takes our row away, for when the program is killed."""
        uuids = [row["_uuid"] for row in self._rows()]
        return jsonrpc.encode("transact", [_DATABASE, *self._removal(uuids)])

    def _insert(self) -> None:
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
        results = self._transact([insert, link])
        if results[1]["count"] != 1:
            raise SwitchError(f"{self._bridge}: there is no such bridge in {self._database}")

    def _rows(self) -> list[dict[str, Any]]:
        mark = ["map", [[MARK, self._bridge]]]
        select = {
            "op": "select",
            "table": "Controller",
            "where": [["external_ids", "includes", mark]],
            "columns": ["_uuid", "target", "controller_rate_limit"],
        }
        rows: list[dict[str, Any]] = self._transact([select])[0]["rows"]
        return rows

    def _removal(self, uuids: list[Any]) -> list[dict[str, Any]]:
        return [
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["name", "==", self._bridge]],
                "mutations": [["controller", "delete", ["set", uuids]]],
            }
        ]

    def _transact(self, operations: list[dict[str, Any]]) -> list[Any]:
        return transact(self._database, operations)


def transact(
    database: str,
    operations: list[dict[str, Any]],
    name: str = _DATABASE,
    credentials: jsonrpc.Credentials | None = None,
) -> list[Any]:
    """Carry operations out in one transaction; returns the result of each.

    `database` is where ovsdb-server listens, as `jsonrpc.call` takes it, `name` the database's.
    Raises SwitchError when it is not there, does not answer in time, or refuses.
    """
    results: list[Any] = jsonrpc.call(database, "transact", [name, *operations], credentials)
    problems = [result for result in results if result and "error" in result]
    if problems or len(results) < len(operations):
        raise SwitchError(f"{database}: the database refuses: {problems}")
    return results
