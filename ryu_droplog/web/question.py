"""What a browser asks for: filters and a span of time, from the query of an address. Pure."""

from __future__ import annotations

from typing import NamedTuple

from starlette.datastructures import QueryParams

from ryu_droplog.observe.filter_text import conditions_of_text
from ryu_droplog.observe.query import Condition, QueryError
from ryu_droplog.text.printable import printable
from ryu_droplog.web.history import STEP, Span

_LARGEST = 1 << 40


class Question(NamedTuple):
    """What is to be shown."""

    conditions: list[Condition]
    span: Span
    filter_key: bytes
    """Tells filters apart."""
    key: bytes
    """Tells questions apart."""


def read_question(query: QueryParams) -> Question:
    """`filter` is the flags of observe; `since` and `until` are seconds since the epoch.

    Raises QueryError.
    """
    text = query.get("filter", "").strip()
    conditions = conditions_of_text(text)
    first, last = (_step(query.get(name), name) for name in ("since", "until"))
    filter_key = repr(conditions).encode()
    key = filter_key + f"{first} {last}".encode()
    return Question(conditions, Span(first, last), filter_key, key)


def number_of(text: str | None, name: str) -> int | None:
    """A whole number; None: none is given. Raises QueryError."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:14]) < _LARGEST):
        raise QueryError(f'{name}: got "{printable(text)}"; expected a whole number')
    return int(text[:14])


def _step(text: str | None, name: str) -> int | None:
    seconds = number_of(text, name)
    return None if seconds is None else seconds // STEP
