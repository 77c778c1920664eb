"""The command `ryu-droplog doctor`."""

from __future__ import annotations

import json
import sys
from functools import partial

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import NO_BRIDGE, Exit
from ryu_droplog.cli.visiting import (
    bridge_option,
    conclude,
    errors_in_one_line,
    outcome_of,
    read_visits,
    ready_hub,
)
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.text.phrases import without_name
from ryu_droplog.text.printable import plain


@click.command(epilog=NO_BRIDGE)
@config_option("path", "droplog.yaml")
@bridge_option
@click.option("--json", "as_json", is_flag=True, help="The whole report, as JSON, for scripts.")
def doctor(path: str | None, name: str | None, as_json: bool) -> None:
    """Show which drops can be seen on each bridge, which cannot, and what the program would add.

    Changes nothing, before and during use: it only reads from the switch and its database. The
    page begins with what needs attention (!) and what is good to know (-); then come the owner of
    the bridge, what the program adds and costs, what the switch supports, and each table:
    watched, would be watched, drops elsewhere, owner forwards all, left alone, cannot be watched.

    \b
    Examples:
    ryu-droplog doctor --bridge br-int
    ryu-droplog doctor --json
    """
    ready_hub()
    from ryu_droplog.doctor import page
    from ryu_droplog.doctor.checkup import check
    from ryu_droplog.doctor.examine import examine
    from ryu_droplog.doctor.identities import known_ends
    from ryu_droplog.doctor.known_problems import holding_now
    from ryu_droplog.runtime.one_shot import reach_bridge

    settings, pipelines, bridges = read_visits(path, name)
    with errors_in_one_line():
        baseline = holding_now(settings.baseline)
    pages, objects = [], []
    outcomes: list[Exit] = []
    for bridge in bridges:
        task = partial(
            check,
            bridge=bridge,
            run_directory=settings.run_directory,
            pipelines=pipelines,
            socket_room=settings.socket_room,
        )
        try:
            checkup = reach_bridge(bridge, task)
        except DropLogError as error:
            click.echo(f"{bridge.name}: {without_name(bridge.name, str(error))}", err=True)
            objects.append(page.unseen_as_json(bridge.name, str(error)))
            outcomes.append(outcome_of(error))
            continue
        identity = known_ends(settings, bridge, checkup.names, checkup.at_work)
        report = examine(bridge, pipelines, settings, checkup, identity, baseline)
        pages.append(page.as_page(report))
        objects.append(page.as_json(report))
        outcomes.append(Exit.WELL if report.well else Exit.ATTENTION)
    status = conclude(outcomes)
    if as_json:
        click.echo(json.dumps(objects, indent=2))
    elif pages:
        click.echo(plain("\n\n".join(pages)))
    sys.exit(status)
