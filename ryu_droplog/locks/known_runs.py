"""Which runs of this program have had the same run directory, by the generation of their flows.

Whoever has the lock of a bridge knows that no run of the same run directory is at work there: what
those left on the bridge can go at once. Of a run with another run directory, in another container,
that is not known (reconcile/other_runs.py). The file is `runs`: one number in hexadecimal a line,
the latest last.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ryu_droplog.locks.run_directory import RunDirectoryError, open_file
from ryu_droplog.model.cookie import GENERATION_MAX

REMEMBERED = 256
"""Runs that are remembered."""
_NAME = "runs"
_LINE_LENGTH = len(f"{GENERATION_MAX:#08x}\n")


def note(directory: Path, generation: int) -> None:
    """Write down that a run begins, 1 to `GENERATION_MAX`.

    Raises OSError where that cannot be done, and RunDirectoryError where the file is something
    else; a full disk may cost what was written down before.
    """
    with _open(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        runs = [run for run in _read(descriptor) if run != generation]
        runs = [*runs[1 - REMEMBERED :], generation]
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, "".join(f"{run:#08x}\n" for run in runs).encode(), 0)


def known(directory: Path) -> frozenset[int]:
    """The runs that are written down; none where the file cannot be read."""
    with suppress(OSError, RunDirectoryError), _open(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return frozenset(_read(descriptor))
    return frozenset()


@contextmanager
def _open(directory: Path) -> Iterator[int]:
    descriptor = open_file(directory / _NAME)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> list[int]:
    """What is written down, in order; whatever else may stand there is passed over."""
    text = os.pread(descriptor, REMEMBERED * _LINE_LENGTH, 0).decode("ascii", "replace")
    runs = []
    for line in text.splitlines():
        with suppress(ValueError):
            runs.append(int(line, 16))
    return [run for run in runs if 0 < run <= GENERATION_MAX]
