"""How many of the packets that summary flows counted were not seen otherwise. Pure arithmetic.

Open vSwitch brings flow counters up to date about twice a second, and credits what came meanwhile
to the flow that is there then. So a summary flow that is added in the middle of a flood is credited
with packets that the flow below it had taken before, and that the meter has dropped or the program
has received; the flow below lacks just as many. What both have counted together is right, and
what of it was neither rate-limited nor received is what the summary flows have taken.
"""

from __future__ import annotations

from ryu_droplog.reconcile.storm_types import Figures


class TableCredit:
    """Of one table, since the program started."""

    def __init__(self) -> None:
        self._summed = 0
        """What all its summary flows have counted."""
        self._told = 0
        """How many of these were told."""
        self._lost = 0
        """Packets that our other flows counted and nobody saw, before there was a summary flow."""

    def rest(self, figures: Figures) -> None:
        """No summary flow is there, and no flood: what is missing now is lost in the switch."""
        self._lost = max(0, figures.counted + self._summed - figures.seen - self._told)

    def count(self, packets: int) -> None:
        """A summary flow has counted so many more."""
        self._summed += packets

    def tell(self, most: int, figures: Figures) -> int:
        """How many of at most so many packets may be told now; they are taken to be told."""
        unseen = figures.counted + self._summed - figures.seen
        packets = max(0, min(most, unseen - self._lost - self._told))
        self._told += packets
        return packets
