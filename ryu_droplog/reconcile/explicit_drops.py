"""What to do about explicit drops, the flows of others whose action is to drop: a pure function.

Their packets can be counted from the owner's own counters, which changes nothing. To see a packet,
a flow of ours goes just above the owner's, with the owner's match: it takes exactly the packets
that would be dropped, does to them what the owner's flow does, and goes away as easily as any flow
of ours. Where there is no room for it, because another flow of the owner's overlaps there, only
the owner's flow itself can be changed so that it sends its packets, if the user asks for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ryu_droplog.config.settings import ExplicitDrops
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.overlaps import Effort, Overlaps
from ryu_droplog.openflow.oxm_match import free_bit

CAPTURES = 2000
"""Explicit drops of a bridge that are captured at once; the others are counted."""
STEPS = 4
"""How many priorities above the owner's flow ours may be."""
EFFORT, EFFORT_OF_A_FLOW = 1_000_000, 20
"""Fields of matches that one plan compares, and how many more with each flow: a second or so.
Flows of a few kinds take less; it is spent where nearly all differ in what they ask."""

_PRIORITY_MAX = 65535


class CaptureMethod(Enum):
    """How the packets of an explicit drop are seen."""

    ABOVE = "logged"
    """By a flow of ours just above."""
    MODIFY = "logged by its owner's flow"
    """By the owner's flow, to which an action is added that sends the packet to us."""
    COUNT = "counted"
    """Not at all; only their number is known."""


class Place(NamedTuple):
    """Which flow it is for strict commands of OpenFlow."""

    table_id: int
    priority: int
    match: bytes
    """The OXM fields, raw."""


@dataclass(frozen=True)
class ExplicitDrop:
    """An owner's drop flow, and what is done about it."""

    flow: Flow
    method: CaptureMethod
    why: str
    priority: int = 0
    """Of our flow, for `CaptureMethod.ABOVE`."""
    register: int = 0
    """For `CaptureMethod.ABOVE`: whose bit 31 makes our match differ from the owner's."""

    @property
    def place(self) -> Place:
        """The place of the owner's flow."""
        return Place(self.flow.table_id, self.flow.priority, self.flow.match)


Known = Callable[[int], bool]
"""Whether its owner says that the flow with this cookie drops, whatever else it does."""


def is_drop(flow: Flow, known: Known) -> bool:
    """Whether the packets of a flow end there for certain.

    A flow that tells its owner's controller of the packet may be a drop that is logged, or a
    question that is answered by sending the packet on: only its owner knows.
    """
    effect = flow.effect
    return not effect.leaves and (not effect.tells or known(flow.cookie))


def plan_explicit(
    tables: Mapping[int, Sequence[Flow]],
    wish: ExplicitDrops,
    known: Known,
    *,
    monitored: bool,
    own_cookies: bool,
) -> list[ExplicitDrop]:
    """Decide drop by drop, in the order of tables and falling priorities.

    `tables` are the flows of others in the tables where a drop is a loss. `monitored` and
    `own_cookies` as in `Snapshot` and `Pipeline`.
    """
    shared = _shared_cookies(tables, known) if own_cookies and wish.modify else frozenset()
    planned_drops: list[ExplicitDrop] = []
    captured = 0
    effort = Effort(EFFORT + EFFORT_OF_A_FLOW * sum(map(len, tables.values())))
    for table_id, flows in sorted(tables.items()):
        asked = wish.log is True or (wish.log is not False and table_id in wish.log)
        table = _Table(flows, known, effort)
        for flow in table.drops:
            if not asked:
                planned = ExplicitDrop(flow, CaptureMethod.COUNT, "")
            elif captured >= CAPTURES:
                planned = ExplicitDrop(
                    flow, CaptureMethod.COUNT, f"{CAPTURES} others are logged already"
                )
            elif not monitored:
                planned = ExplicitDrop(flow, CaptureMethod.COUNT, _NO_MONITOR)
            else:
                planned = table.above(flow)
                if planned.method is CaptureMethod.COUNT and wish.modify:
                    planned = _modify(planned, shared, own_cookies=own_cookies)
                captured += planned.method is not CaptureMethod.COUNT
            planned_drops.append(planned)
    return planned_drops


_NO_MONITOR = "no flow monitor would report its owner's changes"


def _uncaptured(flow: Flow, why: str) -> ExplicitDrop:
    return ExplicitDrop(flow, CaptureMethod.COUNT, why)


class _Table:
    """The flows of one table, and the places above its drops that are taken."""

    def __init__(self, flows: Sequence[Flow], known: Known, effort: Effort) -> None:
        self.drops = sorted(
            (flow for flow in flows if is_drop(flow, known)),
            key=lambda flow: (-flow.priority, flow.match),
        )
        self._known = known
        self._effort = effort
        self._by_priority: dict[int, list[Flow]] = {}
        for flow in flows:
            self._by_priority.setdefault(flow.priority, []).append(flow)
        self._all: dict[int, Overlaps[Flow]] = {}
        self._acting: dict[int, Overlaps[Flow]] = {}
        """Flows that are no drops."""
        self._ours: dict[int, Overlaps[Flow]] = {}

    def above(self, flow: Flow) -> ExplicitDrop:
        """The lowest place just above, if there is one that nobody else's flow overlaps."""
        planned = self._above(flow)
        return _uncaptured(flow, _TOO_MANY_KINDS) if self._effort.spent else planned

    def _above(self, flow: Flow) -> ExplicitDrop:
        match = flow.match
        register = free_bit(match)
        if register is None:
            return _uncaptured(flow, "its match has no register to spare")
        if flow.idle_timeout:
            return _uncaptured(flow, "it has an idle timeout, which a flow above would let run out")
        if self._acting_at(flow.priority).any(match):
            return _uncaptured(flow, "another flow at its priority overlaps")
        for priority in range(flow.priority + 1, flow.priority + 1 + STEPS):
            if priority > _PRIORITY_MAX:
                return _uncaptured(flow, f"nothing can be above priority {_PRIORITY_MAX}")
            if self._all_at(priority).any(match):
                return _uncaptured(flow, f"another flow overlaps at priority {priority}")
            ours = self._ours.setdefault(priority, Overlaps(self._effort))
            if not ours.any(match):
                ours.add(match, flow)
                why = f"above it, at priority {priority}"
                return ExplicitDrop(flow, CaptureMethod.ABOVE, why, priority, register)
        return _uncaptured(flow, "the places above it are taken by flows of ours")

    def _acting_at(self, priority: int) -> Overlaps[Flow]:
        if priority not in self._acting:
            flows = self._by_priority.get(priority, ())
            self._acting[priority] = self._index(f for f in flows if not is_drop(f, self._known))
        return self._acting[priority]

    def _all_at(self, priority: int) -> Overlaps[Flow]:
        if priority not in self._all:
            self._all[priority] = self._index(self._by_priority.get(priority, ()))
        return self._all[priority]

    def _index(self, flows: Iterable[Flow]) -> Overlaps[Flow]:
        overlaps: Overlaps[Flow] = Overlaps(self._effort)
        for flow in flows:
            overlaps.add(flow.match, flow)
        return overlaps


_TOO_MANY_KINDS = "there are too many kinds of matches to compare"


def _modify(planned: ExplicitDrop, shared: Iterable[int], *, own_cookies: bool) -> ExplicitDrop:
    """The owner's own flow, where it can be told by its cookie from all that may come after it."""
    flow = planned.flow
    if not own_cookies or not flow.cookie or flow.cookie in shared:
        why = f"{planned.why}, and its cookie is not its own"
        return ExplicitDrop(flow, CaptureMethod.COUNT, why)
    return ExplicitDrop(flow, CaptureMethod.MODIFY, planned.why)


def _shared_cookies(tables: Mapping[int, Sequence[Flow]], known: Known) -> frozenset[int]:
    """Cookies that flows other than drops have, too."""
    return frozenset(flow.cookie for flow in _all(tables) if not is_drop(flow, known))


def _all(tables: Mapping[int, Sequence[Flow]]) -> Iterator[Flow]:
    for flows in tables.values():
        yield from flows
