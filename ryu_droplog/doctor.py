"""`ryu-droplog doctor`: what the program can see on a bridge, what it cannot, and what it costs.

Facts in, findings out; the looking is done by openflow/checkup.py. docs/doctor.md describes the
page and the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ryu_droplog.cookie import SIGNATURE
from ryu_droplog.endpoint import ServiceEndpoint, UnixEndpoint
from ryu_droplog.openflow.checkup import Checkup
from ryu_droplog.openflow.explicit import ExplicitDrop, Way
from ryu_droplog.openflow.match import text as match_text
from ryu_droplog.openflow.owner import Recognition, recognise
from ryu_droplog.openflow.plan import Plan, TablePlan, Verdict, is_ours, plan
from ryu_droplog.openflow.tellers import tells
from ryu_droplog.pipelines import AUTO, Pipeline
from ryu_droplog.settings import Bridge, Settings

Level = Literal["warning", "note"]

# Neutron's own `log` extension sends drops of a port to its controller before they reach the
# catch-all drop (neutron, services/logapi/drivers/openvswitch): table 93, priority 53.
_NEUTRON_DROPS, _NEUTRON_LOG_PRIORITY = 93, 53


@dataclass(frozen=True)
class Finding:
    """One thing that an operator should know."""

    level: Level
    text: str


@dataclass(frozen=True)
class TableReport:
    """What is seen of a table."""

    table_id: int
    name: str
    state: str
    """`watched`, `would be watched`, `drops elsewhere`, `left alone` or `cannot be watched`."""
    why: str
    explicit_flows: int
    """Flows of others there whose action is to drop."""
    explicit_packets: int
    """What they have dropped so far."""


@dataclass(frozen=True)
class Report:
    """A bridge, examined."""

    bridge: str
    pipeline: str
    owner: Recognition
    running: str
    """Process id of the program that has the bridge; empty: none."""
    supports: Mapping[str, Any]
    adds: str
    """What the program would add, or has added."""
    tables: list[TableReport]
    findings: list[Finding] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing needs attention."""
        return all(finding.level != "warning" for finding in self.findings)


def examine(
    bridge: Bridge, pipelines: Mapping[str, Pipeline], settings: Settings, seen: Checkup
) -> Report:
    """Make up the report of one bridge."""
    owner = recognise(seen.snapshot.flows)
    name = bridge.pipeline
    if name == AUTO and owner.sureness != "unknown" and owner.pipeline in pipelines:
        name = owner.pipeline
    pipeline = pipelines[name]
    known = seen.southbound.is_drop if seen.southbound is not None else lambda cookie: False
    made = plan(pipeline, seen.snapshot, bridge.explicit_drops, known)
    watched = {
        flow.table_id for flow in seen.snapshot.flows if is_ours(flow) and _slot_0(flow.cookie)
    }
    report = Report(
        bridge=bridge.name,
        pipeline=name,
        owner=owner,
        running=seen.at_work,
        supports=_supports(seen),
        adds=_adds(bridge, made, has_meters=seen.max_meter > 0),
        tables=[_table(table, made, watched) for table in made.tables],
    )
    report.findings.extend(_findings(bridge, settings, seen, made, report))
    report.findings.sort(key=lambda finding: finding.level != "warning")
    return report


def _slot_0(number: int) -> bool:
    return not number >> 48 & 0x3FFF


def _supports(seen: Checkup) -> dict[str, Any]:
    database = seen.database
    told: dict[str, Any] = {
        "bundles": seen.bundles,
        "flow_monitor": seen.snapshot.monitored,
        "meters": seen.max_meter,
    }
    if database is not None:
        told |= {
            "protocols": list(database.protocols) or ["the switch's default"],
            "datapath": database.datapath,
            "version": database.version or "unknown",
            "offload": database.offload,
            "dpdk": database.dpdk,
            "controllers": list(database.controllers),
        }
    return told


def _adds(bridge: Bridge, made: Plan, *, has_meters: bool) -> str:
    above = [drop for drop in made.explicit if drop.way is Way.ABOVE]
    modified = [drop for drop in made.explicit if drop.way is Way.MODIFY]
    flows = len(made.watched) + len(above)
    tables = {t.table_id for t in made.watched}
    tables |= {drop.flow.table_id for drop in (*above, *modified)}
    parts = [_count(flows, "flow")]
    parts.append(_count(len(tables) if has_meters else 0, "meter"))
    if modified:
        parts.append(f"an action to {_count(len(modified), 'drop flow')} of the owner's")
    if isinstance(bridge.endpoint, ServiceEndpoint):
        parts.append("one Controller row of type=service in OVSDB")
    return ", ".join(parts)


def _table(table: TablePlan, made: Plan, watched: set[int]) -> TableReport:
    drops = [drop for drop in made.explicit if drop.flow.table_id == table.table_id]
    if table.verdict is not Verdict.LEAVE:
        state = "watched" if table.table_id in watched else "would be watched"
    elif table.blind:
        state = "cannot be watched"
    else:
        state = "drops elsewhere" if drops else "left alone"
    packets = sum(drop.flow.packets for drop in drops)
    return TableReport(table.table_id, table.name, state, table.why, len(drops), packets)


def _findings(
    bridge: Bridge, settings: Settings, seen: Checkup, made: Plan, report: Report
) -> Iterator[Finding]:
    yield from _about_owner(bridge, report)
    yield from _about_switch(settings, seen)
    yield from _about_tables(made, seen)
    yield from _about_explicit(made, report)
    yield from _about_delivery(bridge, settings, seen)
    yield from _about_leftovers(seen, report)


def _about_owner(bridge: Bridge, report: Report) -> Iterator[Finding]:
    owner = report.owner
    if owner.sureness == "unknown":
        yield Finding("note", "nobody's pipeline was recognised: tables are named by the switch")
    elif bridge.pipeline not in (AUTO, owner.pipeline):
        yield Finding(
            "warning",
            f"the configuration says pipeline {bridge.pipeline}, but the flows look like"
            f" {owner.in_words()}",
        )


def _about_switch(settings: Settings, seen: Checkup) -> Iterator[Finding]:
    if not seen.max_meter:
        if settings.meter.required:
            yield Finding(
                "warning",
                "the switch has no meters, so nothing would be added (meter.required: false adds"
                " flows without; a flood of drops then keeps ovs-vswitchd busy)",
            )
        else:
            yield Finding("warning", "no meters: a flood of drops would keep ovs-vswitchd busy")
    if not seen.bundles:
        yield Finding("warning", "no bundles: a table-miss flow cannot be added safely, and is not")
    if not seen.snapshot.monitored:
        yield Finding(
            "warning",
            "no flow monitor: catch-all and explicit drops are not logged, and changes by the"
            " owner are seen at each renewal only",
        )
    database = seen.database
    if database is None:
        yield Finding("note", "the database cannot be read: offload and DPDK are not known")
    elif database.offload or database.dpdk:
        what = "hardware offload" if database.offload else "DPDK"
        yield Finding(
            "note",
            f"{what}: a drop that is watched is no longer dropped in the fast path, but sent to"
            f" ovs-vswitchd, at most {settings.meter.rate} packets a second and table; the rest is"
            " dropped by a meter",
        )


def _about_tables(made: Plan, seen: Checkup) -> Iterator[Finding]:
    for table in made.tables:
        if table.blind:
            yield Finding("warning", f"{table.name} cannot be watched: {table.why}")
    if seen.snapshot.packet_in_on_miss:
        yield Finding(
            "note", "the bridge asks a controller of its own about misses: they are left to it"
        )
    logging = [
        flow
        for flow in seen.snapshot.flows
        if flow.table_id == _NEUTRON_DROPS
        and flow.priority == _NEUTRON_LOG_PRIORITY
        and flow.effect.tells
    ]
    if logging:
        yield Finding(
            "warning",
            f"Neutron's own packet logging takes the drops of {_count(len(logging), 'port')}:"
            " they are not seen here",
        )


def _about_explicit(made: Plan, report: Report) -> Iterator[Finding]:
    counted = [drop for drop in made.explicit if drop.way is Way.COUNT]
    if not counted:
        return
    packets = sum(drop.flow.packets for drop in counted)
    asked = [drop for drop in counted if drop.why]
    text = (
        f"{_count(len(counted), 'explicit drop')} of the owner's would be counted, not logged"
        f" ({packets} packets so far)"
    )
    if asked:
        most = max(asked, key=lambda drop: drop.flow.packets)
        text += f"; the busiest is in {_named(most, report)}: {most.why}"
    else:
        text += "; explicit_drops: log would log them"
    nothing = not made.watched and len(counted) == len(made.explicit)
    yield Finding("warning" if nothing or asked else "note", text)


def _named(drop: ExplicitDrop, report: Report) -> str:
    flow = drop.flow
    name = next((t.name for t in report.tables if t.table_id == flow.table_id), "")
    return f"{name} at priority {flow.priority} ({match_text(flow.match) or 'every packet'})"


def _about_delivery(bridge: Bridge, settings: Settings, seen: Checkup) -> Iterator[Finding]:
    if seen.max_meter:
        meter = settings.meter
        yield Finding(
            "note",
            f"of each table, {meter.rate} drops a second are logged, and bursts of {meter.burst};"
            " the rest is counted by its meter",
        )
    if isinstance(bridge.endpoint, UnixEndpoint):
        yield Finding(
            "note",
            "the management socket holds some hundred packets: a longer burst loses some, which"
            " are counted (connect: service takes bursts whole)",
        )


def _about_leftovers(seen: Checkup, report: Report) -> Iterator[Finding]:
    ours = sum(is_ours(flow) for flow in seen.snapshot.flows)
    told = sum(tells(flow) for flow in seen.snapshot.flows)
    if report.running:
        yield Finding("note", f"process {report.running} is at work here")
    elif ours or told:
        yield Finding(
            "warning",
            f"{_count(ours, 'flow')} of an earlier run are left, and {told} of the owner's drop"
            f" flows still name controller {SIGNATURE}: ryu-droplog clean",
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def as_page(report: Report) -> str:
    """The report as text, without a final newline."""
    attention = sum(finding.level == "warning" for finding in report.findings)
    verdict = "all is well" if report.well else f"{_count(attention, 'thing')} to look at"
    lines = [f"{report.bridge}: {verdict}"]
    lines += [f"  {'!' if f.level == 'warning' else '-'} {f.text}" for f in report.findings]
    verb = "has added" if report.running else "would add"
    lines += [
        f"  owner:     {report.owner.in_words()}",
        f"  pipeline:  {report.pipeline}",
        f"  program:   {verb} {report.adds}",
        f"  supports:  {_supports_in_words(report.supports)}",
        "  tables:",
    ]
    width = max((len(table.name) for table in report.tables), default=0)
    for table in report.tables:
        why = table.why
        if table.explicit_flows:
            why += f"; {_count(table.explicit_flows, 'explicit drop')}, {table.explicit_packets}"
            why += " packets so far"
        lines.append(f"    {table.table_id:3}  {table.name:{width}}  {table.state:17}  {why}")
    return "\n".join(lines)


def _supports_in_words(supports: Mapping[str, Any]) -> str:
    words = [
        "OpenFlow 1.3",
        "bundles" if supports["bundles"] else "no bundles",
        "flow monitor" if supports["flow_monitor"] else "no flow monitor",
        f"{supports['meters']} meters" if supports["meters"] else "no meters",
    ]
    if "datapath" in supports:
        words.append(f"datapath {supports['datapath']}")
        words.append("offload" if supports["offload"] else "no offload")
        words.append("DPDK" if supports["dpdk"] else "no DPDK")
        words.append(f"protocols {', '.join(supports['protocols'])}")
    return ", ".join(words)


def as_json(report: Report) -> dict[str, Any]:
    """The report with the keys of docs/doctor.md."""
    return {**asdict(report), "well": report.well}
