"""What it costs the chain to look for each drop in the baseline.

The same chain to /dev/null without a baseline and with one of many entries, in one run, a round of
each in turns A B B A, by processor time.
"""

from __future__ import annotations

from benchmarks.chain import batches, in_turns, packet_ins
from benchmarks.report import Figure, Report
from ryu_droplog.records.acknowledged import Baseline, Entry

ROUNDS = 9
DROPS = 12_800
ENTRIES = 1_000


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
        without, looked = in_turns(batches(messages, DROPS), ROUNDS, baseline=known)
        section.add(
            case,
            without_entries=Figure.of(without, "µs"),
            with_entries=Figure.of(looked, "µs"),
            ratio=Figure.of([b / a for a, b in zip(without, looked, strict=True)], "times"),
        )
