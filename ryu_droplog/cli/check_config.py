"""The command `ryu-droplog check-config`."""

from __future__ import annotations

import json
import os
import sys

import click

from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import describe, loader, places
from ryu_droplog.config.json_schema import json_schema
from ryu_droplog.config.options import choose
from ryu_droplog.config.settings import Settings
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.plugins.listing import listing
from ryu_droplog.schema.convert import Mistakes
from ryu_droplog.text.printable import plain


@click.command(
    "check-config",
    epilog="Exit status: 0 all is well, 1 something cannot be written, 2 the file is wrong.",
)
@click.argument(
    "path",
    metavar="[FILE]",
    required=False,
    type=click.Path(),
    callback=lambda c, p, value: choose(value),
)
@click.option(
    "--schema",
    is_flag=True,
    help="Print the JSON Schema of droplog.yaml, for editors; FILE is not read.",
)
@click.option(
    "--types",
    is_flag=True,
    help="List the parts that a configuration may name, of other packages too; FILE is not read.",
)
def check_config(path: str | None, schema: bool, types: bool) -> None:
    """Show what the program understands of FILE, or what is wrong with it.

    Without FILE it is what RYU_DROPLOG_CONFIG names, else /etc/ryu-droplog/droplog.yaml where it
    exists, else the defaults. Whether the log directory and the run directory can be written is
    looked at as the user who asks.

    \b
    Examples:
    ryu-droplog check-config droplog.yaml
    ryu-droplog check-config --schema > droplog.schema.json
    ryu-droplog check-config --types
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    if types:
        click.echo(plain(listing()))
        return
    with errors_in_one_line():
        settings = _settings(path)
        click.echo(describe.describe(settings, load_pipelines(settings.pipeline_directory)))
    problems = list(places.unwritable(settings))
    for problem in problems:
        click.echo(f"ryu-droplog: {settings.source}: {problem}", err=True)
    if os.geteuid() != 0:
        user = f"user {os.geteuid()}, and not as root"
        click.echo(f"ryu-droplog: what can be written was looked at as {user}", err=True)
    sys.exit(Exit.ATTENTION if problems else Exit.WELL)


def _settings(path: str | None) -> Settings:
    """The settings in the file; each of its mistakes is said on a line of its own."""
    try:
        return loader.load(path)
    except Mistakes as error:
        for mistake in error.mistakes:
            click.echo(f"ryu-droplog: {mistake}", err=True)
        sys.exit(Exit.USAGE)
