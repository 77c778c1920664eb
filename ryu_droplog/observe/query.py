"""What an observer asks for: which records, from when, and how many. Data only."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ryu_droplog.model.errors import DropLogError

VALUE = 1024
"""Characters of a value at most."""
CONDITIONS = 64
"""Conditions of a query at most."""
VALUES = 256
"""Values of a condition at most."""


class QueryError(DropLogError):
    """What is asked makes no sense."""


class NoRecordsError(QueryError):
    """Where the records should be, there is nobody, or nothing that can be read."""


class Condition(Struct, omit_defaults=True):
    """What a record must be, or with `negated` must not be: any of these values of one filter."""

    filter: str
    """Name of a flag without its dashes, as `from-ip`; see `observe.filters`."""
    values: Annotated[
        list[Annotated[str, Meta(max_length=VALUE)]], Meta(min_length=1, max_length=VALUES)
    ]
    negated: bool = False


class Query(Struct, omit_defaults=True):
    """Which records, in what order, and whether those that are to come, too.

    Times are seconds before the program's now: so the clock of the day may be set meanwhile, and
    need not be the same on both sides.
    """

    conditions: Annotated[list[Condition], Meta(max_length=CONDITIONS)] = []
    """All of them must hold."""
    first: Annotated[int, Meta(ge=1)] | None = None
    """The first so many of them."""
    last: Annotated[int, Meta(ge=1)] | None = None
    """The last so many of those that are there."""
    since: float | None = None
    """Not those that are older than so many seconds."""
    until: float | None = None
    """Not those that are younger; less than 0: those that are yet to come, until then."""
    follow: bool = False
    """Those that are to come, too."""
