"""Which drop `explain` is asked about: of the running program, of a file, or a given one."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import click

from ryu_droplog.explain.given import Given, GivenError, read_given
from ryu_droplog.model.errors import why
from ryu_droplog.observe import client
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.impact import Impacts
from ryu_droplog.observe.query import Condition, Query, QueryError
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.records.record import Record

OTHERS = 20
"""Drops before the one in question with which a flow is tried, too."""
REMEMBERED = 2000
"""Drops of one signature that are read for their impact at most."""
SIZE = 4 * 1024 * 1024
"""Bytes of a line at most."""
ANSWER_TIME = 10.0
"""Seconds that the running program has to look for it."""


class Question(NamedTuple):
    """The drop in question."""

    given: Given
    others: list[Given]
    """Some of those before it, of its bridge."""


class NoDropError(QueryError):
    """There is no drop that fits."""


def in_line(text: str, pipelines: Mapping[str, Pipeline], bridge: str) -> Question:
    """The drop that a record or a line of the log tells of; raises GivenError."""
    return Question(read_given(text.encode("utf-8", "surrogateescape"), pipelines, bridge), [])


def in_file(
    path: str, conditions: Sequence[Condition], pipelines: Mapping[str, Pipeline], bridge: str
) -> Question:
    """The last of a file, or standard input, that fits; of those before it, any.

    `bridge` is for lines that do not say theirs. Raises GivenError, QueryError and UsageError.
    """
    matches = predicate(conditions)
    before: deque[bytes] = deque(maxlen=OTHERS + 1)
    found: Given | None = None
    others: list[bytes] = []
    for line in _lines(path):
        before.append(line)
        if conditions:
            with suppress(GivenError):
                given = read_given(line, pipelines, bridge)
                if matches(given.record):
                    found, others = given, list(before)
    if not before:
        raise click.UsageError(f"{path}: there is no drop in it")
    if not conditions:
        found, others = read_given(before[-1], pipelines, bridge), list(before)
    if found is None:
        raise NoDropError(f"{path}: no drop in it fits")
    return _question(found, others[:-1], pipelines, bridge)


def _question(
    given: Given, before: Sequence[bytes], pipelines: Mapping[str, Pipeline], bridge: str
) -> Question:
    others: list[Given] = []
    for line in before:
        with suppress(GivenError):
            others.append(read_given(line, pipelines, bridge))
    return Question(given, [one for one in others if one.record.bridge == given.record.bridge])


def _lines(path: str) -> Iterator[bytes]:
    """Those that are not empty."""
    try:
        with click.open_file(path, "rb") as file:
            while line := file.readline(SIZE):
                if line.strip():
                    yield line
    except OSError as error:
        raise click.UsageError(f"{path}: {why(error)}") from error


def in_program(run_directory: str, conditions: Sequence[Condition], bridge: str | None) -> Question:
    """The last that the running program remembers and that fits; raises QueryError.

    `bridge`: only drops of this one.
    """
    asked = _records(run_directory, [*conditions, *_of_bridge(bridge)], 1)
    if not asked:
        raise NoDropError("the running program remembers no drop that fits")
    record = asked[-1]
    there = _records(run_directory, _of_bridge(record.bridge), OTHERS + 1)
    others = [one for one in there if one != record]
    return Question(Given(record, ()), [Given(other, ()) for other in others[-OTHERS:]])


def impact_in_program(run_directory: str, record: Record, now: float) -> str:
    """What the remembered drops of the same signature mean for who sent them; raises QueryError.

    Empty: it was no SYN. The program keeps not more than some of them: it is at least so.
    """
    if record.packet.tcp is None:
        return ""
    conditions = [Condition("signature", [record.signature]), *_of_bridge(record.bridge)]
    impacts = Impacts()
    impacts.miss()
    for one in _records(run_directory, conditions, REMEMBERED):
        impacts.add(one)
    return impacts.at(now).in_words()


def _of_bridge(name: str | None) -> list[Condition]:
    """That it is of this bridge; nothing where there is none."""
    literal = re.sub(r"([*?\[])", r"[\1]", name or "")
    return [Condition("bridge", [literal])] if literal else []


def _records(run_directory: str, conditions: list[Condition], number: int) -> list[Record]:
    deadline = time.monotonic() + ANSWER_TIME
    said = client.observe(run_directory, Query(conditions, last=number), deadline)
    found = [one for one in said if isinstance(one, Record)]
    return sorted(found, key=lambda record: record.time)[-number:]
