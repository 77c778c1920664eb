"""Who has which bridge: one connection of this process, and no other process of this program.

Two runs on one bridge would be in each other's way. The lock of a bridge is a file named after its
datapath id in the run directory; the kernel lets go of it with the process. In it are the process
that had it last and the generation of its flows: that run is dead when another one gets the lock.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import NamedTuple

from ryu_droplog.cookie import GENERATION_MAX
from ryu_droplog.errors import SwitchError, why

LOG = logging.getLogger(__name__)

DIRECTORY_MODE = 0o755
LOCK_MODE = 0o600
NOTE_LENGTH = 40
"""Bytes of a lock file that are read."""


class Note(NamedTuple):
    """What stands in a lock file."""

    process: str
    """Process id of who has the lock, or had it last; empty: nobody has said so."""
    generation: int | None
    """Of that run's flows; None: it has not said so."""


def read_note(lock: int) -> Note:
    """Read an open lock file; whatever else may stand there is passed over."""
    words = os.pread(lock, NOTE_LENGTH, 0).decode("ascii", "replace").split()
    process = words[0] if words and words[0].isdecimal() else ""
    try:
        generation = int(words[1], 16)
    except (IndexError, ValueError):
        return Note(process, None)
    return Note(process, generation if 0 < generation <= GENERATION_MAX else None)


class Claims:
    """The bridges that this process has."""

    def __init__(self, run_directory: str, generation: int | None = None) -> None:
        """`run_directory` is made when the first lock is; where that fails, there are no locks.

        `generation` is this run's; None: it adds no flows, and what is noted of the last run stays.
        """
        self._directory = Path(run_directory)
        self._generation = generation
        self._dead: dict[int, set[int]] = {}
        self._peers: dict[str, str] = {}
        self._locks: dict[str, int] = {}

    def take(self, bridge: str, datapath_id: int, peer: str) -> None:
        """Claim a bridge for the connection to `peer`; raises SwitchError when somebody has it."""
        if bridge in self._peers:
            raise SwitchError(f"{bridge} is connected already, through {self._peers[bridge]}")
        path = self._directory / f"{datapath_id:016x}.lock"
        try:
            self._directory.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, LOCK_MODE)
        except OSError as error:
            LOG.warning("%s: no lock against a second run: %s: %s", bridge, path, why(error))
        else:
            self._locks[bridge] = self._lock(lock, bridge, datapath_id)
        self._peers[bridge] = peer

    def dead(self, datapath_id: int) -> frozenset[int]:
        """Generations of runs that had the lock of a bridge before, and have ended."""
        return frozenset(self._dead.get(datapath_id, ()))

    def _lock(self, lock: int, bridge: str, datapath_id: int) -> int:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = read_note(lock).process or "unknown"
            os.close(lock)
            raise SwitchError(
                f"{bridge}: another ryu_droplog is at work there (process {holder})"
            ) from None
        last = read_note(lock).generation
        if last is not None and last != self._generation:
            self._dead.setdefault(datapath_id, set()).add(last)
        ours = last if self._generation is None else self._generation
        generation = "" if ours is None else f" {ours:#08x}"
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}{generation}\n".encode(), 0)
        return lock

    def release(self, bridge: str) -> None:
        """Give a bridge back; does nothing if it was not taken."""
        self._peers.pop(bridge, None)
        lock = self._locks.pop(bridge, None)
        if lock is not None:
            os.close(lock)
