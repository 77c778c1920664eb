"""The last will of a run: what is still done when the program is killed outright.

Flows go by themselves when their lease ends, but a meter has no lease. So a small process of its
own holds, for each bridge, the OpenFlow bytes that take back all of ours. When the pipe to the
program breaks, and only then, it sends them. It is this very file, run without the package, and
needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import IO

LOG = logging.getLogger(__name__)

ANSWER_TIME = 3.0
"""Seconds that a switch has for each step."""
_OPENFLOW_1_3 = 4
_BARRIER_REPLY = 21
_HEADER_LENGTH = 8
_EXIT_TIME = 1.0


class LastWill:
    """The program's side: keeps the other process informed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._wills: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def write(self, name: str, address: str | tuple[str, int], messages: bytes) -> None:
        """Say what to send in the worst case; replaces what was said before under this name.

        `address` is the path of a Unix socket, or host and port. `messages` are whole OpenFlow 1.3
        messages from the hello to a barrier request, or one JSON-RPC request to the database;
        empty: nothing is left to take back.
        """
        will = f"{json.dumps([name, address, messages.hex()])}\n".encode()
        with self._lock:
            self._wills[name] = will
            try:
                self._say(will)
            except OSError as error:
                LOG.warning(
                    "the process for the last will was killed (%s): starting another", error
                )
                self._drop_pipe()
                try:
                    self._say(b"".join(self._wills.values()))
                except OSError as again:
                    LOG.warning("%s: nobody would clean up after a crash: %s", name, again)

    def _say(self, wills: bytes) -> None:
        pipe = self._pipe()
        pipe.write(wills)
        pipe.flush()

    def _drop_pipe(self) -> None:
        """Forget the process that is gone, and what was still to be written to it."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def _pipe(self) -> IO[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        return self._process.stdin

    def close(self) -> None:
        """Let the other process go: it ends, or carries out what is still to be taken back."""
        process = self._process
        if process is None:
            return
        self._process = None
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_TIME)


def _carry_out(address: str | tuple[str, int], messages: bytes) -> None:
    """Send the messages to a switch and wait until it has worked them off."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(ANSWER_TIME)
        sock.connect(address)
    else:
        sock = socket.create_connection(address, ANSWER_TIME)
    with sock, sock.makefile("rb") as answers:
        sock.sendall(messages)
        while header := answers.read(_HEADER_LENGTH):
            if header.startswith(b"{"):
                return  # the database has answered
            if len(header) < _HEADER_LENGTH:
                return  # it broke off
            version, kind, length = header[0], header[1], int.from_bytes(header[2:4], "big")
            answers.read(max(length - _HEADER_LENGTH, 0))
            if (version, kind) == (_OPENFLOW_1_3, _BARRIER_REPLY):
                return


def main() -> None:
    """The other process: listen until the pipe breaks, then carry out what was said last."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the program, not before
    os.chdir("/")
    wills: dict[str, tuple[str | tuple[str, int], bytes]] = {}
    for said in sys.stdin.buffer:
        with contextlib.suppress(ValueError):  # the last line may be cut
            name, address, messages = json.loads(said)
            where = address if isinstance(address, str) else tuple(address)
            wills[name] = (where, bytes.fromhex(messages))
    for address, messages in wills.values():
        if messages:
            with contextlib.suppress(OSError):  # the switch is gone, and our flows with it
                _carry_out(address, messages)


if __name__ == "__main__":
    main()
