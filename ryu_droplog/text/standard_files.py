"""Standard input, output and error: open, and none that keeps whoever logs waiting.

A descriptor of the three that is closed at the start (`>&-`) would be the next file's: lines meant
for standard output would go into the connection to a switch. And a terminal, a journal or the
reader of a pipe that takes nothing any more would stop every thread that has something to log.
"""

from __future__ import annotations

import atexit
import logging
import os
import posix
import stat
from _queue import SimpleQueue
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any

QUEUE_SIZE = 1000
"""Texts that wait for standard error at most; what comes while so many do is lost, and counted."""
SAY_TIME = 1.0
"""Seconds for writing the last lines to standard error where nobody reads them."""
PAUSE = 0.05
"""Seconds between two tries where the descriptor does not block, and takes nothing."""
_INPUT, _OUTPUT, _ERROR = range(3)
_INSTEAD = {_INPUT: os.O_RDONLY, _OUTPUT: os.O_RDONLY, _ERROR: os.O_WRONLY}
"""How the null device is opened: what cannot be written to standard output is no success."""


def see_that_they_are_open() -> None:
    """Put the null device where one of the three is closed; to be called before files are opened.

    Whatever is written to such a standard output fails, and is counted as failed.
    """
    for descriptor, flags in _INSTEAD.items():
        try:
            os.fstat(descriptor)
        except OSError:  # open(2) takes the lowest that is free: this one
            os.set_inheritable(os.open(os.devnull, flags), True)


class StandardError:
    """Standard error for the program's log: a stream whose `write` never waits for a reader.

    A regular file is written at once. All else is written by a real thread; what its queue has no
    room for is lost, and said so once there is a reader again.
    """

    def __init__(self, threads: ModuleType) -> None:
        """`threads` is the `threading` module as it was before eventlet changed it."""
        self._threads = threads
        self._queue: SimpleQueue[bytes | Any] = SimpleQueue()
        self._lost = 0
        self._at_once = stat.S_ISREG(os.fstat(_ERROR).st_mode)
        if not self._at_once:
            threads.Thread(target=self._run, name="standard error", daemon=True).start()

    def take_over(self, handlers: Iterable[logging.Handler]) -> None:
        """Have those of the handlers that write to standard error write here."""
        for handler in handlers:
            if isinstance(handler, logging.StreamHandler) and _is_error(handler.stream):
                handler.setStream(self)

    def write(self, text: str) -> int:
        """Write a text, or leave it to the thread. Raises OSError only for a regular file."""
        data = text.encode("utf-8", "backslashreplace")
        if self._at_once:
            _write(data)
        elif self._queue.qsize() < QUEUE_SIZE:
            self._queue.put(data)
        else:
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: see `drain`."""

    def fileno(self) -> int:
        """The descriptor."""
        return _ERROR

    def drain(self, seconds: float) -> None:
        """Wait until all that came before is written, so many seconds at most."""
        if not self._at_once:
            written = self._threads.Event()
            self._queue.put(written)
            written.wait(seconds)

    def _run(self) -> None:
        pause = self._threads.Event()
        while True:
            taken = self._queue.get()
            if not isinstance(taken, bytes):
                taken.set()
                continue
            if self._lost:
                lost, self._lost = self._lost, 0
                taken += f"({lost} lines of the log are lost: nobody read it)\n".encode()
            try:
                while True:
                    try:
                        _write(taken)
                        break
                    except BlockingIOError as error:
                        taken = taken[error.characters_written :]
                        pause.wait(PAUSE)
            except OSError:  # nobody reads it any more
                continue


@cache
def standard_error(threads: ModuleType) -> StandardError:
    """The one of this process; what waits at its end has `SAY_TIME`."""
    made = StandardError(threads)
    atexit.register(made.drain, SAY_TIME)
    return made


def _write(data: bytes) -> None:
    """All of it; raises OSError, BlockingIOError with how much was written.

    By the function of C: eventlet's would wait in a hub of this thread's own.
    """
    done = 0
    while done < len(data):
        try:
            done += posix.write(_ERROR, data[done:])
        except BlockingIOError as error:
            error.characters_written = done
            raise


def _is_error(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == _ERROR)
    except (AttributeError, OSError, ValueError):
        return False
