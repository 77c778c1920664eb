"""`table`: the table that dropped, by its number or its name."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from ryu_droplog.filters.numbers import (
    Numbers,
    as_number,
    ascending,
    entries,
    merged,
    range_forms,
)
from ryu_droplog.filters.place import PlaceKey, is_name, one_or_several
from ryu_droplog.model.location import Location
from ryu_droplog.plugins.filter_key import Form

TABLE_MAX = 254
"""The highest table number (OpenFlow 1.3.5, OFPTT_MAX)."""
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,3})-([0-9]{1,3})", re.ASCII)


class Tables(NamedTuple):
    """Of which one must hold."""

    numbers: Numbers
    names: tuple[str, ...]
    """Patterns of names, sorted."""


class _Table(PlaceKey):
    def parse(self, value: object) -> Tables:
        ranges: set[tuple[int, int]] = set()
        names: set[str] = set()
        for entry in entries(self.name, value, "numbers, ranges and names"):
            match = _RANGE.fullmatch(entry) if isinstance(entry, str) else None
            first, last = match.groups() if match else (entry, entry)
            low, high = as_number(first, TABLE_MAX), as_number(last, TABLE_MAX)
            if low is not None and high is not None:
                ranges.add(ascending(self.name, entry, low, high))
            elif isinstance(entry, str) and is_name(entry) and not (match or _is_digits(entry)):
                names.add(entry)
            else:
                expected = (
                    f"an integer from 0 to {TABLE_MAX}, the name of a table, "
                    'a range such as "10-19", a pattern such as "SEC_*", or a list of these'
                )
                raise self.refuse(entry, expected)
        return Tables(merged(sorted(ranges)), tuple(sorted(names)))

    def form(self, value: Tables) -> Form:
        forms = [*range_forms(value.numbers), *value.names]
        return forms[0] if len(forms) == 1 else forms

    def place(self, location: Location) -> tuple[int, str]:
        return location.table_id, location.table

    def holds(self, value: Tables, place: tuple[int, str]) -> bool:
        number, name = place
        return any(low <= number <= high for low, high in value.numbers) or any(
            fnmatchcase(name, pattern) for pattern in value.names
        )


def _is_digits(text: str) -> bool:
    return _DIGITS.fullmatch(text) is not None


TABLE = _Table(
    "table",
    "the number of the table, 0 to 254, or its name, as a drop line has it, or a pattern: `SEC_*`",
    one_or_several(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": TABLE_MAX}, {"type": "string"}]}
    ),
)
