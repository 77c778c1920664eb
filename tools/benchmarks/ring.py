"""What it costs the chain to keep the last drops for observers.

The same chain to /dev/null without a ring and with one, in one run, a round of each in turns A B B
A, by processor time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from benchmarks import frames
from benchmarks.chain import batches, chain_into, packet_ins, reported
from benchmarks.report import Figure, Report
from ryu_droplog.config.settings import RingBounds
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.processing.ring import Ring
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.text import File

ROUNDS = 9
DROPS = 12_800
WRITE_TIME = 60.0
"""Seconds that the sink has to write what it was given."""
LONG = 1400
"""Bytes of a long frame, of which the ring keeps the first."""


def run(report: Report, quick: bool) -> None:
    """Measure packets of many flows, of one, of new flows alone, and long ones."""
    section = report.section("ring", "the last drops kept for observers: processor time a drop")
    cases = {
        "TCP, 256 flows": packet_ins("TCP"),
        "mixed": packet_ins("mixed"),
        "one flow": packet_ins("TCP", 1),
        "every flow new": packet_ins("TCP", DROPS),
        "TCP, 1400 bytes": reported(
            [frame.ljust(LONG, b"\0") for frame in frames.of_kind("TCP", frames.VARIETY)]
        ),
    }
    for case, messages in list(cases.items())[: 2 if quick else None]:
        work = batches(messages, DROPS)
        without: list[float] = []
        kept: list[float] = []
        ring = Ring(RingBounds())
        _microseconds(work, ring)  # warm, and a ring that is full
        for _ in range(ROUNDS):
            first, second = _microseconds(work, None), _microseconds(work, ring)
            third, fourth = _microseconds(work, ring), _microseconds(work, None)
            without.append((first + fourth) / 2)
            kept.append((second + third) / 2)
        section.add(
            case,
            chain=Figure.of(without, "µs"),
            with_ring=Figure.of(kept, "µs"),
            ratio=Figure.of([b / a for a, b in zip(without, kept, strict=True)], "times"),
        )


def _microseconds(work: Sequence[Sequence[bytes]], ring: Ring | None) -> float:
    """Microseconds of processor a drop, until the last is written."""
    spec = SinkSpec("lines", "file", options=File.Options(path="/dev/null", encode="opflex"))
    sink = File(spec, SinkContext(threading))
    chain = chain_into([sink], SourceBooks(), ring)
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
