"""What a key of a filter is: what other packages implement, too (docs/extending.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from ryu_droplog.model.drop import Drop
from ryu_droplog.schema.wording import join, show

Test: TypeAlias = Callable[[int, Drop], int]
"""Of a set of filters, those that accept a drop. A set of filters is an integer, whose bit n stands
for the n-th of them."""

Form: TypeAlias = str | int | list[int | str]
"""A value as a configuration may write it."""


class FilterError(ValueError):
    """A filter's text form is wrong."""

    def __init__(self, key: str, wrong: str, expected: str) -> None:
        """`key` is empty where it is the filter as a whole; the rest is as in `mistake`."""
        where = f"{join('', key)}: " if key else ""
        super().__init__(f"{where}{wrong}; expected {expected}")
        self.key = key
        self.wrong = wrong
        self.expected = expected


class FilterKey(ABC):
    """One thing that a filter may ask of a drop, and how a configuration writes it.

    A value of the key is whatever `parse` makes: hashable, read-only, never None, and the same for
    whatever means the same.
    """

    chance = 0.1
    """How often a drop has what a filter wants, roughly; from 0 to 1."""
    cost = 1.0
    """What a test costs, roughly, in look-ups in a list. Asked first is what rules out the most
    filters for what it costs."""

    def __init__(
        self,
        name: str,
        description: str,
        schema: Mapping[str, object],
        tested: tuple[str, ...] = (),
    ) -> None:
        """`name` is the key in a configuration, under which it is registered.

        `description` says what a drop must have, and `schema` is the JSON Schema of a value.
        `tested` are the keys that its test asks for at once, because they read one header; empty:
        itself alone.
        """
        self.name = name
        self.description = description
        self.schema = schema
        self.tested = tested or (name,)

    @abstractmethod
    def parse(self, value: object) -> Hashable:
        """The value that a configuration writes so; raises FilterError (`refuse` makes it)."""

    def parse_plain(self, value: object) -> Hashable:
        """The same in the grammar of the OpFlex agent's control files: no ranges, no lists."""
        return self.parse(value)

    @abstractmethod
    def form(self, value: Any) -> Form:
        """The value in its shortest form that `parse` reads, whole or as text."""

    @abstractmethod
    def test(self, wanted: Mapping[str, Sequence[Any | None]]) -> Test:
        """What tells which filters accept a drop.

        `wanted` has, for each key of `tested`, what each filter wants of it; None: anything. The
        test is called for every drop, by any thread: it must not raise, nor wait.
        """

    def refuse(self, value: object, expected: str) -> FilterError:
        """The error for a value that is not what was expected."""
        return FilterError(self.name, got(value), expected)


def got(value: object) -> str:
    """What a wrong value is, in words."""
    return f"got {shown(value)}"


def shown(value: object) -> str:
    """Any value on a line, however long or odd it is."""
    if value is None or isinstance(value, (str, int, float, list, dict)):
        return show(value)
    return f"a value of type {type(value).__name__}"


def having(wanted: Sequence[object | None]) -> int:
    """The filters that want something of a key."""
    return sum(1 << n for n, value in enumerate(wanted) if value is not None)


def indifferent(wanted: Sequence[object | None]) -> int:
    """The filters that want nothing of a key."""
    return ((1 << len(wanted)) - 1) ^ having(wanted)
