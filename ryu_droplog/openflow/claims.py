"""Who has which bridge: one connection of this process, and no other process of this program.

Two runs on one bridge would take each other's flows for leftovers. The lock of a bridge is a file
named after its datapath id in the run directory; the kernel lets go of it with the process.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from ryu_droplog.errors import SwitchError, why

LOG = logging.getLogger(__name__)

DIRECTORY_MODE = 0o755
LOCK_MODE = 0o600


class Claims:
    """The bridges that this process has."""

    def __init__(self, run_directory: str) -> None:
        """`run_directory` is made when the first lock is; where that fails, there are no locks."""
        self._directory = Path(run_directory)
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
            self._locks[bridge] = self._lock(lock, bridge)
        self._peers[bridge] = peer

    def _lock(self, lock: int, bridge: str) -> int:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise SwitchError(
                f"{bridge}: another ryu_droplog is at work there (process {holder})"
            ) from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        return lock

    def release(self, bridge: str) -> None:
        """Give a bridge back; does nothing if it was not taken."""
        self._peers.pop(bridge, None)
        lock = self._locks.pop(bridge, None)
        if lock is not None:
            os.close(lock)
