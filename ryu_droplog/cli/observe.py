"""The command `ryu-droplog observe`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.filter_options import InOrder, conditions_of, filter_options
from ryu_droplog.cli.observing import (
    Observation,
    place_option,
    properties_option,
    records,
    show,
)
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.observe.aggregate import Aggregate
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.moments import TIME_FORMATS
from ryu_droplog.observe.query import Condition, NoRecordsError, QueryError
from ryu_droplog.observe.render import OUTPUTS
from ryu_droplog.observe.shown import PARTS

DEFAULT = 20
"""Records that are shown where nothing says how many."""


@click.command(cls=InOrder)
@config_option("path", "droplog.yaml, which says where the running program has its socket")
@place_option
@click.option("--input-file", metavar="FILE", help="The same as --from FILE.")
@properties_option
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="The last N.")
@click.option("--first", type=click.IntRange(min=1), metavar="N", help="The first N.")
@click.option("--all", "everything", is_flag=True, help="All that are there.")
@click.option("--follow", "-f", is_flag=True, help="Those that are to come, until Ctrl-C.")
@click.option("--since", metavar="TIME", help="None before that: 5m ago, or a date (RFC 3339).")
@click.option("--until", metavar="TIME", help="None after that: 5m ago, or a date (RFC 3339).")
@filter_options()
@click.option("--new", is_flag=True, help="None that the baseline has: --acknowledged no.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(list(OUTPUTS)),
    default="compact",
    show_default=True,
    help="How a record is written: json is the record itself, jsonpb is Hubble's flow.",
)
@click.option(
    "--aggregate-by",
    metavar="FIELD,…",
    help=f"Count them, with the first and last time, by: {', '.join(PARTS)}.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether colours are used; auto: on a terminal.",
)
@click.option(
    "--time-format",
    type=click.Choice(list(TIME_FORMATS)),
    default="StampMilli",
    show_default=True,
    help="How a time is written.",
)
@click.option("--fail-if-none", is_flag=True, help="Exit status 1 when no record fits.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End after so many seconds.",
)
@click.pass_context
def observe(ctx: click.Context, /, **options: Any) -> None:
    """Show dropped packets: whose they were, where and why, as they come or from memory.

    Without any of --last, --first, --all, --since, --until, --follow, the last 20 are shown. A
    filter that is given twice takes either value, different filters must all hold, and --not
    negates the one that comes next. Names may have * and ? in them.

    \b
    Examples:
    ryu-droplog observe --follow --to-port 443 --not --from-ip 10.0.0.0/8
    ryu-droplog observe --since 10m --vm web-1 --output json
    ryu-droplog observe --all --aggregate-by source,destination,reason
    ryu-droplog observe --follow --new
    ryu-droplog observe --follow --timeout 30 --table 82 --fail-if-none
    ryu-droplog observe --from kafka:broker:9092/drops --since 1h --reason DENY

    Exit status: 0 all is well, 1 no record fits and --fail-if-none is given, 2 the configuration
    or the command line is wrong, 3 there is no such program, file or topic.
    """
    conditions = conditions_of(ctx, options)
    if options["new"]:
        conditions.append(Condition("acknowledged", ["no"]))
    with errors_in_one_line():
        predicate(conditions)
        aggregate = None
        if options["aggregate_by"] is not None:
            aggregate = Aggregate(options["aggregate_by"].split(","))
        observation = _observation(conditions, options, aggregate)
        if observation.place == "program":
            observation = observation._replace(run_directory=loader.run_directory(options["path"]))
    try:
        number = show(
            records(observation),
            OUTPUTS[options["output"]],
            options["output"],
            TIME_FORMATS[options["time_format"]],
            options["color"],
            aggregate,
        )
    except QueryError as error:
        click.echo(f"ryu-droplog: {error}", err=True)
        sys.exit(Exit.UNREACHED if isinstance(error, NoRecordsError) else Exit.USAGE)
    sys.exit(Exit.ATTENTION if options["fail_if_none"] and not number else Exit.WELL)


def _observation(
    conditions: list[Condition], options: dict[str, Any], aggregate: Aggregate | None
) -> Observation:
    """What is asked for; raises QueryError and UsageError for what makes no sense."""
    first, last, follow = options["first"], options["last"], options["follow"]
    if sum(value is not None for value in (first, last)) + options["everything"] > 1:
        raise click.UsageError("--first, --last and --all: only one of them")
    chooses = (first, last, options["since"], options["until"])
    if not (follow or options["everything"] or aggregate or any(v is not None for v in chooses)):
        last = DEFAULT
    place = options["place"]
    if options["input_file"] is not None:
        if place != "program":
            raise click.UsageError("--input-file and --from: only one of them")
        place = options["input_file"]
    return Observation(
        place,
        conditions,
        first=first,
        last=last,
        everything=options["everything"],
        follow=follow,
        since=options["since"],
        until=options["until"],
        timeout=options["timeout"],
        properties=options["properties"],
    )
