"""What observers do: ask one of the places where records are, and write what they get."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import click

from ryu_droplog.observe import client, record_file
from ryu_droplog.observe.aggregate import Aggregate
from ryu_droplog.observe.moments import ago
from ryu_droplog.observe.query import Condition, Query, QueryError
from ryu_droplog.observe.render import MACHINE, Output, Style, lines_of, table_of
from ryu_droplog.observe.stream import Lost, Said, Unreadable, chosen
from ryu_droplog.observe.topic import PREFIX, Topic, last_of
from ryu_droplog.records.record import Record
from ryu_droplog.text.phrases import count
from ryu_droplog.text.printable import printable

place_option = click.option(
    "--from",
    "place",
    metavar="PLACE",
    default="program",
    show_default=True,
    help="Where records come from: program, a file of records (- is standard input), or"
    " kafka:BROKER:PORT[,…]/TOPIC.",
)
properties_option = click.option(
    "--kafka-property",
    "properties",
    multiple=True,
    metavar="KEY=VALUE",
    help="A property of librdkafka, such as security.protocol=SSL.",
)


class Observation(NamedTuple):
    """What the command line asks for."""

    place: str
    """`program`, the path of a file, or `kafka:…`."""
    conditions: list[Condition]
    first: int | None = None
    last: int | None = None
    everything: bool = False
    """Whether all that is there is asked for by name, and not only left open."""
    follow: bool = False
    since: str | None = None
    until: str | None = None
    timeout: float | None = None
    """Seconds; None: no end."""
    properties: Sequence[str] = ()
    run_directory: str = ""


def lasts(place: str) -> bool:
    """Whether records may still come there: a file does not grow."""
    return place == "program" or place.startswith(PREFIX)


def records(asked: Observation) -> Iterator[Said]:
    """The records; raises QueryError."""
    now = time.time()
    since = ago(asked.since, "--since", now) if asked.since is not None else None
    until = ago(asked.until, "--until", now) if asked.until is not None else None
    if asked.everything and asked.follow:
        since = since if since is not None else now
    query = Query(asked.conditions, asked.first, asked.last, since, until, asked.follow)
    spans = [asked.timeout, -until if until is not None and until < 0 else None]
    deadline = min((time.monotonic() + span for span in spans if span is not None), default=None)
    if asked.place == "program":
        said = client.observe(asked.run_directory, query, deadline)
        return said if asked.follow else iter(_sorted(said, query))
    if asked.place.startswith(PREFIX):
        return _until(deadline, _from_topic(asked, query, now))
    if asked.follow:
        raise QueryError("--follow: a file does not grow; expected the program or a topic")
    return _until(deadline, chosen(record_file.read(asked.place), query, now))


def _sorted(said: Iterator[Said], query: Query) -> list[Said]:
    """What several programs have, as one would have it."""
    taken = [one for one in said if one is not None]
    found = [one for one in taken if isinstance(one, Record)]
    found.sort(key=lambda record: record.time)
    if query.last is not None:
        found = found[-query.last :]
    if query.first is not None:
        found = found[: query.first]
    return [*(one for one in taken if not isinstance(one, Record)), *found]


def _until(deadline: float | None, said: Iterator[Said]) -> Iterator[Said]:
    for one in said:
        yield one
        if deadline is not None and time.monotonic() >= deadline:
            return


def _from_topic(asked: Observation, query: Query, now: float) -> Iterator[Said]:
    properties = {}
    for text in asked.properties:
        key, equals, value = text.partition("=")
        if not equals:
            raise QueryError(f"--kafka-property: got {printable(text)}; expected KEY=VALUE")
        properties[key] = value
    topic = Topic(asked.place, properties)
    try:
        ends = topic.now()
        back = query.last is not None and query.since is None
        if back:
            yield from _last(topic, ends, query, now)
        elif query.since is not None and not asked.everything:
            yield from chosen(_read(topic, query, now, ends), query, now)
            return
        elif not query.follow or query.first is not None or asked.everything:
            begins = topic.before(ends, 1 << 62)
            yield from chosen(topic.read(begins, None if query.follow else ends), query, now)
            return
        if query.follow:
            live = Query(query.conditions, query.first, None, None, query.until, follow=True)
            yield from chosen(topic.read(topic.reached(ends), None), live, now)
    finally:
        topic.close()


def _read(topic: Topic, query: Query, now: float, ends: list[int]) -> Iterator[Said]:
    assert query.since is not None
    begins = topic.since(now - query.since)
    return topic.read(begins, None if query.follow else ends)


def _last(topic: Topic, ends: list[int], query: Query, now: float) -> Iterator[Said]:
    """The last of those that fit, by their time: read from further back until there are enough."""
    assert query.last is not None
    everything = Query(query.conditions, None, None, None, query.until)
    said: list[Said] = []
    for begins in last_of(topic, ends, query.last):
        said = [one for one in chosen(topic.read(begins, ends), everything, now) if one]
        if sum(isinstance(one, Record) for one in said) >= query.last:
            break
    yield from _sorted(iter(said), query)


def show(
    said: Iterator[Said],
    output: Output,
    name: str,
    time_format: Callable[[str], str],
    color: str,
    aggregate: Aggregate | None,
) -> int:
    """Write what there is, until its end or Ctrl-C; returns how many records that were."""
    coloured = color == "always" or (color == "auto" and sys.stdout.isatty())

    def paint(text: str, colour: str) -> str:
        return click.style(text, fg=colour) if coloured else text

    style = Style(time_format, paint)
    number = unreadable = 0
    with suppress(KeyboardInterrupt):
        for one in said:
            if isinstance(one, Record):
                number += 1
                if aggregate is not None:
                    aggregate.add(one)
                    continue
                if number == 1 and output.head:
                    click.echo(output.head)
                click.echo(output.show(one, style), color=True)
            elif isinstance(one, Lost):
                click.echo(
                    f"ryu-droplog: {count(one.number, 'drop')} missing here, of those that fit or"
                    " do not: too many came at once, or they were read too slowly",
                    err=True,
                )
            elif isinstance(one, Unreadable):
                unreadable += 1
                if unreadable == 1:
                    click.echo(f"ryu-droplog: no record: {printable(one.reason)}", err=True)
    if unreadable > 1:
        click.echo(f"ryu-droplog: {count(unreadable, 'line')} in all are no records", err=True)
    if aggregate is not None and number:
        click.echo(lines_of(aggregate) if name in MACHINE else table_of(aggregate, style))
    return number
