"""What each encoding costs, from the bytes of a PacketIn to the written line.

Processor time of the whole program, so that a machine that has other work changes it little; one
round of each encoding after the other. `file` is the sink of lines as it is, the rest go through
a sink that only writes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from benchmarks import chain, frames
from benchmarks.report import Figure, Report, Section
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.sinks.base import BatchSink, Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.text import File

DROPS = 6_400
ROUNDS = 7
NEW = "every flow new"
FILE = "file"
"""The sink `file` in `opflex`: what all others are compared with."""


class WritingSink(BatchSink):
    """Writes encoded drops to /dev/null, a line each."""

    Options = File.Options
    ENCODES_EARLY = True

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self._spell = context.encoder(spec.name)
        self._descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def encode(self, drop: Drop) -> bytes:
        return self._spell(drop)

    def write(self, items: Sequence[bytes]) -> int:
        os.write(self._descriptor, b"\n".join(items))
        return len(items)

    def finish(self) -> None:
        os.close(self._descriptor)


def run(report: Report, quick: bool) -> None:
    """Measure every encoding for every kind of packet."""
    section = report.section("encode", "encodings: PacketIn to written line, processor time")
    for kind in ["TCP", "mixed"] if quick else [*frames.KINDS, "mixed"]:
        dropped = frames.traffic(kind, DROPS)
        _measure(section, kind, dropped, 3 if quick else ROUNDS)
    _measure(section, NEW, frames.distinct(DROPS, 1), 3 if quick else ROUNDS)
    section.note(
        f"each ratio is to the sink file in opflex, in neighbouring rounds; {FILE} writes text;"
        f" packets of {frames.VARIETY} flows, in {NEW} each is the only one of its flow"
    )


def _measure(section: Section, kind: str, dropped: Sequence[bytes], rounds: int) -> None:
    work = chain.batches(chain.reported(dropped), DROPS)
    names = [FILE, *ENCODERS.names()]
    took: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names:
            microseconds = _microseconds(name, work)
            if number:  # the first round fills caches
                took[name].append(microseconds)
    for name in names:
        ratios = [a / b for a, b in zip(took[name], took[FILE], strict=True)]
        section.add(
            f"{kind} {name}",
            a_drop=Figure.of(took[name], "µs"),
            ratio=Figure.of(ratios, "times"),
        )


def _microseconds(name: str, work: Sequence[Sequence[bytes]]) -> float:
    """Microseconds of processor a drop, until the last line is written."""
    context = SinkContext(threading, node="node-1")
    options = File.Options(path=os.devnull, encode="opflex")
    sink: Sink
    if name == FILE:
        sink = File(SinkSpec(name, "file", options=options), context)
    else:
        sink = WritingSink(SinkSpec(name, "file", options=options), context)
    return chain.processor_seconds(sink, work) / sum(map(len, work)) * 1e6
