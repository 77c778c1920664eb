"""The listener is a program of its own: nothing of the switch in it, and it in nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from test_imports import FILES, imports, of_package, read

OURS = [file for file in FILES if file.startswith("k8s_events/")]
MAY_IMPORT = {"concurrency", "config", "k8s_events", "model", "text"}
PURE = ("stream", "rules", "pods", "pending", "event_counters")


@pytest.mark.parametrize(
    "file", [file for file in FILES if not file.startswith(("k8s_events/", "cli/"))]
)
def test_only_the_command_line_knows_the_listener(file: str) -> None:
    assert "k8s_events" not in of_package(imports(read(file)))


@pytest.mark.parametrize("file", OURS)
def test_listener_imports_no_other_stage(file: str) -> None:
    assert of_package(imports(read(file))) <= MAY_IMPORT


@pytest.mark.parametrize("name", PURE)
def test_pure_part_has_no_socket_and_no_client(name: str) -> None:
    roots = {imported.partition(".")[0] for imported in imports(read(f"k8s_events/{name}.py"))}
    assert not roots & {"socket", "selectors", "kubernetes", "urllib3", "signal", "logging"}


def test_listener_loads_neither_os_ken_nor_eventlet_nor_the_switch() -> None:
    script = (
        "import sys, ryu_droplog.k8s_events.program, ryu_droplog.cli\n"
        "print([name for name in sys.modules if name.startswith("
        "('os_ken', 'eventlet', 'kubernetes', 'ryu_droplog.openflow'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert ("[]\n", "") == (done.stdout, done.stderr)
