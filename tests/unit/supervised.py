"""Runs the supervisor in a process of its own, with real sockets, files and threads, under a hub.

A reload fails at each function that it calls, one after the other, and is looked at afterwards.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from ryu_droplog.runtime import manager  # noqa: F401  before os-ken: it loads the hub

# isort: split

import openflow_bytes as wire
from datagrams import drop_log
from fake_switch import FakeSwitch, requests
from frames import syn
from os_ken.lib import hub

from ryu_droplog.concurrency.hubs import real_threading
from ryu_droplog.concurrency.threads import start
from ryu_droplog.config import loader
from ryu_droplog.config.settings import Settings
from ryu_droplog.model.cookie import Cookie
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.runtime.supervisor import Supervisor

PATIENCE = 10.0
QUIET = 60.0
CALM = 1.0
"""Seconds in which nothing begins or ends once everything is at work."""
GENERATION = 0x123400
SOURCES = str(Path(sys.modules["ryu_droplog"].__file__ or "").parent) + "/"
PACKAGES = ("concurrency", "connections", "ovsdb", "runtime", "sinks", "sources")
"""Those whose functions fail; what others do on behalf of these fails with them."""
CHANGE, COMMIT = "change", "_commit"


def eventually(expected: object, look: Callable[[], object]) -> object:
    """Look until it is as expected or the time is over; what was seen last."""
    deadline = time.monotonic() + PATIENCE
    while (seen := look()) != expected and time.monotonic() < deadline:
        hub.sleep(0.01)
    return seen


class Bridge:
    """A switch at a management socket, and all who have connected to it."""

    def __init__(self, path: Path, name: bytes = b"br-a") -> None:
        self.switch = FakeSwitch(name, 0x77)
        self.peers: list[socket.socket] = []
        """Those whose connections have not ended."""
        self.come = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        start(self._accept)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                start(self.answer, peer)

    def answer(self, peer: socket.socket) -> None:
        """Be the switch for one peer, until it hangs up."""
        self.come += 1
        self.peers.append(peer)
        with peer, suppress(OSError):
            peer.sendall(wire.hello(4))
            for request in requests(peer, QUIET):
                peer.sendall(self.switch.answer(request))
        self.peers.remove(peer)

    def drop(self) -> None:
        """Tell of a packet that table 0 dropped."""
        cookie = Cookie(True, GENERATION | 1, 0).pack()
        for peer in self.peers:
            peer.sendall(wire.packet_in(syn(), cookie=cookie))


class Bed:
    """A supervisor at work: a bridge, `listen`, `receive`, a file and packet events."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="supervised-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.bridge = Bridge(self.folder / "br-a.mgmt")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.pipelines = load_pipelines(None)
        self.supervisor = Supervisor(str(self.folder / "run"), GENERATION, real_threading())
        self.supervisor.change(self.settings(), self.pipelines)
        assert True is eventually(True, lambda: self.connected)

    def settings(self, **keys: Any) -> Settings:
        """The settings of the beginning, or others."""
        written = {
            "run_directory": str(self.folder / "run"),
            "bridges": [{"name": "br-a"}],
            "listen": f"127.0.0.1:{self.port}",
            "receive": {"geneve": f"127.0.0.1:{self.port}"},
            "log_directory": str(self.folder),
            "drop_log_config": {"opflex_redirect_drop_logs": "before"},
            "events": {"socket": str(self.folder / "events-before")},
            **keys,
        }
        return loader.parse(json.dumps(written), "droplog.yaml", {"OVS_RUNDIR": str(self.folder)})

    def others(self) -> Settings:
        """Settings in which everything is another."""
        return self.settings(
            bridges=[
                {"name": "br-a", "prefix": "New-"},
                {"name": "br-b", "connect": "service"},
                {"name": "*"},
            ],
            listen=f"0.0.0.0:{self.port}",
            receive={"geneve": f"0.0.0.0:{self.port}"},
            drop_log_config={"opflex_redirect_drop_logs": "after"},
            events={"socket": str(self.folder / "events-after")},
            throttle={"window": "1h"},
            format="json",
        )

    @property
    def connected(self) -> bool:
        source = self.supervisor.bridge_sources.get("br-a")
        return source is not None and source.connected

    def greets(self) -> bool:
        """Whether somebody answers at `listen`; while the socket changes, one may be reset."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as visitor:
                visitor.settimeout(PATIENCE)
                return bool(visitor.recv(8))
        except ConnectionError:
            return False

    def handshakes(self) -> int:
        """Connections to `listen` whose handshake is under way."""
        return sum(state["handshakes"] for state in self.supervisor.listening().values())

    def lines(self, name: str) -> list[str]:
        """What is in the file of drop lines."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def used(self) -> tuple[int, int]:
        """Threads of the process, and its descriptors."""
        tasks = len(os.listdir("/proc/self/task"))
        return tasks, len(os.listdir("/proc/self/fd"))

    def settled(self) -> tuple[int, int]:
        """The same once it has not changed for a while: a watch over a handshake has ended."""
        gc.collect()
        used, since = self.used(), time.monotonic()
        deadline = since + PATIENCE
        while time.monotonic() < min(since + CALM, deadline):
            hub.sleep(0.01)
            if self.used() != used:
                used, since = self.used(), time.monotonic()
        return used

    def works(self, name: str, mark: str = "") -> list[str]:
        """What is wrong with what runs, whose lines are in that file and have that mark."""
        wrong = []
        before = len(self.lines(name))
        self.bridge.drop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(drop_log(syn()), ("127.0.0.1", self.port))
        if eventually(before + 2, lambda: len(self.lines(name))) != before + 2:
            wrong.append(f"{name} has {self.lines(name)[before:]}")
        elif not any(mark in line for line in self.lines(name)[before:]):
            wrong.append(f"{mark!r} is in none of {self.lines(name)[before:]}")
        if eventually(True, self.greets) is not True:
            wrong.append("listen does not greet")
        if eventually(0, self.handshakes):
            wrong.append("listen does not see a visitor go")
        if (True, 1) != (self.connected, self.bridge.come):
            wrong.append(f"connected: {self.connected}, {self.bridge.come} times")
        return wrong

    def change(self) -> str:
        """Go over to the other settings; how it is refused."""
        try:
            self.supervisor.change(self.others(), self.pipelines)
        except DropLogError as error:
            return str(error)
        return ""

    def stop(self) -> bool:
        return self.supervisor.stop()


@contextmanager
def failing(step: str | None, error: Exception, called: list[str]) -> Iterator[None]:
    """Have the first call of one function fail, by its name, between `change` and `_commit`.

    The names of all that are called come to `called`.
    """
    inside = False

    def on_call(frame: FrameType, event: str, argument: object) -> None:
        nonlocal inside
        code = frame.f_code
        where = code.co_filename.removeprefix(SOURCES)
        if where == code.co_filename or not where.startswith(PACKAGES):
            return
        if where == "runtime/supervisor.py" and code.co_name in (CHANGE, COMMIT):
            inside = code.co_name == CHANGE
            return
        name = f"{where}:{code.co_name}:{code.co_firstlineno}"
        if inside and name not in called:
            called.append(name)
            if name == step:
                inside = False
                raise error

    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(None)


def changed() -> tuple[list[str], list[str]]:
    """What is wrong after a reload that changes everything, and the functions that it called."""
    bed = Bed()
    steps: list[str] = []
    wrong = bed.works("before")
    with failing(None, OSError(), steps):
        wrong += filter(None, [bed.change()])
    wrong += bed.works("after", '"New-')
    if not bed.stop():
        wrong.append("something was left on the switch")
    return wrong, steps


def each_step(steps: Sequence[str]) -> dict[str, list[str]]:
    """What is wrong after a reload that failed at a function, by the function."""
    wrong: dict[str, list[str]] = {}
    bed = Bed()
    wrong["at the start"] = bed.works("before")
    used = bed.settled()
    sinks = dict(bed.supervisor.sinks)
    for number, step in enumerate(steps):
        error = OSError(28, "injected") if number % 2 else RuntimeError("injected")
        with failing(step, error, []):
            refusal = bed.change()
        gc.collect()
        if not refusal:  # who called it takes that for an answer
            bed.supervisor.change(bed.settings(), bed.pipelines)
            sinks = dict(bed.supervisor.sinks)
            eventually(used, bed.used)
            continue
        expected = "injected" in refusal or "No space left on device" in refusal
        found = [] if expected else [f"refusal: {refusal}"]
        if sinks != bed.supervisor.sinks:
            found.append("other sinks")
        if eventually(used, bed.used) != used:
            found.append(f"threads, descriptors: {bed.used()}, not {used}")
        wrong[step] = found + bed.works("before")
    wrong["changed in the end"] = [*filter(None, [bed.change()]), *bed.works("after", '"New-')]
    if not bed.stop():
        wrong["stopped"] = ["something was left on the switch"]
    return wrong


if __name__ == "__main__":
    print(json.dumps(each_step(sys.argv[1:]) if sys.argv[1:] else changed()))
