"""Keys that ask where a drop happened, and not what was dropped."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ryu_droplog.filters.numbers import MAX_NUMBERS
from ryu_droplog.model.location import Location
from ryu_droplog.plugins.filter_key import FilterKey, Test

NAME_LENGTH = 255
"""Characters of a name or pattern at most; Open vSwitch's own names of tables are shorter."""
_MEMO = 1024
"""Places of which a test knows who accepts them: more than a node has bridges or tables."""


class PlaceKey(FilterKey):
    """A key of the location: many drops share one, so each is looked at once."""

    chance = 0.3
    cost = 1.5

    @abstractmethod
    def place(self, location: Location) -> Hashable:
        """What of the location counts."""

    @abstractmethod
    def holds(self, value: Any, place: Any) -> bool:
        """Whether a filter that wants `value` accepts the place."""

    def test(self, wanted: Mapping[str, Sequence[Any | None]]) -> Test:
        """Look the place up; an unknown one is asked of each filter."""

        values = wanted[self.name]

        @lru_cache(_MEMO)
        def accepting(place: Hashable) -> int:
            return sum(
                1 << n
                for n, value in enumerate(values)
                if value is None or self.holds(value, place)
            )

        place = self.place
        return lambda left, drop: left & accepting(place(drop.location))


def one_or_several(entry: dict[str, object]) -> dict[str, object]:
    """The JSON Schema of an entry, or a list of them."""
    several = {"type": "array", "items": entry, "minItems": 1, "maxItems": MAX_NUMBERS}
    return {"anyOf": [entry, several]}


def is_name(value: object) -> bool:
    """Whether it may be a name or a pattern of one."""
    return isinstance(value, str) and 1 <= len(value) <= NAME_LENGTH and value.isprintable()
