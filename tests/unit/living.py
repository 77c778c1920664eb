"""Threads of this process, by name."""

from __future__ import annotations

import threading

from waiting import eventually


def ends(name: str, seconds: float) -> bool:
    """Whether no thread of that name runs any more, `seconds` from now at the latest."""
    return eventually(lambda: all(thread.name != name for thread in threading.enumerate()), seconds)
