"""The command `ryu-droplog send-test`."""

from __future__ import annotations

import secrets
import sys

import click

from ryu_droplog.cli import completing
from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import RULE, Exit, overall
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.text.printable import plain

PATIENCE = 10.0
"""Seconds that a sink and its receiver have, unless the user says otherwise."""
MARK_BYTES = 4


@click.command("send-test", epilog=RULE.format(nobody="no sink has written the record"))
@click.argument("name", metavar="[SINK]", required=False, shell_complete=completing.sinks)
@config_option("path", "droplog.yaml: its sinks", "drop lines to standard output")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="What each sink and its receiver have.",
)
def send_test(name: str | None, path: str | None, timeout: float) -> None:
    """Send one marked record through each sink of the configuration, or through SINK alone.

    For each sink it says what came back: acknowledged (the receiver has said that it has the
    record), written (handed over, to one that never answers) or failed, and why.

    No program need run, and no switch is touched. The record is of a drop in table SEND_TEST of
    the bridge send-test; its mark, which is printed first, is in owner.test of the record and in
    the packet's payload. Filters of sinks are not asked; a spool is left alone.

    \b
    Examples:
    ryu-droplog send-test
    ryu-droplog send-test bus --timeout 30
    """
    from ryu_droplog.records.context import node_name
    from ryu_droplog.sinks.trial import try_sink

    with errors_in_one_line():
        settings = loader.load(path)
    specs = [spec for spec in settings.sinks if name in (None, spec.name)]
    if not specs:
        names = ", ".join(spec.name for spec in settings.sinks) or "none"
        asked = f'no sink is called "{name}"' if name is not None else "no sink is configured"
        click.echo(f"ryu-droplog: {plain(asked)}; the configuration has: {names}", err=True)
        sys.exit(Exit.USAGE)
    mark = secrets.token_hex(MARK_BYTES)
    click.echo(f"mark: {mark}")
    outcomes: list[Exit] = []
    for spec in specs:
        trial = try_sink(spec, node_name(), mark, timeout)
        why = f": {trial.why}" if trial.why else ""
        click.echo(plain(f"{spec.name} ({spec.type}): {trial.outcome}{why}"))
        outcomes.append(Exit.UNREACHED if trial.outcome == "failed" else Exit.WELL)
    sys.exit(overall(outcomes))
