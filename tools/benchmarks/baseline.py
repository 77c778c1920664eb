"""What it costs the chain to look for each drop in the baseline.

The same chain to /dev/null without a baseline and with one of many entries, in one run, a round of
each in turns A B B A, by processor time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from benchmarks.chain import batches, chain_into, packet_ins
from benchmarks.report import Figure, Report
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.records.acknowledged import NOTHING_KNOWN, Baseline, Entry
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.text import File

ROUNDS = 9
DROPS = 12_800
ENTRIES = 1_000
WRITE_TIME = 60.0
"""Seconds that the sink has to write what it was given."""


def run(report: Report, quick: bool) -> None:
    """Measure packets of many flows, mixed ones, and flows that come once."""
    section = report.section("baseline", "drops looked for in the baseline: processor time a drop")
    known = Baseline({f"1:{number:032x}": Entry("known") for number in range(ENTRIES)})
    cases = {
        "TCP, 256 flows": packet_ins("TCP"),
        "mixed": packet_ins("mixed"),
        "every flow new": packet_ins("TCP", DROPS),
    }
    for case, messages in list(cases.items())[: 2 if quick else None]:
        work = batches(messages, DROPS)
        without: list[float] = []
        looked: list[float] = []
        _microseconds(work, known)  # warm
        for _ in range(ROUNDS):
            first, second = _microseconds(work, NOTHING_KNOWN), _microseconds(work, known)
            third, fourth = _microseconds(work, known), _microseconds(work, NOTHING_KNOWN)
            without.append((first + fourth) / 2)
            looked.append((second + third) / 2)
        section.add(
            case,
            without_entries=Figure.of(without, "µs"),
            with_entries=Figure.of(looked, "µs"),
            ratio=Figure.of([b / a for a, b in zip(without, looked, strict=True)], "times"),
        )


def _microseconds(work: Sequence[Sequence[bytes]], baseline: Baseline) -> float:
    """Microseconds of processor a drop, until the last is written."""
    spec = SinkSpec("lines", "file", options=File.Options(path="/dev/null", encode="opflex"))
    sink = File(spec, SinkContext(threading))
    chain = chain_into([sink], SourceBooks(), baseline=baseline)
    sink.start()
    begin = time.process_time()
    for messages in work:
        chain.take(messages, time.time(), time.monotonic())
    left = sink.close(WRITE_TIME)
    took = time.process_time() - begin
    count = sum(map(len, work))
    if left or sink.reading().total().written != count:
        raise RuntimeError(f"{left} of {count} drops were not written")
    return took / count * 1e6
