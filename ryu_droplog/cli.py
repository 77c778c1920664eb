"""The `ryu-droplog` command."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from ryu_droplog import __version__, config, describe, plainlog
from ryu_droplog.endpoint import Accepted, ServiceEndpoint
from ryu_droplog.errors import DropLogError, SwitchError
from ryu_droplog.events.command import events
from ryu_droplog.options import CONFIG_VARIABLE
from ryu_droplog.pipelines import AUTO, Pipeline, load_pipelines
from ryu_droplog.printable import plain
from ryu_droplog.settings import ANY_BRIDGE, Bridge

USAGE_ERROR = 2
"""Exit status for a configuration that is wrong."""
UNSEEN = 3
"""Exit status of `doctor` where a bridge could not be looked at."""

_config_option = click.option(
    "--config",
    "path",
    metavar="FILE",
    envvar=CONFIG_VARIABLE,
    help="droplog.yaml; without it, the bridge br-int is taken, through its management socket.",
)
_bridge_option = click.option(
    "--bridge",
    "name",
    metavar="NAME",
    help="Only this bridge. One that the configuration does not name is taken with the defaults.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ryu-droplog")
def main() -> None:
    """Tell which packets Open vSwitch dropped, in which table, and whose they were."""


main.add_command(events)


@main.command()
@_config_option
@click.option("-v", "--verbose", is_flag=True, help="Say more of what goes on.")
def run(path: str | None, verbose: bool) -> None:
    """Attach to the bridges and log their drops, until SIGTERM or SIGINT.

    Lines go where the configuration says (standard output by default), what the program has to
    say of itself goes to standard error. Every flow and meter that it adds to a bridge is gone
    when it stops.
    """
    from ryu_droplog import manager

    plainlog.set_up(verbose=verbose)
    if not verbose:
        logging.getLogger("os_ken").setLevel(logging.WARNING)
    with _errors():
        settings = config.load(path)
        config.check_pipelines(settings, load_pipelines(settings.pipeline_directory))
    manager.run_droplog(path)


@main.command()
@_config_option
@_bridge_option
def plan(path: str | None, name: str | None) -> None:
    """Show what `run` would add to each bridge, table by table; changes nothing."""
    _ready_hub()
    from ryu_droplog.openflow.match import text as match_text
    from ryu_droplog.openflow.owner import recognise
    from ryu_droplog.openflow.plan import plan as make_plan
    from ryu_droplog.openflow.visit import look, southbound

    with _errors():
        pipelines = load_pipelines(config.load(path).pipeline_directory)
    failed = False
    for bridge, pipeline in _bridges(path, name):
        snapshot = _visit(bridge, partial(look, bridge=bridge))
        if snapshot is None:
            failed = True
            continue
        owner = recognise(snapshot.flows)
        recognised = bridge.pipeline == AUTO and owner.sureness != "unknown"
        if recognised:
            pipeline = pipelines.get(owner.pipeline, pipeline)
        known = southbound(bridge, snapshot) if pipeline.explain == "ovn" else None
        is_drop = known.is_drop if known is not None else (lambda cookie: False)
        made = make_plan(pipeline, snapshot, bridge.explicit_drops, is_drop)
        click.echo(f"{bridge.name}: pipeline {pipeline.name}, {len(snapshot.flows)} flows")
        if recognised:
            click.echo(f"  owner: {owner.in_words()}")
        width = max((len(table.name) for table in made.tables), default=0)
        for table in made.tables:
            what = table.verdict.value
            if table in made.watched:
                what += f" at priority {table.priority}"
            click.echo(f"  {table.table_id:3}  {table.name:{width}}  {what:24}  {table.why}")
        for drop in made.explicit:
            words = f"explicit drop at priority {drop.flow.priority}, {drop.way.value}"
            where = match_text(drop.flow.match) or "every packet"
            why = f" ({drop.why})" if drop.why else ""
            click.echo(f"  {drop.flow.table_id:3}  {words}: {where}{why}")
        click.echo(f"  {len(made.watched)} of {len(made.tables)} tables would be watched")
        _explicit_in_words(made)
        if isinstance(bridge.endpoint, ServiceEndpoint):
            click.echo(
                "  written to OVSDB: one row of type=service in Controller, for this bridge;"
                " it is removed at the end"
            )
    if failed:
        sys.exit(1)


@main.command()
@_config_option
@_bridge_option
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON, for scripts.")
def doctor(path: str | None, name: str | None, as_json: bool) -> None:
    """Tell what can be seen on each bridge, what cannot, and what the program would add.

    Changes nothing, before and during use: it asks the switch and its database, and reads. The
    page begins with what needs attention (!) and what is good to know (-); then come the owner of
    the bridge, what the program adds and costs, what the switch supports, and each table:
    watched, would be watched, drops elsewhere, owner forwards all, left alone, cannot be watched.

    Exit status: 0 all is well, 1 something needs attention, 2 the configuration or the command
    line is wrong, 3 a bridge could not be looked at.
    """
    _ready_hub()
    from ryu_droplog import page
    from ryu_droplog.doctor import examine
    from ryu_droplog.openflow.checkup import check

    with _errors():
        settings = config.load(path)
        pipelines = load_pipelines(settings.pipeline_directory)
    pages, found, statuses = [], [], [0]
    for bridge, _ in _bridges(path, name):
        errand = partial(check, bridge=bridge, run_directory=settings.run_directory)
        try:
            seen = _reach(bridge, errand)
        except DropLogError as error:
            click.echo(f"{bridge.name}: {error}", err=True)
            found.append(page.unseen_as_json(bridge.name, str(error)))
            statuses.append(UNSEEN)
            continue
        report = examine(bridge, pipelines, settings, seen)
        pages.append(page.as_page(report))
        found.append(page.as_json(report))
        statuses.append(0 if report.well else 1)
    if not found:
        click.echo("ryu-droplog: no bridge is named: say which one, with --bridge", err=True)
        statuses.append(UNSEEN)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif pages:
        click.echo(plain("\n\n".join(pages)))
    sys.exit(max(statuses))


@main.command()
@_config_option
@_bridge_option
def clean(path: str | None, name: str | None) -> None:
    """Remove the flows and meters that a crashed run left on the bridges.

    Drop flows of the owner's that it made to tell us (explicit_drops.modify) are restored. Nothing
    else is touched. Flows go by themselves when their lease ends, meters do not.
    """
    _ready_hub()
    from ryu_droplog.openflow.visit import clean as clean_bridge

    with _errors():
        directory = config.load(path).run_directory
    failed = False
    for bridge, _ in _bridges(path, name):
        counts = _visit(bridge, partial(clean_bridge, bridge=bridge.name, run_directory=directory))
        if counts is None:
            failed = True
        else:
            flows, meters, restored = counts
            click.echo(f"{bridge.name}: removed {flows} flows and {meters} meters")
            if restored:
                click.echo(f"{bridge.name}: restored {restored} drop flows of the owner's")
    if failed:
        sys.exit(1)


@main.command()
@_config_option
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def status(path: str | None, as_json: bool) -> None:
    """Ask the running program for its books: where every drop went."""
    from ryu_droplog import report
    from ryu_droplog import status as status_socket

    with _errors(1):
        try:
            answers = list(status_socket.ask(config.run_directory(path)))
        except DropLogError:
            with _errors():
                config.load(path)
            raise
    if as_json:
        click.echo(json.dumps(answers, indent=2))
        return
    for answer in answers:
        click.echo(f"ryu_droplog, process {answer['pid']}")
        sources = {**answer["bridges"], **answer["receive"]}
        click.echo(report.as_table(sources))
        for source, state in sources.items():
            if state["pruned_by"]:
                rules = ", ".join(f"{n} by {name}" for name, n in state["pruned_by"].items())
                click.echo(f"{source}: left out: {rules}")
        if answer["configuration"]["refused"]:
            click.echo(f"configuration not taken: {answer['configuration']['refused']}")
        for bridge, state in answer["bridges"].items():
            if not state["connected"]:
                click.echo(f"{bridge} is not connected: its counters are of an earlier time")


@main.command()
@click.argument("path", metavar="FILE")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    envvar=CONFIG_VARIABLE,
    help="droplog.yaml: its pipelines, prefixes, filters, and what it says of OpFlex.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["opflex", "extended", "json", "event"]),
    help="How a drop is written; event is the packet event, an object a line."
    " Default: as droplog.yaml says, opflex without one.",
)
@click.option(
    "--prune/--no-prune",
    default=True,
    show_default=True,
    help="Leave out control chatter and what the filters of droplog.yaml say.",
)
def replay(path: str, config_path: str | None, form: str | None, prune: bool) -> None:
    """Write the drops whose logs are in FILE, a pcap or pcapng capture, with the capture's time.

    A drop log is what the switch of an OpFlex agent sends: Geneve in UDP, to port 6081 or 50000.
    FILE may be - for standard input, also live:

        tcpdump -U -i lo -w - udp port 50000 | ryu-droplog replay -

    What was found is told on standard error. Exit status: 0 all was read, 1 the capture is damaged
    (what could be read is written) or cannot be read, 2 the configuration or the command line is
    wrong.
    """
    from ryu_droplog.replay import replay as play

    with _errors():
        settings = config.load(config_path)
        pipelines = load_pipelines(settings.pipeline_directory)
        config.check_pipelines(settings, pipelines)
    sys.exit(play(path, settings, pipelines, form or settings.format, prune))


@main.command("check-config")
@click.argument("path", metavar="FILE")
def check_config(path: str) -> None:
    """Say what the program understands of FILE, or what is wrong with it."""
    with _errors():
        settings = config.load(path)
        click.echo(describe.describe(settings, load_pipelines(settings.pipeline_directory)))


def _explicit_in_words(made: Any) -> None:
    """What would be done about explicit drops, and what of that changes flows of the owner's."""
    from ryu_droplog.openflow.explicit import Way

    ways = [drop.way for drop in made.explicit]
    if ways:
        click.echo(
            f"  {len(ways)} explicit drops of the owner's: {ways.count(Way.ABOVE)} would be logged"
            f" by flows of ours above them, {ways.count(Way.COUNT)} only counted"
        )
    if Way.MODIFY in ways:
        click.echo(
            f"  CHANGED: {ways.count(Way.MODIFY)} drop flows of the owner's would get an action"
            " that tells us; it is taken off at the end"
        )


def _bridges(path: str | None, name: str | None) -> list[tuple[Bridge, Pipeline]]:
    """The bridges to visit: those of the configuration, or the one that is asked for."""
    with _errors():
        settings = config.load(path)
        pipelines = load_pipelines(settings.pipeline_directory)
        config.check_pipelines(settings, pipelines)
        bridges = [bridge for bridge in settings.bridges if bridge.name != ANY_BRIDGE]
        if name is not None:
            bridges = [bridge for bridge in bridges if bridge.name == name]
            asked_for = json.dumps({"bridges": [{"name": name}]})
            bridges = bridges or list(config.parse(asked_for, "--bridge").bridges)
    return [(bridge, pipelines[bridge.pipeline]) for bridge in bridges]


def _ready_hub() -> None:
    """Before anything of os-ken is imported: see manager.py."""
    from ryu_droplog import manager  # noqa: F401


def _visit(bridge: Bridge, errand: Any) -> Any:
    """What the errand at the bridge brings back; None, with the reason on standard error."""
    try:
        return _reach(bridge, errand)
    except DropLogError as error:
        click.echo(f"{bridge.name}: {error}", err=True)
        return None


def _reach(bridge: Bridge, errand: Any) -> Any:
    """What the errand at the bridge brings back; raises DropLogError with the reason."""
    from ryu_droplog.openflow.visit import visit

    endpoint = bridge.endpoint
    if isinstance(endpoint, Accepted):
        raise SwitchError("it connects to us: there is no way to it from here")
    if isinstance(endpoint, ServiceEndpoint):
        endpoint = endpoint.management
    return visit(endpoint, errand)


@contextmanager
def _errors(exit_status: int = USAGE_ERROR) -> Iterator[None]:
    """End with one line on standard error instead of a traceback."""
    try:
        yield
    except DropLogError as error:
        click.echo(f"ryu-droplog: {error}", err=True)
        sys.exit(exit_status)
