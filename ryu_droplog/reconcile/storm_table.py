"""What the control of a storm knows of one table: what its meter drops, and what was loud in it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ryu_droplog.processing.loud_flows import Loudness
from ryu_droplog.reconcile.summary_credit import TableCredit

READINGS = 2
"""Readings in a row in which a meter has dropped packets: a short burst is no storm."""
LOOKS = 4
"""Looks that are remembered."""


@dataclass
class StormTable:
    """One table; times are in seconds, and never go back."""

    credit: TableCredit = field(default_factory=TableCredit)
    looks: deque[Loudness] = field(default_factory=lambda: deque(maxlen=LOOKS))
    dropping: int = 0
    """Readings in a row in which its meter had dropped more."""
    flood: float = 0.0
    """Packets a second that came to the meter between the last two readings."""
    _metered: int = 0
    """As its meter was read last."""
    _asked: float = 0.0
    """When that was."""

    @property
    def in_storm(self) -> bool:
        """Whether its meter goes on dropping packets."""
        return self.dropping >= READINGS

    def read_meter(self, drops: int, rate: int, now: float) -> None:
        """Take how many packets its meter has dropped so far; it lets `rate` a second through."""
        more = drops - self._metered
        self.flood = rate + more / (now - self._asked) if now > self._asked else 0.0
        self._metered, self._asked = drops, now
        self.dropping = self.dropping + 1 if more > 0 else 0

    def forget_meter(self) -> None:
        """The meter is another from now on."""
        self._metered, self.dropping = 0, 0
        self.looks.clear()
