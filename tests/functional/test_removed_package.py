"""The package is upgraded or removed while the program has flows on a switch: nothing stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import copy
from private_ovs import PrivateSwitch

from functional.program import Program, eventually, our_flows, our_meters, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-removed"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]\nlease: {{duration: 600, renew: 1}}\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    copy(folder / "clone")
    pip(
        sys.executable, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / "clone"
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def untouched_venv(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A virtual environment with the package, and with all that it needs."""
    venv = tmp_path_factory.mktemp("venv") / "untouched"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    install(venv, wheel)
    return venv


@pytest.fixture
def venv(untouched_venv: Path, tmp_path: Path) -> Path:
    """A copy, for a test to spoil; its scripts still name the Python of the other."""
    folder = tmp_path / "venv"
    shutil.copytree(untouched_venv, folder, symlinks=True)
    return folder


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    switch.add_bridge(BRIDGE)
    switch.ofctl("add-flow", BRIDGE, "table=0,priority=5,arp,actions=normal")
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def pip(python: str | Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr


def install(venv: Path, wheel: Path) -> None:
    pip(venv / "bin/python", "install", "--no-deps", "--no-index", "--force-reinstall", wheel)
    assert 1 == len(list(venv.glob("lib/python*/site-packages/ryu_droplog")))


def uninstall(venv: Path, wheel: Path) -> None:
    pip(venv / "bin/python", "uninstall", "--yes", "ryu-droplog")
    assert not list(venv.glob("lib/python*/site-packages/ryu_droplog"))


def remove_all(venv: Path, wheel: Path) -> None:
    shutil.rmtree(venv)


HAPPENS = {"upgraded": install, "uninstalled": uninstall, "environment-removed": remove_all}


def cleanup_process(program: Program) -> int:
    """The process that cleans up when the program is killed; 0 when there is none."""
    children = Path(f"/proc/{program.process.pid}/task").glob("*/children")
    found = (int(child) for path in children for child in path.read_text().split())
    return next((child for child in found if is_alive(child)), 0)


def is_alive(process: int) -> bool:
    """Whether it is no zombie (state Z in proc(5))."""
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


@pytest.mark.parametrize("happens", HAPPENS)
@pytest.mark.parametrize("end", ["stopped", "killed", "both-killed-in-turn"])
def test_package_that_goes_while_flows_stand_leaves_nothing(
    switch: PrivateSwitch, bridge: str, venv: Path, wheel: Path, happens: str, end: str
) -> None:
    run = (str(venv / "bin/python"), str(venv / "bin/ryu-droplog"), "run")
    command = (*run, "--config", "{config}")
    with Program(switch, CONFIG, command=command) as program:
        assert [0] == eventually([0], lambda: watched(switch, bridge)), program.said()
        HAPPENS[happens](venv, wheel)
        if end == "both-killed-in-turn":
            first = cleanup_process(program)
            os.kill(first, signal.SIGKILL)
            assert eventually(True, lambda: cleanup_process(program) not in (0, first), 40)
            switch.ofctl("add-flow", bridge, "table=0,priority=6,ip,actions=resubmit(,7)")
            assert [0, 7] == eventually([0, 7], lambda: watched(switch, bridge), 40)
        status = program.end(signal.SIGTERM if end == "stopped" else signal.SIGKILL)
        assert (0 if end == "stopped" else -signal.SIGKILL) == status
        assert ([], []) == eventually(
            ([], []), lambda: (our_flows(switch, bridge), our_meters(switch, bridge))
        ), program.said()
        assert "Traceback" not in program.said()
