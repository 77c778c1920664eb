"""The command `ryu-droplog explain`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from ryu_droplog.cli.arguments import config_option, output_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.filter_options import InOrder, conditions_of, filter_options
from ryu_droplog.cli.visiting import (
    bridge_named,
    bridge_option,
    errors_in_one_line,
    read_visits,
    ready_hub,
)
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.query import QueryError


@click.command(cls=InOrder)
@click.argument("path", metavar="[FILE]", required=False)
@click.option("--line", metavar="TEXT", help="The drop itself: a record or a line of the log.")
@config_option("config_path", "droplog.yaml: its bridges and pipelines")
@bridge_option
@click.option(
    "--fix",
    "flow",
    metavar="FLOW",
    help="Try this flow, as ovs-ofctl add-flow takes it, in a copy of the bridge.",
)
@click.option("--long", is_flag=True, help="The whole trace of the switch, too.")
@output_option("How it is written.")
@filter_options(without=("bridge",))
@click.pass_context
def explain(
    ctx: click.Context,
    /,
    path: str | None,
    line: str | None,
    config_path: str | None,
    name: str | None,
    flow: str | None,
    long: bool,
    output: str,
    **filters: Any,
) -> None:
    """Explain the last drop: why it was dropped, and what would let it through.

    It is the last that the running program remembers, or the last in FILE (- is standard input),
    and that fits the filters, which are those of observe; or the one given by --line. In FILE, a
    drop is a record as the encodings native and ecs have it, or a line of the log in the formats
    opflex, extended or json. Its bridge is asked with ofproto/trace what it does with that packet:
    it leaves by no port, but the switch tells controllers of it and tracks its connection, so a
    drop that is logged is logged once more. What was measured and what is inferred is said.

    With --fix a flow is tried in a switch of its own that has a copy of the bridge's flows: whether
    it lets the packet through, and which of 20 drops before it as well.

    \b
    Examples:
    ryu-droplog explain
    ryu-droplog explain --to-port 443 --not --from-ip 10.0.0.0/8
    tail -1 /var/log/drops.json | ryu-droplog explain -
    ryu-droplog explain drops.json --long
    ryu-droplog explain --bridge br-int --line '[…] TABLE MISS  SMAC=…'
    ryu-droplog explain drops.json --output json
    ryu-droplog explain drops.json --fix 'table=82,priority=75,tcp,tp_dst=80,actions=output:3'

    Exit status: 0 all that is asked was found out, 1 some of it was not, or the flow of --fix does
    not let the packet through, 2 there is no drop in what was given, or the configuration or the
    command line is wrong, 3 no program runs, or it remembers no drop that fits.
    """
    if line is not None and (path is not None or any(filters.values())):
        raise click.UsageError("--line gives the drop: expected neither FILE nor filters with it")
    ready_hub()
    impact = ""
    from ryu_droplog.cli import drop_in_question
    from ryu_droplog.explain import page
    from ryu_droplog.explain.explanation import explain as find_out
    from ryu_droplog.explain.fix import Fix, try_fix

    with errors_in_one_line():
        conditions = conditions_of(ctx, filters)
        predicate(conditions)
        settings, pipelines, bridges = read_visits(config_path, name)
        only = name or (bridges[0].name if len(bridges) == 1 else "")
        if line is not None:
            given, others = drop_in_question.in_line(line, pipelines, only)
        elif path is not None:
            given, others = drop_in_question.in_file(path, conditions, pipelines, only)
        else:
            try:
                given, others = drop_in_question.in_program(
                    settings.run_directory, conditions, name
                )
                impact = drop_in_question.impact_in_program(
                    settings.run_directory, given.record, time.time()
                )
            except QueryError as error:
                click.echo(f"ryu-droplog: {error}", err=True)
                sys.exit(Exit.UNREACHED)
        if not given.record.bridge:
            raise click.UsageError("the line does not say its bridge: say which one, with --bridge")
        bridge = bridge_named(given.record.bridge, settings.bridges)
        found = find_out(given, bridge, pipelines)
        fix: Fix | None = None
        if flow is not None:
            if found.way is None or found.look is None:
                raise click.UsageError(f"--fix: {'; '.join(found.troubles)}")
            look = found.look
            endpoint, ports = bridge.endpoint, list(look.ports)
            fix = try_fix(flow, found.way, given, others, endpoint, ports, look.first_matches)
    if output == "json":
        told = page.as_json(found, fix, long=long)
        click.echo(json.dumps({**told, "impact": impact} if impact else told, indent=2))
    else:
        if impact:
            click.echo(f"impact   {impact} (inferred from the SYNs that are remembered)")
        click.echo(page.as_text(found, fix, long=long))
    well = not found.troubles and (fix is None or fix.after)
    sys.exit(Exit.WELL if well else Exit.ATTENTION)
