"""The command `ryu-droplog top`."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import Any

import click

from ryu_droplog.cli.arguments import config_option, output_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.filter_options import InOrder, conditions_of, filter_options
from ryu_droplog.cli.observing import (
    Observation,
    lasts,
    place_option,
    properties_option,
    records,
)
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.observe import client, top_page
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.query import NoRecordsError, QueryError
from ryu_droplog.observe.tallies import SORTS, Tallies
from ryu_droplog.observe.topic import PREFIX
from ryu_droplog.plugins.extras import check_installed

TOPIC_SINCE = "10m"
"""How far back a topic is read, where nothing says how far."""


@click.command(cls=InOrder)
@config_option("path", "droplog.yaml, which says where the running program has its socket")
@place_option
@properties_option
@click.option("--since", metavar="TIME", help="None before that: 5m ago, or a date (RFC 3339).")
@filter_options()
@click.option("--once", is_flag=True, help="Print the tables once, without a terminal view.")
@click.option(
    "--for",
    "--timeout",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --once: what comes in so many seconds, too.",
)
@click.option(
    "--sort",
    type=click.Choice(list(SORTS)),
    default="rate",
    show_default=True,
    help="What is first: the highest rate, the most packets, or the last drop.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="With --once: rows of a table at most.",
)
@output_option("With --once: how it is written.")
@click.pass_context
def top(ctx: click.Context, /, **options: Any) -> None:
    """Show which drops are the most: by signature, table, pair and port, and whom they hurt.

    It begins with what the running program remembers, and goes on with what comes. The view of the
    terminal needs the extra top: pip install 'ryu-droplog[top]'. Filters are those of observe.

    \b
    Examples:
    ryu-droplog top
    ryu-droplog top --once
    ryu-droplog top --once --for 10 --output json --to-port 443
    ryu-droplog top --from kafka:broker:9092/drops --since 1h

    Exit status: 0 all is well, 2 the configuration or the command line is wrong, 3 there is no such
    program, file or topic.
    """
    conditions = conditions_of(ctx, options)
    place, once, since = options["place"], options["once"], options["since"]
    if not once and (options["seconds"] is not None or options["output"] != "text"):
        raise click.UsageError("--for, --timeout and --output: expected --once with them")
    if place.startswith(PREFIX):
        since = since or TOPIC_SINCE
    with errors_in_one_line():
        predicate(conditions)
        directory = loader.run_directory(options["path"]) if place == "program" else ""
    asked = Observation(
        place,
        conditions,
        everything=since is None,
        follow=lasts(place) and (not once or options["seconds"] is not None),
        since=since,
        timeout=options["seconds"],
        properties=options["properties"],
        run_directory=directory,
    )
    try:
        if once:
            _once(asked, options)
            return
        try:
            check_installed("textual", "textual", "top")
        except ValueError as error:
            raise click.UsageError(f"the terminal view needs {error}; or use --once") from error
        if not sys.stdout.isatty() or not sys.stdin.isatty():
            raise click.UsageError("the terminal view needs a terminal; expected --once")
        from ryu_droplog.cli.top_view import TopView

        view = TopView(asked, options["sort"], options["path"])
        view.run()
        if view.failure is not None:
            raise view.failure
    except QueryError as error:
        click.echo(f"ryu-droplog: {error}", err=True)
        sys.exit(Exit.UNREACHED if isinstance(error, NoRecordsError) else Exit.USAGE)


def _once(asked: Observation, options: dict[str, Any]) -> None:
    tallies = Tallies()
    with suppress(KeyboardInterrupt):
        for said in records(asked):
            tallies.take(said)
    books = None
    if asked.place == "program":
        books = top_page.take_books(tallies, list(client.status(asked.run_directory)))
    now = time.time() if asked.place == "program" else tallies.latest
    shown = tallies, books, now, options["sort"], options["rows"]
    if options["output"] == "json":
        click.echo(json.dumps(top_page.as_json(*shown), indent=2))
    else:
        click.echo(top_page.as_text(*shown))
