"""What the switch counts of a loud flow becomes one record a window.

Pure: the time is an argument, as in `dedup`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location

WINDOW = 10.0
"""Seconds from the first count to the record, where nothing is deduplicated; else its window."""


class Sample(NamedTuple):
    """One packet of a loud flow: it stands for all of them."""

    location: Location
    metadata: bytes
    """As `Drop.metadata`."""
    frame: bytes


class Summary(NamedTuple):
    """Packets of a loud flow that the switch counted and did not send."""

    key: Hashable
    """The same for the same loud flow."""
    sample: Sample
    packets: int
    credited: int = 0
    """How many more its summary flow counted: Open vSwitch credits a new flow with packets that
    others had taken up to half a second before."""


@dataclass(slots=True)
class _Window:
    ends: float
    drop: Drop
    packets: int
    began: float
    """Seconds since the epoch."""


class Summaries:
    """The counts of loud flows until they are told."""

    def __init__(self) -> None:
        self._windows: dict[Hashable, _Window] = {}

    def take(self, key: Hashable, drop: Drop, packets: int, ends: float) -> None:
        """Count packets like `drop`; where no window is open for them, one opens until `ends`."""
        window = self._windows.get(key)
        if window is None:
            self._windows[key] = _Window(ends, drop, packets, drop.time)
        else:
            window.drop = drop
            window.packets += packets

    def expire(self, now: float) -> list[Drop]:
        """A record of each window that has ended by `now`."""
        ended = [key for key, window in self._windows.items() if window.ends <= now]
        return [_record(self._windows.pop(key)) for key in ended]

    def waiting(self) -> Iterator[tuple[Drop, int]]:
        """A drop of each window that is open, and how many packets it stands for."""
        return ((window.drop, window.packets) for window in self._windows.values())


def _record(window: _Window) -> Drop:
    return replace(window.drop, repeated=window.packets, first_time=window.began, summarised=True)
