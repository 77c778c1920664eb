"""A reload that fails anywhere leaves everything as it was; one that does not loses nothing.

See `supervised`, which runs in a process of its own for each hub: every function that a reload
calls fails once, and the bridge, the sinks and the sockets are looked at after each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HUBS = ["eventlet", "native"][: 2 if version("os-ken") >= "4" else 1]
"""Those that this os-ken has."""
FOLDER = Path(__file__).parent
PARTS = 5
"""Into how many tests the functions are divided."""
FEWEST = 50
"""Functions that a reload of everything calls, at the least."""


def supervised(hub: str, *steps: str) -> Any:
    """What is told of these functions; without any, of a reload in which none fails."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "supervised.py", *steps],
        cwd=FOLDER,
        env={**os.environ, "OSKEN_HUB_TYPE": hub},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert 0 == done.returncode, done.stderr[-5000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=HUBS)
def reloaded(request: pytest.FixtureRequest) -> tuple[str, list[str], list[str]]:
    """The hub, what is wrong after a reload of everything, and the functions that it called."""
    wrong, steps = supervised(request.param)
    return request.param, wrong, steps


def test_reload_of_everything_on_the_same_ports_loses_nothing(
    reloaded: tuple[str, list[str], list[str]],
) -> None:
    _, wrong, steps = reloaded
    assert [] == wrong
    assert FEWEST < len(steps)


@pytest.mark.parametrize("part", range(PARTS))
def test_reload_that_fails_at_any_step_leaves_everything_as_it_was(
    reloaded: tuple[str, list[str], list[str]], part: int
) -> None:
    hub, _, steps = reloaded
    wrong = supervised(hub, *steps[part::PARTS])
    assert {} == {step: found for step, found in wrong.items() if found}
