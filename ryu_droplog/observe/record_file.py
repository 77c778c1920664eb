"""Records from a file, a line each: as the sink `file` writes them, compressed by gzip or not."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from typing import Protocol

from ryu_droplog.model.errors import why
from ryu_droplog.observe.query import NoRecordsError
from ryu_droplog.observe.stream import Said, Unreadable, read_record

LINE = 4 * 1024 * 1024
"""Bytes of a line at most."""
STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"


def read(path: str) -> Iterator[Said]:
    """The records of a file, or of standard input; raises NoRecordsError where there is none."""
    try:
        if path == STANDARD_INPUT:
            yield from _lines(sys.stdin.buffer)
            return
        with open(path, "rb") as plain:
            if not plain.peek(len(_GZIP)).startswith(_GZIP):
                yield from _lines(plain)
                return
            with gzip.open(plain) as file:
                yield from _lines(file)
    except (OSError, EOFError) as error:
        reason = why(error) if isinstance(error, OSError) and error.errno else str(error)
        raise NoRecordsError(f"{path}: {reason}") from error


class _File(Protocol):
    def readline(self, size: int, /) -> bytes: ...


def _lines(file: _File) -> Iterator[Said]:
    while line := file.readline(LINE):
        if not line.endswith(b"\n") and len(line) == LINE:
            yield Unreadable(f"a line of more than {LINE} bytes")
            while (line := file.readline(LINE)) and not line.endswith(b"\n"):
                pass
        elif line.strip():
            yield read_record(line)
