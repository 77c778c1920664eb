"""The mininet lab of the README: its commands are typed as they stand there, with real mininet."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from private_ovs import PrivateSwitch
from readme import blocks, pattern

from functional.program import BIN, eventually, our_meters, watched

pytestmark = pytest.mark.ovs

HEADING = "In a mininet lab"
PROMPT = "mininet> "
PATIENCE = 60.0
OWN_PROCESSES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""For mininet, which tidies up by names of processes."""


class Terminals:
    """Two terminals of a user who may call sudo, on a machine whose Open vSwitch is ours."""

    def __init__(self, switch: PrivateSwitch, folder: Path) -> None:
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir()
        # The user is root already, and sudo would not let OVS_RUNDIR through.
        (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (tools / "sudo").chmod(0o755)
        path = f"{tools}:{BIN}:{os.environ.get('PATH', os.defpath)}"
        self._env = {**switch.env, "PATH": path}
        self._open: list[subprocess.Popen[str]] = []

    def type(self, command: str, output: IO[str], *around: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own; `around` is a command that runs it."""
        process = subprocess.Popen(
            [*around, "sh", "-c", f"exec {command}"],
            cwd=self.folder, env=self._env, start_new_session=True,
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._open.append(process)
        return process

    def close(self) -> None:
        for process in self._open:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(
    params=[
        pytest.param(0, id="kernel", marks=pytest.mark.kernel_switch),
        pytest.param(1, id="userspace"),
    ]
)
def walk(request: pytest.FixtureRequest) -> Iterator[tuple[str, PrivateSwitch]]:
    """The command that makes the lab, and the switch that it finds."""
    kernel = request.param == 0
    with PrivateSwitch(kernel=kernel) as switch:
        yield blocks(HEADING)[request.param].strip(), switch


def test_mininet_lab_of_the_readme_shows_the_lines_of_the_readme(
    walk: tuple[str, PrivateSwitch], tmp_path: Path
) -> None:
    make_lab, switch = walk
    if shutil.which("mn") is None:
        pytest.fail("mn (mininet) is not installed: run sudo tools/test", pytrace=False)
    _, _, config, run, typed, shown = blocks(HEADING)
    # Only the place of locks and sockets is another: those of the machine are not ours.
    (tmp_path / "lab.yaml").write_text(f"{config}run_directory: {tmp_path}/run\n")
    terminals = Terminals(switch, tmp_path)
    try:
        with (tmp_path / "lab").open("w") as lab_says, (tmp_path / "lines").open("w") as lines:
            lab = terminals.type(make_lab, lab_says, *OWN_PROCESSES)
            assert lab.stdin is not None
            said = (tmp_path / "lab").read_text
            assert eventually(True, lambda: PROMPT in said(), PATIENCE), said()
            program = terminals.type(run.strip(), lines)
            errors = (tmp_path / "lines").read_text
            for bridge in ("s1", "s2"):
                assert [0] == eventually([0], lambda: watched(switch, bridge), PATIENCE), errors()  # noqa: B023
            for number, line in enumerate(typed.splitlines(), 2):
                assert line.startswith(PROMPT)
                lab.stdin.write(f"{line.removeprefix(PROMPT)}\n")
                lab.stdin.flush()
                assert number == eventually(number, lambda: said().count(PROMPT), PATIENCE)
            for line in shown.splitlines():
                wanted = pattern(line)
                found = eventually(True, lambda: any(map(wanted.fullmatch, errors().splitlines())))  # noqa: B023
                assert found, f"{line}\nis not in\n{errors()}"
            os.killpg(program.pid, signal.SIGINT)  # Ctrl-C
            assert 0 == program.wait(PATIENCE)
            assert ([], []) == (watched(switch, "s1"), our_meters(switch, "s1"))
            lab.stdin.write("exit\n")
            lab.stdin.flush()
            assert 0 == lab.wait(PATIENCE)
    finally:
        terminals.close()
