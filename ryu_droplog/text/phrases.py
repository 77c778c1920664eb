"""Small phrases of messages: numbers with their things, times, and spans of time."""

from __future__ import annotations

from datetime import datetime, timezone


def count(number: int, thing: str) -> str:
    """`1 flow`, `2 flows`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def were(number: int, thing: str) -> str:
    """`1 drop was`, `2 drops were`."""
    return f"{count(number, thing)} {'was' if number == 1 else 'were'}"


def without_name(name: str, text: str) -> str:
    """`text` without the name at its beginning, for who says it behind that name."""
    return text.removeprefix(f"{name}: ").removeprefix(f"{name} ")


def timestamp(seconds: float) -> str:
    """A time since the epoch in UTC, to the second: RFC 3339, `2026-02-20T07:59:16+00:00`."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """A span of time in one unit, two where that says more: `12 s`, `3 min`, `2 h 5 min`."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"
