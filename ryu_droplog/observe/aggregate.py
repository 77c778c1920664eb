"""Records counted by what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ryu_droplog.observe.query import QueryError
from ryu_droplog.observe.shown import PARTS
from ryu_droplog.records.record import Record
from ryu_droplog.schema.wording import nearest
from ryu_droplog.text.printable import printable

GROUPS = 100_000
"""Groups at most; what fits none of them then is counted together."""
OTHERS = "(others)"


class Group(Struct):
    """What was counted of one group."""

    values: tuple[str, ...]
    """In the order of the fields."""
    packets: int = 0
    """How many packets; a record that stands for several counts as those."""
    first: str = ""
    """Time of the first, as in the record."""
    last: str = ""


class Aggregate:
    """Counts records by some of `PARTS`."""

    def __init__(self, fields: Sequence[str]) -> None:
        """Raises QueryError for one that there is not."""
        for field in fields:
            if field not in PARTS:
                raise QueryError(
                    f'--aggregate-by: got "{printable(field)}"{nearest(field, PARTS)};'
                    f" expected some of {', '.join(PARTS)}"
                )
        self.fields = tuple(dict.fromkeys(fields))
        self._read = [PARTS[field] for field in self.fields]
        self._groups: dict[tuple[str, ...], Group] = {}

    def add(self, record: Record) -> None:
        """Count one."""
        values = tuple([read(record) for read in self._read])
        group = self._groups.get(values)
        if group is None:
            if len(self._groups) >= GROUPS:
                values = (OTHERS,) * len(self.fields)
            group = self._groups.setdefault(values, Group(values))
        group.packets += record.repeated or 1
        first = record.first_time or record.time
        group.first = min(group.first or first, first)
        group.last = max(group.last, record.time)

    def groups(self) -> list[Group]:
        """All groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.packets, group.values))
