"""Which of very many matches overlap another, without looking at each of them.

Matches that ask the same bits of the same fields are of one kind. Two matches overlap where they
agree in the bits that both ask: for a kind, whether one of them does is a look into a set of values
in those bits. Flows of one table have few kinds, however many they are. Where somebody makes them
all different, an `Effort` bounds what is spent on them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeAlias, TypeVar

from ryu_droplog.openflow.oxm_match import FieldId, fields

T = TypeVar("T")

_Kind: TypeAlias = tuple[tuple[FieldId, int], ...]
"""Fields and the bits of each that are asked, in the order of fields."""
_Values: TypeAlias = tuple[int, ...]

FEW = 8
"""Matches of a kind that are compared one by one."""
SETS = 16
"""Sets of values that are kept of a kind; for what asks still other bits there is none."""


class Effort:
    """What may still be spent on comparing, in fields looked at."""

    def __init__(self, most: float) -> None:
        """`most` may be math.inf."""
        self._left = most

    @property
    def spent(self) -> bool:
        """Whether it is used up: what is answered from now on may say too much."""
        return self._left <= 0

    def spend(self, looks: int) -> None:
        """Look at so many fields."""
        self._left -= looks


class _Group(Generic[T]):
    """Matches of one kind."""

    def __init__(self, kind: _Kind) -> None:
        self._order = [field for field, _ in kind]
        self.masks = dict(kind)
        self._items: dict[_Values, list[T]] = {}
        self._index: dict[_Kind, dict[_Values, list[T]]] = {}
        """By the bits that were asked of them, and the values there."""

    def add(self, values: _Values, item: T) -> int:
        """Take a match; gives back how many fields were looked at."""
        self._items.setdefault(values, []).append(item)
        for common, items_of in self._index.items():
            items_of.setdefault(self._part(common, values), []).append(item)
        return len(self._index) + 1

    def find(self, common: _Kind, bits: _Values) -> tuple[Sequence[T], int]:
        """Those that have these values in these bits, and how many fields were looked at."""
        items_of = self._index.get(common)
        if items_of is not None:
            return items_of.get(bits, ()), 0
        grouped: dict[_Values, list[T]] = {}
        for values, items in self._items.items():
            grouped.setdefault(self._part(common, values), []).extend(items)
        if len(self._items) >= FEW and len(self._index) < SETS:
            self._index[common] = grouped
        return grouped.get(bits, ()), len(self._items) * len(common)

    def _part(self, common: _Kind, values: _Values) -> _Values:
        by_field = dict(zip(self._order, values, strict=True))
        return tuple(by_field[field] & mask for field, mask in common)


class Overlaps(Generic[T]):
    """Things by their matches, to find those whose match overlaps another, as `overlap` says it."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._groups: dict[_Kind, _Group[T]] = {}

    def add(self, match: bytes, item: T) -> None:
        """Take one more match, raw, and whose it is."""
        kind, values = _read(match)
        group = self._groups.get(kind)
        if group is None:
            group = self._groups[kind] = _Group(kind)
        self._effort.spend(group.add(values, item))

    def any(self, match: bytes) -> bool:
        """Whether one of them overlaps `match`; True also where the effort is spent."""
        return next(self.find(match), None) is not None or self._effort.spent

    def find(self, match: bytes) -> Iterator[T]:
        """All that overlap `match`, as long as the effort is not spent."""
        kind, values = _read(match)
        asked = list(zip(kind, values, strict=True))
        for group in self._groups.values():
            self._effort.spend(len(asked) + 1)
            if self._effort.spent:
                return
            common, bits = [], []
            for (field, mask), value in asked:
                both = mask & group.masks.get(field, 0)
                if both:
                    common.append((field, both))
                    bits.append(value & both)
            items, looks = group.find(tuple(common), tuple(bits))
            self._effort.spend(looks)
            yield from items


def _read(match: bytes) -> tuple[_Kind, _Values]:
    """The kind of a match, and its values."""
    asked = sorted(fields(match).items())
    kind = tuple((field, mask) for field, (_, mask, _) in asked)
    return kind, tuple(value for _, (value, _, _) in asked)
