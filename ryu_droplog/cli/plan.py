"""The command `ryu-droplog plan`."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import NO_BRIDGE, Exit
from ryu_droplog.cli.visiting import (
    bridge_option,
    conclude,
    read_visits,
    ready_hub,
    visit_bridge,
)
from ryu_droplog.config.endpoint import ServiceEndpoint
from ryu_droplog.text.phrases import count

_VERDICTS = {"table-miss": "table-miss", "shadow": "flow above", "left alone": "left alone"}
"""What is said of each verdict, by its value."""


@click.command(epilog=NO_BRIDGE)
@config_option("path", "droplog.yaml")
@bridge_option
def plan(path: str | None, name: str | None) -> None:
    """Show what `run` would add to each bridge, table by table; changes nothing.

    \b
    Examples:
    ryu-droplog plan --bridge br-int
    ryu-droplog plan --config droplog.yaml
    """
    ready_hub()
    from ryu_droplog.openflow.oxm_match import text as match_text
    from ryu_droplog.owners.detection import choose_pipeline, recognise
    from ryu_droplog.pipelines.loader import AUTO
    from ryu_droplog.reconcile.planner import plan as make_plan
    from ryu_droplog.runtime.one_shot import look, names_of_flows

    _, pipelines, bridges = read_visits(path, name)
    outcomes: list[Exit] = []
    for bridge in bridges:
        snapshot = visit_bridge(bridge, partial(look, bridge=bridge), outcomes)
        if snapshot is None:
            continue
        recognition = recognise(snapshot.flows)
        pipeline = choose_pipeline(bridge.pipeline, recognition, pipelines)
        database = names_of_flows(bridge, pipeline, snapshot)
        planned = make_plan(pipeline, snapshot, bridge.explicit_drops, database.is_drop)
        flows = count(len(snapshot.flows), "flow")
        click.echo(f"{bridge.name}: pipeline {pipeline.name}, {flows}")
        if bridge.pipeline == AUTO and recognition.sureness != "unknown":
            click.echo(f"  owner: {recognition.in_words()}")
        width = max((len(table.name) for table in planned.tables), default=0)
        for table in planned.tables:
            what = _VERDICTS[table.verdict.value]
            if table in planned.watched:
                what += f" at priority {table.priority}"
            click.echo(f"  {table.table_id:3}  {table.name:{width}}  {what:24}  {table.why}")
        for drop in planned.explicit:
            what = f"explicit drop at priority {drop.flow.priority}, {drop.method.value}"
            where = match_text(drop.flow.match) or "every packet"
            why = f" ({drop.why})" if drop.why else ""
            click.echo(f"  {drop.flow.table_id:3}  {what}: {where}{why}")
        tables = count(len(planned.tables), "table")
        click.echo(f"  {len(planned.watched)} of {tables} would be watched")
        _explicit_in_words(planned)
        if isinstance(bridge.endpoint, ServiceEndpoint):
            click.echo(
                "  written to OVSDB: one row of type=service in Controller, for this bridge;"
                " it is removed at the end"
            )
    sys.exit(conclude(outcomes))


def _explicit_in_words(planned: Any) -> None:
    """What would be done about explicit drops, and what of that changes flows of the owner's."""
    from ryu_droplog.reconcile.explicit_drops import CaptureMethod

    methods = [drop.method for drop in planned.explicit]
    if methods:
        click.echo(
            f"  {count(len(methods), 'explicit drop')} of the owner's:"
            f" {methods.count(CaptureMethod.ABOVE)} would be logged by a flow of ours just above,"
            f" {methods.count(CaptureMethod.COUNT)} only counted"
        )
    if CaptureMethod.MODIFY in methods:
        click.echo(
            f"  CHANGED: {count(methods.count(CaptureMethod.MODIFY), 'drop flow')} of the owner's"
            " would get an action that sends their packets to the program; it is removed at the"
            " end"
        )
