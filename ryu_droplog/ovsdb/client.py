"""What is asked of an OVSDB server: one transaction, its rows as typed objects (RFC 7047).

The one client of this program: everyone who asks a database, Open vSwitch's or OVN's, goes by here,
with one deadline for all of a transaction, a bound on the bytes of its answer, and `SwitchError`
for whatever goes wrong. Section numbers are RFC 7047's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb import jsonrpc
from ryu_droplog.ovsdb.jsonrpc import ANSWER_SIZE, PATIENCE, Credentials, until
from ryu_droplog.text.printable import MESSAGE, printable

Row = TypeVar("Row", bound=Struct)

OPEN_VSWITCH = "Open_vSwitch"
"""Name of the database of Open vSwitch."""

# How OVSDB writes what is no number, string or boolean (section 5.1).
Uuid = tuple[
    Literal["uuid"], Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
]
Map = tuple[Literal["map"], list[tuple[str, str]]]
NoValue = tuple[Literal["set"], list[Any]]
"""What a column holds that may have no value, and has none."""
References = tuple[Literal["uuid", "set"], Any]
"""Rows of another table: one is not in a set."""
Condition = tuple[str, str, Any]
"""Column, function and value (section 5.1). ovsdb-server looks at every row of the table, but for
`("_uuid", "==", …)`, which is its one index."""


@dataclass(frozen=True)
class Select(Generic[Row]):
    """The rows of a table that fit all conditions: those columns that `row` has fields for."""

    table: str
    row: type[Row]
    where: Sequence[Condition] = ()

    def operation(self) -> dict[str, Any]:
        """As a transaction has it (section 5.2.2)."""
        return {
            "op": "select",
            "table": self.table,
            "where": [list(condition) for condition in self.where],
            "columns": columns(self.row),
        }

    def rows(self, result: dict[str, Any]) -> list[Row]:
        """What it answered; raises SwitchError where that are no such rows."""
        rows: list[Row] = convert(result.get("rows"), list[self.row])  # type: ignore[name-defined]
        return rows


class Client:
    """Transactions with one database that end by one deadline, each on a connection of its own.

    All raise SwitchError when the server is not there, does not answer in time, refuses, or answers
    something else.
    """

    def __init__(
        self,
        address: str,
        database: str = OPEN_VSWITCH,
        credentials: Credentials | None = None,
        *,
        deadline: float | None = None,
        size: int = ANSWER_SIZE,
    ) -> None:
        """`address`, `credentials` and `size` as `jsonrpc.call` takes them.

        `deadline` is for all that is asked by this object: `PATIENCE` from now if None.
        """
        self._address = address
        self._database = database
        self._credentials = credentials
        self._deadline = until(PATIENCE) if deadline is None else deadline
        self._size = size

    def run(self, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        """Carry operations out in one transaction; returns the result of each, an object."""
        params = [self._database, *operations]
        answer = jsonrpc.call(
            self._address,
            "transact",
            params,
            self._credentials,
            deadline=self._deadline,
            size=self._size,
        )
        results = convert(answer, list[dict[str, Any] | None])  # null: one before it has failed
        good = [result for result in results if result is not None and "error" not in result]
        if len(good) != len(operations) or len(results) > len(good):
            problems = [result for result in results if result and "error" in result]
            refusal = printable(str(problems or results), MESSAGE)
            raise SwitchError(f"{printable(self._address)}: the database refuses: {refusal}")
        return good

    def select_all(self, selects: Sequence[Select[Any]]) -> list[list[Any]]:
        """The rows of each, as of one moment; nothing is asked where nothing is selected."""
        if not selects:
            return []
        results = self.run(*(select.operation() for select in selects))
        return [select.rows(result) for select, result in zip(selects, results, strict=True)]

    def select(self, select: Select[Row]) -> list[Row]:
        """The rows of one."""
        return select.rows(self.run(select.operation())[0])


def columns(row: type[Struct]) -> list[str]:
    """The columns that a row has fields for, by their names in the database."""
    return [field.encode_name for field in msgspec.structs.fields(row)]


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
