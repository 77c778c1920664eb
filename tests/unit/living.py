"""Threads of this process, by name."""

from __future__ import annotations

import threading
import time


def ends(name: str, seconds: float) -> bool:
    """Whether no thread of that name runs any more, `seconds` from now at the latest."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(thread.name == name for thread in threading.enumerate()):
            return True
        time.sleep(0.005)
    return False
