"""`ryu-droplog doctor`: what the program can see on a bridge, what it cannot, and what it costs.

Facts in, a report out; the looking is done by checkup.py, the writing by page.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from ryu_droplog.config.endpoint import ServiceEndpoint
from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.doctor.checkup import Checkup
from ryu_droplog.doctor.findings import Case, Finding, findings
from ryu_droplog.doctor.known_problems import marked
from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.owners.base import Recognition
from ryu_droplog.owners.detection import choose_pipeline, recognise
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, ExplicitDrop
from ryu_droplog.reconcile.other_runs import run_of
from ryu_droplog.reconcile.owner_flow_rewrite import tells
from ryu_droplog.reconcile.planner import Plan, TablePlan, Verdict
from ryu_droplog.reconcile.planner import plan as make_plan
from ryu_droplog.records.acknowledged import Entry

State = Literal[
    "watched",
    "would be watched",
    "drops elsewhere",
    "owner forwards all",
    "left alone",
    "cannot be watched",
]


@dataclass(frozen=True)
class Explicit:
    """Flows of others in a table whose action is to drop."""

    flows: int
    logged: int
    """How many of them the program logs, or would."""
    packets: int
    """What all of them have dropped so far."""


@dataclass(frozen=True)
class TableReport:
    """What is seen of a table."""

    table_id: int
    name: str
    state: State
    why: str
    priority: int | None
    """Of the flow of ours that sees what the table misses; None: there is none."""
    explicit: Explicit


@dataclass(frozen=True)
class Additions:
    """What the program adds to a bridge, or has added."""

    flows: int
    meters: int
    modified: int
    """Drop flows of the owner's that get an action (`explicit_drops.modify`)."""
    controller_rows: int
    """In OVSDB (`connect: service`)."""


@dataclass(frozen=True)
class Report:
    """A bridge, examined."""

    bridge: str
    pipeline: str
    owner: Recognition
    running: str
    """Process id of the program that has the bridge; empty: none."""
    supports: Mapping[str, Any]
    socket_room: Mapping[str, Any] | None
    """Of the management connection, as `status` has it; None: it is not known."""
    identity: Mapping[str, Any]
    """Who knows how many ends, as `status` has it."""
    adds: Additions
    costs: str
    tables: Sequence[TableReport]
    findings: Sequence[Finding]

    @property
    def well(self) -> bool:
        """Whether nothing needs attention."""
        return not any(finding.attention for finding in self.findings)


def examine(
    bridge: Bridge,
    pipelines: Mapping[str, Pipeline],
    settings: Settings,
    seen: Checkup,
    identity: Mapping[str, Any] = MappingProxyType({}),
    baseline: Mapping[str, Entry] = MappingProxyType({}),
) -> Report:
    """Make up the report of one bridge; `identity` is as in it, `baseline` what counts today."""
    flows = seen.snapshot.flows
    recognition = recognise(flows)
    pipeline = choose_pipeline(bridge.pipeline, recognition, pipelines)
    plan = make_plan(pipeline, seen.snapshot, bridge.explicit_drops, seen.names.is_drop)
    # Flows of another run than the one that is at work here watch nothing for this one.
    mine = [flow for flow in flows if run_of(flow) in (None, seen.generation or run_of(flow))]
    tables = _Tables(pipeline, plan, mine, _hindrance(settings, seen))
    reports = [tables.report(table) for table in plan.tables]
    absent = [
        table
        for table, report in zip(plan.tables, reports, strict=True)
        if report.state == "would be watched"
    ]
    adds = _additions(bridge, tables, has_meters=seen.max_meter > 0)
    return Report(
        bridge=bridge.name,
        pipeline=pipeline.name,
        owner=recognition,
        running=seen.at_work,
        supports=_supports(seen),
        socket_room=seen.socket_room.as_json() if seen.socket_room is not None else None,
        identity=dict(identity),
        adds=adds,
        costs=_costs(settings, seen, adds),
        tables=reports,
        findings=marked(
            bridge.name,
            findings(Case(bridge, settings, recognition, seen, plan, absent)),
            baseline,
        ),
    )


@dataclass(frozen=True)
class _Hindrance:
    """Why the switch would refuse flows of ours; empty: it would not."""

    any: str
    miss: str


def _hindrance(settings: Settings, seen: Checkup) -> _Hindrance:
    every = "" if seen.max_meter or not settings.meter.required else "the switch has no meters"
    return _Hindrance(every, every or ("" if seen.bundles else "the switch has no bundles"))


class _Tables:
    """A plan beside what is on the switch now."""

    def __init__(
        self, pipeline: Pipeline, plan: Plan, flows: Sequence[Flow], hindrance: _Hindrance
    ) -> None:
        self._pipeline = pipeline
        self._plan = plan
        self._hindrance = hindrance
        self._watched: set[int] = set()
        self._logged_tables: set[int] = set()
        self._forwards: dict[int, Flow] = {}
        for flow in flows:
            self._note(flow)
        self._drops: dict[int, list[ExplicitDrop]] = {}
        for drop in plan.explicit:
            self._drops.setdefault(drop.flow.table_id, []).append(drop)

    def _note(self, flow: Flow) -> None:
        if is_ours(flow):
            parts = cookie.unpack(flow.cookie)
            if parts is not None and not parts.slot:
                self._watched.add(flow.table_id)
            elif not flow.effect.marked:
                self._logged_tables.add(flow.table_id)
        elif tells(flow):
            self._logged_tables.add(flow.table_id)
        elif flow.catch_all:
            last = self._forwards.setdefault(flow.table_id, flow)
            if flow.priority > last.priority:
                self._forwards[flow.table_id] = flow

    @property
    def watchable(self) -> list[TablePlan]:
        """Tables that get a flow below everything else, or above a catch-all drop."""
        return [table for table in self._plan.watched if not self._refusal(table)]

    @property
    def logged(self) -> list[ExplicitDrop]:
        """Explicit drops that are captured."""
        if self._hindrance.any:
            return []
        return [drop for drop in self._plan.explicit if drop.method is not CaptureMethod.COUNT]

    def report(self, table: TablePlan) -> TableReport:
        """What is seen of a table, and why."""
        drops = self._drops.get(table.table_id, [])
        captured = (
            0
            if self._hindrance.any
            else sum(drop.method is not CaptureMethod.COUNT for drop in drops)
        )
        state, why = self._state(table, bool(drops), captured > 0)
        return TableReport(
            table_id=table.table_id,
            name=table.name,
            state=state,
            why=why,
            priority=table.priority if table in self.watchable else None,
            explicit=Explicit(len(drops), captured, sum(drop.flow.packets for drop in drops)),
        )

    def _refusal(self, table: TablePlan) -> str:
        return self._hindrance.miss if table.verdict is Verdict.MISS else self._hindrance.any

    def _state(self, table: TablePlan, drops: bool, captured: bool) -> tuple[State, str]:
        number, why = table.table_id, table.why
        if table.blind:
            return "cannot be watched", why
        if table.verdict is not Verdict.LEAVE:
            if refusal := self._refusal(table):
                return "cannot be watched", refusal
            return "watched" if number in self._watched else "would be watched", why
        if captured:
            return "watched" if number in self._logged_tables else "would be watched", why
        if drops or self._sends_its_drops_on(number):
            return "drops elsewhere", why
        last = self._forwards.get(number)
        if number in self._plan.lossy and last is not None and last.effect.acts:
            return "owner forwards all", why
        return "left alone", why

    def _sends_its_drops_on(self, number: int) -> bool:
        """Whether the OpFlex agent's table-drop flow takes what ends there."""
        table = self._pipeline.tables.get(number)
        left = table is not None and bool(table.leave)
        return self._plan.managed and number != self._pipeline.drop_table and not left


def _additions(bridge: Bridge, tables: _Tables, *, has_meters: bool) -> Additions:
    watched, logged = tables.watchable, tables.logged
    modified = sum(drop.method is CaptureMethod.MODIFY for drop in logged)
    places = {table.table_id for table in watched} | {drop.flow.table_id for drop in logged}
    return Additions(
        flows=len(watched) + len(logged) - modified,
        meters=len(places) if has_meters else 0,
        modified=modified,
        controller_rows=int(isinstance(bridge.endpoint, ServiceEndpoint)),
    )


def _supports(seen: Checkup) -> dict[str, Any]:
    database = seen.database
    facts: dict[str, Any] = {
        "openflow": seen.openflow,
        "bundles": seen.bundles,
        "flow_monitor": seen.snapshot.monitored,
        "meters": seen.max_meter,
        "version": seen.version,
        "database": database is not None,
    }
    if database is not None:
        facts |= {
            "protocols": list(database.protocols),
            "datapath": database.datapath,
            "offload": database.offload,
            "dpdk": database.dpdk,
            "controllers": list(database.controllers),
        }
    return facts


def _costs(settings: Settings, seen: Checkup, adds: Additions) -> str:
    if not adds.flows and not adds.modified:
        return "nothing: no flow sends a packet to ovs-vswitchd"
    cost = "a drop that is watched goes to ovs-vswitchd, past the datapath's own drop"
    if not seen.max_meter:
        return f"{cost}, without a bound"
    rate = f"at most {settings.meter.rate} packets a second and table"
    return f"{cost}: {rate}; its meter drops the rest in the datapath"
