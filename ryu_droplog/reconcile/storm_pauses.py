"""When a loud flow that could not step aside is tried again. Pure."""

from __future__ import annotations

from collections.abc import Hashable

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds until a loud flow whose place was refused or taken is tried again; doubles each time."""
CALM = 120.0
"""Seconds as a summary flow after which its next pause is the first one again."""
REMEMBERED = 4096
"""Pauses that are remembered."""


class Pauses:
    """Until when which loud flows are not tried."""

    def __init__(self) -> None:
        self._pauses: dict[Hashable, tuple[float, float]] = {}
        """When it may be tried again, and the pause after that."""

    def begin(self, key: Hashable, now: float, stood: float) -> None:
        """Its place was refused or taken after `stood` seconds; each pause is longer than before.

        `now` is in seconds, and never goes back.
        """
        pause = FIRST_PAUSE if stood > CALM else self._pauses.get(key, (0.0, FIRST_PAUSE))[1]
        if len(self._pauses) >= REMEMBERED:
            self._pauses.clear()
        self._pauses[key] = now + pause, min(2 * pause, LONGEST_PAUSE)

    def over(self, key: Hashable, now: float) -> bool:
        """Whether it may be tried."""
        return now >= self._pauses.get(key, (0.0, 0.0))[0]
