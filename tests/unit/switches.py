"""A switch as the clean-up process sees it: a real socket that answers as a test has it answer."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from waiting import PATIENCE

HELLO = struct.pack("!BBHI", 4, 0, 8, 0)
BARRIER = struct.pack("!BBHI", 4, 20, 8, 1)
BARRIER_REPLY = struct.pack("!BBHI", 4, 21, 8, 1)
ECHO = struct.pack("!BBHI", 4, 2, 12, 9) + b"ping"
MESSAGES = HELLO + BARRIER
DONE = (HELLO, BARRIER_REPLY)
"""What a switch answers that has carried everything out."""


def error(kind: int, code: int, refused: bytes = BARRIER) -> bytes:
    """An OFPT_ERROR (OpenFlow 1.3.5 section 7.5.4)."""
    return struct.pack("!BBHIHH", 4, 1, 12 + len(refused), 0, kind, code) + refused


def hello(version: int, *versions: int) -> bytes:
    """A hello with a bitmap of versions, or without (section 7.5.1)."""
    if not versions:
        return struct.pack("!BBHI", version, 0, 8, 0)
    bitmap = sum(1 << number for number in versions)
    return struct.pack("!BBHIHHI", version, 0, 16, 0, 1, 8, bitmap)


class Switch:
    """A Unix socket, or a TCP port, where each visitor gets the next of some sets of answers.

    The last set is for all visitors that follow. A set that is None: it does not even read.
    """

    def __init__(
        self, path: Path | None, *answers: Sequence[bytes] | None, linger: bool = True
    ) -> None:
        """`linger`: it does not close before the visitor does."""
        self.told: list[bytes] = []
        """What each visitor said."""
        self.come = 0
        """How many visitors have come."""
        self.served = 0
        """How many of them have had all answers and gone."""
        self._answers = list(answers) or [DONE]
        self._linger = linger
        if path is None:
            self._socket = socket.create_server(("127.0.0.1", 0))
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(str(path))
            self._socket.listen()
        self.path = path
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str | list[object]:
        """As the clean-up process is told it."""
        if self.path is not None:
            return str(self.path)
        return ["127.0.0.1", self._socket.getsockname()[1]]

    def _serve(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                visitor, _ = self._socket.accept()
                answers = self._answers[min(self.come, len(self._answers) - 1)]
                self.come += 1
                with visitor:
                    self._answer(visitor, answers)

    def _answer(self, visitor: socket.socket, answers: Sequence[bytes] | None) -> None:
        visitor.settimeout(PATIENCE)
        told = b""
        with suppress(OSError):
            if answers is not None:
                told = visitor.recv(65536)
                for answer in answers:
                    visitor.sendall(answer)
                    time.sleep(0.02)
            while self._linger and (more := visitor.recv(65536)):
                told += more
        self.told.append(told)
        self.served += 1

    def close(self) -> None:
        """Stop listening; the file of a Unix socket stays, as that of a killed daemon does."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
