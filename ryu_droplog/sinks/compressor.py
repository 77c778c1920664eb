"""Compresses what rotation has put aside, in a thread of its own.

An archive stays as it is until its compressed copy is whole and on the disk; only then the copy
takes its place, by renaming. So an end at any moment leaves at least one of the two, and the next
start removes what was half made and begins anew.
"""

from __future__ import annotations

import fcntl
import os
import posix
import re
import secrets
import stat
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from ryu_droplog.model.errors import why
from ryu_droplog.sinks.archives import COMPRESSED, Archives

CHUNK = 256 * 1024
"""Bytes that are read at once: zlib lets other threads work while it compresses them."""
LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS  # zlib.compressobj: with the header and trailer of RFC 1952
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Compressor:
    """Compresses the archives of one path, the oldest first, whenever it is woken."""

    def __init__(
        self, archives: Archives, notify: Callable[[str], None], threads: ModuleType
    ) -> None:
        """`notify` takes what the user should know, in any thread; nothing is started yet."""
        self._archives = archives
        self._notify = notify
        self._threads = threads
        self._waking: Any = threads.Event()
        self._ending: Any = threads.Event()
        self._failed = False
        self._thread: Any = None
        name = re.escape(archives.path.name)
        self._half_made = re.compile(rf"\.{name}\.[0-9a-f]{{16}}\.gz")

    def start(self) -> None:
        """Remove what a former run left half made, and compress what it left as it was."""
        name = f"compress-{self._archives.path.name}"
        self._thread = self._threads.Thread(target=self._run, name=name, daemon=True)
        self._waking.set()
        self._thread.start()

    def wake(self) -> None:
        """There is a new archive."""
        self._waking.set()

    def close(self) -> None:
        """Give up what is not ready; the next start does it. Waits for a chunk at most."""
        self._ending.set()
        self._waking.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        self._guarded(self._remove_half_made)
        while True:
            self._waking.wait()
            self._waking.clear()
            if self._ending.is_set():
                return
            self._guarded(self._compress_all)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Say that something failed, once until it works again."""
        try:
            work()
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._notify(f"cannot compress what was rotated: {why(error)}; it stays as it is")
        else:
            self._failed = False

    def _remove_half_made(self) -> None:
        with self._archives.lock:
            for name in os.listdir(self._archives.path.parent):
                if self._half_made.fullmatch(name):
                    path = self._archives.path.with_name(name)
                    with suppress(OSError):
                        descriptor = posix.open(path, _READ)
                        if _lock(descriptor):  # otherwise somebody makes it just now
                            os.unlink(path)
                        os.close(descriptor)

    def _compress_all(self) -> None:
        seen: set[tuple[int, int]] = set()  # one that may not be compressed is not tried again
        while not self._ending.is_set():
            source = self._next(seen)
            if source < 0:
                return
            try:
                self._compress(source, os.fstat(source))
            finally:
                os.close(source)

    def _next(self, seen: set[tuple[int, int]]) -> int:
        """A descriptor of the oldest archive that is not compressed, nor was seen; -1: none."""
        with self._archives.locked() as there:
            for number in sorted(there, reverse=True):
                if "" in there[number]:
                    path = self._archives.at(number)
                    status = os.lstat(path)
                    if _identity(status) not in seen:
                        seen.add(_identity(status))
                        if stat.S_ISREG(status.st_mode):
                            return posix.open(path, _READ)
        return -1

    def _compress(self, source: int, status: os.stat_result) -> None:
        """Put a compressed copy in the place of an archive that is the program's own."""
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return
        if status.st_nlink != 1 or not _lock(source):  # somebody still writes to it
            return
        copy = self._archives.path.with_name(
            f".{self._archives.path.name}.{secrets.token_hex(8)}{COMPRESSED}"
        )
        with self._archives.lock:
            target = posix.open(copy, _MAKE, 0o600)
            _lock(target)
        try:
            size = self._copy(source, target)
            os.fchmod(target, stat.S_IMODE(status.st_mode))
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(target)
            if not self._ending.is_set():
                self._replace(copy, _identity(status), source, size)
        finally:
            os.close(target)
            with suppress(FileNotFoundError):
                os.unlink(copy)

    def _copy(self, source: int, target: int) -> int:
        """Compress until the end, or until it is to give up; returns how many bytes were read."""
        size = 0
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
        while not self._ending.is_set():
            chunk = posix.read(source, CHUNK)
            if not chunk:
                break
            size += len(chunk)
            _write(target, packer.compress(chunk))
        _write(target, packer.flush())
        return size

    def _replace(self, copy: Path, identity: tuple[int, int], source: int, size: int) -> None:
        """Put the copy where the archive is by now, if it is still kept and is what was read."""
        with self._archives.locked() as there:
            for number, suffixes in there.items():
                path = self._archives.at(number)
                if "" in suffixes and _identity(os.lstat(path)) == identity:
                    if os.fstat(source).st_size == size:
                        os.rename(copy, self._archives.at(number, COMPRESSED))
                        os.unlink(path)
                    return


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _lock(descriptor: int) -> bool:
    """Whether nobody else writes there; until it is closed, nobody does who asks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[posix.write(descriptor, rest) :]
