"""What systemd is told of this process: the protocol of sd_notify(3), in its few lines.

Where no service manager asks for it (no NOTIFY_SOCKET in the environment), nothing is sent. Not
by a library: those on PyPI are either no longer kept, or need libsystemd to be built.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping

LOG = logging.getLogger(__name__)

_SOCKET = "NOTIFY_SOCKET"
_WATCHDOG = "WATCHDOG_USEC"
_WATCHDOG_PROCESS = "WATCHDOG_PID"
_PINGS = 4
"""How often a watchdog hears of us within its time; sd_watchdog_enabled(3) recommends twice."""


class ServiceManager:
    """The one who started this process, if it wants to know how it is."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get(_SOCKET, ""))
        self._interval = _watchdog_seconds(environment) / _PINGS
        self._last_ping = -self._interval
        self._status = ""

    def ready(self, status: str) -> None:
        """All is set up: the start, or the reload, is done. `status` is for people."""
        self._status = status
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """The configuration is about to be read again; `ready` is to follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", _status("taking back what was added"))

    def alive(self, status: str) -> None:
        """The main loop goes round: say so if it is time, and `status` if it is another."""
        if status != self._status:
            self._status = status
            self._send(_status(status))
        now = time.monotonic()
        if self._interval and now >= self._last_ping + self._interval:
            self._last_ping = now
            self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        """Never waits: a service manager that does not read hears nothing."""
        if self._address is None:
            return
        message = "\n".join(assignments).encode("utf-8", "replace")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(message, self._address)


def _address(text: str) -> str | None:
    """The address of a socket: a path, or after `@` a name in the abstract namespace."""
    if text.startswith("@"):
        return "\0" + text[1:]
    if text.startswith("/"):
        return text
    if text:
        LOG.warning("%s: got %s; expected a path or @name: nothing is sent there", _SOCKET, text)
    return None


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """The time within which the watchdog wants to hear of this process; 0: there is none."""
    if environment.get(_WATCHDOG_PROCESS, str(os.getpid())) != str(os.getpid()):
        return 0.0  # it was meant for whoever started us
    try:
        return max(int(environment.get(_WATCHDOG, "0")), 0) / 1_000_000
    except ValueError:
        return 0.0


def _status(text: str) -> str:
    return "STATUS=" + "".join(letter if letter.isprintable() else " " for letter in text)
