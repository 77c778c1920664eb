"""A management socket with more room: what is lost, and what a drop costs, beside one without."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bed import SCRIPTS, Bed, Books, bed
from benchmarks.report import Figure, Report

RATE = 60_000
"""Drops a second."""
BURST = 20_000
BURSTS = 3
"""In each round."""
ROUNDS = 5


@dataclass
class _Way:
    """A program to be measured, and what came of it, round by round."""

    name: str
    scripts: Path
    """The folder with its command."""
    keys: dict[str, object]
    cost: list[float] = field(default_factory=list)
    """Microseconds of processor time a drop, at `RATE`."""
    counted: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    overflow: list[int] = field(default_factory=list)
    burst_counted: list[int] = field(default_factory=list)
    burst_lost: list[int] = field(default_factory=list)


def run(
    report: Report, quick: bool, seconds: float, rounds: int | None, beside: Path | None
) -> None:
    """Measure both ways in turns, A B B A; `beside` is the folder of an older revision's tree."""
    section = report.section("room", f"the management socket at {RATE:,} drops/s, and in bursts")
    before = (
        _Way("older revision", beside / ".venv/bin", {})
        if beside is not None
        else _Way("socket_room: 0", SCRIPTS, {"socket_room": 0})
    )
    enlarged = _Way("enlarged", SCRIPTS, {})
    load: list[float] = []
    with bed() as ready:
        for number in range(rounds or (1 if quick else ROUNDS)):
            pair = (before, enlarged) if number % 2 == 0 else (enlarged, before)
            for way in pair:
                load.append(os.getloadavg()[0])
                _measure(ready, way, seconds)
    for way in (before, enlarged):
        section.add(
            way.name,
            a_drop=Figure.of(way.cost, "µs"),
            counted=Figure(sum(way.counted), "packets"),
            lost=Figure(sum(way.lost), "packets"),
            overflow=Figure(sum(way.overflow), "messages"),
            in_bursts=Figure(sum(way.burst_counted), "packets"),
            lost_in_bursts=Figure(sum(way.burst_lost), "packets"),
        )
    ratios = [now / then for then, now in zip(before.cost, enlarged.cost, strict=True)]
    section.add(enlarged.name, ratio=Figure.of(ratios, "times"))
    section.note(
        "a drop: processor time of the program; lost = counted by the switch - lines; ratio: of "
        f"neighbouring runs of {seconds:g} s; load of the machine {min(load):.1f}..{max(load):.1f}"
    )


def _measure(ready: Bed, way: _Way, seconds: float) -> None:
    with ready.program(keys=way.keys, scripts=way.scripts) as pid:
        before, after = _send(ready, pid, int(RATE * seconds), RATE)
        counted, lines = after.counted - before.counted, after.lines - before.lines
        way.counted.append(counted)
        way.lost.append(counted - lines)
        way.overflow.append(after.overflow - before.overflow)
        way.cost.append((after.program - before.program) / max(lines, 1) * 1e6)
        for _ in range(BURSTS):
            before, after = _send(ready, pid, BURST, 0)
            counted, lines = after.counted - before.counted, after.lines - before.lines
            way.burst_counted.append(counted)
            way.burst_lost.append(counted - lines)


def _send(ready: Bed, pid: int, count: int, rate: float) -> tuple[Books, Books]:
    """The counters before and after so many drops."""
    before = ready.books(pid)
    ready.send(count, rate)
    ready.settle()
    return before, ready.books(pid)
