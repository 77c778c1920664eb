"""What it costs the chain to keep the last drops for observers.

The same chain to /dev/null without a ring and with one, in one run, a round of each in turns A B B
A, by processor time.
"""

from __future__ import annotations

from benchmarks import frames
from benchmarks.chain import batches, in_turns, packet_ins, reported
from benchmarks.report import Figure, Report
from ryu_droplog.config.settings import RingBounds
from ryu_droplog.processing.ring import Ring

ROUNDS = 9
DROPS = 12_800
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
        ring = Ring(RingBounds())  # full after the first round
        without, kept = in_turns(batches(messages, DROPS), ROUNDS, ring)
        section.add(
            case,
            chain=Figure.of(without, "µs"),
            with_ring=Figure.of(kept, "µs"),
            ratio=Figure.of([b / a for a, b in zip(without, kept, strict=True)], "times"),
        )
