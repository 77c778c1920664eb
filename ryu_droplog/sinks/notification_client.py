"""The program's side of the process that speaks to OpenStack's bus (`notification_process`)."""

from __future__ import annotations

import json
import os
import posix
import signal
import socket
import sys
import time
from _socket import socket as Socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from struct import Struct as Layout

from ryu_droplog.sinks.delivery import NotAcknowledged, NotSent
from ryu_droplog.sinks.secrets import Secret

MODULE = "ryu_droplog.sinks.notification_process"
ANSWER_TIME = 60.0
"""Seconds that a message may take; then the process is replaced."""
LOOK = 0.1
"""Seconds after which a wait is looked at again."""
_TIMEVAL = Layout("@ll")
_ROOT = Path(__file__).resolve().parents[2]


class NotificationClient:
    """Starts the process when it is needed. For one thread, a real one under either hub.

    By functions of C alone: eventlet's sockets and its `subprocess` would wait in a hub of this
    thread's own.
    """

    def __init__(self, topic: str, publisher_id: str, gives_up: Callable[[], bool]) -> None:
        """`gives_up` is asked several times a second while it waits."""
        self._topic = topic
        self._publisher_id = publisher_id
        self._gives_up = gives_up
        self._socket: Socket | None = None
        self._process = 0
        self._received = b""

    def send(self, id: str, payload: bytes, url: Secret) -> None:
        """Have a message sent and wait until the bus has it; `payload` is JSON.

        Raises NotSent and NotAcknowledged.
        """
        bus = {"url": url.reveal(), "topic": self._topic, "publisher_id": self._publisher_id}
        head = json.dumps({"id": id, "bus": bus}).encode()
        if self._socket is None:
            self._start()
        try:
            self._write(head[:-1] + b',"payload":' + payload + b"}\n")
            answer = self._answer(id)
        except (OSError, ValueError) as error:
            self.close()
            raise NotAcknowledged(f"the process for the bus has ended: {error}") from error
        if answer is not None:
            raise NotAcknowledged(answer)

    def close(self) -> None:
        """End the process."""
        if self._socket is not None:
            self._socket.close()
            self._socket, self._received = None, b""
            with suppress(OSError):
                posix.kill(self._process, signal.SIGKILL)
            with suppress(OSError):
                posix.waitpid(self._process, 0)

    def _start(self) -> None:
        ours, theirs = _pair()
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        nowhere = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
        errors = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
        try:
            self._process = posix.posix_spawn(
                sys.executable,
                [sys.executable, "-W", "ignore", "-m", MODULE],
                {**os.environ, "PYTHONPATH": path},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0), nowhere, errors],
                setsid=True,  # so that Ctrl-C at a terminal does not end it before the program
            )
        except OSError as error:
            ours.close()
            raise NotSent(f"no process for the bus: {error}") from error
        finally:
            theirs.close()
        self._socket = ours

    def _write(self, data: bytes) -> None:
        assert self._socket is not None
        rest = memoryview(data)
        deadline = time.monotonic() + ANSWER_TIME
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._wait_no_longer_than(deadline)

    def _answer(self, id: str) -> str | None:
        """None, or why the message was not acknowledged."""
        assert self._socket is not None
        deadline = time.monotonic() + ANSWER_TIME
        while True:
            line, end, rest = self._received.partition(b"\n")
            if end:
                self._received = rest
                answer = json.loads(line)
                if answer["id"] == id:
                    error: str | None = answer["error"]
                    return error
                continue
            try:
                data = self._socket.recv(65_536)
            except BlockingIOError:
                self._wait_no_longer_than(deadline)
                continue
            if not data:
                raise OSError("it has closed its socket")
            self._received += data

    def _wait_no_longer_than(self, deadline: float) -> None:
        if self._gives_up() or time.monotonic() > deadline:
            self.close()
            raise NotAcknowledged("no answer from the bus")


def _pair() -> tuple[Socket, Socket]:
    """Two ends; ours waits for `LOOK` at most."""
    # socket.socketpair would make eventlet's.
    from _socket import socketpair

    ours, theirs = socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    timeout = _TIMEVAL.pack(0, round(LOOK * 1_000_000))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        ours.setsockopt(socket.SOL_SOCKET, option, timeout)
    return ours, theirs
