"""Lock files: no two processes of this program at work on one bridge.

The file is named after the bridge's datapath id, and is in the run directory. The kernel lets go of
its lock (flock(2)) with the process that has it; whoever lets go himself removes the file while he
still has the lock, and whoever has locked a file looks whether it is the one that is there.

Bridges that came to us have files of another name, see `bridge_claims`.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ryu_droplog.locks.run_directory import RunDirectoryError, open_file
from ryu_droplog.model.cookie import GENERATION_MAX

_NAME = re.compile(r"[0-9a-f]{16}(\.accepted)?\.lock", re.ASCII)
_NOTE_LENGTH = 40


class Holder(NamedTuple):
    """Who has a lock, by what is written in its file."""

    process: str
    """Process id, or `unknown`."""
    generation: int | None
    """Of the run's flows; None: it adds none, or has not said so."""


class LockHeld(Exception):
    """Somebody else has the lock: the text is his process id, or `unknown`."""


def path_of(directory: str | Path, datapath_id: int, *, accepted: bool) -> Path:
    """The lock file of a bridge that is reached, or (`accepted`) of one that came to us."""
    return Path(directory, f"{datapath_id:016x}{'.accepted' if accepted else ''}.lock")


def lock(path: Path, generation: int | None = None) -> int:
    """Lock a file, made where it is not there, and write our process id and generation into it.

    Gives back its descriptor. Raises LockHeld, OSError where there can be no lock, and
    RunDirectoryError where something else is there. A disk that is full costs only these.
    """
    descriptor = open_file(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(_read(descriptor).process) from None
        if not _is_there(path, descriptor):
            raise LockHeld("unknown")  # whoever had it has just removed it
        with suppress(OSError):
            os.truncate(descriptor, 0)
            fields = [str(os.getpid()), *([f"{generation:#08x}"] if generation else [])]
            os.write(descriptor, f"{' '.join(fields)}\n".encode())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unlock(path: Path, descriptor: int) -> None:
    """Remove a file that we have locked, and let go of it."""
    try:
        with suppress(OSError):
            if _is_there(path, descriptor):
                path.unlink()
    finally:
        os.close(descriptor)


def holder(directory: str | Path, datapath_id: int, *, accepted: bool) -> Holder | None:
    """Who has the lock of a bridge; None: nobody has.

    Locks the file for a moment, so that whoever wants the lock has to try twice.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path_of(directory, datapath_id, accepted=accepted), flags)
    except OSError:
        return None
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def sweep(directory: Path) -> None:
    """Remove the lock files that processes left which were killed."""
    for path in directory.iterdir():
        if _NAME.fullmatch(path.name):
            with suppress(OSError, LockHeld, RunDirectoryError):
                unlock(path, lock(path))


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> Holder:
    """What is in a lock file; whatever else may stand there is passed over."""
    fields = os.pread(descriptor, _NOTE_LENGTH, 0).decode("ascii", "replace").split()
    process = fields[0] if fields and fields[0].isdecimal() else "unknown"
    generation = 0
    with suppress(IndexError, ValueError):
        generation = int(fields[1], 16)
    return Holder(process, generation if 0 < generation <= GENERATION_MAX else None)
