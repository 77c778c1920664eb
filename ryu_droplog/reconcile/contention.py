"""With which of our flows a change conflicts, at a cost that does not grow with their number.

An owner's changes come as fast as the switch can send them, and a flow of ours that conflicts with
one has to be removed at once, also where there are thousands of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Event, Update, effect_of
from ryu_droplog.openflow.overlaps import Effort, Overlaps
from ryu_droplog.reconcile.desired_state import DesiredFlow, FlowKey, FlowState

_STALE = 100
"""Places beyond twice the number of our flows that are kept before the index is built anew."""


class Contention:
    """The places of our flows, to be found by what contends with them."""

    def __init__(self, states: Mapping[FlowKey, FlowState]) -> None:
        """`states` are all flows of ours as they are now; new places are passed to `note`."""
        self._states = states
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

    def note(self, key: FlowKey, desired: DesiredFlow) -> None:
        """Remember that a flow of ours may be at that place from now on."""
        if self._noted.get(key) == desired:
            return
        if self._places > 2 * len(self._states) + _STALE:
            self._clear()
            for other, state in self._states.items():
                self._place(other, state.desired)
        self._place(key, desired)

    def _place(self, key: FlowKey, desired: DesiredFlow) -> None:
        self._noted[key] = desired
        self._places += 1
        if desired.below is None:
            self._misses.setdefault(key.table_id, []).append(key)
            return
        priorities = desired.below.priority, desired.priority
        places = self._above.setdefault(key.table_id, {})
        overlaps = places.setdefault(priorities, Overlaps(Effort(math.inf)))
        overlaps.add(desired.below.match, key)

    def find(self, update: Update) -> Iterator[tuple[FlowKey, str]]:
        """The flows of ours that must go because of somebody's change, each with the reason."""
        for key in dict.fromkeys(self._near(update)):
            state = self._states.get(key)
            why = state and _contention(state, update)
            if why:
                yield key, why

    def _near(self, update: Update) -> Iterator[FlowKey]:
        yield from self._misses.get(update.table_id, ())
        for (lowest, highest), overlaps in self._above.get(update.table_id, {}).items():
            if lowest <= update.priority <= highest:
                yield from overlaps.find(update.match)


def _contention(state: FlowState, update: Update) -> str | None:
    """Why somebody's change means that our flow must go; None when it may stay."""
    ours = state.flow
    if ours is None:
        return None
    if update.cookie == ours.cookie:
        if update.event == Event.DELETED:
            return "was removed"
        # After a pause the monitor reports our own addition like anyone's.
        whole = cookie.SIGNATURE in effect_of(update.instructions).controller_ids
        return None if whole else "was changed"
    if state.desired.contends(update):
        return f"was contended with at priority {update.priority}"
    return None
