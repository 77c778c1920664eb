"""Repeats within a window become one line at its start, and one with their number at its end.

Pure: the time is an argument, of a clock that is never set (`time.monotonic`). The time in a drop
is the time of day, which an administrator or NTP may move: it is written, and measures nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from ryu_droplog.model.drop import Arp, Drop, Icmp

ENTRIES = 65_536
"""Windows that may be open at once; past that, the least recently used one is closed."""


@dataclass(slots=True)
class _Window:
    ends: float
    last: Drop
    repeated: int = 0
    first_time: float = 0.0
    """`time` of the first that is repeated."""


class Deduplicator:
    """Makes one record of the repeats of a drop."""

    def __init__(self, window: float, entries: int = ENTRIES) -> None:
        """`window` in seconds, counted from the first drop; `entries` from 1."""
        self.window = window
        self._entries = entries
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()
        """The one that was used last is the last."""
        self._opened: deque[tuple[Hashable, _Window]] = deque()
        """In the order in which they end; some may have been closed before."""

    def take(self, drop: Drop, now: float) -> list[Drop]:
        """What is to be written now that this drop came: it, or nothing, or also ended windows.

        `now` is when it came, in seconds; it never goes back from one call to the next by more
        than drops may wait in their queue.
        """
        key = flow_key(drop)
        window = self._windows.get(key)
        if window is not None and now < window.ends:
            self._windows.move_to_end(key)
            window.last = drop
            if not window.repeated:
                window.first_time = drop.time
            window.repeated += 1
            return []
        ended = []
        if window is not None:
            ended += _end(self._windows.pop(key))
        elif len(self._windows) >= self._entries:
            ended += _end(self._windows.popitem(last=False)[1])
        opened = self._windows[key] = _Window(now + self.window, drop)
        self._opened.append((key, opened))
        if len(self._opened) > 2 * self._entries:
            self._opened = deque(one for one in self._opened if self._is_open(*one))
        return [*ended, drop]

    def expire(self, now: float) -> list[Drop]:
        """The last lines of the windows that have ended by `now`, of the clock of `take`."""
        ended: list[Drop] = []
        while self._opened and self._opened[0][1].ends <= now:
            key, window = self._opened.popleft()
            if self._is_open(key, window):
                ended += _end(self._windows.pop(key))
        return ended

    def waiting(self) -> Iterator[tuple[Drop, int]]:
        """The last drop of each window that is open, and how many repeats it stands for."""
        return ((window.last, window.repeated) for window in self._windows.values())

    def _is_open(self, key: Hashable, window: _Window) -> bool:
        return self._windows.get(key) is window


def _end(window: _Window) -> list[Drop]:
    if not window.repeated:
        return []
    return [replace(window.last, repeated=window.repeated, first_time=window.first_time)]


def flow_key(drop: Drop) -> Hashable:
    """What makes two drops the same: location, addresses, protocol and ports."""
    l3, l4 = drop.l3, drop.l4
    where = drop.location.bridge, drop.location.table_id, drop.location.reason
    if l3 is None:
        return (*where, drop.smac, drop.dmac, drop.ethertype)
    if isinstance(l3, Arp):
        ends: tuple[bytes, bytes] = l3.sender_ip, l3.target_ip
    else:
        ends = l3.src, l3.dst
    ports: tuple[int, int] | None = None
    if l4 is not None:
        ports = (l4.type, l4.code) if isinstance(l4, Icmp) else (l4.src_port, l4.dst_port)
    return (*where, drop.ethertype, *ends, drop.protocol, ports)
