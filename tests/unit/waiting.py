"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds in which a thing that is waited for must have come, if nothing else is said."""


def eventually(look: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Whether `look` becomes true in time; `patience` in seconds."""
    deadline = time.monotonic() + patience
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
