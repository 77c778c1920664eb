"""The time of day is set while drops come: what is measured does not notice, what is written does.

A library that is compiled here and preloaded (set_clock.c) sets it for the program alone.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from private_ovs import PrivateSwitch, run, send_frame

from .books import OPEN_METER, total
from .packets import syn
from .program import Program, eventually, watched

pytestmark = pytest.mark.ovs

SOURCE = Path(__file__).with_name("set_clock.c")
LEASE = 3
"""Seconds, the shortest: a renewal that is late leaves the bridge unwatched."""
STEPS = (-300, -3600, 86400, -86400)
"""Seconds by which the clock is set, one after the other."""
_REPEATED = re.compile(r" REPEATED=(\d+)$")
_STAMP = re.compile(r"^\[([^]]+)\] ", re.MULTILINE)


class WallClock:
    """The time of day of a program that is started with `env`."""

    def __init__(self, folder: Path) -> None:
        assert shutil.which("cc"), "needs a C compiler: run sudo tools/test"
        library = folder / "set_clock.so"
        run("cc", "-shared", "-fPIC", "-O", "-o", str(library), str(SOURCE), "-ldl")
        self._file = folder / "offset"
        self._offset = 0
        self.set(0)
        self.env = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "CLOCK_OFFSET_FILE": str(self._file),
            "TZ": "UTC",
        }

    def set(self, step: int) -> None:
        """Set it, by so many seconds."""
        self._offset += step
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(self._offset))
        fresh.rename(self._file)

    def now(self) -> float:
        return time.time() + self._offset


def stood_for(program: Program) -> int:
    """How many drops the lines tell of."""
    repeated = [_REPEATED.search(line) for line in program.lines()]
    return sum(int(found[1]) if found else 1 for found in repeated)


def last_stamp(program: Program) -> float:
    """Seconds since the epoch, of the last line."""
    text = _STAMP.findall(program.output.read_text())[-1]
    return datetime.strptime(f"{text} +0000", "%Y-%b-%d %H:%M:%S.%f %z").timestamp()


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a guest, and no flow of anyone's."""
    name = "br-clock"
    switch.add_bridge(name)
    switch.guest("one", name)
    yield name
    switch.vsctl("del-br", name)


@pytest.mark.timeout(180)
def test_clock_set_in_both_directions_silences_nothing(
    switch: PrivateSwitch, bridge: str, tmp_path: Path
) -> None:
    clock = WallClock(tmp_path)
    config = f"bridges: [{{name: {bridge}}}]\n{OPEN_METER}\nthrottle: {{window: 2s}}"
    config += f"\nlease: {{duration: {LEASE}, renew: 1}}"
    with Program(switch, config, env=clock.env) as program:
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        for number, step in enumerate(STEPS):
            before, came = 20 * number, 20 * (number + 1)
            send_frame("one", "eth0", syn(), count=10)
            assert before + 10 == eventually(
                before + 10, lambda: total(program, bridge)["received"]
            )
            clock.set(step)
            set_at = time.monotonic()
            send_frame("one", "eth0", syn(), count=10)
            assert came == eventually(came, lambda: stood_for(program)), f"set by {step} s"
            assert 60 > abs(last_stamp(program) - clock.now()), "the new time of day is written"
            book = total(program, bridge)
            assert (came, 0) == (book["received"], book["waiting"])
            time.sleep(max(0.0, set_at + 2 * LEASE - time.monotonic()))
            assert [0] == watched(switch, bridge), "the leases are renewed"
        assert any("REPEATED" in line for line in program.lines())
        assert 0 == program.end()
