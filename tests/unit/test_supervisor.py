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

import pytest

HUBS = ["eventlet", "native"][: 2 if version("os-ken") >= "4" else 1]
"""Those that this os-ken has."""
FOLDER = Path(__file__).parent
PARTS = 4
FEWEST = 10
"""Functions that a part of the test has fail, at the least."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("hub", HUBS)
def test_reload_that_fails_at_any_step_leaves_everything_as_it_was(hub: str, part: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "supervised.py", str(part), str(PARTS)],
        cwd=FOLDER,
        env={**os.environ, "OSKEN_HUB_TYPE": hub},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert 0 == done.returncode, done.stderr[-5000:]
    wrong = json.loads(done.stdout)
    assert {} == {step: found for step, found in wrong.items() if found}, done.stderr[-5000:]
    assert FEWEST < len(wrong)
