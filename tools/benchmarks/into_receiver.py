"""What the measurements of forwarding sinks share: drops through a sink, and the table of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import chain
from benchmarks.report import Figure, Section
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.processing.chain import Chain
from ryu_droplog.sinks.base import Sink, SinkContext
from ryu_droplog.sources.packet_in import PacketInReader

DROPS, QUICK_DROPS = 40_000, 10_000
ROUNDS = 3
AHEAD = 50_000
"""Drops that wait for the sink at most: the chain is held back, so that nothing is refused."""

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


def through(sink: Sink, work: Work) -> tuple[float, float]:
    """Seconds, and seconds of processor, from the first PacketIn to the last drop written."""
    books, count = SourceBooks(), sum(map(len, work))
    pipeline = load_pipelines(None)[chain.PIPELINE]
    reader: Any = PacketInReader("br-bench", chain.PREFIX, pipeline, chain.GENERATION, books)
    way = Chain(reader, books, None, [sink])
    sink.start()
    begin, processor = time.monotonic(), time.process_time()
    for messages in work:
        way.take(list(messages), time.time(), time.monotonic())
        while sink.waiting > AHEAD:
            time.sleep(0.001)
    left = sink.close(chain.WRITE_TIME)
    took = time.monotonic() - begin, time.process_time() - processor
    written = sink.reading().total().written
    if left or written != count:
        raise RuntimeError(f"{written} of {count} drops were written: {list(sink.notices)}")
    return took


def measure(section: Section, ways: Mapping[str, Way], quick: bool) -> None:
    """A row for each way, one round of each after the other."""
    count, rounds = (QUICK_DROPS, 1) if quick else (DROPS, ROUNDS)
    work = chain.batches(chain.packet_ins("mixed"), count)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds, processor = way(work)
            rates[name].append(count / seconds)
            costs[name].append(processor / count * 1e6)
    for name in ways:
        section.add(
            name, rate=Figure.of(rates[name], "drops/s"), processor=Figure.of(costs[name], "µs")
        )
