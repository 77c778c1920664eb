"""With which of our flows a change contends, at a cost that does not grow with their number.

What an owner changes comes as fast as a switch can tell it, and a flow of ours that contends with
it has to go at once, also where there are thousands of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Event, Update, effect_of
from ryu_droplog.openflow.overlaps import Effort, Overlaps
from ryu_droplog.reconcile.desired_state import DesiredFlow, DesiredState, FlowKey

_STALE = 100
"""Places beyond twice what stands that are remembered before all are sorted anew."""


class Contention:
    """The places of our flows, to be found by what contends with them."""

    def __init__(self, standing: Mapping[FlowKey, DesiredState]) -> None:
        """`standing` are all flows of ours as they are now; whose place is new is to be noted."""
        self._standing = standing
        self._clear()

    def _clear(self) -> None:
        self._noted: dict[FlowKey, DesiredFlow] = {}
        self._places = 0
        self._misses: dict[int, list[FlowKey]] = {}
        """By table."""
        self._above: dict[int, dict[tuple[int, int], Overlaps[FlowKey]]] = {}
        """By table, and by the priorities of the drop below and of ours."""

    def __len__(self) -> int:
        """Places that are remembered, those that are left among them."""
        return self._places

    def note(self, key: FlowKey, wanted: DesiredFlow) -> None:
        """Remember that a flow of ours may stand there from now on."""
        if self._noted.get(key) == wanted:
            return
        if self._places > 2 * len(self._standing) + _STALE:
            self._clear()
            for known, standing in self._standing.items():
                self._place(known, standing.wanted)
        self._place(key, wanted)

    def _place(self, key: FlowKey, wanted: DesiredFlow) -> None:
        self._noted[key] = wanted
        self._places += 1
        if wanted.below is None:
            self._misses.setdefault(key.table_id, []).append(key)
            return
        priorities = wanted.below.priority, wanted.priority
        places = self._above.setdefault(key.table_id, {})
        overlaps = places.setdefault(priorities, Overlaps(Effort(math.inf)))
        overlaps.add(wanted.below.match, key)

    def find(self, update: Update) -> Iterator[tuple[FlowKey, str]]:
        """The flows of ours that must go because of somebody's change, each with the reason."""
        for key in dict.fromkeys(self._near(update)):
            standing = self._standing.get(key)
            why = standing and _contention(standing, update)
            if why:
                yield key, why

    def _near(self, update: Update) -> Iterator[FlowKey]:
        yield from self._misses.get(update.table_id, ())
        for (lowest, highest), overlaps in self._above.get(update.table_id, {}).items():
            if lowest <= update.priority <= highest:
                yield from overlaps.find(update.match)


def _contention(standing: DesiredState, update: Update) -> str | None:
    """Why somebody's change means that our flow must go; None when it may stay."""
    ours = standing.flow
    if ours is None:
        return None
    if update.cookie == ours.cookie:
        if update.event == Event.DELETED:
            return "was removed"
        # After a pause of the monitor our own addition is told like anyone's.
        whole = cookie.SIGNATURE in effect_of(update.instructions).controller_ids
        return None if whole else "was changed"
    if standing.wanted.contends(update):
        return f"was contended with at priority {update.priority}"
    return None
