"""Filters as one line of text, written as on the command line of `ryu-droplog observe`. Pure."""

from __future__ import annotations

import shlex

from ryu_droplog.observe.filters import FILTERS, predicate
from ryu_droplog.observe.query import CONDITIONS, VALUE, Condition, QueryError
from ryu_droplog.text.printable import printable

TEXT = 2048
"""Characters of such a line at most."""
_SHORT = {"-n": "namespace"}
_NEGATION = "--not"


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
    conditions: list[Condition] = []
    negated = False
    waiting = iter(words)
    for word in waiting:
        if word == _NEGATION:
            if negated:
                raise QueryError("--not twice: the next filter is negated by one")
            negated = True
            continue
        flag, equals, value = word.partition("=")
        name = _SHORT.get(flag, flag.removeprefix("--") if flag.startswith("--") else "")
        if name not in FILTERS:
            raise QueryError(f'got "{printable(flag)}"; expected a filter such as --to-port')
        if not equals:
            value = next(waiting, "")
            if not value:
                raise QueryError(f"--{name}: expected {FILTERS[name].value} behind it")
        if len(value) > VALUE:
            raise QueryError(f"--{name}: expected a value of at most {VALUE} characters")
        conditions.append(Condition(name, [value], negated))
        negated = False
    if negated:
        raise QueryError("--not: expected a filter behind it")
    if len(conditions) > CONDITIONS:
        raise QueryError(f"{len(conditions)} filters; expected at most {CONDITIONS}")
    predicate(conditions)
    return conditions
