"""What processes cost: processor time and memory, as /proc tells it (proc(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """User and system time of a process and its descendants so far, to a hundredth of a second.

    Children that ended count if they were waited for.
    """
    total = 0.0
    for member in family(pid):
        with suppress(OSError):
            text = Path(f"/proc/{member}/stat").read_text()
            # Behind the name, which may hold anything: utime, stime, cutime, cstime.
            total += sum(map(int, text.rpartition(")")[2].split()[11:15])) / _TICK
    return total


def resident_megabytes(pid: int) -> float:
    """VmRSS of one process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    members = [pid]
    for member in members:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            with suppress(OSError):
                members += map(int, task.read_text().split())
    return members
