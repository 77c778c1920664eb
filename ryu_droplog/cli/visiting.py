"""What the commands have in common that visit bridges, and how all of them end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ryu_droplog.cli import completing
from ryu_droplog.cli.exits import Exit, overall
from ryu_droplog.model.errors import DropLogError, Unreachable
from ryu_droplog.text.phrases import without_name

if TYPE_CHECKING:
    from ryu_droplog.config.settings import Bridge, Settings
    from ryu_droplog.pipelines.loader import Pipeline

bridge_option = click.option(
    "--bridge",
    "name",
    metavar="NAME",
    shell_complete=completing.bridges,
    help="Only this bridge. One that the configuration does not name is taken with the defaults.",
)


class Visits(NamedTuple):
    """What a command that visits bridges goes by."""

    settings: Settings
    pipelines: dict[str, Pipeline]
    """By name: the ones that come with the program, and those of `pipeline_directory`."""
    bridges: list[Bridge]
    """Those to visit: the ones of the configuration, or the one that is asked for."""


def read_visits(path: str | None, name: str | None) -> Visits:
    """Read the configuration, and the pipelines; ends the program where one is wrong.

    `path` is its file, `name` the bridge that is asked for.
    """
    from ryu_droplog.config import loader
    from ryu_droplog.config.settings import ANY_BRIDGE
    from ryu_droplog.pipelines.loader import load_pipelines

    with errors_in_one_line():
        settings = loader.load(path)
        pipelines = load_pipelines(settings.pipeline_directory)
        loader.check_pipelines(settings, pipelines)
        bridges = [bridge for bridge in settings.bridges if bridge.name != ANY_BRIDGE]
        if name is not None:
            bridges = [bridge_named(name, bridges)]
    return Visits(settings, pipelines, bridges)


def bridge_named(name: str, bridges: Iterable[Bridge]) -> Bridge:
    """The one of these with a name, else one with the defaults. Raises ConfigError."""
    from ryu_droplog.config import loader
    from ryu_droplog.config.settings import ANY_BRIDGE

    for bridge in bridges:
        if bridge.name == name != ANY_BRIDGE:
            return bridge
    [bridge] = loader.parse(json.dumps({"bridges": [{"name": name}]}), "--bridge").bridges
    return bridge


def ready_hub() -> None:
    """Before anything of os-ken or pydantic is imported: see manager.py.

    Under eventlet it changes the objects that there are, and those of pydantic resist.
    """
    with errors_in_one_line():
        from ryu_droplog.runtime import manager  # noqa: F401


def visit_bridge(bridge: Bridge, task: Any, outcomes: list[Exit], *more: Any) -> Any:
    """What the task at the bridge brings back; None, with the reason on standard error.

    How it went is added to `outcomes`; `more` is as for `visit`.
    """
    from ryu_droplog.runtime.one_shot import reach_bridge

    try:
        result = reach_bridge(bridge, task, *more)
    except DropLogError as error:
        click.echo(f"{bridge.name}: {without_name(bridge.name, str(error))}", err=True)
        outcomes.append(outcome_of(error))
        return None
    outcomes.append(Exit.WELL)
    return result


def outcome_of(error: DropLogError) -> Exit:
    """How a visit ended that raised this."""
    return Exit.UNREACHED if isinstance(error, Unreachable) else Exit.ATTENTION


def conclude(outcomes: list[Exit]) -> Exit:
    """The exit status of a command that visits bridges."""
    if not outcomes:
        click.echo("ryu-droplog: no bridge is named: say which one, with --bridge", err=True)
    return overall(outcomes)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End with one line on standard error instead of a traceback."""
    try:
        yield
    except DropLogError as error:
        click.echo(f"ryu-droplog: {error}", err=True)
        sys.exit(Exit.USAGE)
