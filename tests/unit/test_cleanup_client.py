"""The program's side of the clean-up process: it is told everything, watched, and replaced."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from switches import BARRIER_REPLY, HELLO, MESSAGES, Switch, hello
from waiting import PATIENCE, eventually

from ryu_droplog.cleanup import cleanup_client
from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.cleanup.cleanup_process import Footprint

THERE = Footprint(flows=2, meters=1, lease=60)
STAYS = "1 meter stays until the next start, ryu-droplog clean, or a restart of ovs-vswitchd"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose paths a socket's address has room for."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def switch(folder: Path) -> Iterator[Switch]:
    made = Switch(folder / "switch")
    yield made
    made.close()


@pytest.fixture
def last(caplog: pytest.LogCaptureFixture) -> Iterator[CleanUpClient]:
    """One whose processes are gone at the end."""
    caplog.set_level(logging.INFO)
    before = children()
    yield CleanUpClient()
    for pid in children() - before:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def children() -> set[int]:
    """The processes that this one has started (proc(5), stat)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            pid, rest = stat.read_text().split(" (", 1)
            if int(rest.rpartition(") ")[2].split()[1]) == os.getpid():
                found.add(int(pid))
    return found


def looks(last: CleanUpClient, caplog: pytest.LogCaptureFixture, text: str) -> bool:
    """Whether this is said in time by one that is watched."""

    def said() -> bool:
        last.look()
        return text in caplog.text

    return eventually(said)


def pid_of(last: CleanUpClient) -> int:
    pid = last.state()["pid"]
    assert isinstance(pid, int)
    return pid


_PROGRAM = """
import logging, os, sys, time
from ryu_droplog.cleanup.cleanup_process import Footprint
from ryu_droplog.cleanup.cleanup_client import CleanUpClient
logging.basicConfig(level=logging.INFO, format="%(message)s")
last = CleanUpClient()
last.write("br-int", sys.argv[1], bytes.fromhex(sys.argv[2]), Footprint(2, 1, 0, 60))
if sys.argv[3] == "taken back":
    last.write("br-int", sys.argv[1], b"")
print("written", flush=True)
if sys.argv[3] != "killed":
    sys.exit(0 if last.close() else 1)
time.sleep(60)
"""


def the_program(
    switch: Switch, end: str, hub: str = "native", *, errors: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    """A program that ends so, when it has told its clean-up process of a switch."""
    address = str(switch.address)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, address, MESSAGES.hex(), end],
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, "OSKEN_HUB_TYPE": hub},
        text=True,
    )


def await_written(program: subprocess.Popen[str]) -> None:
    """Wait until its clean-up process is told; os-ken 3 may have a word to say before."""
    assert program.stdout is not None
    assert "written\n" in iter(program.stdout.readline, "")


@pytest.mark.parametrize("hub", ["native", "eventlet"])
@pytest.mark.parametrize("end", ["killed", "closed", "taken back"])
def test_program_that_ends_is_cleaned_up_after_unless_it_did_it_itself(
    switch: Switch, end: str, hub: str
) -> None:
    program = the_program(switch, end, hub)
    await_written(program)
    if end == "killed":
        time.sleep(0.2)
        assert 0 == switch.come
        program.kill()
    program.communicate(timeout=PATIENCE)
    if end == "taken back":
        time.sleep(0.2)
        assert 0 == switch.come
    else:
        assert eventually(lambda: switch.told == [MESSAGES])
    assert (-signal.SIGKILL if end == "killed" else 0) == program.returncode


@pytest.mark.parametrize("end", ["killed", "closed"])
def test_reader_of_the_programs_output_does_not_wait_for_the_clean_up(
    folder: Path, end: str
) -> None:
    """As in `ryu-droplog run 2>&1 | cat`, while the switch hangs."""
    mute = Switch(folder / "mute", None)
    program = the_program(mute, end, errors=subprocess.STDOUT)
    await_written(program)
    if end == "killed":
        program.kill()
    program.communicate(timeout=PATIENCE / 2)
    assert eventually(lambda: mute.come > 0)
    mute.close()


@pytest.mark.parametrize("end", ["killed", "closed"])
def test_file_of_the_programs_errors_tells_how_the_clean_up_went(folder: Path, end: str) -> None:
    slow = Switch(folder / "slow", (hello(1),), (hello(1),), (HELLO, BARRIER_REPLY))
    with (folder / "errors").open("w") as errors:
        program = the_program(slow, end, errors=errors.fileno())
    await_written(program)
    if end == "killed":
        program.kill()
    program.communicate(timeout=PATIENCE)
    said = (folder / "errors").read_text
    assert eventually(lambda: "br-int: the clean-up process cleaned up 2 flows, 1 meter" in said())
    trouble = "br-int: not yet cleaned up: 2 flows, 1 meter (the bridge does not speak OpenFlow 1.3"
    assert 1 == said().count(trouble)


def test_process_that_was_killed_is_replaced_soon_and_the_new_one_knows_everything(
    last: CleanUpClient, switch: Switch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = Switch(folder / "second")
    last.write("br-0", str(switch.address), MESSAGES, THERE)
    last.write("br-1", str(second.address), MESSAGES, THERE)
    first = pid_of(last)
    os.kill(first, signal.SIGKILL)
    assert looks(last, caplog, f"the clean-up process ({first}) has ended: another is started now")
    assert first != pid_of(last)
    assert {"pid": pid_of(last), "needed": True, "restarts": 1} == last.state()
    assert last.close()
    assert eventually(lambda: [switch.told, second.told] == [[MESSAGES]] * 2)
    assert "br-1: the clean-up process cleaned up 2 flows, 1 meter" in caplog.text


def test_process_that_dies_again_and_again_is_started_ever_more_seldom(
    last: CleanUpClient,
    switch: Switch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ryu_droplog.cleanup.cleanup_client._PYTHON", "/bin/false")
    last.write("br-int", str(switch.address), MESSAGES, THERE)
    assert looks(last, caplog, "another is started in 2 s")
    assert 1 == caplog.text.count("another is started now")
    assert 1 == caplog.text.count("another is started in 1 s")
    assert last.state()["pid"] is None
    assert not last.close()
    assert 4 >= last.state()["restarts"]
    lost = "could not clean up 2 flows, 1 meter (the clean-up process does not run)"
    assert f"br-int: the clean-up process {lost}: 2 flows end by themselves" in caplog.text


def test_process_that_cannot_be_started_is_said_and_tried_again(
    last: CleanUpClient,
    switch: Switch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ryu_droplog.cleanup.cleanup_client._PYTHON", "/nowhere/python")
    last.write("br-int", str(switch.address), MESSAGES, THERE)
    why = "cannot be started (No such file or directory): next try in"
    assert 1 == caplog.text.count(f"the clean-up process {why} 1 s")
    monkeypatch.undo()
    assert eventually(lambda: [last.look(), last.state()["pid"]][1] is not None)
    assert last.close()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_process_that_hangs_is_replaced_and_cleans_nothing_when_it_wakes_up(
    last: CleanUpClient,
    switch: Switch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cleanup_client, "PING_TIME", 0.1)
    monkeypatch.setattr(cleanup_client, "HANG_TIME", 2.0)
    last.write("br-int", str(switch.address), MESSAGES, THERE)
    first = pid_of(last)
    os.kill(first, signal.SIGSTOP)
    assert looks(last, caplog, f"the clean-up process ({first}) does not answer for 2 s")
    assert first not in children()
    assert 0 == switch.come
    assert last.close()


def test_process_that_is_stopped_and_has_nothing_to_do_is_not_left_behind(
    last: CleanUpClient, switch: Switch
) -> None:
    last.write("br-int", str(switch.path), MESSAGES, THERE)
    pid = last.state()["pid"]
    os.kill(pid, signal.SIGSTOP)
    last.write("br-int", None, b"")
    assert last.close()
    assert eventually(lambda: pid not in children() or os.waitpid(pid, os.WNOHANG)[0] == pid)
    assert 0 == switch.come


def test_process_that_hangs_keeps_nobody_waiting_who_writes_much(
    last: CleanUpClient, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than the socket to it holds: the rest is kept, and sent when it goes on."""
    monkeypatch.setattr(cleanup_client, "WRITE_TIME", 0.3)
    last.write("br-int", str(switch.address), MESSAGES, THERE)
    first = pid_of(last)
    os.kill(first, signal.SIGSTOP)
    much = HELLO * 500_000
    began = time.monotonic()
    last.write("br-int", str(switch.address), much, THERE)
    assert 5 > time.monotonic() - began
    os.kill(first, signal.SIGCONT)
    last.write("br-int", str(switch.address), MESSAGES, THERE)
    assert last.close()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_bridge_is_cleaned_while_the_program_goes_on(
    last: CleanUpClient, switch: Switch, caplog: pytest.LogCaptureFixture
) -> None:
    last.write("br-int", str(switch.address), MESSAGES, THERE)
    last.carry_out("br-int")
    last.carry_out("another")
    assert looks(last, caplog, "br-int: the clean-up process cleaned up 2 flows, 1 meter")
    assert not last.state()["needed"]
    assert last.close()
    assert 1 == switch.come


def test_switch_that_hangs_holds_up_the_end_for_a_moment_and_is_named(
    last: CleanUpClient, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mute = Switch(folder / "mute", None)
    last.write("br-int", str(mute.address), MESSAGES, THERE)
    process = pid_of(last)
    began = time.monotonic()
    assert not last.close()
    assert 5 > time.monotonic() - began
    assert (
        "br-int: not yet cleaned up: 2 flows, 1 meter (no answer yet); the clean-up process keeps "
        "trying for 60 s. Failing that, 2 flows end by themselves within "
    ) in caplog.text
    assert STAYS in caplog.text
    assert process in children()


def test_bridge_that_is_not_there_leaves_nothing(
    last: CleanUpClient, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last.write("br-int", str(folder / "never"), MESSAGES, THERE)
    assert last.close()
    assert "br-int: the bridge is not there" in caplog.text
    assert "WARNING" not in caplog.text


def test_bridge_to_which_there_is_no_way_is_named(
    last: CleanUpClient, caplog: pytest.LogCaptureFixture
) -> None:
    last.write("br-int", None, MESSAGES, THERE)
    last.write("br-int", None, None, Footprint(1, 1, 0, 60))
    assert not last.close()
    why = "it cannot be reached: it connects to the program"
    assert f"could not clean up 1 flow, 1 meter ({why}): 1 flow ends by itself" in caplog.text
    assert STAYS in caplog.text


def test_nothing_written_starts_no_process_and_can_be_closed(last: CleanUpClient) -> None:
    before = children()
    last.write("br-int", "/nowhere", b"")
    last.write("br-int", "/nowhere", None, THERE)
    last.look()
    assert last.close()
    assert before == children()
