"""Our flows: what each should be, what is on the switch, and when it may be tried again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.model.cookie import CAPTURE_SLOT_MAX, TABLE_DROP
from ryu_droplog.openflow.flow_stats import Event, Update, actions_of, effect_of
from ryu_droplog.openflow.messages import OurFlow
from ryu_droplog.openflow.oxm_match import overlap, with_free_bit
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, Place
from ryu_droplog.reconcile.planner import Plan, Verdict

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds until a flow that was removed, by us or others, is tried again."""
ANY_REGISTER = 15
"""Its bit 31 makes a match ours: nobody sets it, and a match of what to capture names none."""
CALM = 120.0
"""Seconds on the switch after which the next pause of a flow is the first one again."""


class FlowKey(NamedTuple):
    """One of our flows, over all the times that it is added."""

    table_id: int
    slot: int
    """0: it sees what the table misses; else it is above an explicit drop."""


@dataclass(frozen=True)
class DesiredFlow:
    """A flow of ours as the plan desires it."""

    key: FlowKey
    priority: int
    match: bytes
    """Empty: a table-miss flow."""
    below: Place | None = None
    """The owner's drop flow that ours is just above; None: a table-miss flow."""
    actions: bytes = b""
    """What the flow below does to a packet, and so ours."""

    def contends(self, update: Update) -> bool:
        """Whether somebody's change means that our flow must not be there."""
        if self.below is None:
            return update.priority == self.priority
        if not self.below.priority <= update.priority <= self.priority:
            return False
        if not overlap(update.match, self.below.match):
            return False
        if update.priority > self.below.priority or update.match == self.below.match:
            return True
        effect = effect_of(update.instructions)  # beside the drop, at its priority
        return update.event != Event.DELETED and (effect.leaves or effect.tells)


@dataclass
class FlowState:
    """One of our flows, desired and observed. Times are in seconds, of the caller's clock."""

    desired: DesiredFlow
    flow: OurFlow | None = None
    """The flow while it is on the switch."""
    since: float = 0.0
    """When it was added."""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE))
    not_before: float = 0.0
    """When it may be tried again; 0: it waits for nothing."""
    additions: int = 0
    """How often a flow was added; part of its cookie, so that each has counters of its own."""
    withdrawn: int = 0
    """How often it was removed: by others, or by us because of an owner's change."""
    refusal: str = ""
    """Why it is not on the switch, if it is not."""
    is_desired: bool = True
    """Whether the plan desires it."""
    missing_since: float = 0.0
    """Since when it is desired and not on the switch; 0: it is there."""

    def fits(self, desired: DesiredFlow, managed: bool) -> bool:
        """Whether our flow there, if any, is what the plan asks for.

        On a bridge that the OpFlex agent manages, our cookie is without the table-drop bit.
        """
        return self.flow is None or (
            self.desired == desired and bool(self.flow.cookie & TABLE_DROP) is not managed
        )

    def added(self, now: float) -> None:
        """Our flow was added."""
        self.since, self.not_before, self.refusal, self.missing_since = now, 0.0, "", 0.0

    def put_off(self, now: float, refusal: str = "") -> None:
        """It could not be added, or was taken away: try again later, and later each time."""
        if self.since:
            self.withdrawn += 1
            if now - self.since > CALM:
                self.backoff.reset()
        self.flow, self.since = None, 0.0
        self.not_before = now + self.backoff.failed()
        self.refusal = refusal
        self.missing_since = self.missing_since or now

    def wait(self, now: float, refusal: str) -> None:
        """It is not tried before a later plan."""
        self.not_before, self.refusal = 0.0, refusal
        self.missing_since = self.missing_since or now

    def stop_desiring(self) -> None:
        """The plan desires nothing here. A pause goes on: the owner may change its flows often."""
        self.is_desired, self.missing_since = False, 0.0

    def desire(self, desired: DesiredFlow, now: float) -> None:
        """The plan desires this here."""
        self.desired, self.is_desired = desired, True
        if self.flow is None:
            self.missing_since = self.missing_since or now

    @property
    def retry(self) -> float | None:
        """When it may be tried again; None: it waits for nothing."""
        return (
            self.not_before if self.flow is None and self.is_desired and self.not_before else None
        )


class Slots:
    """Numbers for the explicit drops that are logged, table by table.

    A number that is given back is used again as late as possible: a packet of its last owner's may
    still be on the way.
    """

    def __init__(self) -> None:
        self._slots: dict[Place, int] = {}
        self._used: dict[int, int] = {}
        self._free: dict[int, deque[int]] = {}
        self._first: dict[int, bytes] = {}

    def first(self, table_id: int, matches: Sequence[bytes]) -> bytes:
        """Which of the matches has slot 0 of a table: the one that had it, where it is there."""
        if matches and self._first.get(table_id) not in matches:
            self._first[table_id] = matches[0]
        return self._first.get(table_id, b"")

    def take(self, place: Place) -> int | None:
        """The number of a place, the same each time; None when the table has none left."""
        slot = self._slots.get(place)
        if slot is not None:
            return slot
        table_id = place.table_id
        slot = self._used.get(table_id, 0) + 1
        if slot <= CAPTURE_SLOT_MAX:
            self._used[table_id] = slot
        elif self._free.get(table_id):
            slot = self._free[table_id].popleft()
        else:
            return None
        self._slots[place] = slot
        return slot

    def keep(self, still: Callable[[FlowKey], bool]) -> None:
        """Give back the numbers of places that are no longer in use."""
        for place, slot in list(self._slots.items()):
            if not still(FlowKey(place.table_id, slot)):
                del self._slots[place]
                self._free.setdefault(place.table_id, deque()).append(slot)


def desired_flows(
    plan: Plan, slots: Slots, capture: Sequence[bytes] | None = None
) -> Iterator[DesiredFlow]:
    """The flows of ours that a plan asks for.

    `capture` are the matches, raw and disjoint, of what is to be captured where a table misses it;
    None: everything.
    """
    for table in plan.watched:
        chosen = (b"",) if capture is None else capture
        first = slots.first(table.table_id, chosen)
        for match in sorted(chosen, key=first.__ne__):  # slot 0 is made free before the others
            others = match != first
            below = None
            if table.verdict is Verdict.ABOVE_DROP:
                below = Place(table.table_id, table.priority - 1, b"")
            if below or match:
                match = with_free_bit(match, ANY_REGISTER)
            slot = slots.take(Place(table.table_id, table.priority, match)) if others else 0
            if slot is not None:
                yield DesiredFlow(FlowKey(table.table_id, slot), table.priority, match, below)
    for drop in plan.explicit:
        if drop.method is CaptureMethod.ABOVE:
            slot = slots.take(drop.place)
            if slot is not None:
                yield DesiredFlow(
                    FlowKey(drop.flow.table_id, slot),
                    drop.priority,
                    with_free_bit(drop.flow.match, drop.register),
                    drop.place,
                    actions_of(drop.flow.instructions),
                )
