"""Memory over many drops through the chain, and what the program costs when nothing is dropped."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from private_ovs import run as execute

from benchmarks import chain
from benchmarks.bed import BRIDGE, bed
from benchmarks.processes import family, processor_seconds, resident_megabytes
from benchmarks.report import Figure, Report

DROPS = 10_000_000
QUICK_DROPS = 1_000_000
VARIETY = 50_000
"""Frames of different addresses and ports: more than any cache of the program holds."""
BACKLOG = 20_000
"""Drops that may wait for the sink, so that it refuses none."""
TIME_LIMIT = 900.0
"""Seconds that the drops may take."""
SECOND_BRIDGE = "br-idle"


def run(report: Report, quick: bool) -> None:
    """Measure in a process of its own, so that nothing else is counted."""
    drops = QUICK_DROPS if quick else DROPS
    section = report.section("memory", f"resident memory over {drops:,} drops through the chain")
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = (sys.executable, "-m", "benchmarks.memory", str(drops))
    done = execute(*command, env=env, timeout=TIME_LIMIT)
    at = {int(count): size for count, size in json.loads(done).items()}
    first, last = drops // 10, drops
    section.add(
        "chain",
        at_the_start=Figure(at[0], "MB"),
        after_a_tenth=Figure(at[first], "MB"),
        at_the_end=Figure(at[last], "MB"),
        growth=Figure(at[last] - at[first], "MB"),
    )


def idle(report: Report, seconds: float) -> None:
    """Measure the program with two bridges attached, and nothing dropped."""
    section = report.section("idle", f"two bridges attached, no drops, over {seconds:g} s")
    with bed() as ready:
        ready.switch.add_bridge(SECOND_BRIDGE)
        with ready.program(meter="default", bridges=(BRIDGE, SECOND_BRIDGE)) as pid:
            time.sleep(2)
            before, begin = processor_seconds(pid), time.monotonic()
            time.sleep(seconds)
            used, passed = processor_seconds(pid) - before, time.monotonic() - begin
            section.add(
                "ryu-droplog run",
                processor=Figure(used / passed * 100, "% of a core"),
                resident=Figure(resident_megabytes(pid), "MB"),
                with_its_children=Figure(sum(map(resident_megabytes, family(pid))), "MB"),
            )


def grow(drops: int) -> dict[int, float]:
    """Send drops through the chain; returns the resident MB after each tenth of them."""
    way = chain.ChainWay("/dev/null")
    messages = chain.packet_ins("mixed", VARIETY)
    work = chain.batches(messages, VARIETY)
    way.take(work[0])
    sizes = {0: resident_megabytes(os.getpid())}
    done = given = 0
    for step in range(1, 11):
        while done < drops * step // 10:
            batch = work[given % len(work)]
            way.take(batch)
            given += 1
            done += len(batch)
            while way.sink.waiting > BACKLOG:
                time.sleep(0.001)
        sizes[drops * step // 10] = resident_megabytes(os.getpid())
    way.close()
    return sizes


if __name__ == "__main__":
    print(json.dumps(grow(int(sys.argv[1]))))
