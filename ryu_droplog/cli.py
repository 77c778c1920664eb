"""The `ryu-droplog` command."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from ryu_droplog import __version__, config, describe, hubs, places, plainlog
from ryu_droplog.arguments import config_option
from ryu_droplog.endpoint import Accepted, ServiceEndpoint
from ryu_droplog.errors import DropLogError, Unreachable
from ryu_droplog.events.command import events
from ryu_droplog.exits import NO_BRIDGE, NO_PROGRAM, Exit, overall
from ryu_droplog.options import choose
from ryu_droplog.phrases import count, without_name
from ryu_droplog.pipelines import AUTO, Pipeline, load_pipelines
from ryu_droplog.printable import plain
from ryu_droplog.settings import ANY_BRIDGE, Bridge
from ryu_droplog.standard_files import see_that_they_are_open, standard_error

_config_option = config_option("path", "droplog.yaml")
_bridge_option = click.option(
    "--bridge",
    "name",
    metavar="NAME",
    help="Only this bridge. One that the configuration does not name is taken with the defaults.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ryu-droplog")
def main() -> None:
    """Tell which packets Open vSwitch dropped, in which table, and whose they were.

    The configuration is droplog.yaml: the file that --config names, else what RYU_DROPLOG_CONFIG
    names, else /etc/ryu-droplog/droplog.yaml where it exists, else the bridge br-int is taken with
    the defaults. RYU_DROPLOG_CONFIG set to nothing stands for no file at all.
    """
    see_that_they_are_open()


main.add_command(events)


@main.command()
@_config_option
@click.option("-v", "--verbose", is_flag=True, help="Say more of what goes on.")
def run(path: str | None, verbose: bool) -> None:
    """Attach to the bridges and log their drops, until SIGTERM or SIGINT.

    Lines go where the configuration says (standard output by default), what the program has to
    say of itself goes to standard error. Every flow and meter that it adds to a bridge is gone
    when it stops.

    Exit status: 0 all is removed, 1 something may still be on a bridge (the log says what, and a
    process that cleans up goes on trying for a minute), 2 the configuration or the command line is
    wrong.
    """
    with _errors():
        from ryu_droplog import manager

    plainlog.set_up(verbose=verbose)
    standard_error(hubs.real_threading()).take_over(logging.getLogger().handlers)
    if not verbose:
        logging.getLogger("os_ken").setLevel(logging.WARNING)
    with _errors():
        settings = config.load(path)
        config.check_pipelines(settings, load_pipelines(settings.pipeline_directory))
    manager.run_droplog(path)


@main.command(epilog=NO_BRIDGE)
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
    outcomes: list[Exit] = []
    for bridge, pipeline in _bridges(path, name):
        snapshot = _visit(bridge, partial(look, bridge=bridge), outcomes)
        if snapshot is None:
            continue
        owner = recognise(snapshot.flows)
        recognised = bridge.pipeline == AUTO and owner.sureness != "unknown"
        if recognised:
            pipeline = pipelines.get(owner.pipeline, pipeline)
        known = southbound(bridge, snapshot) if pipeline.explain == "ovn" else None
        is_drop = known.is_drop if known is not None else (lambda cookie: False)
        made = make_plan(pipeline, snapshot, bridge.explicit_drops, is_drop)
        flows = count(len(snapshot.flows), "flow")
        click.echo(f"{bridge.name}: pipeline {pipeline.name}, {flows}")
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
        tables = count(len(made.tables), "table")
        click.echo(f"  {len(made.watched)} of {tables} would be watched")
        _explicit_in_words(made)
        if isinstance(bridge.endpoint, ServiceEndpoint):
            click.echo(
                "  written to OVSDB: one row of type=service in Controller, for this bridge;"
                " it is removed at the end"
            )
    sys.exit(_conclude(outcomes))


@main.command(epilog=NO_BRIDGE)
@_config_option
@_bridge_option
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON, for scripts.")
def doctor(path: str | None, name: str | None, as_json: bool) -> None:
    """Tell what can be seen on each bridge, what cannot, and what the program would add.

    Changes nothing, before and during use: it asks the switch and its database, and reads. The
    page begins with what needs attention (!) and what is good to know (-); then come the owner of
    the bridge, what the program adds and costs, what the switch supports, and each table:
    watched, would be watched, drops elsewhere, owner forwards all, left alone, cannot be watched.
    """
    _ready_hub()
    from ryu_droplog import page
    from ryu_droplog.doctor import examine
    from ryu_droplog.openflow.checkup import check

    with _errors():
        settings = config.load(path)
        pipelines = load_pipelines(settings.pipeline_directory)
    pages, found = [], []
    outcomes: list[Exit] = []
    for bridge, _ in _bridges(path, name):
        errand = partial(check, bridge=bridge, run_directory=settings.run_directory)
        try:
            seen = _reach(bridge, errand)
        except DropLogError as error:
            click.echo(f"{bridge.name}: {without_name(bridge.name, str(error))}", err=True)
            found.append(page.unseen_as_json(bridge.name, str(error)))
            outcomes.append(_outcome(error))
            continue
        report = examine(bridge, pipelines, settings, seen)
        pages.append(page.as_page(report))
        found.append(page.as_json(report))
        outcomes.append(Exit.WELL if report.well else Exit.ATTENTION)
    status = _conclude(outcomes)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif pages:
        click.echo(plain("\n\n".join(pages)))
    sys.exit(status)


@main.command(epilog=NO_BRIDGE)
@_config_option
@_bridge_option
@click.option(
    "--force",
    is_flag=True,
    help="Do not look whether a program is at work: remove what is there of any run at once.",
)
def clean(path: str | None, name: str | None, force: bool) -> None:
    """Remove the flows and meters that a crashed run left on the bridges.

    Drop flows of the owner's that it made to tell us (explicit_drops.modify) are restored. Nothing
    else is touched. Flows go by themselves when their lease ends, meters do not.

    What the last run with the same run_directory left is removed at once. Flows of any other run
    may be of a program that is at work with another run_directory: they are looked at for as long
    as their leases last (60 s by default), and left alone if they are renewed; the exit status is
    1 then.
    """
    _ready_hub()
    from ryu_droplog.cookie import generation_text
    from ryu_droplog.openflow.clean import Cleaning

    def say(text: str) -> None:
        click.echo(text, err=True)

    with _errors():
        directory = config.load(path).run_directory
    outcomes: list[Exit] = []
    for bridge, _ in _bridges(path, name):
        cleaning = Cleaning(bridge.name, directory, say, force=force)
        cleaned = _visit(bridge, cleaning, outcomes, cleaning.updates)
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
    sys.exit(_conclude(outcomes))


@main.command(epilog=NO_PROGRAM)
@_config_option
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def status(path: str | None, as_json: bool) -> None:
    """Ask the running program how it does, and for its books: where every drop went.

    What is not well comes first (!): a bridge that is not connected and why, a configuration that
    was not taken, a destination that cannot be written.
    """
    from ryu_droplog import status as status_socket
    from ryu_droplog import statuspage

    with _errors():
        directory = config.run_directory(path)
    answers: list[dict[str, Any]] = []
    pages: list[str] = []
    outcomes: list[Exit] = []
    try:
        for answer in status_socket.ask(directory):
            problems = statuspage.problems(answer)
            pages.append(statuspage.as_text(answer))
            answers.append({**answer, "problems": problems})
            outcomes.append(Exit.ATTENTION if problems else Exit.WELL)
    except (LookupError, TypeError, AttributeError):
        click.echo("ryu-droplog: the answer of another version cannot be read", err=True)
        outcomes.append(Exit.ATTENTION)
    except DropLogError as error:
        if not answers:  # it may be the file that is wrong
            with _errors():
                config.load(path)
        click.echo(f"ryu-droplog: {error}", err=True)
        outcomes.append(Exit.UNREACHED)
    if as_json:
        click.echo(json.dumps(answers, indent=2))
    elif pages:
        click.echo(plain("\n\n".join(pages)))
    sys.exit(overall(outcomes))


@main.command()
@click.argument("path", metavar="FILE")
@config_option(
    "config_path", "droplog.yaml: its pipelines, prefixes, filters, and what it says of OpFlex"
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
    FILE may be compressed by gzip, and may be - for standard input, also live:

        tcpdump -U -i lo -w - udp port 50000 | ryu-droplog replay -

    Of a drop log that the capture has cut (tcpdump -s, editcap -s), what is there is written, and
    TRUNCATED behind it; what an option that is missing would tell counts as not told.

    What was found is told on standard error. Exit status: 0 all was read, also where it had no drop
    log, 1 the capture is damaged (what could be read is written) or cannot be read, 2 the
    configuration or the command line is wrong.
    """
    from ryu_droplog.replay import replay as play

    with _errors():
        settings = config.load(config_path)
        pipelines = load_pipelines(settings.pipeline_directory)
        config.check_pipelines(settings, pipelines)
    sys.exit(play(path, settings, pipelines, form or settings.format, prune))


@main.command(
    "check-config",
    epilog="Exit status: 0 all is well, 1 something cannot be written, 2 the file is wrong.",
)
@click.argument(
    "path", metavar="[FILE]", required=False, callback=lambda c, p, value: choose(value)
)
def check_config(path: str | None) -> None:
    """Say what the program understands of FILE, or what is wrong with it.

    Without FILE it is what RYU_DROPLOG_CONFIG names, else /etc/ryu-droplog/droplog.yaml where it
    exists, else the defaults. Whether the log directory and the run directory can be written is
    looked at as the user who asks.
    """
    with _errors():
        settings = config.load(path)
        click.echo(describe.describe(settings, load_pipelines(settings.pipeline_directory)))
    problems = list(places.unwritable(settings))
    for problem in problems:
        click.echo(f"ryu-droplog: {settings.source}: {problem}", err=True)
    if os.geteuid() != 0:
        user = f"user {os.geteuid()}, and not as root"
        click.echo(f"ryu-droplog: what can be written was looked at as {user}", err=True)
    sys.exit(Exit.ATTENTION if problems else Exit.WELL)


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
    with _errors():
        from ryu_droplog import manager  # noqa: F401


def _visit(bridge: Bridge, errand: Any, outcomes: list[Exit], *more: Any) -> Any:
    """What the errand at the bridge brings back; None, with the reason on standard error.

    How it went is added to `outcomes`; `more` is as for `visit`.
    """
    try:
        found = _reach(bridge, errand, *more)
    except DropLogError as error:
        click.echo(f"{bridge.name}: {without_name(bridge.name, str(error))}", err=True)
        outcomes.append(_outcome(error))
        return None
    outcomes.append(Exit.WELL)
    return found


def _outcome(error: DropLogError) -> Exit:
    """How a visit ended that raised this."""
    return Exit.UNREACHED if isinstance(error, Unreachable) else Exit.ATTENTION


def _conclude(outcomes: list[Exit]) -> Exit:
    """The exit status of a command that visits bridges."""
    if not outcomes:
        click.echo("ryu-droplog: no bridge is named: say which one, with --bridge", err=True)
    return overall(outcomes)


def _reach(bridge: Bridge, errand: Any, *more: Any) -> Any:
    """What the errand at the bridge brings back; raises DropLogError with the reason.

    `more` is as for `visit`.
    """
    from ryu_droplog.openflow.visit import visit

    endpoint = bridge.endpoint
    if isinstance(endpoint, Accepted):
        raise Unreachable("it connects to us: there is no way to it from here")
    if isinstance(endpoint, ServiceEndpoint):
        endpoint = endpoint.management
    return visit(endpoint, errand, *more)


@contextmanager
def _errors() -> Iterator[None]:
    """End with one line on standard error instead of a traceback."""
    try:
        yield
    except DropLogError as error:
        click.echo(f"ryu-droplog: {error}", err=True)
        sys.exit(Exit.USAGE)
