"""The demonstration: is the story true, does it say so when it is not, and what does it leave."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Runtime

pytestmark = pytest.mark.ovs

WALKTHROUGH = Path(__file__).resolve().parents[2] / "tools" / "walkthrough.py"
AS_TOLD = "All of it happened as told, and everything is cleaned up."
LINE = (
    r"^  \[\d{4}-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d\.\d{6}\] (\[info\] \[ryu_droplog\] )?"
    r"Acc-SEC_GROUP_IN_TABLE MISS  SMAC=0a:58:0a:02:00:e5 .* SRC=10\.2\.0\.229 DST=10\.2\.0\.195 "
    r".* PROTO=TCP .* DPT=80 .* SYN  URGP=0"
)

# Stands in for a program that adds its flow, and ends in good order, but reports no drop.
SILENT = """
import signal, subprocess, sys, time
ofctl = ["ovs-ofctl", "-O", "OpenFlow13"]
def stop(number, frame):
    subprocess.run([*ofctl, "del-flows", "br-access", "cookie=0x4000000000000000/-1"], check=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
flow = "table=4,cookie=0x4000000000000000,priority=0,actions=drop"
subprocess.run([*ofctl, "add-flow", "br-access", flow], check=True)
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


class Stage:
    """A temporary folder that the walk-through works in, and nothing else does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the walk-through."""
        return subprocess.Popen(
            [sys.executable, str(WALKTHROUGH), *arguments],
            env={**(env or os.environ), "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def tell(self, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        """The walk-through's exit status, and what it said."""
        with self.start(*arguments, env=env) as process:
            said, _ = process.communicate(timeout=100)
        return process.returncode, said

    def left_behind(self) -> list[str]:
        """Files in the folder, processes that were started to work in it, links of its guests."""
        traces = [str(path) for path in self.folder.iterdir()]
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.fsencode(f"TMPDIR={self.folder}") in (path / "environ").read_bytes():
                    traces.append((path / "cmdline").read_text())
            except OSError:
                continue  # it ended meanwhile
        for name in ("test-1", "web"):
            places = (Path("/sys/class/net", name), Path("/run/netns", name))
            traces += [str(place) for place in places if place.exists()]
        return traces


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage in a folder with a short name (the path of a Unix socket has 107 bytes at most)."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Stage(Path(folder))


@pytest.mark.datapath
def test_story_told_of_the_program_is_true(stage: Stage, runtime: Runtime) -> None:
    status, said = stage.tell("--program", str(runtime.bin / "ryu-droplog"), env=runtime.env)
    assert (0, AS_TOLD) == (status, said.splitlines()[-1]), said
    expected = [f"Step {number}" for number in range(1, 6)]
    assert expected == re.findall(r"^Step \d", said, re.MULTILINE)
    assert re.search(LINE, said, re.MULTILINE), said
    assert "\033" not in said, "colours without a terminal"
    assert [] == stage.left_behind()


def test_program_that_ends_at_once_makes_the_story_fail(stage: Stage) -> None:
    status, said = stage.tell("--program", "sh -c 'echo no such bridge; exit 3'")
    assert (1, True) == (status, "the program ended by itself (status 3)" in said), said
    assert "\nthe program's log:\nno such bridge\n" in said
    assert [] == stage.left_behind()


def test_program_that_is_not_there_makes_the_story_fail(stage: Stage) -> None:
    status, said = stage.tell("--program", "/nonexistent/ryu-droplog")
    assert (1, True) == (status, "/nonexistent/ryu-droplog" in said), said
    assert "not as told" in said
    assert [] == stage.left_behind()


def test_program_that_writes_no_line_makes_the_story_fail(stage: Stage) -> None:
    script = stage.folder / "silent.py"
    script.write_text(SILENT)
    status, said = stage.tell("--program", f"{sys.executable} {script}")
    assert (1, True) == (status, "a line tells of the dropped SYN" in said), said
    assert [str(script)] == stage.left_behind()


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_story_interrupted_leaves_nothing(
    stage: Stage, number: signal.Signals, expected: int
) -> None:
    idle = f"{sys.executable} -c 'import time; time.sleep(60)'"
    with stage.start("--program", idle) as process:
        assert process.stdout is not None
        while "Step 1" not in (line := process.stdout.readline()):
            assert line, "the story ended before its first step"
        process.send_signal(number)
        assert expected == process.wait(20)
    assert [] == stage.left_behind()


def test_story_that_stays_prints_commands_that_work_from_outside(
    stage: Stage, runtime: Runtime
) -> None:
    program = str(runtime.bin / "ryu-droplog")
    with stage.start("--stay", "--program", program, env=runtime.env) as process:
        assert process.stdout is not None
        said = ""
        while "put it back" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        request = re.search(r"# a request that is let in\n  sudo (.*)\n", said)
        flows = re.search(r"# all flows and their counters\n  sudo (.*)\n", said)
        assert request is not None
        assert flows is not None
        done = outside(request[1]), outside(flows[1])
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert "Hello from web.\n" == done[0]
    assert "table=4" in done[1]
    assert (0, AS_TOLD) == (process.returncode, rest.splitlines()[-1])
    assert [] == stage.left_behind()


def outside(command: str) -> str:
    """What a printed command prints when it is typed into another terminal."""
    shell = ("sh", "-c", f"env {command}")
    return subprocess.run(shell, capture_output=True, text=True, timeout=20, check=False).stdout
