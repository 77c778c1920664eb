"""The one thing that this program ever writes to OVSDB, and only when asked: a Controller row.

A row of `type=service` has the switch connect to us by TCP, whose buffers take a burst that the
management socket cannot. It causes no flush of flows and has no part in fail_mode (ovs-vswitchd.
conf.db(5), Controller). RFC 7047 section 4.1.3 is the `transact` method.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb import jsonrpc
from ryu_droplog.ovsdb.jsonrpc import PATIENCE, until
from ryu_droplog.text.printable import MESSAGE, printable

T = TypeVar("T")

MARK = "ryu-droplog"
"""Key in the row's external_ids, with the bridge's name as its value."""
INACTIVITY_PROBE = 60_000
"""Milliseconds after which the switch asks whether we live; a stalled program keeps its drops."""
MAX_BACKOFF = 1000
"""Milliseconds between two tries of the switch to connect, at most."""
_DATABASE = "Open_vSwitch"

# How OVSDB writes what is no number, string or boolean (RFC 7047 section 5.1).
Uuid = tuple[
    Literal["uuid"], Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
]
Map = tuple[Literal["map"], list[tuple[str, str]]]
NoValue = tuple[Literal["set"], list[Any]]
"""What a column holds that may have no value, and has none."""
References = tuple[Literal["uuid", "set"], Any]
"""Rows of another table: one is not in a set."""


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
        deadline = until(PATIENCE)
        rows = self._rows(deadline)
        if [row.target for row in rows] != [self._target]:
            self._remove(rows, deadline)
            self._insert(deadline)

    def limit(self) -> int | None:
        """The packet-ins a second that somebody holds our row to, if any; raises SwitchError."""
        limits = [row.controller_rate_limit for row in self._rows(until(PATIENCE))]
        return next((limit for limit in limits if isinstance(limit, int)), None)

    def remove(self) -> None:
        """Take every row of ours away from the bridge, and no other; raises SwitchError."""
        deadline = until(PATIENCE)
        self._remove(self._rows(deadline), deadline)

    def will(self) -> bytes:
        """The request that takes our row away, for when the program is killed."""
        rows = self._rows(until(PATIENCE))
        return jsonrpc.encode("transact", [_DATABASE, *self._removal(rows)])

    def _remove(self, rows: list[_ServiceRow], deadline: float) -> None:
        if rows:
            transact(self._database, self._removal(rows), deadline=deadline)

    def _insert(self, deadline: float) -> None:
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
        _, linked = transact(self._database, [insert, link], deadline=deadline)
        if convert(linked, _Counted).count != 1:
            raise SwitchError(f"{self._bridge}: there is no such bridge in {self._database}")

    def _rows(self, deadline: float) -> list[_ServiceRow]:
        mark = ["map", [[MARK, self._bridge]]]
        select = {
            "op": "select",
            "table": "Controller",
            "where": [["external_ids", "includes", mark]],
            "columns": ["_uuid", "target", "controller_rate_limit"],
        }
        [answer] = transact(self._database, [select], deadline=deadline)
        return rows_of(answer, _ServiceRow)

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


def transact(
    database: str,
    operations: list[dict[str, Any]],
    name: str = _DATABASE,
    credentials: jsonrpc.Credentials | None = None,
    *,
    deadline: float | None = None,
    size: int = jsonrpc.ANSWER_SIZE,
) -> list[dict[str, Any]]:
    """Carry operations out in one transaction; returns the result of each, an object.

    `database` is where ovsdb-server listens, `name` the database's; `deadline` and `size` as
    `jsonrpc.call` takes them, too. Raises SwitchError when it is not there, does not answer in
    time, refuses, or answers something else.
    """
    params = [name, *operations]
    answer = jsonrpc.call(database, "transact", params, credentials, deadline=deadline, size=size)
    results = convert(answer, list[dict[str, Any] | None])  # null: one before it has failed
    good = [result for result in results if result is not None and "error" not in result]
    if len(good) != len(operations) or len(results) > len(good):
        problems = [result for result in results if result and "error" in result]
        refusal = printable(str(problems or results), MESSAGE)
        raise SwitchError(f"{printable(database)}: the database refuses: {refusal}")
    return good


def rows_of(answer: dict[str, Any], kind: type[T]) -> list[T]:
    """The rows that a `select` answered; raises SwitchError where they are no rows of the kind."""
    rows: list[T] = convert(answer.get("rows"), list[kind])  # type: ignore[valid-type]
    return rows


def references(value: References) -> list[str]:
    """The UUIDs in a column; raises SwitchError where something else is there."""
    uuids = value[1] if value[0] == "set" else [value]
    return [uuid for _, uuid in convert(uuids, list[Uuid])]


def convert(data: Any, kind: Any) -> Any:
    """Data of an answer, as the types have it; raises SwitchError where it is something else.

    The one place where an answer of the wrong shape is found: nothing behind need look.
    """
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError, UnicodeError) as error:
        wrong = printable(str(error), MESSAGE)
        raise SwitchError(f"the answer of the database is not understood: {wrong}") from error
