"""What every receiver is: a process of the test's, in a folder of its own, on the loopback.

A receiver is started by a `with` block, can be killed as by a crash and started again on the same
address, and is gone after the block, whatever the test did.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds that anything may take on a busy machine before a test gives up."""
LOG_TAIL = 40
"""Lines of a receiver's log that are shown when it does not start."""

_OPEN = ("01", "03", "08")
"""ESTABLISHED, SYN_RECV and CLOSE_WAIT, as Linux numbers them (include/net/tcp_states.h)."""
_PORTS = range(20000, 32000)  # below the range from which Linux takes a client's port
_Anything = TypeVar("_Anything")


def free_port() -> int:
    """A port that nobody has now, for TCP and UDP."""
    while True:
        port = random.choice(_PORTS)
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            stream.bind((HOST, port))
            datagrams.bind((HOST, port))
            return port


def takes_tcp(port: int) -> bool:
    """Whether somebody listens on the port of the loopback."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def serves_tcp(port: int) -> bool:
    """Whether a server has connections that it has not closed (proc(5), /proc/net/tcp)."""
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] in _OPEN for row in rows)


def takes_unix(path: Path) -> bool:
    """Whether somebody listens on the Unix socket, a stream."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return True
    return False


def udp_is_bound(port: int) -> bool:
    """Whether somebody has bound the UDP port (proc(5), /proc/net/udp)."""
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") for row in rows)


def eventually(
    question: Callable[[], _Anything], what: str, patience: float = PATIENCE
) -> _Anything:
    """The first true answer. Raises AssertionError after `patience` seconds: what did not come."""
    deadline = time.monotonic() + patience
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {patience:.0f} s; last answer: {answer!r}")
        time.sleep(0.05)


class Service(ABC):
    """A receiver that is a process; a subclass says by which command, and when it is ready."""

    name = "service"

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix=f"{self.name}-")
        self.folder = Path(self._temporary.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_before = 0  # octets of the log before the last start

    # What a subclass says.

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments. It must stay in the foreground."""

    def environment(self) -> Mapping[str, str]:
        """Variables besides those of the test's own environment."""
        return {}

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it takes what is sent to it."""

    def prepare(self) -> None:  # noqa: B027  not every one needs something
        """What must be there before the first start: folders, settings, another process."""

    def clear(self) -> None:  # noqa: B027  nor leaves something
        """What `prepare` made outside the folder."""

    # What a test does.

    def __enter__(self: _Self) -> _Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it and remove its folder. Does nothing the second time."""
        self.kill()
        self.clear()
        self._temporary.cleanup()

    def start(self) -> None:
        """Start it, on the address that it has or had, and wait until it takes what is sent.

        Raises AssertionError with the end of its log if it does not come up.
        """
        assert self._process is None, f"{self.name}: runs already"
        self._log_before = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._process = spawn(self.command(), self.environment(), self.log_path, self.folder)
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                why = "is not ready" if ended is None else f"ended with status {ended}"
                self.kill()
                raise AssertionError(f"{self.name} {why}:\n{self.log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash does (SIGKILL to it and what it started)."""
        if self._process is not None:
            end_group(self._process)
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again, on the same address."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop it from running, its connections open: a receiver that is stuck (SIGSTOP)."""
        assert self._process is not None, f"{self.name}: does not run"
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on."""
        assert self._process is not None, f"{self.name}: does not run"
        os.killpg(self._process.pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Process id, for as long as it runs."""
        assert self._process is not None, f"{self.name}: does not run"
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """What the process writes to its outputs, of all its runs."""
        return self.folder / "output.log"

    def has_said(self, text: str) -> bool:
        """Whether it wrote this since its last start."""
        return text.encode() in self.log_path.read_bytes()[self._log_before :]

    def log(self) -> str:
        """The end of what it wrote."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL:])


_Self = TypeVar("_Self", bound=Service)


def spawn(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, folder: Path
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own that ends when this process does."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that `spawn` started, and all of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
