"""A file that a sink writes: opened anew when others rotate it, and rotated by the program itself.

docs/formats.md says what may stand in its place, docs/sinks.md what rotation does.
"""

from __future__ import annotations

import fcntl
import os
import posix
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field, model_validator

from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.schema.units import Duration, Number
from ryu_droplog.sinks.appending import open_to_append
from ryu_droplog.sinks.archives import Archives
from ryu_droplog.sinks.compressor import Compressor

DIRECTORY_MODE = 0o750
TRY_AGAIN = 60.0
"""Seconds after which a rotation that failed is tried again."""


class RotateKeys(BaseModel):
    """When a file is put aside, and what becomes of it."""

    model_config = SinkOptions.model_config

    bytes: Annotated[int, Number(1_000, 10**12)] | None = Field(
        default=None, description="a file has so many at most; null: any number", examples=["100M"]
    )
    age: Annotated[float, Duration("1s", "365d")] | None = Field(
        default=None,
        description="a file has the drops of one period of this length at most, of which the first"
        " began with the year 1970 in UTC; null: of any time",
        examples=["1d"],
    )
    files: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="files that are kept beside the one that is written"
    )
    compress: bool = Field(default=False, description="`true`: what is kept is compressed by gzip")

    @model_validator(mode="after")
    def _has_a_reason(self) -> RotateKeys:
        if self.bytes is None and self.age is None:
            raise ValueError("bytes, age or both")
        return self

    def __str__(self) -> str:
        """For `check-config`."""
        size = "" if self.bytes is None else f"{self.bytes} bytes, "
        age = "" if self.age is None else f"{self.age:g} s, "
        compressed = ", compressed" if self.compress else ""
        return f"{size}{age}{self.files} files{compressed}"


class Target(NamedTuple):
    """Where to write now."""

    descriptor: int
    room: int | None
    """Bytes until the file is to be rotated; None: any number."""


class RotatedFile:
    """Appends to the file at a path, whatever becomes of it; used by one thread.

    It may be a FIFO or a character device, too; neither is rotated. A file of which a sink needs
    to be the only writer is locked (flock(2)), and what is in it already is put aside.
    """

    def __init__(
        self,
        path: Path,
        rotate: RotateKeys | None,
        notify: Callable[[str], None],
        threads: ModuleType,
        head: bytes | None = None,
    ) -> None:
        """`notify` takes what the user should know, in any thread.

        `head` is what every new file begins with, written by the sink that is the only one to
        write there; None: many may.
        """
        self._path = path
        self._rotate = rotate
        self._head = head
        self._notify = notify
        self._archives = Archives(path, 1 if rotate is None else rotate.files, threads)
        self._compressor: Compressor | None = None
        if rotate is not None and rotate.compress:
            self._compressor = Compressor(self._archives, notify, threads)
        self._descriptor = -1
        self._identity = (-1, -1)
        self._written = False
        """Whether something may have been written since it was begun."""
        self._period = 0
        self._next_try = 0.0
        self._new_archive = False
        self.begun = 0
        """Goes up with each file that is opened, and when the present one was emptied."""

    def start(self) -> None:
        """Open the file, so that a mistake shows at once. Raises ConfigError."""
        try:
            self._path.parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be written: {why(error)}") from error
        if self._compressor is not None:
            self._compressor.start()

    def target(self, coming: int) -> Target:
        """Where to write so many bytes, which are not to be divided; raises OSError."""
        try:
            there = os.stat(self._path)
            same = (there.st_dev, there.st_ino) == self._identity
        except FileNotFoundError:
            same = False
        if not same:
            self._open()
            there = os.fstat(self._descriptor)
        elif self._written and not there.st_size and stat.S_ISREG(there.st_mode):
            self._begin(there)  # somebody truncated it
        room = None
        if self._rotate is not None and stat.S_ISREG(there.st_mode):
            room = self._room(self._rotate, there.st_size, coming)
        self._written = True
        return Target(self._descriptor, room)

    def close(self) -> None:
        """Let go of the file; `target` opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._identity = (-1, -1)

    def finish(self) -> None:
        """`close`, and end what is done in the background."""
        self.close()
        if self._compressor is not None:
            self._compressor.close()

    def _room(self, rotate: RotateKeys, size: int, coming: int) -> int | None:
        full = rotate.bytes is not None and size + coming > rotate.bytes
        old = rotate.age is not None and self._period != time.time() // rotate.age
        if size and (full or old) and time.monotonic() >= self._next_try:
            if not self._put_aside(self._identity):
                return None
            self._open()
            size = os.fstat(self._descriptor).st_size
        if rotate.age is not None and not size:
            self._period = int(time.time() // rotate.age)
        return None if rotate.bytes is None else max(rotate.bytes - size, coming)

    def _put_aside(self, identity: tuple[int, int]) -> bool:
        """Make the file an archive; where that is not possible, it is written on for a while."""
        try:
            if self._archives.take(identity):
                self._next_try = 0.0
                self._new_archive = True
                return True
            reason = "another file or a symbolic link is in its place"
        except OSError as error:
            reason = why(error)
        if not self._next_try:
            self._notify(f"{self._path} cannot be rotated: {reason}; it is written on")
        self._next_try = time.monotonic() + TRY_AGAIN
        return False

    def _open(self) -> None:
        """Open what is at the path. Raises OSError; what was open before is closed then, too."""
        if self._head is None:
            self.close()
            self._descriptor = open_to_append(self._path)
            self._use()
            return
        with self._archives.lock:
            descriptor, state = self._open_alone(self._head)
            if state == "locked" and self._descriptor >= 0:
                os.close(descriptor)
                return  # by what takes this one's place: the rest goes where it went
            if state != "empty":
                status = os.fstat(descriptor)
                os.close(descriptor)
                if not self._archives.take((status.st_dev, status.st_ino)):
                    raise OSError("it is a symbolic link to a file that has something in it")
                self._new_archive = True
                descriptor, state = self._open_alone(self._head)
            self.close()
            self._descriptor = descriptor
            self._use()

    def _open_alone(self, head: bytes) -> tuple[int, Literal["empty", "full", "locked"]]:
        """Open and lock what is at the path, and say what is in it; `head` counts as nothing."""
        descriptor = open_to_append(self._path)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return descriptor, "empty"
            if not _lock_alone(descriptor):
                return descriptor, "locked"
            if status.st_size == len(head) and _content(descriptor, len(head)) == head:
                posix.ftruncate(descriptor, 0)
                return descriptor, "empty"
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, "full" if status.st_size else "empty"

    def _use(self) -> None:
        """Go on with the descriptor that was just opened."""
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._begin(status)
        if self._head is None and stat.S_ISREG(status.st_mode):
            _share(self._descriptor)
        if self._new_archive and self._compressor is not None:
            self._compressor.wake()  # now that it is closed here
        self._new_archive = False

    def _begin(self, status: os.stat_result) -> None:
        self.begun += 1
        self._written = False
        if self._rotate is not None and self._rotate.age is not None:
            since = status.st_mtime if status.st_size else time.time()
            self._period = int(since // self._rotate.age)


def _lock_alone(descriptor: int) -> bool:
    """Whether nobody else locks it; where the file system has no locks, nobody does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _share(descriptor: int) -> None:
    """Say that somebody writes there, for as long as it is open: see `Compressor`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return  # it is a hint, and others may lock what they can read


def _content(descriptor: int, size: int) -> bytes:
    """The first bytes of a file that is open for writing."""
    try:
        reading = posix.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(reading, size, 0)
    finally:
        os.close(reading)
