"""One loud flow beside rare drops of the same table: how many of these are logged, and the cost.

Floods from random sources beside it: whether they make the switch's datapath thrash.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from private_ovs import in_netns, stop_process

from benchmarks import frames, sender
from benchmarks.bed import BRIDGE, SCRIPTS, SENDER, Bed, bed
from benchmarks.report import Figure, Report

RATE = 20_000
"""Packets a second of the flood."""
RARE_RATE = 24
"""Other drops a second, of the same table."""
RARE = 100
"""How many of these, from `HEAD_START` on."""
HEAD_START = 2.0
"""Seconds for which the flood may hide them."""
SEED = 12
"""Of random frames."""
KINDS = (
    ("one flow", 0.0),
    ("nine tenths one flow", 0.1),
    ("random", 1.0),
)
"""The floods, and which part of each has addresses and ports at random, none twice."""
ROUNDS = 3
LOOK = 0.25
"""Seconds between two looks at the datapath's flows."""
_RARE_GUEST = "rare"
_FIRST_RARE = 5000
_RARE_LINE = re.compile(r"SRC=10\.2\.19\.")
"""Of frames with numbers from `_FIRST_RARE` on."""
_MISSES = re.compile(r"missed:(\d+)")
_DATAPATH_FLOWS = re.compile(r"flows: (\d+)")


@dataclass
class _Way:
    """A program to be measured in one kind of flood, and what came of it, round by round."""

    name: str
    scripts: Path
    """The folder with its command."""
    keys: Mapping[str, object]
    rare: list[int] = field(default_factory=list)
    flows: list[int] = field(default_factory=list)
    misses: list[float] = field(default_factory=list)
    switch: list[float] = field(default_factory=list)
    program: list[float] = field(default_factory=list)


def run(report: Report, rounds: int | None, beside: Path | None) -> None:
    """Measure both ways in turns, A B B A; `beside` is the folder of an older revision's tree."""
    section = report.section(
        "flood", f"a flood of {RATE:,}/s and {RARE_RATE} other drops a second of the same table"
    )
    with bed() as ready:
        ready.switch.guest(_RARE_GUEST, BRIDGE)
        for kind, share in KINDS:
            before = (
                _Way("older revision", beside / ".venv/bin", {})
                if beside is not None
                else _Way("storm off", SCRIPTS, {"storm": {"enable": False}})
            )
            pair = [before, _Way("stepping aside", SCRIPTS, {})]
            for _ in range(rounds or ROUNDS):
                for way in pair:
                    _round(ready, share, way)
                pair.reverse()
            for way in sorted(pair, key=lambda way: way is not before):
                section.add(
                    f"{kind}, {way.name}",
                    rare=Figure.of(way.rare, "logged"),
                    datapath_flows=Figure.of(way.flows, "at most"),
                    misses=Figure.of(way.misses, "a second"),
                    switch=Figure.of(way.switch, "% of a core"),
                    program=Figure.of(way.program, "% of a core"),
                )
    section.note(
        f"rare: logged of {RARE} that came from {HEAD_START:g} s after the flood's begin on"
    )
    section.note("misses: upcalls for packets without a datapath flow; switch: of ovs-vswitchd")


def _round(ready: Bed, share: float, way: _Way) -> None:
    flood_time = HEAD_START + RARE / RARE_RATE + 1
    # None is sent twice: each is new to the datapath.
    scattered = frames.distinct(int(RATE * share * flood_time), SEED)
    rare = [frames.tcp(_FIRST_RARE + number) for number in range(RARE)]
    program = ready.program(meter="default", keys=way.keys, scripts=way.scripts)
    with program as pid, ExitStack() as floods:
        for sent, rate in (([frames.tcp(0)], RATE * (1 - share)), (scattered, RATE * share)):
            if rate:
                count = int(rate * flood_time)
                floods.enter_context(_sending(ready, SENDER, sent, count, rate))
        time.sleep(HEAD_START)
        before, missed = ready.books(pid), _number(ready, _MISSES)
        flows, began = [0], time.monotonic()
        with _sending(ready, _RARE_GUEST, rare, RARE, RARE_RATE) as sending:
            while sending.poll() is None:
                time.sleep(LOOK)
                flows.append(_number(ready, _DATAPATH_FLOWS))
        took = time.monotonic() - began
        after, missed = ready.books(pid), _number(ready, _MISSES) - missed
        ready.settle()
        way.rare.append(len(_RARE_LINE.findall(ready.log.read_text())))
        way.flows.append(max(flows))
        way.misses.append(missed / took)
        way.switch.append((after.switch - before.switch) / took * 100)
        way.program.append((after.program - before.program) / took * 100)


@contextmanager
def _sending(
    ready: Bed, guest: str, sent: Sequence[bytes], count: int, rate: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Send so many frames, `rate` a second, until the end of the block at the latest."""
    path = ready.switch.folder / f"frames-{guest}-{len(sent)}"
    path.write_bytes(sender.pack(list(sent)))
    words = (sys.executable, "-S", sender.__file__, "eth0", str(count), str(rate), str(path))
    process = ready.switch.start(None, *in_netns(guest, *words))
    try:
        yield process
    finally:
        stop_process(process)


def _number(ready: Bed, pattern: re.Pattern[str]) -> int:
    found = pattern.search(ready.switch.appctl("dpctl/show"))
    return int(found[1]) if found else 0
