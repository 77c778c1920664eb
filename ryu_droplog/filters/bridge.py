"""`bridge`: the name of the bridge that dropped."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ryu_droplog.filters.numbers import entries
from ryu_droplog.filters.place import PlaceKey, is_name, one_or_several
from ryu_droplog.model.location import Location
from ryu_droplog.plugins.filter_key import Form


class _Bridge(PlaceKey):
    def parse(self, value: object) -> tuple[str, ...]:
        return tuple(sorted({self._name(entry) for entry in entries(self.name, value, "names")}))

    def form(self, value: tuple[str, ...]) -> Form:
        return value[0] if len(value) == 1 else [*value]

    def place(self, location: Location) -> str:
        return location.bridge

    def holds(self, value: tuple[str, ...], place: str) -> bool:
        return any(fnmatchcase(place, name) for name in value)

    def _name(self, value: object) -> str:
        if not isinstance(value, str) or not is_name(value):
            expected = 'the name of a bridge, a pattern such as "br-*", or a list of these'
            raise self.refuse(value, expected)
        return value


BRIDGE = _Bridge(
    "bridge",
    "the name of the bridge, or a pattern: `br-*`, `br-[ab]?`",
    one_or_several({"type": "string"}),
)
