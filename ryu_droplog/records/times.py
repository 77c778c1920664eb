"""Times as a record has them."""

from __future__ import annotations

import time
from calendar import timegm
from functools import lru_cache

_NANOSECONDS = 1_000_000_000  # in a second
_LAST_SECOND = 253_402_300_799
"""The last one of the year 9999, RFC 3339's last."""


@lru_cache(maxsize=4)  # drops that are read at once have one time
def rfc3339(seconds: float) -> str:
    """RFC 3339 in UTC with nine digits, of seconds since the epoch.

    What is before 1970 or after 9999, as the header of a capture may claim, is moved there.
    """
    seconds = min(max(seconds, 0.0), _LAST_SECOND)
    second = int(seconds)
    nanoseconds = min(round((seconds - second) * _NANOSECONDS), _NANOSECONDS - 1)
    return f"{_second(second)}.{nanoseconds:09}Z"


def milliseconds(seconds: float) -> int:
    """Whole milliseconds since the epoch."""
    return int(seconds * 1000)


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def seconds_of(text: str) -> float:
    """Seconds since the epoch of a time as `rfc3339` writes it; 0.0 of anything else."""
    try:
        return timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float(f"0{text[19:-1]}")
    except ValueError:
        return 0.0
