"""Asks the running program for records: the command's side of the observers' socket."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ryu_droplog import __version__
from ryu_droplog.model.errors import why
from ryu_droplog.observe.listening import present
from ryu_droplog.observe.protocol import CONTROL, PROTOCOL, Control, Request, read_control
from ryu_droplog.observe.query import NoRecordsError, Query
from ryu_droplog.observe.stream import Lost, Said, read_record

GREETING_TIME = 5.0
"""Seconds that a program has to greet."""
STATUS_TIME = 5.0
"""Seconds that programs have to tell their state, where nobody says otherwise."""
LINE = 4 * 1024 * 1024
"""Bytes of a line at most, but for the status."""
STATUS_LINE = 256 * 1024 * 1024


class Connection:
    """To one running program, with the request that was sent to it."""

    def __init__(self, path: Path, request: Request) -> None:
        """Connect, and ask. Raises NoRecordsError where there is nobody who understands."""
        self.path = path
        self._line = STATUS_LINE if request.status else LINE
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(GREETING_TIME)
            self._connect()
            self._greet(request)
            self._socket.setblocking(False)
        except OSError as error:
            self.close()
            raise NoRecordsError(f"{path}: {why(error)}") from error
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def lines(self) -> list[bytes] | None:
        """The whole lines that have come; None: no more will come."""
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if len(rest) > self._line:
            raise NoRecordsError(f"{self.path}: a line of more than {self._line} bytes")
        return [bytes(line) for line in lines]

    def _connect(self) -> None:
        deadline = time.monotonic() + GREETING_TIME
        while True:
            try:
                self._socket.connect(os.fspath(self.path))
                return
            except BlockingIOError:  # too many are waiting to be let in
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _greet(self, request: Request) -> None:
        greeting = bytearray()
        while not greeting.endswith(b"\n"):
            data = self._socket.recv(1)
            if not data or len(greeting) > LINE:
                raise NoRecordsError(f"{self.path}: the program hung up before it greeted")
            greeting += data
        try:
            control = read_control(bytes(greeting))
        except ValueError:
            raise NoRecordsError(f"{self.path}: whoever listens there does not greet") from None
        if control.error:
            raise NoRecordsError(f"{self.path}: {control.error}")
        if control.protocol != PROTOCOL:
            raise NoRecordsError(
                f"{self.path}: the running program (ryu_droplog {control.program}) speaks version"
                f" {control.protocol} of the observers' protocol, this command (ryu_droplog"
                f" {__version__}) version {PROTOCOL}; use the command that belongs to the program"
            )
        self._socket.sendall(msgspec.json.encode(request) + b"\n")


def observe(run_directory: str, query: Query, until: float | None = None) -> Iterator[Said]:
    """What the running programs send; `until` by the monotonic clock, None: until they end.

    Of several programs, what is there already comes from one after the other. None: for a while
    nothing came. Raises NoRecordsError where there is none, and where all have ended with an error.
    """
    connections = _connect(run_directory, Request(PROTOCOL, query))
    try:
        trouble = ""
        while connections:
            left = 0.1 if until is None else min(max(until - time.monotonic(), 0.0), 0.1)
            ready, _, _ = select.select(connections, [], [], left)
            for connection in ready:
                lines, ended = connection.lines(), False
                for line in lines or ():
                    if not line.startswith(CONTROL):
                        yield read_record(line)
                        continue
                    control = _control(connection, line)
                    if control.lost:
                        yield Lost(control.lost)
                    trouble = control.error or trouble
                    if control.error or control.end:
                        lines = None
                        ended = True
                if lines is None:
                    trouble = trouble if ended else f"{connection.path}: the program hung up"
                    connection.close()
                    connections.remove(connection)
            if until is not None and time.monotonic() >= until:
                return
            if not ready:
                yield None
        if trouble:
            raise NoRecordsError(trouble)
    finally:
        for connection in connections:
            connection.close()


def status(run_directory: str, seconds: float = STATUS_TIME) -> Iterator[dict[str, Any]]:
    """What each running program says of itself, as on the status socket.

    Raises NoRecordsError where one does not answer in time, which is for all of it.
    """
    deadline = time.monotonic() + seconds
    for connection in _connect(run_directory, Request(PROTOCOL, status=True)):
        answer: Control | None = None
        while answer is None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([connection], [], [], left)[0]:
                raise NoRecordsError(f"{connection.path}: no answer in time")
            lines = connection.lines()
            if lines is None:
                raise NoRecordsError(f"{connection.path}: the program hung up")
            for line in lines[:1]:
                answer = _control(connection, line)
        connection.close()
        if answer.status is None:
            raise NoRecordsError(f"{connection.path}: {answer.error}")
        yield answer.status


def _control(connection: Connection, line: bytes) -> Control:
    try:
        return read_control(line)
    except ValueError:
        raise NoRecordsError(
            f"{connection.path}: the program says what nobody understands"
        ) from None


def _connect(run_directory: str, request: Request) -> list[Connection]:
    """To all programs that run there; raises NoRecordsError where there is none."""
    try:
        paths = present(run_directory)
    except OSError as error:
        raise NoRecordsError(f"{run_directory}: {why(error)}") from error
    connections: list[Connection] = []
    trouble: NoRecordsError | None = None
    for path in paths:
        try:
            connections.append(Connection(path, request))
        except NoRecordsError as error:
            if not isinstance(error.__cause__, (ConnectionRefusedError, FileNotFoundError)):
                trouble = error  # else it was killed, and left its socket
    if trouble is not None and not connections:
        raise trouble
    if not connections:
        raise NoRecordsError(f"no running ryu_droplog has its observers' socket in {run_directory}")
    return connections
