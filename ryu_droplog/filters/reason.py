"""`reason`: whether nothing matched, or a flow denied or permitted."""

from __future__ import annotations

from ryu_droplog.filters.numbers import entries
from ryu_droplog.filters.place import PlaceKey, one_or_several
from ryu_droplog.model.location import Location
from ryu_droplog.plugins.filter_key import Form

REASONS = ("MISS", "DENY", "PERMIT")


class _Reason(PlaceKey):
    def parse(self, value: object) -> tuple[str, ...]:
        given = {self._reason(entry) for entry in entries(self.name, value, "reasons")}
        return tuple(reason for reason in REASONS if reason in given)

    def form(self, value: tuple[str, ...]) -> Form:
        return value[0] if len(value) == 1 else [*value]

    def place(self, location: Location) -> str:
        return location.reason

    def holds(self, value: tuple[str, ...], place: str) -> bool:
        return place in value

    def _reason(self, value: object) -> str:
        if not isinstance(value, str) or value.upper() not in REASONS:
            raise self.refuse(value, f"one of {', '.join(REASONS)}, or a list of these")
        return value.upper()


REASON = _Reason(
    "reason",
    f"{', '.join(f'`{reason}`' for reason in REASONS)}: the word behind the table in a drop line",
    one_or_several({"enum": [*REASONS]}),
)
