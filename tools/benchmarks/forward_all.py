"""All sinks at once, and the same with one whose receiver is dead: what the others lose by it.

The receivers are those of tests/receivers, each a private one on the loopback. What is measured is
how long it takes until all sinks but the one have written everything.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import chain, frames
from benchmarks.into_receiver import AHEAD, PAUSE, QUICK_DROPS, Work, use_receivers
from benchmarks.report import Figure, Report
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.sinks.base import Sink

DROPS = 20_000
ROUNDS = 5
DEAD = "fluent"
"""The one whose receiver is killed."""
CLOSE_TIME = 10.0


def run(report: Report, quick: bool) -> None:
    """Measure both cases, one round of each after the other."""
    use_receivers()
    section = report.section(
        "forward_all", f"forwarding: all sinks at once, and with the receiver of {DEAD} dead"
    )
    venv: Any = import_module("receivers.venv")
    if not venv.VENV.is_dir():
        section.note("left out: tools/test receivers installs them")
        return
    all_sinks: Any = import_module("receivers.all_sinks")
    count, rounds = (QUICK_DROPS, 1) if quick else (DROPS, ROUNDS)
    work = chain.batches(chain.reported(frames.traffic("mixed", count)), count)
    rates: dict[bool, list[float]] = {False: [], True: []}
    costs: dict[bool, list[float]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        all_sinks.Receivers(Path(folder)) as receivers,
    ):
        for _ in range(rounds):
            for dead in (False, True):
                kill, start = receivers.switches[DEAD]
                if dead:
                    kill()
                sinks = receivers.sinks(2 * AHEAD)
                with all_sinks.running(sinks, CLOSE_TIME):
                    seconds, processor = _measure(sinks, work, count)
                if dead:
                    start()
                rates[dead].append(count / seconds)
                costs[dead].append(processor / count * 1e6)
    for dead, name in ((False, "all at work"), (True, f"the receiver of {DEAD} dead")):
        ratios = [a / b for a, b in zip(rates[dead], rates[False], strict=True)]
        section.add(
            name,
            rate=Figure.of(rates[dead], "drops/s"),
            ratio=Figure.of(ratios, "times"),
            processor=Figure.of(costs[dead], "µs"),
        )
    section.note(
        f"one sink of each type that forwards; rate: until all of them but {DEAD} have written the"
        " last drop; ratio: of the rate to that of all at work; processor: of this program, a drop"
    )


def _measure(sinks: Mapping[str, Sink], work: Work, count: int) -> tuple[float, float]:
    """Seconds, and seconds of processor, until all sinks but the one have written all.

    Raises RuntimeError where one of them has lost a drop.
    """
    others = [sink for type, sink in sinks.items() if type != DEAD]
    way = chain.chain_into(list(sinks.values()), SourceBooks())
    begin, processor = time.monotonic(), time.process_time()
    for messages in work:
        way.take(list(messages), time.time(), time.monotonic())
        while any(sink.waiting > AHEAD for sink in others):
            time.sleep(PAUSE)
    while any(sink.written < count for sink in others):
        lost = {sink.name: list(sink.notices) for sink in others if sink.lost}
        if lost:
            raise RuntimeError(f"drops were lost: {lost}")
        time.sleep(PAUSE)
    return time.monotonic() - begin, time.process_time() - processor
