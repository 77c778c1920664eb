"""Lines to standard output or to a file."""

from __future__ import annotations

import errno
import posix
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import Field, ValidationInfo, model_validator

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import why
from ryu_droplog.plugins.sink_options import (
    Encoding,
    LineOptions,
    LogPath,
    OptionsContext,
    SinkOptions,
)
from ryu_droplog.sinks.appending import ends_in_mid_line
from ryu_droplog.sinks.base import LINGER, BatchSink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.formats import Encoding as TextEncoding
from ryu_droplog.sinks.formats import text_format
from ryu_droplog.sinks.rotation import RotatedFile, RotateKeys, Target

_STDOUT = 1


class _Lines(BatchSink):
    """Writes lines to a file descriptor, which may be one that does not block."""

    ENCODES_EARLY = True

    def __init__(
        self, spec: SinkSpec, context: SinkContext, form: Callable[[Drop], str | bytes]
    ) -> None:
        """`form` makes a line without its end; all of one type."""
        super().__init__(spec, context)
        self._form = form
        self._dangling = False
        """Whether the last line was cut."""

    @abstractmethod
    def target(self, coming: int) -> Target:
        """Where to write the next line, which has so many bytes; raises OSError."""

    @abstractmethod
    def nobody_reads(self) -> None:
        """What is written there has no reader any more."""

    def encode(self, drop: Drop) -> str | bytes:
        return self._form(drop)

    def write(self, items: Sequence[Any]) -> int:
        data, done, failure = _joined(items), 0, None
        rest = memoryview(data)
        try:
            while done < len(data):
                descriptor, room = self.target(data.index(b"\n", done) + 1 - done)
                if self._dangling:
                    # A line was cut by an error in its middle: end it, so that it spoils no other.
                    self._write_some(descriptor, memoryview(b"\n"))
                    self._dangling = False
                end = len(data)
                if room is not None and end - done > room:
                    end = data.rindex(b"\n", done, done + room) + 1
                while done < end:
                    done += self._write_some(descriptor, rest[done:end])
        except OSError as error:
            failure = why(error)
            if error.errno == errno.EPIPE:
                self.nobody_reads()
        if done:
            self._dangling = data[done - 1 : done] != b"\n"
        self.note(failure)
        return data.count(b"\n", 0, done)

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


def _joined(items: Sequence[Any]) -> bytes:
    """Lines of text or of bytes, each with its end."""
    if isinstance(items[0], bytes):
        return b"\n".join(items) + b"\n"
    return ("\n".join(items) + "\n").encode("ascii", "backslashreplace")


class StandardOutput(_Lines):
    """Lines to standard output, as the OpFlex agent's own log has them.

    The descriptor is shared with others, so whether it blocks stays as it is.
    """

    class Options(LineOptions):
        """The keys of such a sink."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(
            spec, context, text_format(spec.options.encode, context.explain, context.identify).full
        )

    def target(self, coming: int) -> Target:
        return Target(_STDOUT, None)

    def nobody_reads(self) -> None:
        self.broken = True


class File(_Lines):
    """Lines of any encoding, appended to a file that is rotated by others, or by this sink.

    It may be a FIFO: its readers may come and go, and nothing here waits for them.
    """

    class Options(SinkOptions):
        """The keys of such a sink."""

        encode: Encoding = Field(
            default="native",
            description="how a drop is written; by default as the key `format` says where that is"
            " given",
        )
        path: LogPath = Field(
            description="the file, absolute or inside `log_directory`", examples=["drop.log"]
        )
        rotate: RotateKeys | None = Field(
            default=None, description="rotation by the program itself; null: others may rotate"
        )

        @model_validator(mode="before")
        @classmethod
        def _encode_as_format_says(cls, data: Any, info: ValidationInfo) -> Any:
            if isinstance(info.context, OptionsContext) and isinstance(data, dict):
                return {"encode": info.context.given_format or "native", **data}
            return data

        def file(self) -> str:
            return self.path

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context, _form(spec.options.encode, context))
        path = Path(spec.options.path)
        self._file = RotatedFile(path, spec.options.rotate, self.tell, context.threads)
        self._begun = 0

    def start(self) -> None:
        """Open the file, so that a mistake shows at once, then begin to write."""
        self._file.start()
        super().start()

    def tell(self, notice: str) -> None:
        """What the user should know of the file."""
        self.notices.append(f"{self.name}: {notice}")

    def target(self, coming: int) -> Target:
        target = self._file.target(coming)
        if self._file.begun != self._begun:
            self._begun = self._file.begun
            self._dangling = ends_in_mid_line(target.descriptor)
        return target

    def nobody_reads(self) -> None:
        self._file.close()

    def finish(self) -> None:
        self._file.finish()


def _form(encode: str, context: SinkContext) -> Callable[[Drop], str | bytes]:
    """What makes a line of a drop; text is the faster way to one that is text already."""
    if encode in get_args(TextEncoding):
        name = cast(TextEncoding, encode)
        return text_format(name, context.explain, context.identify).redirected
    return context.encoder(encode)
