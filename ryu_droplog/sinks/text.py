"""Lines to standard output or to a file."""

from __future__ import annotations

import errno
import os
import posix
import stat
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.plugins.sink_options import LineOptions, LogPath
from ryu_droplog.sinks.appending import ends_in_mid_line, open_to_append
from ryu_droplog.sinks.base import LINGER, BatchSink, SinkContext
from ryu_droplog.sinks.formats import text_format

DIRECTORY_MODE = 0o750
_STDOUT = 1


class _Lines(BatchSink):
    """Writes lines to a file descriptor, which may be one that does not block."""

    ENCODES_EARLY = True

    def __init__(self, spec: SinkSpec, context: SinkContext, form: Callable[[Drop], str]) -> None:
        super().__init__(spec, context)
        self._form = form
        self._dangling = False
        """Whether the last line was cut."""

    @abstractmethod
    def descriptor(self) -> int:
        """Where to write now; raises OSError."""

    @abstractmethod
    def nobody_reads(self) -> None:
        """What is written there has no reader any more."""

    def encode(self, drop: Drop) -> str:
        return f"{self._form(drop)}\n"

    def write(self, items: Sequence[str]) -> int:
        data = "".join(items).encode("ascii", "backslashreplace")
        begin, done, failure = 0, 0, None
        try:
            descriptor = self.descriptor()
            if self._dangling:
                # A line was cut by an error in its middle: end it, so that it spoils no other.
                data, begin = b"\n" + data, 1
            rest = memoryview(data)
            while done < len(data):
                done += self._write_some(descriptor, rest[done:])
        except OSError as error:
            failure = why(error)
            if error.errno == errno.EPIPE:
                self.nobody_reads()
        if done:
            self._dangling = data[done - 1 : done] != b"\n"
        self.note(failure)
        return data.count(b"\n", begin, done)

    def _write_some(self, descriptor: int, data: memoryview) -> int:
        """Write as much as there is room for, once there is some; raises OSError.

        By the function of C: eventlet's would wait in a hub of this thread's own, without end.
        """
        while True:
            try:
                return posix.write(descriptor, data)
            except BlockingIOError:
                if self.abandoned.wait(LINGER):
                    raise


class StandardOutput(_Lines):
    """Lines to standard output, as the OpFlex agent's own log has them.

    The descriptor is shared with others, so whether it blocks stays as it is.
    """

    class Options(LineOptions):
        """The keys of such a sink."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context, text_format(spec.options.encode, context.explain).full)

    def descriptor(self) -> int:
        return _STDOUT

    def nobody_reads(self) -> None:
        self.broken = True


class File(_Lines):
    """Lines appended to a file that logrotate may rename, remove or truncate.

    It may be a FIFO: its readers may come and go, and nothing here waits for them.
    """

    class Options(LineOptions):
        """The keys of such a sink."""

        path: LogPath = Field(
            description="the file, absolute or inside `log_directory`", examples=["drop.log"]
        )

        def file(self) -> str:
            return self.path

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        form = text_format(spec.options.encode, context.explain).redirected
        super().__init__(spec, context, form)
        self._path = Path(spec.options.path)
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
        if stat.S_ISREG(found.st_mode) and not found.st_size:
            self._dangling = False  # it was truncated, and the cut line with it
        return self._descriptor

    def nobody_reads(self) -> None:
        self.finish()

    def _open(self) -> int:
        self.finish()
        descriptor = open_to_append(self._path)
        opened = os.fstat(descriptor)
        self._descriptor = descriptor
        self._identity = (opened.st_dev, opened.st_ino)
        self._dangling = ends_in_mid_line(descriptor)
        return descriptor

    def finish(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._identity = (-1, -1)
