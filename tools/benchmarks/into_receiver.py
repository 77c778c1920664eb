"""What the measurements of forwarding sinks share: drops through a sink, and the table of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import chain, frames
from benchmarks.report import Figure, Section
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext

DROPS, QUICK_DROPS = 40_000, 10_000
ROUNDS = 3
AHEAD = 50_000
"""Drops that wait for the sink at most: the chain is held back, so that nothing is refused."""
PAUSE = 0.01
"""Seconds between two looks at how far the sinks are."""

Work = Sequence[Sequence[bytes]]
Way = Callable[[Work], tuple[float, float]]
"""From batches of PacketIns to the seconds that passed, and those of processor."""


def use_receivers() -> None:
    """Make tests/receivers importable, as `receivers`."""
    tests = str(Path(__file__).resolve().parents[2] / "tests")
    if tests not in sys.path:
        sys.path.insert(0, tests)


def make(type: str, kind: Callable[..., Sink] | None = None, **keys: object) -> Sink:
    """A sink of a type, with a queue that holds what is measured; `kind` makes it."""
    options = SINKS.get(type).Options.model_validate(keys)
    spec = SinkSpec("bench", type, queue=QueueSpec(2 * AHEAD), options=options)
    made: Sink = (kind or SINKS.get(type))(spec, SinkContext(threading, node="node-1"))
    return made


def through(work: Work, *sinks: Sink) -> tuple[float, float]:
    """Seconds, and seconds of processor, from the first PacketIn to the last drop written.

    Raises RuntimeError where a sink has not written all.
    """
    count = sum(map(len, work))
    way = chain.chain_into(sinks, SourceBooks())
    for sink in sinks:
        sink.start()
    begin, processor = time.monotonic(), time.process_time()
    for messages in work:
        way.take(list(messages), time.time(), time.monotonic())
        while any(sink.waiting > AHEAD for sink in sinks):
            time.sleep(PAUSE)
    while any(sink.written + sink.lost < count for sink in sinks):  # a spool outlives its sink
        time.sleep(PAUSE)
    took = time.monotonic() - begin, time.process_time() - processor
    for sink in sinks:
        left = sink.close(chain.WRITE_TIME)
        if left or sink.written != count:
            told = list(sink.notices)
            raise RuntimeError(f"{sink.name}: {sink.written} of {count} drops were written: {told}")
    return took


def measure(
    section: Section,
    ways: Mapping[str, Way],
    quick: bool,
    beside: str = "",
    flows: int = frames.VARIETY,
) -> None:
    """A row for each way, one round of each after the other; with its ratio to `beside`.

    Packets of so many flows of all kinds (see `frames.traffic`); 0: each is alone in its flow.
    """
    count, rounds = (QUICK_DROPS, 1) if quick else (DROPS, ROUNDS)
    dropped = frames.traffic("mixed", count, flows) if flows else frames.distinct(count, 1)
    work = chain.batches(chain.reported(dropped), count)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds, processor = way(work)
            rates[name].append(count / seconds)
            costs[name].append(processor / count * 1e6)
    for name in ways:
        figures = {
            "rate": Figure.of(rates[name], "drops/s"),
            "processor": Figure.of(costs[name], "µs"),
        }
        if beside:
            ratios = [a / b for a, b in zip(costs[name], costs[beside], strict=True)]
            figures["ratio"] = Figure.of(ratios, "times")
        section.add(name, **figures)
