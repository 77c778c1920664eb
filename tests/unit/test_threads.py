"""What does not return is not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

STUCK = """
import sys, threading, time
from os_ken.lib import hub
hub.patch()
from ryu_droplog.concurrency.threads import join, start

def forever():
    while True:
        hub.sleep(0.05)

def fails():
    raise ValueError("odd")

began = time.monotonic()
assert join([start(hub.sleep, 0.1), start(fails)], 30)
assert not join([start(forever), start(hub.sleep, 0.1)], 0.5)
took = time.monotonic() - began
assert 0.5 < took < 15, took
print("joined")
"""


HUBS = ["eventlet", "native"][: 2 if version("os-ken") >= "4" else 1]
"""Those that this os-ken has."""


@pytest.mark.parametrize("hub", HUBS)
def test_thread_that_never_ends_holds_up_neither_a_join_nor_the_end(hub: str) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STUCK],
        env={**os.environ, "OSKEN_HUB_TYPE": hub},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "joined\n") == (done.returncode, done.stdout), done.stderr
    assert "fails has ended with an error" in done.stderr
    assert time.monotonic() - began < 30
