"""A management socket under a test's control: held, or with other answers than the switch's."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_HEADER = struct.Struct("!BBHI")  # version, type, length, xid (OpenFlow 1.3.5 section 7.1)
_EXPERIMENTER = struct.Struct("!8xII")  # experimenter, type (section 7.5.4)
_OFPT_EXPERIMENTER = 4
_BUNDLE = (0x4F4E4600, 2300)  # ONF extension 230, a control message: open is the first of them


def never(message: bytes) -> bool:
    """For a line that is never held."""
    return False


def as_it_is(message: bytes) -> bytes:
    """For a line that passes on what the switch says."""
    return message


def opens_bundle(message: bytes) -> bool:
    """Whether the program is about to add a table-miss flow: the first message of a bundle."""
    return message[1] == _OFPT_EXPERIMENTER and _EXPERIMENTER.unpack_from(message) == _BUNDLE


class HeldLine:
    """A Unix socket that leads to a bridge, for one connection of the program.

    The first message of the program that `hold_at` picks waits, and all that follow it, until
    `release`. What the switch says comes through at all times, as `answer` makes it.
    """

    def __init__(
        self,
        path: Path,
        bridge: Path,
        hold_at: Callable[[bytes], bool] = never,
        answer: Callable[[bytes], bytes] = as_it_is,
    ) -> None:
        self.path = path
        self._bridge = bridge
        self._hold_at = hold_at
        self._answer = answer
        self.held = threading.Event()
        """Set when a message waits."""
        self._released = threading.Event()

    def __enter__(self) -> HeldLine:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._listener.close()
        self.path.unlink()

    def release(self) -> None:
        """Let everything through from now on."""
        self._released.set()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            program, _ = self._listener.accept()
            switch = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            switch.connect(str(self._bridge))
            answers = threading.Thread(
                target=_pass_on, args=(switch, program, self._answer), daemon=True
            )
            answers.start()
            with program, switch:
                _pass_on(program, switch, self._hold)
                answers.join()

    def _hold(self, message: bytes) -> bytes:
        if self._hold_at(message) and not self._released.is_set():
            self.held.set()
            self._released.wait()
        return message


def _pass_on(source: socket.socket, sink: socket.socket, way: Callable[[bytes], bytes]) -> None:
    with contextlib.suppress(OSError), source.makefile("rb") as said:
        while header := said.read(_HEADER.size):
            message = header + said.read(_HEADER.unpack(header)[2] - _HEADER.size)
            sink.sendall(way(message))
        sink.shutdown(socket.SHUT_WR)
