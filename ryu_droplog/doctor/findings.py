"""Findings of `ryu-droplog doctor`: what an operator should know about a bridge, most of all what
is not seen there. A pure function of the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ryu_droplog.config.endpoint import ServiceEndpoint, UnixEndpoint
from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.doctor.checkup import Checkup
from ryu_droplog.model.cookie import SIGNATURE, generation_text
from ryu_droplog.openflow.oxm_match import text as match_text
from ryu_droplog.owners.base import Recognition
from ryu_droplog.owners.detection import owned_pipelines, owners_warnings
from ryu_droplog.pipelines.loader import AUTO
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, ExplicitDrop
from ryu_droplog.reconcile.other_runs import run_of
from ryu_droplog.reconcile.owner_flow_rewrite import tells
from ryu_droplog.reconcile.planner import Plan, TablePlan
from ryu_droplog.text.phrases import count

Level = Literal["warning", "note"]

NAMED = 5
"""Tables that are told one by one; the page has all of them below."""


@dataclass(frozen=True)
class Finding:
    """One thing that an operator should know."""

    level: Level
    text: str
    problem: str = ""
    """Of a warning, the key under which it may be acknowledged."""
    acknowledged: str = ""
    """Why somebody leaves it as it is; empty: nobody has said so."""

    @property
    def attention(self) -> bool:
        """Whether it needs some."""
        return self.level == "warning" and not self.acknowledged


@dataclass(frozen=True)
class Case:
    """A bridge and what is known of it."""

    bridge: Bridge
    settings: Settings
    owner: Recognition
    seen: Checkup
    plan: Plan
    absent: Sequence[TablePlan]
    """Tables that could be watched, and in which no flow of ours is now."""

    @property
    def unmetered(self) -> bool:
        """Whether nothing is added, because the switch has no meters and the user wants them."""
        return self.settings.meter.required and not self.seen.max_meter


def findings(case: Case) -> list[Finding]:
    """All of them, warnings first."""
    every = [
        *_about_owner(case),
        *_about_runs(case),
        *_about_lines(case),
        *_about_switch(case),
        *_about_tables(case),
        *_about_explicit(case),
        *_about_delivery(case),
    ]
    return sorted(every, key=lambda finding: finding.level != "warning")


def _warning(text: str) -> Finding:
    return Finding("warning", text)


def _note(text: str) -> Finding:
    return Finding("note", text)


def _about_owner(case: Case) -> Iterator[Finding]:
    owner, configured = case.owner, case.bridge.pipeline
    owned = owned_pipelines()
    if owner.sureness == "unknown":
        if configured in owned:
            yield _note(f"no flow shows that the bridge is {configured}'s, as is configured")
        elif configured == AUTO:
            yield _note(
                "no owner was recognised by its flows: the table names are the switch's own"
            )
    elif configured not in (AUTO, owner.pipeline):
        text = f"the configuration says pipeline {configured}, but the flows look like"
        contradicts = configured in owned  # a pipeline of the user's own may be of the same owner
        level: Level = "warning" if contradicts else "note"
        yield Finding(level, f"{text} {owner.in_words()}")


def _about_runs(case: Case) -> Iterator[Finding]:
    seen = case.seen
    if not case.settings.enable:
        yield _note("drop_log_config.enable is false: the program adds nothing, and waits")
    if seen.at_work:
        yield _note(f"process {seen.at_work} is at work here")
        if case.absent:
            yield _warning(
                f"not watched now: {_names(case.absent)}; ryu-droplog status and the program's log"
                " say why"
            )
        yield from _about_others(case)
        return
    for process in seen.elsewhere:
        yield _warning(f"process {process} is to watch this bridge, and is not connected to it")
    runs = [run for run in map(run_of, seen.snapshot.flows) if run is not None]
    ours = len(runs)
    rewritten = sum(tells(flow) for flow in seen.snapshot.flows)
    left = [count(ours, "flow")] if ours else []
    left += [count(seen.our_meters, "meter")] if seen.our_meters else []
    directory = case.settings.run_directory
    if left:
        yield _warning(
            f"{' and '.join(left)} of an earlier run are left{_named(runs)}: ryu-droplog clean"
            f" (unless a program with another run_directory than {directory} is at work)"
        )
    if rewritten:
        yield _warning(
            f"{count(rewritten, 'drop flow')} of the owner's changed by an earlier run (controller"
            f" {SIGNATURE}): ryu-droplog clean restores"
        )


def _about_lines(case: Case) -> Iterator[Finding]:
    for names in case.settings.alike if case.settings.format == "opflex" else ():
        if case.bridge.name in names:
            others = ", ".join(name for name in names if name != case.bridge.name)
            yield _note(
                f"its lines look like those of {others}: a prefix for each bridge tells them apart"
                " (so does format: extended)"
            )


def _about_others(case: Case) -> Iterator[Finding]:
    """Flows of other runs than the one that is at work here."""
    others: dict[int, list[int]] = {}
    for flow in case.seen.snapshot.flows:
        run = run_of(flow)
        if run is not None and case.seen.generation not in (None, run):
            others.setdefault(run, []).append(flow.hard_timeout)
    for run, leases in others.items():
        yield _warning(
            f"{count(len(leases), 'flow')} of another run ({generation_text(run)}), with leases of"
            f" {max(leases)} s: another ryu_droplog with another run_directory is at work, or was:"
            " what these flows take is not logged by this one"
        )


def _about_switch(case: Case) -> Iterator[Finding]:
    seen = case.seen
    if case.unmetered:
        yield _warning(
            "the switch has no meters, so nothing would be added (meter.required: false adds"
            " flows without; a flood of drops then keeps ovs-vswitchd busy)"
        )
    elif not seen.max_meter:
        yield _warning("no meters: a flood of drops would keep ovs-vswitchd busy")
    if not seen.bundles:
        yield _warning("no bundles: a table-miss flow cannot be added safely, and is not")
    if not seen.snapshot.monitored:
        yield _warning(
            "no flow monitor: catch-all and explicit drops are not logged, and changes by the"
            " owner are seen at each renewal only"
        )
    database = seen.database
    if database is None:
        yield _note("the database cannot be read: offload and DPDK are not known")
    elif database.offload or database.dpdk:
        both = "hardware offload and DPDK" if database.offload and database.dpdk else ""
        what = both or ("hardware offload" if database.offload else "DPDK")
        yield _note(
            f"{what}: a drop that is watched is no longer dropped in the fast path, but sent to"
            " ovs-vswitchd"
        )


def _about_tables(case: Case) -> Iterator[Finding]:
    blind = [table for table in case.plan.tables if table.blind]
    for table in blind[:NAMED]:
        yield _warning(f"{table.name} cannot be watched: {table.why}")
    if blind[NAMED:]:
        yield _warning(f"{count(len(blind) - NAMED, 'more table')} cannot be watched: see below")
    if case.seen.snapshot.packet_in_on_miss:
        yield _note("a controller of the bridge's own takes its misses: they are not logged here")
    yield from map(_warning, owners_warnings(case.seen.snapshot.flows))


def _about_explicit(case: Case) -> Iterator[Finding]:
    plan, running = case.plan, case.seen.at_work
    changed = sum(drop.method is CaptureMethod.MODIFY for drop in plan.explicit)
    if changed and not case.unmetered:
        yield _note(
            f"{count(changed, 'drop flow')} of the owner's {'are' if running else 'would be'}"
            " changed to send their packets to the program, as explicit_drops.modify asks, and"
            " restored at the end"
        )
    counted = [drop for drop in plan.explicit if drop.method is CaptureMethod.COUNT]
    if not counted:
        return
    packets = sum(drop.flow.packets for drop in counted)
    asked = [drop for drop in counted if drop.why]
    text = (
        f"{count(len(counted), 'explicit drop')} of the owner's {'are' if running else 'would be'}"
        f" counted, not logged ({count(packets, 'packet')} so far)"
    )
    if asked:
        most = max(asked, key=lambda drop: drop.flow.packets)
        names = {table.table_id: table.name for table in plan.tables}
        text += f"; the busiest is in {_where(most, names)}: {most.why}"
    else:
        text += "; explicit_drops: {log: all} would log those that have room above"
    nothing = not plan.watched and len(counted) == len(plan.explicit)
    yield Finding("warning" if nothing or asked else "note", text)


def _where(drop: ExplicitDrop, names: Mapping[int, str]) -> str:
    flow = drop.flow
    match = match_text(flow.match) or "every packet"
    return f"{names[flow.table_id]} at priority {flow.priority} ({match})"


def _about_delivery(case: Case) -> Iterator[Finding]:
    seen, meter = case.seen, case.settings.meter
    if not case.plan.watched and all(
        drop.method is CaptureMethod.COUNT for drop in case.plan.explicit
    ):
        return
    if seen.max_meter:
        yield _note(
            f"of each table, {meter.rate} drops a second are logged, and bursts of {meter.burst};"
            " the rest is counted by its meter"
        )
    if isinstance(case.bridge.endpoint, UnixEndpoint):
        room = seen.socket_room
        text = room.in_words(would=not seen.at_work) if room is not None else ""
        yield _note(text or "the management socket: whether its room is enlarged is not known")
    limit = seen.database.row_limit if seen.database is not None else None
    if isinstance(case.bridge.endpoint, ServiceEndpoint) and limit is not None:
        yield _warning(
            f"the rate of our Controller row is limited to {count(limit, 'packet')} a second"
            " (controller_rate_limit): more are lost in the switch, and counted"
        )


def _named(runs: Sequence[int]) -> str:
    """Whose flows they are, in brackets; empty: there are only meters."""
    names = sorted({generation_text(run) for run in runs})
    return f" ({', '.join(names[:NAMED])})" if names else ""


def _names(tables: Sequence[TablePlan]) -> str:
    names = ", ".join(table.name for table in tables[:NAMED])
    more = len(tables) - NAMED
    return f"{names} and {more} more" if more > 0 else names
