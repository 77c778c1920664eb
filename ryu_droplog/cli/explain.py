"""The command `ryu-droplog explain`."""

from __future__ import annotations

import json
import sys
from collections import deque
from contextlib import suppress

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.visiting import (
    bridge_named,
    bridge_option,
    errors_in_one_line,
    read_visits,
    ready_hub,
)
from ryu_droplog.model.errors import why

OTHERS = 20
"""Drops before the one in question with which a flow is tried, too."""
SIZE = 4 * 1024 * 1024
"""Bytes of a line at most."""


@click.command()
@click.argument("path", metavar="[FILE]", default="-")
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
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is written.",
)
def explain(
    path: str,
    line: str | None,
    config_path: str | None,
    name: str | None,
    flow: str | None,
    long: bool,
    output: str,
) -> None:
    """Explain the last drop in FILE (- is standard input): why, and what would let it through.

    A drop is a record as the encodings native and ecs have it, or a line of the log in the formats
    opflex, extended or json. Its bridge is asked with ofproto/trace what it does with that packet;
    nothing is sent, and nothing is changed. What was measured and what is inferred is said.

    With --fix a flow is tried in a switch of its own that has a copy of the bridge's flows: whether
    it lets the packet through, and which of the 20 drops before it in FILE as well.

    \b
    tail -1 /var/log/drops.json | ryu-droplog explain
    ryu-droplog explain drops.json --long
    ryu-droplog explain --bridge br-int --line '[…] TABLE MISS  SMAC=…'
    ryu-droplog explain drops.json --output json
    ryu-droplog explain drops.json --fix 'table=82,priority=75,tcp,tp_dst=80,actions=output:3'

    Exit status: 0 all that is asked was found out, 1 some of it was not, or the flow of --fix does
    not let the packet through, 2 there is no drop in what was given, or the configuration or the
    command line is wrong.
    """
    ready_hub()
    from ryu_droplog.explain import page
    from ryu_droplog.explain.explanation import explain as find_out
    from ryu_droplog.explain.fix import Fix, try_fix
    from ryu_droplog.explain.given import Given, GivenError, read_given

    with errors_in_one_line():
        lines = [line.encode("utf-8", "surrogateescape")] if line is not None else _last(path)
        settings, pipelines, bridges = read_visits(config_path, name)
        only = name or (bridges[0].name if len(bridges) == 1 else "")
        given = read_given(lines[-1], pipelines, only)
        if not given.record.bridge:
            raise click.UsageError("the line does not say its bridge: say which one, with --bridge")
        bridge = bridge_named(given.record.bridge, settings.bridges)
        found = find_out(given, bridge, pipelines)
        fix: Fix | None = None
        if flow is not None:
            if found.way is None or found.look is None:
                raise click.UsageError(f"--fix: {'; '.join(found.troubles)}")
            others: list[Given] = []
            for other in lines[:-1]:
                with suppress(GivenError):
                    others.append(read_given(other, pipelines, only))
            others = [one for one in others if one.record.bridge == given.record.bridge]
            look = found.look
            endpoint, ports = bridge.endpoint, list(look.ports)
            fix = try_fix(flow, found.way, given, others, endpoint, ports, look.first_matches)
    if output == "json":
        click.echo(json.dumps(page.as_json(found, fix, long=long), indent=2))
    else:
        click.echo(page.as_text(found, fix, long=long))
    well = not found.troubles and (fix is None or fix.after)
    sys.exit(Exit.WELL if well else Exit.ATTENTION)


def _last(path: str) -> list[bytes]:
    """The last lines that are not empty, at least one; ends the program where there is none."""
    lines: deque[bytes] = deque(maxlen=OTHERS + 1)
    try:
        with click.open_file(path, "rb") as file:
            while one := file.readline(SIZE):
                if one.strip():
                    lines.append(one)
    except OSError as error:
        raise click.UsageError(f"{path}: {why(error)}") from error
    if not lines:
        raise click.UsageError(f"{path}: there is no drop in it")
    return list(lines)
