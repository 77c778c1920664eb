"""Whether one of very many matches overlaps another, without looking at each of them.

Matches that ask the same bits of the same fields are of one kind. Two matches overlap where they
agree in the bits that both ask: for a kind, whether one of them does is a look into a set of values
in those bits. Flows of one table have few kinds, however many they are. Where somebody makes them
all different, an `Effort` bounds what is spent on them. Pure.
"""

from __future__ import annotations

from typing import TypeAlias

from ryu_droplog.openflow.match import FieldId, fields

_Kind: TypeAlias = tuple[tuple[FieldId, int], ...]
"""Fields and the bits of each that are asked, in the order of fields."""
_Values: TypeAlias = tuple[int, ...]

FEW = 8
"""Matches of a kind that are compared one by one."""
SETS = 16
"""Sets of values that are kept of a kind; for what asks still other bits there is none."""


class Effort:
    """What may still be spent on comparing, in fields looked at."""

    def __init__(self, most: int) -> None:
        self._left = most

    @property
    def spent(self) -> bool:
        """Whether it is used up: what is answered from now on may say too much."""
        return self._left <= 0

    def spend(self, looks: int) -> None:
        """Look at so many fields."""
        self._left -= looks


class _Group:
    """Matches of one kind."""

    def __init__(self, kind: _Kind) -> None:
        self._order = [field for field, _ in kind]
        self.masks = dict(kind)
        self._found: set[_Values] = set()
        self._seen: dict[_Kind, set[_Values]] = {}
        """By the bits that were asked of them: the values there."""

    def add(self, values: _Values) -> int:
        """Take a match; gives back how many fields were looked at."""
        self._found.add(values)
        for common, seen in self._seen.items():
            seen.add(self._part(common, values))
        return len(self._seen) + 1

    def has(self, common: _Kind, wanted: _Values) -> tuple[bool, int]:
        """Whether one has these values in these bits, and how many fields were looked at."""
        seen = self._seen.get(common)
        if seen is not None:
            return wanted in seen, 0
        looks = len(self._found) * len(common)
        parts = (self._part(common, values) for values in self._found)
        if len(self._found) < FEW or len(self._seen) >= SETS:
            return wanted in parts, looks
        seen = self._seen[common] = set(parts)
        return wanted in seen, looks

    def _part(self, common: _Kind, values: _Values) -> _Values:
        known = dict(zip(self._order, values, strict=True))
        return tuple(known[field] & mask for field, mask in common)


class Overlaps:
    """Matches, of which it is asked whether one overlaps another, as `match.overlap` says it."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._groups: dict[_Kind, _Group] = {}

    def add(self, match: bytes) -> None:
        """Take one more match, raw."""
        kind, values = _read(match)
        group = self._groups.get(kind)
        if group is None:
            group = self._groups[kind] = _Group(kind)
        self._effort.spend(group.add(values))

    def any(self, match: bytes) -> bool:
        """Whether one of them overlaps `match`; True also where the effort is spent."""
        kind, values = _read(match)
        asked = list(zip(kind, values, strict=True))
        for group in self._groups.values():
            self._effort.spend(len(asked) + 1)
            if self._effort.spent:
                return True
            common, wanted = [], []
            for (field, mask), value in asked:
                both = mask & group.masks.get(field, 0)
                if both:
                    common.append((field, both))
                    wanted.append(value & both)
            found, looks = group.has(tuple(common), tuple(wanted))
            self._effort.spend(looks)
            if found:
                return True
        return False


def _read(match: bytes) -> tuple[_Kind, _Values]:
    """The kind of a match, and its values."""
    found = sorted(fields(match).items())
    kind = tuple((field, mask) for field, (_, mask, _) in found)
    return kind, tuple(value for _, (value, _, _) in found)
