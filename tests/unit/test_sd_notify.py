"""What a service manager hears: from a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from test_cli import COMMAND, PATIENCE, environment, write

from ryu_droplog.concurrency import hubs
from ryu_droplog.runtime.sd_notify import ServiceManager


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(PATIENCE)

    def hear(self) -> str:
        return self._socket.recv(65536).decode()

    def hear_all(self) -> list[str]:
        """What has come and was not yet heard."""
        heard = []
        self._socket.setblocking(False)
        try:
            while True:
                heard.append(self.hear())
        except BlockingIOError:
            return heard
        finally:
            self._socket.settimeout(PATIENCE)

    def hear_until(self, wanted: str) -> list[str]:
        """All up to a message that begins so."""
        heard = [self.hear()]
        while not heard[-1].startswith(wanted):
            heard.append(self.hear())
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with closing(Manager(f"{tmp_path}/notify")) as opened:
        yield opened


def told(tmp_path: Path, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": f"{tmp_path}/notify", **more})


def test_each_state_is_told_as_sd_notify_says(tmp_path: Path, manager: Manager) -> None:
    us = told(tmp_path)
    us.ready("connected to 0 of 1 bridge")
    us.stopping()
    assert "READY=1\nSTATUS=connected to 0 of 1 bridge" == manager.hear()
    assert "STOPPING=1\nSTATUS=taking back what was added" == manager.hear()
    before = time.monotonic_ns() // 1000
    us.reloading()
    state, _, since = manager.hear().partition("\n")
    assert "RELOADING=1" == state
    name, _, microseconds = since.partition("=")
    assert "MONOTONIC_USEC" == name
    assert before <= int(microseconds) <= time.monotonic_ns() // 1000


def test_status_is_told_when_it_changes_and_in_one_line(tmp_path: Path, manager: Manager) -> None:
    us = told(tmp_path)
    us.ready("one")
    for status in ("one", "two", "two", "three\nREADY=1\x1b[31m"):
        us.alive(status)
    assert ["READY=1\nSTATUS=one", "STATUS=two", "STATUS=three READY=1 [31m"] == manager.hear_all()


def test_watchdog_hears_often_enough_and_not_at_every_turn(
    tmp_path: Path, manager: Manager
) -> None:
    us = told(tmp_path, WATCHDOG_USEC="400000", WATCHDOG_PID=str(os.getpid()))
    begin = time.monotonic()
    turns = 0
    while time.monotonic() < begin + 1.0:
        us.alive("")
        turns += 1
        time.sleep(0.002)
    pings = manager.hear_all()
    assert {"WATCHDOG=1"} == set(pings)
    assert 3 <= len(pings) <= 11
    assert turns > len(pings)


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}],
    ids=["none", "of-another-process", "no-number"],
)
def test_watchdog_that_is_not_ours_hears_nothing(
    tmp_path: Path, manager: Manager, environment: dict[str, str]
) -> None:
    told(tmp_path, **environment).alive("")
    assert [] == manager.hear_all()


def test_name_in_the_abstract_namespace_is_an_address() -> None:
    name = f"ryu-droplog-test-{os.getpid()}"
    with closing(Manager(f"\0{name}")) as manager:
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready("")
        assert "READY=1\nSTATUS=" == manager.hear()


@pytest.mark.parametrize(
    ("address", "warned"),
    [("", False), ("relative", True), ("/nowhere/at/all", False), ("vsock:2:1", True)],
)
def test_service_manager_that_cannot_be_told_hinders_nothing(
    address: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    us = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"})
    us.ready("one")
    us.alive("two")
    us.stopping()
    warning = f"NOTIFY_SOCKET: got {address}; expected a path or @name: nothing is sent there"
    assert [warning] * warned == caplog.messages


def test_service_manager_that_does_not_read_is_not_waited_for(
    tmp_path: Path, manager: Manager
) -> None:
    us = told(tmp_path)
    begin = time.monotonic()
    for turn in range(5000):  # far more than a socket's queue takes
        us.alive(f"turn {turn}")
    assert time.monotonic() - begin < PATIENCE
    assert "STATUS=turn 0" == manager.hear()


@pytest.mark.parametrize("hub", hubs.available())
def test_program_tells_of_its_start_its_reloads_and_its_end(
    tmp_path: Path, manager: Manager, hub: str
) -> None:
    path = write(tmp_path, f"bridges: [{{name: br-none}}]\nrun_directory: {tmp_path}\n")
    env = {
        **environment(tmp_path),
        "NOTIFY_SOCKET": f"{tmp_path}/notify",
        "WATCHDOG_USEC": "800000",
        "OSKEN_HUB_TYPE": hub,
    }
    with subprocess.Popen([*COMMAND, "run", "--config", path], env=env) as run:
        try:
            assert ["READY=1\nSTATUS=connected to 0 of 1 bridge"] == manager.hear_until("READY=1")
            manager.hear_until("WATCHDOG=1")
            manager.hear_until("WATCHDOG=1")
            run.send_signal(signal.SIGHUP)
            manager.hear_until("RELOADING=1")
            assert "READY=1\nSTATUS=connected to 0 of 1 bridge" == manager.hear_until("READY=1")[-1]
            write(tmp_path, "bridges: []\n")
            run.send_signal(signal.SIGHUP)
            manager.hear_until("RELOADING=1")
            refused = manager.hear_until("READY=1")[-1]
            assert f"READY=1\nSTATUS=configuration not taken: {path}:" in refused
            run.terminate()
            manager.hear_until("STOPPING=1")
            assert 0 == run.wait(PATIENCE)
        finally:
            run.kill()


def test_main_loop_that_stands_still_is_not_said_to_live(tmp_path: Path, manager: Manager) -> None:
    path = write(tmp_path, f"bridges: [{{name: br-none}}]\nrun_directory: {tmp_path}\n")
    env = {
        **environment(tmp_path),
        "NOTIFY_SOCKET": f"{tmp_path}/notify",
        "WATCHDOG_USEC": "800000",
    }
    with subprocess.Popen([*COMMAND, "run", "--config", path], env=env) as run:
        try:
            manager.hear_until("WATCHDOG=1")
            run.send_signal(signal.SIGSTOP)
            state = Path(f"/proc/{run.pid}/stat")
            while state.read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.01)
            manager.hear_all()
            time.sleep(1.0)
            assert [] == manager.hear_all()
            run.send_signal(signal.SIGCONT)
            manager.hear_until("WATCHDOG=1")
        finally:
            run.kill()
