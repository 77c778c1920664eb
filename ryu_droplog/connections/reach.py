"""Whether a configured bridge is connected, since when, and why not. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from ryu_droplog.text.phrases import duration, timestamp

STEADY = 5.0
"""Seconds that a connection must last to count: one that is refused each time is none."""
FIRST_WARNING = 60.0
"""Seconds without a connection after which that is said at WARNING."""
NEXT_WARNING = 600.0
"""Seconds until it is said again."""

CONNECTED = "connected"
CONNECTING = "connecting"
"""It is being tried, and nothing has failed yet."""
WAITING = "waiting"
"""It is for the bridge to connect to us."""
UNREACHABLE = "unreachable"
"""There is no connection to be had."""
REFUSED = "refused"
"""Somebody is there, but not with this bridge for us."""
OFF = "off"
"""The drop log is switched off, and nothing is connected."""
GONE = "gone"
"""It is not configured by its name, or not any more, and is not connected."""


class Trouble(NamedTuple):
    """Why a bridge is not connected."""

    state: str
    """CONNECTING, UNREACHABLE or REFUSED."""
    text: str


class Reach:
    """One configured bridge, over all its connections."""

    NOTHING: ClassVar[dict[str, Any]] = {"state": "", "since": None, "seconds": None, "error": None}
    """What `state` gives, of a bridge that has none of this."""

    def __init__(
        self,
        *,
        waits: bool,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`waits`: the bridge connects to us. `clock` and `wall` give seconds."""
        self._clock = clock
        self._wall = wall
        self._connected = False
        self._trouble = Trouble(WAITING if waits else CONNECTING, "")
        self._idle = self._trouble
        self._since = clock(), wall()
        self._absent = self._since
        """Since when it is away, or was before the connection that there is now."""
        self._next_warning = clock() + FIRST_WARNING

    def note(self, connected: bool, trouble: Trouble | None) -> None:
        """Take what is so now; `trouble` is the last one, None where there was none yet."""
        now = self._clock()
        if connected and not self._connected:
            self._absent, self._since = self._since, (now, self._wall())
        elif self._connected and not connected:
            lasted = now - self._since[0] >= STEADY
            if lasted:
                self._next_warning = now + FIRST_WARNING
            self._since = (now, self._wall()) if lasted else self._absent
        self._connected = connected
        self._trouble = trouble or self._idle

    def warning(self) -> str | None:
        """What is to be said at WARNING now, if anything."""
        now = self._clock()
        if self._connected or now < self._next_warning:
            return None
        self._next_warning = now + NEXT_WARNING
        why = self._trouble.text or "it has not connected"
        return f"not connected for {duration(now - self._since[0])}: {why}"

    def state(self) -> dict[str, Any]:
        """For `status`: what it is, since when (RFC 3339, and in seconds), and why."""
        since, wall = self._since
        return {
            "state": CONNECTED if self._connected else self._trouble.state,
            "since": timestamp(wall),
            "seconds": round(self._clock() - since, 1),
            "error": None if self._connected else self._trouble.text or None,
        }
