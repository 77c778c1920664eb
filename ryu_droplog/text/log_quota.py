"""Bounds the program's own log: what others do again and again is told a number of times a minute.

Whoever is at the other end of a connection can make it end and come again, and his flows change,
as often as he likes. Each place in the program that writes a line has a share for each thing that
it writes about (the first argument of the record: a bridge, a peer) and one for all together.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

OURS = tuple(
    f"ryu_droplog.{package}"
    for package in ("cleanup", "connections", "openflow", "ovsdb", "reconcile", "sources")
)
"""Loggers of what speaks to switches."""
PERIOD = 60.0
"""Seconds that the shares are for."""
OF_A_THING = 40
"""Lines from one place about one thing within `PERIOD`."""
OF_A_PLACE = 600
"""Lines from one place about all things within `PERIOD`."""
TRACEBACK = 10
"""Lines that a traceback counts as."""
REMEMBERED = 1024
"""Places and things that are remembered."""


class _Share:
    def __init__(self, now: float) -> None:
        self.since = now
        self.spent = 0
        self.suppressed = 0


class Quota(logging.Filter):
    """A filter of a handler: lets records through while there is a share left for them.

    The first record that passes after some were suppressed has their number as `suppressed`.
    Records of level DEBUG, which the user has asked for, always pass, and so do those of loggers
    other than `OURS`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._shares: OrderedDict[Hashable, _Share] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; called by logging, with the handler's lock not held."""
        if record.levelno < logging.INFO or not record.name.startswith(OURS):
            return True
        place = record.pathname, record.lineno
        about = record.args[0] if isinstance(record.args, tuple) and record.args else ""
        thing, all_things = self._share((*place, str(about))), self._share(place)
        if thing.spent >= OF_A_THING or all_things.spent >= OF_A_PLACE:
            thing.suppressed += 1
            return False
        cost = TRACEBACK if record.exc_info else 1
        thing.spent += cost
        all_things.spent += cost
        record.suppressed, thing.suppressed = thing.suppressed, 0
        return True

    def _share(self, key: Hashable) -> _Share:
        now = self._clock()
        share = self._shares.setdefault(key, _Share(now))
        self._shares.move_to_end(key)
        if now - share.since >= PERIOD:
            share.since, share.spent = now, 0
        if len(self._shares) > REMEMBERED:
            self._shares.popitem(last=False)
        return share
