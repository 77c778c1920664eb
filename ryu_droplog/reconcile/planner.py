"""What to add to a bridge, and what to leave alone: a pure function of pipeline and flows.

A miss flow goes where a packet would otherwise be dropped in silence, and nowhere else. It must
never take a packet from a flow of anyone else's, so each table gets what fits: a table-miss flow
below everything, a flow just above a catch-all that drops, or nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ryu_droplog.config.settings import ExplicitDrops
from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.owners.detection import owner_of
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.reconcile.explicit_drops import ExplicitDrop, Known, plan_explicit
from ryu_droplog.text.phrases import count

NO_FLOW_LEADS_THERE = "no flow leads there"
PRIORITY_MAX = 65535
TABLE_MAX = 254
"""Highest table number; 255 is OFPTT_ALL."""


class Verdict(Enum):
    """What is done about a table."""

    MISS = "table-miss"
    """A flow at priority 0 without a match, added by an atomic bundle."""
    ABOVE_DROP = "shadow"
    """A flow just above the owner's catch-all drop."""
    LEAVE = "left alone"
    """Nothing is added."""


@dataclass(frozen=True)
class Snapshot:
    """What was on the switch when the plan was made."""

    flows: Sequence[Flow]
    names: Mapping[int, str] = field(default_factory=dict)
    """Table names that the bridge itself knows (OFPMP_TABLE_FEATURES)."""
    limits: Mapping[int, int] = field(default_factory=dict)
    """max_entries of each table (OFPMP_TABLE_FEATURES); a table without one has no limit."""
    monitored: bool = True
    """Whether somebody tells when an owner changes its flows."""
    packet_in_on_miss: bool = False
    """Whether a packet that no flow matches goes to a controller (one of OpenFlow 1.0 to 1.2)."""


@dataclass(frozen=True)
class TablePlan:
    """What is done about one table, and why."""

    table_id: int
    name: str
    verdict: Verdict
    priority: int
    """Priority of the flow to add; 0 where nothing is added."""
    why: str
    blind: bool = False
    """Whether packets may be dropped there that cannot be seen."""


@dataclass(frozen=True)
class Plan:
    """What is done about a bridge."""

    managed: bool
    """Whether the OpFlex agent itself manages the bridge, so that one flow sees every drop."""
    tables: Sequence[TablePlan]
    explicit: Sequence[ExplicitDrop] = ()
    """Flows of others that drop, but for the catch-all drops that a flow of ours is above."""
    lossy: frozenset[int] = frozenset()
    """Tables where a packet that an explicit drop takes is lost."""

    @property
    def watched(self) -> list[TablePlan]:
        """The tables that get a flow."""
        return [table for table in self.tables if table.verdict is not Verdict.LEAVE]


def plan(
    pipeline: Pipeline,
    snapshot: Snapshot,
    wish: ExplicitDrops = ExplicitDrops(),  # noqa: B008  it is frozen
    known: Known = lambda cookie: False,
) -> Plan:
    """Decide table by table; flows of ours on the switch are as good as absent.

    `wish` is what the user wants of explicit drops, `known` what their owner says of them.
    """
    by_table: dict[int, list[Flow]] = {}
    for flow in snapshot.flows:
        if not is_ours(flow):
            by_table.setdefault(flow.table_id, []).append(flow)

    in_passing: set[int] = set()
    unknown: set[int] = set()
    tables = set(pipeline.tables)
    if pipeline.discover:
        used, in_passing = tables_in_use(by_table)
        tables = used | in_passing
        unknown = set(by_table) - tables
        if pipeline.misses:  # who names a table wants to know what is missed there
            in_passing -= set(pipeline.tables)
    managed = _is_managed(pipeline, by_table)
    owner = owner_of(pipeline)

    plans = []
    lossy = set()
    for table_id in sorted(tables | unknown):
        table = pipeline.tables.get(table_id)
        if table is not None and table.leave:
            decision = _left(table.leave)
        elif managed and table_id != pipeline.drop_table:
            drop_name = pipeline.table_name(pipeline.drop_table or 0, snapshot.names)
            decision = _left(f"the OpFlex agent sends its drops to {drop_name}")
        elif table_id in in_passing:
            decision = _left("only looked up in passing, by a resubmit: a miss there loses nothing")
        elif table_id in unknown:
            decision = _left(NO_FLOW_LEADS_THERE)
        else:
            lossy.add(table_id)
            decision = _decide(pipeline, snapshot, by_table.get(table_id, []), table_id)
        name = pipeline.table_name(table_id, snapshot.names)
        plans.append(TablePlan(table_id, name, *decision))
    if any(flow.effect.writes for flows in by_table.values() for flow in flows):
        lossy.clear()  # what an explicit drop takes may set out all the same, by its action set
    watched_drops = {(t.table_id, t.priority - 1) for t in plans if t.verdict is Verdict.ABOVE_DROP}
    explicit = plan_explicit(
        {
            table_id: [
                flow
                for flow in by_table.get(table_id, ())
                if not (flow.catch_all and (table_id, flow.priority) in watched_drops)
                and not owner.loses_nothing(flow)
            ]
            for table_id in lossy
        },
        wish,
        known,
        monitored=snapshot.monitored,
        own_cookies=pipeline.own_cookies,
    )
    return Plan(managed, plans, explicit, frozenset(lossy))


class _Decision(NamedTuple):
    """The end of a `TablePlan`."""

    verdict: Verdict
    priority: int
    why: str
    blind: bool = False


def _left(why: str) -> _Decision:
    """Nothing is lost there that we could see."""
    return _Decision(Verdict.LEAVE, 0, why)


def _blind(why: str) -> _Decision:
    """Packets may be lost there, and we cannot look."""
    return _Decision(Verdict.LEAVE, 0, why, True)


def _decide(
    pipeline: Pipeline, snapshot: Snapshot, flows: Sequence[Flow], table_id: int
) -> _Decision:
    if not pipeline.misses:
        return _left("its owner leaves nothing to be missed")
    decision = _plan_table(flows, snapshot.limits.get(table_id))
    if decision.verdict is Verdict.MISS and snapshot.packet_in_on_miss:
        return _left("a miss goes to the bridge's own controller")
    if decision.verdict is Verdict.ABOVE_DROP and not snapshot.monitored:
        return _blind("no flow monitor would report when its owner adds a flow there")
    return decision


def _plan_table(flows: Sequence[Flow], limit: int | None) -> _Decision:
    # The bundle holds two flows for a moment (see messages.py), and one stays.
    if limit is not None and len(flows) + 2 > limit // 2:
        return _blind(
            f"it has {count(len(flows), 'flow')} of {limit} allowed, and ours might take the last"
            " place"
        )
    catch_alls = [flow for flow in flows if flow.catch_all]
    if not catch_alls:
        lowest = sum(flow.priority == 0 for flow in flows)
        if lowest:
            return _blind(f"its owner has {count(lowest, 'flow')} at priority 0")
        why = "nothing matches what is left" if flows else "it has no flows"
        return _Decision(Verdict.MISS, 0, why)

    last = max(catch_alls, key=lambda flow: (flow.priority, flow.effect.acts))
    if last.effect.acts:
        where = f"at priority {last.priority}"
        return _left(f"nothing is missed: its owner's catch-all {where} handles the rest")
    if last.idle_timeout:
        return _blind(
            "its owner's catch-all drop has an idle timeout, which a flow above would let run out"
        )
    beside = sum(flow.priority == last.priority for flow in flows) - 1
    if beside:
        where = f"at priority {last.priority} beside its catch-all drop"
        return _blind(f"its owner has {count(beside, 'flow')} {where}")
    if last.priority == PRIORITY_MAX:
        return _blind(f"its owner's catch-all drop has priority {PRIORITY_MAX}")
    above = last.priority + 1
    taken = sum(flow.priority == above for flow in flows)
    if taken:
        return _blind(f"its owner has {count(taken, 'flow')} at priority {above}")
    why = f"above its owner's catch-all drop at priority {last.priority}"
    return _Decision(Verdict.ABOVE_DROP, above, why)


def _is_managed(pipeline: Pipeline, by_table: Mapping[int, Sequence[Flow]]) -> bool:
    """Whether the OpFlex agent's own table-drop flows lead to its drop table."""
    return pipeline.drop_table is not None and any(
        flow.priority == 0
        and flow.catch_all
        and flow.cookie == cookie.TABLE_DROP
        and any(step.table_id == pipeline.drop_table for step in flow.effect.steps)
        for table_id, flows in by_table.items()
        if table_id != pipeline.drop_table
        for flow in flows
    )


def tables_in_use(by_table: Mapping[int, Sequence[Flow]]) -> tuple[set[int], set[int]]:
    """Which tables the flows use: those where a miss loses the packet, and those where not.

    The second set holds tables that are only looked up in passing: by a resubmit that other
    actions follow, or from such a table. A table with flows to which none leads (packets come
    there by a packet-out or a group) counts among the first.
    """
    used = _reach({0}, by_table, final=True)
    in_passing = _reach(_passing_steps(used, by_table), by_table, final=False)
    return used, in_passing - used


def _passing_steps(tables: Iterable[int], by_table: Mapping[int, Sequence[Flow]]) -> set[int]:
    return {
        step.table_id
        for table_id in tables
        for flow in by_table.get(table_id, ())
        for step in flow.effect.steps
        if not step.final
    }


def _reach(start: set[int], by_table: Mapping[int, Sequence[Flow]], *, final: bool) -> set[int]:
    """All tables that can be reached from `start`; by final steps only, or by any."""
    reached: set[int] = set()
    ahead = set(start)
    while ahead:
        table_id = ahead.pop()
        reached.add(table_id)
        for flow in by_table.get(table_id, ()):
            for step in flow.effect.steps:
                if (step.final or not final) and step.table_id not in reached:
                    ahead.add(step.table_id)
    return {table_id for table_id in reached if table_id <= TABLE_MAX}
