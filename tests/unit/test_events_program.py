"""`ryu-droplog events` as a process: what it says, what it needs, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from odd_server import OddServer, hang, pod, pods, refuse

from ryu_droplog.config.settings import Events
from ryu_droplog.k8s_events import program
from ryu_droplog.k8s_events.api import connect
from ryu_droplog.k8s_events.event_counters import EventCounters
from ryu_droplog.k8s_events.listener import Listener
from ryu_droplog.k8s_events.podwatch import PodWatch
from ryu_droplog.k8s_events.program import ProgramError

COMMAND = (
    sys.executable,
    "-W",
    "ignore",
    "-c",
    "from ryu_droplog.cli import main; main()",
)
BARE = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "NODE_NAME", "RYU_DROPLOG_CONFIG")
PATIENCE = 20.0


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in BARE}
    return {**kept, "HOME": str(folder), "TZ": "UTC", **more}


def kubeconfig(folder: Path, url: str) -> str:
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": url}}],
                "users": [{"name": "x", "user": {}}],
            }
        )
    )
    return str(path)


def packet(source: str, ago: float = 0.0) -> dict[str, str]:
    stamp = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(time.time() - ago))
    addresses = {"SourceIP": source, "DestinationIP": "192.0.2.1"}
    return {"TimeStamp": stamp, "DropReason": "T MISS", "EtherType": "IPv4", **addresses}


class Running:
    """The program, and its log."""

    def __init__(self, folder: Path, *arguments: str, **more: str) -> None:
        self.socket = folder / "events.sock"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "events", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(folder, **more),
            )  # fmt: skip

    @property
    def log(self) -> list[str]:
        """Lines, without time and level."""
        lines = self._log.read_text().splitlines()
        return [line.split(" ", 3)[-1] if line[:2] == "20" else line for line in lines]

    def until(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not look():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def send(self, *events: dict[str, str]) -> None:
        with socket.socket(socket.AF_UNIX) as exporter:
            exporter.connect(str(self.socket))
            exporter.sendall(json.dumps(events).encode())

    def end(self, number: int) -> int:
        """Exit status; fails when it waits for the API server."""
        self.process.send_signal(number)
        return self.process.wait(10.0)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(*arguments: str, **more: str) -> Running:
        started.append(Running(tmp_path, *arguments, **more))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def server() -> Iterator[OddServer]:
    made = OddServer(list=[pods("1", pod("web", "1", "10.2.0.1"))])
    yield made
    made.end()


Run = Callable[..., Running]


def begin(run: Run, folder: Path, server: OddServer) -> Running:
    running = run(
        "--socket", str(folder / "events.sock"), "--node", "n1",
        "--kubeconfig", kubeconfig(folder, server.url),
    )  # fmt: skip
    line = f"Listening for packet events on unix socket {folder / 'events.sock'}"
    running.until(lambda: line in running.log)
    return running


def test_books_balance_at_the_end(run: Run, tmp_path: Path, server: OddServer) -> None:
    running = begin(run, tmp_path, server)
    running.send(
        packet("10.2.0.1"), packet("10.2.0.1"), packet("10.2.0.9"), packet("10.2.0.1", 999)
    )
    running.until(lambda: "create" in server.kinds())
    with socket.socket(socket.AF_UNIX) as odd:
        odd.connect(str(running.socket))
        odd.sendall(b"garbage")
        assert b"" == odd.recv(1)
    assert 0 == running.end(signal.SIGTERM)
    expected = (
        "packet events: 4 received, 1 posted, 0 counted up, 3 discarded"
        " (no pod: 1, repeated: 1, too old: 1), 0 waiting;"
        " connections: 2 accepted, 1 dropped (garbage: 1)"
    )
    assert expected == running.log[-1]
    assert not running.socket.exists()


def test_packet_events_wait_until_the_pods_are_known(
    run: Run, tmp_path: Path, server: OddServer
) -> None:
    server.scripts["list"].insert(0, refuse(503))
    running = begin(run, tmp_path, server)
    running.send(packet("10.2.0.1"))
    running.until(lambda: "create" in server.kinds())
    message = server.bodies("create")[0]["message"]
    assert "IPv4 packet from default/web to 192.0.2.1 was dropped" == message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("hanging", ["list", "watch", "create"])
def test_program_ends_soon_while_the_server_hangs(
    run: Run, tmp_path: Path, server: OddServer, hanging: str, number: int
) -> None:
    server.scripts[hanging] = [hang()]
    running = begin(run, tmp_path, server)
    running.send(packet("10.2.0.1"))
    running.until(lambda: hanging in server.kinds())
    assert 0 == running.end(number)
    assert running.log[-1].startswith("packet events: ")
    assert not running.socket.exists()


def test_program_that_is_switched_off_says_so_and_listens_nowhere(run: Run, tmp_path: Path) -> None:
    """It needs no credentials either."""
    config = tmp_path / "droplog.yaml"
    config.write_text(f"events: {{socket: {tmp_path}/events.sock}}")
    running = run("--config", str(config))
    running.until(lambda: bool(running.log))
    assert 0 == running.end(signal.SIGTERM)
    assert ["Packet event recording is disabled"] == running.log
    assert not running.socket.exists()


def fails(folder: Path, *arguments: str, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, "events", *arguments],
        env=environment(folder, **more), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        ((), {}),
        (("--kubeconfig", "/nonexistent"), {}),
        ((), {"KUBECONFIG": "/nonexistent"}),
        ((), {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}),
        (("--kubeconfig", __file__), {}),
    ],
)
def test_credentials_that_are_not_there_are_one_line(
    tmp_path: Path, arguments: tuple[str, ...], more: dict[str, str]
) -> None:
    status, said = fails(tmp_path, *arguments, **more)
    assert (1, 1) == (status, said.count("\n")), said
    assert said.startswith("ryu-droplog: no credentials for the Kubernetes API: ")
    assert "; expected a kubeconfig (--kubeconfig, KUBECONFIG or ~/.kube/config)" in said


def test_client_that_is_not_installed_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kubernetes.py").write_text("raise ModuleNotFoundError('kubernetes')")
    path = f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"
    expected = (
        "ryu-droplog: the client for Kubernetes is not installed:"
        " pip install ryu-droplog[kubernetes]\n"
    )
    assert (1, expected) == fails(tmp_path, PYTHONPATH=path)


def test_socket_of_another_process_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    other = Listener(str(path), lambda events: None, EventCounters())
    credentials = kubeconfig(tmp_path, "http://127.0.0.1:1")
    status, said = fails(tmp_path, "--socket", str(path), "--kubeconfig", credentials)
    other.close()
    expected = f"ryu-droplog: {path}: another process listens there already\n"
    assert (1, expected) == (status, said)


def test_mistakes_of_the_user_are_one_line(tmp_path: Path) -> None:
    status, said = fails(tmp_path, "--socket", "/" + "x" * 200)
    assert (2, 1) == (status, said.count("\n"))
    assert "in at most 107 bytes" in said
    status, said = fails(tmp_path, "--config", "/nonexistent")
    assert (2, 1) == (status, said.count("\n"))


def test_part_that_fails_ends_the_program_with_an_error(
    tmp_path: Path, server: OddServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something starts it anew then; one that goes on without a part would lose all in silence."""

    def broken(self: PodWatch) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(PodWatch, "run", broken)
    chosen = Events(socket=str(tmp_path / "events.sock"))
    api = connect(kubeconfig(tmp_path, server.url))
    with pytest.raises(ProgramError, match="pods has ended with an error"):
        program.run(chosen, "n1", api)
    assert not (tmp_path / "events.sock").exists()
