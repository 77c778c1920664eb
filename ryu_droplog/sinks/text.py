"""Lines to standard output or to a file."""

from __future__ import annotations

import errno
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from ryu_droplog.drop import Drop
from ryu_droplog.errors import ConfigError, why
from ryu_droplog.sinks import line
from ryu_droplog.sinks.base import Sink

FILE_MODE = 0o640
DIRECTORY_MODE = 0o750
_STDOUT = 1


class _Lines(Sink):
    """Writes lines to a file descriptor."""

    def __init__(self, name: str, threads: ModuleType, form: Callable[[Drop], str]) -> None:
        super().__init__(name, threads)
        self._form = form
        self._dangling = False

    @abstractmethod
    def descriptor(self) -> int:
        """Where to write now; raises OSError."""

    def render(self, drops: Sequence[Drop]) -> list[str]:
        form = self._form
        return [f"{form(drop)}\n" for drop in drops]

    def write(self, lines: Sequence[str]) -> int:
        data = "".join(lines).encode("ascii", "backslashreplace")
        if self._dangling:
            # A line was cut by an error in its middle: end it, so that it spoils no other.
            data = b"\n" + data
        done, failure = 0, None
        try:
            descriptor = self.descriptor()
            while done < len(data):
                done += os.write(descriptor, data[done:])
        except OSError as error:
            failure = why(error)
            self.broken = self.broken or error.errno == errno.EPIPE
        written = data.count(b"\n", 1 if self._dangling else 0, done)
        if done:
            self._dangling = data[done - 1 : done] != b"\n"
        self.note(failure)
        return written


class StandardOutput(_Lines):
    """Full lines, as the OpFlex agent's own log has them."""

    def __init__(self, threads: ModuleType, form: Callable[[Drop], str] = line.full) -> None:
        super().__init__("standard output", threads, form)

    def descriptor(self) -> int:
        return _STDOUT


class File(_Lines):
    """Redirected lines, appended to a file that logrotate may rename, remove or truncate."""

    def __init__(
        self, path: Path, threads: ModuleType, form: Callable[[Drop], str] = line.redirected
    ) -> None:
        super().__init__(str(path), threads, form)
        self._path = path
        self._descriptor = -1
        self._identity = (-1, -1)

    def start(self) -> None:
        """Open the file, so that a mistake shows at once, then begin to write."""
        try:
            self._path.parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            self.descriptor()
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be written: {why(error)}") from error
        super().start()

    def descriptor(self) -> int:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return self._open()
        if (found.st_dev, found.st_ino) != self._identity:
            return self._open()
        return self._descriptor

    def _open(self) -> int:
        self.finish()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask
        except FileExistsError:
            descriptor = os.open(self._path, flags)
        opened = os.fstat(descriptor)
        self._descriptor = descriptor
        self._identity = (opened.st_dev, opened.st_ino)
        return descriptor

    def finish(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._identity = (-1, -1)
