"""The command `ryu-droplog explain`."""

from __future__ import annotations

import json
import sys

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.visiting import bridge_option, errors_in_one_line, read_visits, ready_hub
from ryu_droplog.model.errors import why

SIZE = 4 * 1024 * 1024
"""Bytes of a line at most."""


@click.command()
@click.argument("path", metavar="[FILE]", default="-")
@click.option("--line", metavar="TEXT", help="The drop itself: a record or a line of the log.")
@config_option("config_path", "droplog.yaml: its bridges and pipelines")
@bridge_option
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
    path: str, line: str | None, config_path: str | None, name: str | None, long: bool, output: str
) -> None:
    """Explain the last drop in FILE (- is standard input): why, and what would let it through.

    A drop is a record as the encodings native and ecs have it, or a line of the log in the formats
    opflex, extended or json. Its bridge is asked with ofproto/trace what it does with that packet;
    nothing is sent, and nothing is changed. What was measured and what is inferred is said.

    \b
    tail -1 /var/log/drops.json | ryu-droplog explain
    ryu-droplog explain drops.json --long
    ryu-droplog explain --bridge br-int --line '[…] TABLE MISS  SMAC=…'
    ryu-droplog explain drops.json --output json

    Exit status: 0 all that is asked was found out, 1 some of it was not, 2 there is no drop in
    what was given, or the configuration or the command line is wrong.
    """
    ready_hub()
    from ryu_droplog.explain import page
    from ryu_droplog.explain.explanation import explain as find_out
    from ryu_droplog.explain.given import read_given

    with errors_in_one_line():
        text = line.encode("utf-8", "surrogateescape") if line is not None else _last_line(path)
        _, pipelines, bridges = read_visits(config_path, name)
        only = bridges[0].name if len(bridges) == 1 else ""
        given = read_given(text, pipelines, name or only)
        if not given.record.bridge:
            raise click.UsageError("the line does not say its bridge: say which one, with --bridge")
        bridge = next((one for one in bridges if one.name == given.record.bridge), None)
        if bridge is None:
            bridge = read_visits(config_path, given.record.bridge).bridges[0]
        found = find_out(given, bridge, pipelines)
    if output == "json":
        click.echo(json.dumps(page.as_json(found, long=long), indent=2))
    else:
        click.echo(page.as_text(found, long=long))
    sys.exit(Exit.ATTENTION if found.troubles else Exit.WELL)


def _last_line(path: str) -> bytes:
    """The last line that is not empty; ends the program where there is none."""
    last = b""
    try:
        with click.open_file(path, "rb") as file:
            while one := file.readline(SIZE):
                last = one if one.strip() else last
    except OSError as error:
        raise click.UsageError(f"{path}: {why(error)}") from error
    if not last:
        raise click.UsageError(f"{path}: there is no drop in it")
    return last
