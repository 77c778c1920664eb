"""Filters in the order in which they are written: what `--not` negates. Pure.

On the command line, or as one line of text that is written like one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from ryu_droplog.observe.filters import FILTERS, SHORT, predicate
from ryu_droplog.observe.query import CONDITIONS, VALUE, Condition, QueryError
from ryu_droplog.text.printable import printable

TEXT = 2048
"""Characters of such a line at most."""
NEGATION = "--not"
_LONG = {short: name for name, short in SHORT.items()}


def conditions_in_order(given: Iterable[tuple[str, str]]) -> list[Condition]:
    """What filters ask, each a name and a value, with whether `NEGATION` stands before it.

    Any other name is of an option that is no filter: it may not be negated. Raises QueryError.
    """
    conditions: list[Condition] = []
    negated = False
    for name, value in given:
        if name == NEGATION:
            if negated:
                raise QueryError("--not twice: the next filter is negated by one")
            negated = True
        elif name in FILTERS:
            conditions.append(Condition(name, [value], negated))
            negated = False
        elif negated:
            raise QueryError("--not: expected a filter behind it")
    if negated:
        raise QueryError("--not: expected a filter behind it")
    return conditions


def conditions_of_text(text: str) -> list[Condition]:
    """What the flags ask, each with whether `--not` stands before it.

    `--to-port 443 --not --from-ip=10.0.0.0/8`. Raises QueryError for what makes no sense.
    """
    if len(text) > TEXT:
        raise QueryError(f"filters of {len(text)} characters; expected at most {TEXT}")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise QueryError(f"filters: {str(error).lower()}") from None
    conditions = conditions_in_order(_filters(words))
    if len(conditions) > CONDITIONS:
        raise QueryError(f"{len(conditions)} filters; expected at most {CONDITIONS}")
    predicate(conditions)
    return conditions


def _filters(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    waiting = iter(words)
    for word in waiting:
        if word == NEGATION:
            yield NEGATION, ""
            continue
        flag, equals, value = word.partition("=")
        name = _LONG.get(flag, flag.removeprefix("--") if flag.startswith("--") else "")
        if name not in FILTERS:
            raise QueryError(f'got "{printable(flag)}"; expected a filter such as --to-port')
        if not equals:
            value = next(waiting, "")
            if not value:
                raise QueryError(f"--{name}: expected {FILTERS[name].value} behind it")
        if len(value) > VALUE:
            raise QueryError(f"--{name}: expected a value of at most {VALUE} characters")
        yield name, value
