"""What is said of those who connect: never more than they are worth, whatever they do."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

LOG = logging.getLogger(__name__)

REPEAT_TIME = 60.0
"""Seconds after a line about a host until the next refusal of it, or the same line, is said."""
HOSTS = 256
"""Hosts that are remembered; of others, who came before them, the line is said again."""
LINES = 20
"""Lines within `REPEAT_TIME` about all hosts together."""
_TEXTS = 64
"""Lines that are remembered of a host."""


class _Host:
    def __init__(self) -> None:
        self.refused_at = -REPEAT_TIME
        self.unsaid = 0
        """Refusals that were not said since the last one that was."""
        self.said: OrderedDict[str, float] = OrderedDict()


class PeerLog:
    """Says what happens with the hosts that connect: each thing once a minute at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.refused = 0
        """Refusals, said or not."""
        self._clock = clock
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._lines: list[float] = []

    def say(self, host: str, text: str) -> None:
        """Log `text` about a host, where the same was not said of it within the last minute."""
        now = self._clock()
        said = self._host(host).said
        if now - said.get(text, now - REPEAT_TIME) < REPEAT_TIME or not self._has_room(now):
            return
        said[text] = now
        said.move_to_end(text)
        if len(said) > _TEXTS:
            said.popitem(last=False)
        LOG.info("tcp:%s: %s", host, text)

    def refuse(self, host: str, reason: str) -> None:
        """Count a refusal, and log it where none of this host was logged within a minute."""
        now = self._clock()
        self.refused += 1
        found = self._host(host)
        if now - found.refused_at < REPEAT_TIME or not self._has_room(now):
            found.unsaid += 1
            return
        more = f" ({found.unsaid} more refusals since the last line)" if found.unsaid else ""
        found.refused_at, found.unsaid = now, 0
        LOG.info("tcp:%s: %s%s", host, reason, more)

    def _host(self, host: str) -> _Host:
        found = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        if len(self._hosts) > HOSTS:
            self._hosts.popitem(last=False)
        return found

    def _has_room(self, now: float) -> bool:
        """Whether one more line may be said of anybody; it counts as said."""
        self._lines = [at for at in self._lines if now - at < REPEAT_TIME]
        if len(self._lines) >= LINES:
            return False
        self._lines.append(now)
        return True
