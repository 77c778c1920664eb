"""Keys whose value is numbers: one, a range, or a list of both."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from ryu_droplog.model.drop import Drop
from ryu_droplog.plugins.filter_key import FilterError, FilterKey, Form, Test, got, indifferent

Numbers: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of numbers, each with its first and its last: ascending, and with a gap before the next.
"""

MAX_NUMBERS = 1000
"""Numbers and ranges that a list of a filter has at most."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)


class NumbersKey(FilterKey):
    """A key of numbers from 0 to some highest one.

    A configuration writes a number as an integer, as decimal text or by its name; in its place may
    be a range, `"8000-8080"`, or a list of numbers and ranges.
    """

    def __init__(
        self,
        name: str,
        description: str,
        highest: int,
        example: str,
        names: Mapping[str, int] | None = None,
        tested: tuple[str, ...] = (),
    ) -> None:
        """`highest` is at most 65535, `example` a range, `names` are lower case."""
        number: dict[str, object] = {"type": "integer", "minimum": 0, "maximum": highest}
        numbers = {"anyOf": [number, {"type": "string"}]}
        several = {"type": "array", "items": numbers, "minItems": 1, "maxItems": MAX_NUMBERS}
        super().__init__(name, description, {"anyOf": [*numbers["anyOf"], several]}, tested)
        self.highest = highest
        self._example = example
        self._names = names or {}
        others = f", or one of {', '.join(self._names)}" if names else ""
        self._expected = f"an integer from 0 to {highest}{others}"

    def parse(self, value: object) -> Numbers:
        """The same numbers in as few ranges as can be."""
        return several(self.name, value, self._range)

    def parse_plain(self, value: object) -> Numbers:
        """One number alone."""
        return only(self._number(value, self._expected))

    def form(self, value: Numbers) -> Form:
        """A number, a range, or a list of both."""
        return numbers_form(value)

    def _range(self, value: object) -> tuple[int, int]:
        expected = f'{self._expected}, a range such as "{self._example}", or a list of these'
        match = _RANGE.fullmatch(value) if isinstance(value, str) else None
        first, last = match.groups() if match else (value, value)
        try:
            low, high = self._number(first, expected), self._number(last, expected)
        except FilterError:
            raise self.refuse(value, expected) from None
        return ascending(self.name, value, low, high)

    def _number(self, value: object, expected: str) -> int:
        if isinstance(value, str) and value.lower() in self._names:
            return self._names[value.lower()]
        number = as_number(value, self.highest)
        if number is None:
            raise self.refuse(value, expected)
        return number


class NumberKey(NumbersKey):
    """The same where a drop has one number, or none: `number` says which."""

    @abstractmethod
    def number(self, drop: Drop) -> int:
        """The number that the drop has; -1: none."""

    def test(self, wanted: Mapping[str, Sequence[Numbers | None]]) -> Test:
        """Look the number up in a table."""
        table, number = self.table(wanted[self.name]), self.number
        return lambda left, drop: left & table[number(drop)]

    def table(self, wanted: Sequence[Numbers | None]) -> list[int]:
        """The filters that accept each number; those that accept none are found at -1."""
        return [*accepting(wanted, self.highest), indifferent(wanted)]


def only(number: int) -> Numbers:
    """This number alone."""
    return ((number, number),)


def several(key: str, value: object, parse_range: Callable[[object], tuple[int, int]]) -> Numbers:
    """The numbers of one text or number, or of a list of them; raises FilterError."""
    return merged(sorted(parse_range(entry) for entry in entries(key, value, "numbers and ranges")))


def entries(key: str, value: object, what: str) -> list[object]:
    """What a list has, or the one value in place of a list; raises FilterError."""
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= MAX_NUMBERS:
        wrong = f"got a list of {len(values)}"
        raise FilterError(key, wrong, f"a list of 1 to {MAX_NUMBERS} {what}")
    return values


def ascending(key: str, value: object, low: int, high: int) -> tuple[int, int]:
    """The range, which has at least one number; raises FilterError."""
    if low > high:
        raise FilterError(key, got(value), "a range whose first number is not above its last")
    return low, high


def merged(ranges: Iterable[tuple[int, int]]) -> Numbers:
    """The same numbers in as few ranges as can be; `ranges` are sorted."""
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            low, high = merged[-1][0], max(merged.pop()[1], high)
        merged.append((low, high))
    return tuple(merged)


def range_forms(numbers: Numbers) -> list[int | str]:
    """Each range as a configuration writes it."""
    return [low if low == high else f"{low}-{high}" for low, high in numbers]


def numbers_form(numbers: Numbers) -> Form:
    """A number, a range, or a list of both."""
    forms = range_forms(numbers)
    return forms[0] if len(forms) == 1 else forms


def accepting(wanted: Sequence[Numbers | None], highest: int) -> list[int]:
    """The filters that accept each number from 0 to `highest`."""
    edges: dict[int, int] = {}
    for n, ranges in enumerate(wanted):
        for low, high in ranges or ():
            edges[low] = edges.get(low, 0) ^ 1 << n
            edges[high + 1] = edges.get(high + 1, 0) ^ 1 << n
    table: list[int] = []
    accepted = indifferent(wanted)
    for edge in sorted(edges):
        table += [accepted] * (edge - len(table))
        accepted ^= edges[edge]
    return table + [accepted] * (highest + 1 - len(table))


def as_number(value: object, highest: int) -> int | None:
    """The number of an integer or a decimal text; None: it is none from 0 to `highest`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest:
        return value
    if isinstance(value, str) and is_decimal(value, highest):
        return int(value)
    return None


def is_decimal(text: str, highest: int) -> bool:
    """Whether it is 0 to `highest`, below 100,000, without leading zeros."""
    return _DECIMAL.fullmatch(text) is not None and int(text) <= highest
