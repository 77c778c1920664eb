"""Times as `observe` takes and shows them; the names of formats are those of Hubble's command."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from ryu_droplog.observe.query import QueryError
from ryu_droplog.records.times import seconds_of
from ryu_droplog.schema.units import seconds
from ryu_droplog.text.printable import printable

_SPAN = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+", re.ASCII)
_PART = re.compile(r"[0-9.]+(?:ms|s|m|h|d)", re.ASCII)


def ago(text: str, flag: str, now: float) -> float:
    """Seconds before `now`, which is seconds since the epoch, of `5m`, `1h30m` or a date.

    A date is as RFC 3339 has it, in local time where it names no other; a part may be left out.
    Raises QueryError.
    """
    if _SPAN.fullmatch(text):
        try:
            return sum(seconds(part) for part in _PART.findall(text))
        except ValueError:
            raise _wrong(text, flag) from None
    try:
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        return now - moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise _wrong(text, flag) from None


def _wrong(text: str, flag: str) -> QueryError:
    expected = 'a time such as "5m" or "1h30m" ago, or a date such as "2026-02-20T08:00:00Z"'
    return QueryError(f'{flag}: got "{printable(text)}"; expected {expected}')


def _moment(text: str, *, utc: bool) -> datetime:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds_of(text))
    return moment if utc else moment.astimezone()


def _stamp(text: str) -> str:
    return f"{_moment(text, utc=False):%b %d %H:%M:%S}.{text[20:23]}"


def _rfc3339(digits: int) -> Callable[[str], str]:
    return lambda text: f"{text[: 19 + (digits and digits + 1)]}Z"


def _rfc1123(text: str) -> str:
    return f"{_moment(text, utc=False):%a, %d %b %Y %H:%M:%S %z}"


TIME_FORMATS: dict[str, Callable[[str], str]] = {
    "StampMilli": _stamp,
    "RFC3339": _rfc3339(0),
    "RFC3339Milli": _rfc3339(3),
    "RFC3339Micro": _rfc3339(6),
    "RFC3339Nano": _rfc3339(9),
    "RFC1123Z": _rfc1123,
}
"""By name: what makes the text of a record's time. StampMilli and RFC1123Z are in local time."""
