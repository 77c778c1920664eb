"""The command `ryu-droplog clean`."""

from __future__ import annotations

import sys

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
from ryu_droplog.text.phrases import count


@click.command(epilog=NO_BRIDGE)
@config_option("path", "droplog.yaml")
@bridge_option
@click.option(
    "--force",
    is_flag=True,
    help="Do not check whether a program is at work: remove what any run left, at once.",
)
def clean(path: str | None, name: str | None, force: bool) -> None:
    """Remove the flows and meters that a crashed run left on the bridges.

    Drop flows of the bridge's owner to which it added an action (explicit_drops.modify) are
    restored. Nothing else is touched. Flows end by themselves with their lease, meters do not.

    What the last run with the same run_directory left is removed at once. Flows of any other run
    may belong to a program that is at work with another run_directory: they are watched for as
    long as their leases last (60 s by default), and left alone if they are renewed; the exit
    status is then 1.

    \b
    Examples:
    ryu-droplog clean
    ryu-droplog clean --bridge br-int --force
    """
    ready_hub()
    from ryu_droplog.model.cookie import generation_text
    from ryu_droplog.reconcile.clean import Cleaning

    def say(text: str) -> None:
        click.echo(text, err=True)

    settings, _, bridges = read_visits(path, name)
    outcomes: list[Exit] = []
    for bridge in bridges:
        cleaning = Cleaning(bridge.name, settings.run_directory, say, force=force)
        cleaned = visit_bridge(bridge, cleaning, outcomes, cleaning.updates)
        if cleaned is None:
            continue
        removed = f"{count(cleaned.flows, 'flow')} and {count(cleaned.meters, 'meter')}"
        click.echo(f"{bridge.name}: removed {removed}")
        if cleaned.restored:
            drops = count(cleaned.restored, "drop flow")
            click.echo(f"{bridge.name}: restored {drops} of the owner's")
        for run in cleaned.at_work:
            outcomes.append(Exit.ATTENTION)
            say(
                f"{bridge.name}: another ryu_droplog is at work on this bridge"
                f" ({generation_text(run)}): its flows are left alone"
            )
    sys.exit(conclude(outcomes))
