"""The whole way on a real switch: frames in, lines out, and what was lost in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from benchmarks.bed import Bed, bed
from benchmarks.processes import resident_megabytes
from benchmarks.report import Figure, Report, Section

RATES = (20_000, 40_000, 60_000)
"""Frames a second."""
BURST = 20_000
BURSTS = 3

_ANY_FLOW = "cookie=0/0"


def run(report: Report, quick: bool, seconds: float) -> None:
    """Measure each way of connecting, and the usual kind of application, at each rate."""
    section = report.section("live", "on a private switch: userspace datapath, no meter in the way")
    memory = report.section("live memory", "resident memory of the program, before and after")
    with bed() as ready:
        for name, program, flows in _contestants(ready, section, quick):
            with program as pid:
                before = resident_megabytes(pid)
                for rate in RATES[1:2] if quick else RATES:
                    _measure(
                        section, ready, f"{name}, {rate:,}/s", pid, flows, int(rate * seconds), rate
                    )
                for number in range(1 if quick else BURSTS):
                    _measure(section, ready, f"{name}, burst {number + 1}", pid, flows, BURST, 0)
                memory.add(
                    name,
                    before=Figure(before, "MB"),
                    after=Figure(resident_megabytes(pid), "MB"),
                )
    section.note(
        "offered by the sender; counted by the switch's flow (what is missing there never came "
        "through the datapath's own input); lost = counted - lines; shares of a core are of "
        "the time until the last line was written"
    )


def _contestants(
    ready: Bed, section: Section, quick: bool
) -> Iterator[tuple[str, AbstractContextManager[int], str | None]]:
    yield "management socket", ready.program(), None
    if ready.knows("service"):
        yield "service", ready.program("service"), None
    else:
        section.note("connect: service is not available in this version")
    yield "usual application", ready.usual_application(), _ANY_FLOW


def _measure(
    section: Section, ready: Bed, case: str, pid: int, flows: str | None, count: int, rate: float
) -> None:
    selected = (flows,) if flows else ()
    before = ready.books(pid, *selected)
    begin = time.monotonic()
    sent = ready.send(count, rate)
    seconds = max(sent.seconds, ready.settle() - begin)
    after = ready.books(pid, *selected)
    counted, lines = after.counted - before.counted, after.lines - before.lines
    figures = {
        "offered": Figure(sent.frames / sent.seconds, "frames/s"),
        "counted": Figure(counted, "packets"),
        "lines": Figure(lines, "lines"),
        "lost": Figure(counted - lines, "packets"),
        "overflow": Figure(after.overflow - before.overflow, "messages"),
        "a_line": Figure((after.program - before.program) / max(lines, 1) * 1e6, "µs"),
    }
    if rate:  # a burst is over before a hundredth of a second can be told
        figures |= {
            "program": Figure((after.program - before.program) / seconds * 100, "% of a core"),
            "switch": Figure((after.switch - before.switch) / seconds * 100, "% of a core"),
            "sender": Figure(sent.processor / sent.seconds * 100, "% of a core"),
        }
    section.add(case, **figures)
