"""What other runs of this program have on a bridge: left alone, or removed where the run is dead.

See other_runs.py for how a run that is at work is told from one that is dead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ryu_droplog.model import cookie
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.openflow.flow_stats import Event, Flow, Update
from ryu_droplog.openflow.requests import (
    METER_BASE,
    METER_END,
    exchange_many,
    leftover,
    run_of_meter,
)
from ryu_droplog.reconcile.desired_state import DesiredFlow
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, ExplicitDrop, Place
from ryu_droplog.reconcile.meters import Meters
from ryu_droplog.reconcile.other_runs import OtherRuns, run_of
from ryu_droplog.reconcile.owner_flow_rewrite import OwnerFlowRewrite, tells
from ryu_droplog.reconcile.planner import Plan

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Leftovers:
    """What dead runs have left on a bridge."""

    flows: Sequence[Flow]
    meters: Sequence[int]
    rewritten_flows: Sequence[Flow]
    """Drop flows of the owner's to which an action of this program's was added."""

    def remove(self, connection: Connection, rewritten: OwnerFlowRewrite) -> int:
        """Remove the flows and meters, and restore the owner's flows; returns how many these are.

        Each is told by its full cookie, so that nothing that has come meanwhile is touched.
        """
        restored = rewritten.restore_leftovers(self.rewritten_flows)
        removals = [leftover(flow).delete(connection) for flow in self.flows]
        removals += [messages.delete_meter(connection, meter) for meter in self.meters]
        exchange_many(connection, removals)
        return restored

    def __len__(self) -> int:
        return len(self.flows) + len(self.meters) + len(self.rewritten_flows)


def left_by(
    runs: Collection[int], flows: Iterable[Flow], meters: Iterable[int], *, alone: bool
) -> Leftovers:
    """What these runs have on a bridge.

    `alone`: no other run is there. Then flows of the owner's with an action of this program's that
    name no meter, and so no run, belong to these runs, too.
    """
    ours, changed = [], []
    for flow in flows:
        run = run_of(flow)
        if run is not None:
            if run in runs:
                ours.append(flow)
        elif tells(flow) and (
            _runs_of_meters(flow) & set(runs) or (alone and not _runs_of_meters(flow))
        ):
            changed.append(flow)
    return Leftovers(ours, [meter for meter in meters if run_of_meter(meter) in runs], changed)


def _runs_of_meters(flow: Flow) -> set[int]:
    """The runs whose meters an action of this program's in a flow of the owner's names."""
    return {run_of_meter(m) for m in flow.effect.meter_ids if METER_BASE <= m < METER_END}


class Sweeper:
    """What is done about other runs of this program on a bridge, over one connection."""

    def __init__(
        self,
        connection: Connection,
        bridge: str,
        generation: int,
        dead: Collection[int],
        lease: float,
        meters: Meters,
        rewritten: OwnerFlowRewrite,
        clock: Callable[[], float],
    ) -> None:
        """`generation` is this run's; `dead` are generations of runs that are known to be."""
        self._connection = connection
        self._bridge = bridge
        self._generation = generation
        self._meters = meters
        self._rewritten = rewritten
        self._clock = clock
        self._others = OtherRuns({generation, *dead}, lease, clock)
        self._in_place: dict[int, list[Update]] = {}
        """By table, the flows of other runs, as if they had just been added."""
        self._reported: dict[int, bool] = {}
        """Whether a run was logged as being at work; a run that is not here was not logged yet."""

    def due(self) -> float | None:
        """When to look again although nothing has changed; None: no other run is there."""
        return self._others.due()

    def look(self, flows: Sequence[Flow], *, first: bool = False) -> None:
        """Take all flows of the bridge; remove what dead runs have left.

        The `first` time, this run's own are of an earlier connection, and go, too.
        """
        if not first:
            flows = [flow for flow in flows if not self._is_own(flow)]
        theirs = any(run_of(flow) is not None for flow in flows)
        meters = self._meters.on_switch() if first or theirs or self._others.seen else []
        if first:
            self._meters.read_former(meters)
        else:
            meters = [meter for meter in meters if run_of_meter(meter) != self._generation]
        over = self._others.see(flows, map(run_of_meter, meters))
        left = left_by(over, flows, meters, alone=not self._others.seen)
        if left and (over or first):
            LOG.info("%s: removing %d leftovers", self._bridge, len(left))
            left.remove(self._connection, self._rewritten)
        self._in_place = {}
        for flow in flows:
            if run_of(flow) in self._others:
                update = Update(
                    Event.ADDED,
                    flow.table_id,
                    flow.priority,
                    flow.cookie,
                    flow.instructions,
                    flow.match,
                )
                self._in_place.setdefault(flow.table_id, []).append(update)
        self._say()

    def _is_own(self, flow: Flow) -> bool:
        """Whether a flow is this connection's, or was changed by it."""
        place = Place(flow.table_id, flow.priority, flow.match)
        return run_of(flow) == self._generation or place in self._rewritten.places

    def note(self, update: Update) -> bool:
        """Take a change by others; whether another run of this program made it."""
        is_of_other_run = self._others.note(update)
        if is_of_other_run:
            self._say()
        return is_of_other_run

    def in_the_way(self, desired: DesiredFlow) -> str:
        """Why a flow of ours cannot be where it is wanted because of another run; or empty."""
        for update in self._in_place.get(desired.key.table_id, ()):
            if desired.contends(update):
                run = cookie.run_of(update.cookie) or 0
                return f"another ryu_droplog ({cookie.generation_text(run)}) has a flow there"
        return ""

    def spare(self, plan: Plan) -> Plan:
        """The plan without rewriting flows that another run has rewritten for itself."""
        if not self._others.seen:
            return plan
        return replace(plan, explicit=[self._spared(drop) for drop in plan.explicit])

    def _spared(self, drop: ExplicitDrop) -> ExplicitDrop:
        theirs = [run for run in _runs_of_meters(drop.flow) if run in self._others]
        if not theirs or drop.place in self._rewritten.places:
            return drop
        who = cookie.generation_text(theirs[0])
        return ExplicitDrop(drop.flow, CaptureMethod.COUNT, f"it tells another ryu_droplog ({who})")

    def describe(self, now: float) -> list[dict[str, Any]]:
        """The other runs as of now, a row each, for `status`."""
        return [
            {
                "generation": f"{other.run:#08x}",
                "at_work": other.at_work,
                "flows": len(other.flows),
                "meters": other.meters,
                "lease": other.lease,
                "seconds_to_decide": None if other.at_work else round(max(other.due - now, 0), 1),
            }
            for other in self._others.seen
        ]

    def _say(self) -> None:
        """Log what is new of each run."""
        seen = {other.run: other for other in self._others.seen}
        for run, other in seen.items():
            who = cookie.generation_text(run)
            if other.at_work and not self._reported.get(run):
                LOG.error(
                    "%s: another ryu_droplog is at work on this bridge (%s): its flows are left"
                    " alone, and what they take is not logged here",
                    self._bridge,
                    who,
                )
            elif run not in self._reported:
                LOG.warning(
                    "%s: flows or meters of another run are there (%s): left alone for up to"
                    " %.0f s, to see whether it is at work",
                    self._bridge,
                    who,
                    other.due - self._clock(),
                )
            self._reported[run] = other.at_work
        for run in [run for run in self._reported if run not in seen]:
            LOG.info(
                "%s: nothing is left of the other run (%s)",
                self._bridge,
                cookie.generation_text(run),
            )
            del self._reported[run]
