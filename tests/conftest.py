"""What all tests share: the private switch, and the environments the program must run in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
sys.path.insert(0, str(ROOT / "tools"))  # private_ovs is shared with the demonstration

# No test may depend on what the machine has in /etc/ryu-droplog: empty stands for no file.
os.environ["RYU_DROPLOG_CONFIG"] = ""

from private_ovs import KERNEL, CommandError, PrivateSwitch, enter_private_namespaces  # noqa: E402

WANTED = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ip", "ethtool", "setpriv")
"""Commands without which no test marked `ovs` can run."""

SELDOM_HAD = {
    "browser": (
        "a browser; there is no chromium on the PATH",
        lambda: shutil.which("chromium") is not None,
    ),
    "kube": (
        "a Kubernetes API server; KUBEBUILDER_ASSETS is not set (a folder with kube-apiserver and"
        " etcd)",
        lambda: bool(os.environ.get("KUBEBUILDER_ASSETS")),
    ),
    "kernel_switch": (
        "the kernel's datapath; the module openvswitch is not loaded (modprobe openvswitch);"
        " tools/kernel-vm runs them in a virtual machine",
        lambda: Path("/sys/module/openvswitch").is_dir(),
    ),
}
"""Marker -> what its tests need and why it is not here, whether it is."""

LONGEST = (
    "functional/test_demo.py",
    "functional/test_removed_package.py",
    "functional/test_clean_up.py",
    "functional/test_trouble.py",
    "functional/test_reload.py",
    "functional/test_listen.py",
    "functional/test_status.py",
    "functional/test_osken_manager.py",
    "functional/test_two_runs.py",
    "functional/test_story.py",
    "functional/test_hostile_southbound.py",
    "functional/test_service.py",
    "owners/test_neutron.py",
    "functional/test_private_ovs.py",
    "fuzz/test_fuzz_peer.py",
    "fuzz/test_fuzz_prune.py",
    "fuzz/test_fuzz_control.py",
)
"""Files that take half a minute and more, the longest first.

Beside others they begin before all that is short, or the end of a run has one of them alone.
"""

_switches = pytest.StashKey[PrivateSwitch]()
_left_out = pytest.StashKey[dict[str, int]]()
_hindrance = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need what this machine may not have; begin with the long files."""
    if hasattr(config, "workerinput"):  # a process of pytest-xdist: all must have the same order
        ranks = {ROOT / "tests" / name: rank for rank, name in enumerate(LONGEST)}
        items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))
    counts = config.stash.setdefault(_left_out, {})
    for mark, (needed, is_here) in SELDOM_HAD.items():
        left_out = [item for item in items if item.get_closest_marker(mark)]
        if left_out and not is_here():
            counts[needed] = len(left_out)
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workeroutput"):  # of a process of pytest-xdist, for the first one
        config.workeroutput["left_out"] = counts


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of pytest-xdist tells at its end; without it there is no such hook."""
    node.config.stash[_left_out] = node.workeroutput.get("left_out", {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out, and why."""
    for needed, count in config.stash.get(_left_out, {}).items():
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"left out: {tests} with {needed}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Go into private namespaces before the first test, when a test marked `ovs` will run."""
    config = session.config
    chosen = any(item.get_closest_marker("ovs") for item in session.items)
    if not chosen or config.option.collectonly:
        return
    missing = [command for command in WANTED if shutil.which(command) is None]
    if os.geteuid() != 0:
        config.stash[_hindrance] = "needs root: run sudo tools/test"
    elif missing:
        config.stash[_hindrance] = f"needs {', '.join(missing)}: run sudo tools/test"
    else:
        try:
            enter_private_namespaces()
        except (PermissionError, CommandError) as error:
            config.stash[_hindrance] = f"needs private namespaces: {error}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test marked `ovs`, rather than skip it, where it cannot run."""
    hindrance = item.config.stash.get(_hindrance, None)
    if hindrance is not None and item.get_closest_marker("ovs"):
        pytest.fail(hindrance, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the daemons' logs with a failed test that used the switch."""
    report = yield
    switch = item.config.stash.get(_switches, None)
    if report.failed and switch is not None and "switch" in getattr(item, "fixturenames", ()):
        report.sections.append(("Open vSwitch", switch.logs()))
    return report


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sinks that forward try again at once, or nearly."""
    monkeypatch.setattr("ryu_droplog.sinks.forwarding.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("ryu_droplog.sinks.forwarding.LONGEST_PAUSE", 0.05)


@pytest.fixture(scope="module")
def switch(request: pytest.FixtureRequest) -> Iterator[PrivateSwitch]:
    """A running private Open vSwitch without bridges, one for each module."""
    with PrivateSwitch() as started:
        request.config.stash[_switches] = started
        yield started
        del request.config.stash[_switches]


@dataclass(frozen=True)
class Runtime:
    """An environment that the program must run in."""

    name: str
    python: Path
    """Its Python interpreter."""
    bin: Path
    """The folder of its scripts: `ryu-droplog`, `osken-manager`."""
    env: dict[str, str]
    """The whole environment for a program that runs in it."""


RUNTIMES = {
    "osken4-native": (".venv", "native"),
    "osken4-eventlet": (".venv", "eventlet"),
    "osken3": (".venv-osken3", None),
}
"""Name -> virtual environment in the checkout, value of OSKEN_HUB_TYPE (os-ken 3 has none)."""
if KERNEL:  # what differs there is the switch, and an emulated machine has time for one of them
    RUNTIMES = {"osken4-native": RUNTIMES["osken4-native"]}


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each environment that the program must run in, one after the other.

    Its scope keeps a module's tests of one environment together, so that a program which is
    started by a fixture of the same scope can serve them all.
    """
    venv, hub_type = RUNTIMES[request.param]
    scripts = ROOT / venv / "bin"
    python = scripts / "python"
    if not python.exists():
        pytest.fail(f"{python}: no such file: run tools/test", pytrace=False)
    env = {name: value for name, value in os.environ.items() if name != "OSKEN_HUB_TYPE"}
    env["PATH"] = f"{scripts}:{env.get('PATH', os.defpath)}"
    if hub_type is not None:
        env["OSKEN_HUB_TYPE"] = hub_type
    return Runtime(request.param, python, scripts, env)
