"""Text files that a user writes: read whole, with a bound on size and time."""

from __future__ import annotations

import os
import posix
import select
import stat
import time
from contextlib import suppress

from ryu_droplog.model.errors import ConfigError

LARGEST = 512 * 1024
"""Bytes of a file at most: it takes some seconds to read, far more than anyone writes by hand."""
FIFO_TIME = 10.0
"""Seconds that a FIFO has for all of its content."""


def read(path: str) -> str:
    """The text of the file at `path`, UTF-8.

    Raises ConfigError if it cannot be read, has more than `LARGEST` bytes, or is not UTF-8.
    """
    try:
        text = _bounded(path).decode()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte 0x{error.object[error.start]:02x} at offset {error.start} is not UTF-8; "
            "expected a file in UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bounded(path: str) -> bytes:
    """All bytes of a file, which may be one without an end: no more than needed is read.

    A FIFO (`<(…)` of a shell, say) has `FIFO_TIME`, because the running program reads here, too.
    By the functions of C: eventlet's would wait without end.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = posix.open(path, flags)
    try:
        is_fifo = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        os.set_blocking(descriptor, not is_fifo)
        deadline = time.monotonic() + FIFO_TIME
        data, ready = b"", not is_fifo
        while len(data) <= LARGEST:
            part: bytes | None = None
            with suppress(BlockingIOError):
                part = posix.read(descriptor, LARGEST + 1 - len(data))
            data += part or b""
            if part == b"" and (data or ready):
                return data  # all who wrote have closed it
            if not part:
                left = deadline - time.monotonic()
                if left <= 0:
                    wrong = f"a FIFO to which nobody wrote all within {FIFO_TIME:g} seconds"
                    raise ConfigError(f"{path}: {wrong}; expected a file")
                ready = bool(select.select([descriptor], [], [], left)[0])
    finally:
        os.close(descriptor)
    raise ConfigError(f"{path}: more than {LARGEST} bytes; expected at most so many")
