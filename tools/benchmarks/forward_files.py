"""What sinks that write files and flow records cost, from the bytes of a PacketIn to the last byte.

Processor time of the whole program, so that a machine that has other work changes it little; one
round of each after the other. `file` is the sink of lines without rotation of its own, beside which
the same with rotation stands; ipfix sends to a port whose datagrams nobody reads.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

from benchmarks import chain, frames
from benchmarks.report import Figure, Report, Section
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.ipfix import Ipfix
from ryu_droplog.sinks.pcapng import Pcapng
from ryu_droplog.sinks.text import File

DROPS = 32_000
ROUNDS = 7
ROTATE = {"bytes": 2_000_000, "files": 5}
"""So small that each round rotates several times."""

Make = Callable[[str, int], Sink]
"""(folder, port of the collector) -> a sink that is not started."""


def _sink(kind: type[Sink], **options: Any) -> Sink:
    made = kind.Options(**options)
    return kind(SinkSpec("s", "s", queue=QueueSpec(DROPS), options=made), SinkContext(threading))


SINKS: dict[str, Make] = {
    "file": lambda folder, _: _sink(File, path=f"{folder}/d", encode="opflex"),
    "file, rotating": lambda folder, _: _sink(
        File, path=f"{folder}/d", encode="opflex", rotate=ROTATE
    ),
    "file, rotating and compressing": lambda folder, _: _sink(
        File, path=f"{folder}/d", encode="opflex", rotate={**ROTATE, "compress": True}
    ),
    "file in native": lambda folder, _: _sink(File, path=f"{folder}/d", encode="native"),
    "pcapng": lambda folder, _: _sink(Pcapng, path=f"{folder}/d"),
    "ipfix over UDP": lambda _, port: _sink(Ipfix, to=f"udp:127.0.0.1:{port}"),
}


def run(report: Report, quick: bool) -> None:
    """Measure every sink for TCP, and for a mix of packets."""
    section = report.section(
        "forward_files", "sinks of files and flows: PacketIn to last byte, processor time"
    )
    for kind in ["mixed"] if quick else ["TCP", "mixed"]:
        _measure(section, kind, 3 if quick else ROUNDS)
    section.note(
        "a rate is of a processor with no other work; each ratio is to file without rotation"
    )


def _measure(section: Section, kind: str, rounds: int) -> None:
    work = chain.batches(chain.reported(frames.traffic(kind, DROPS)), DROPS)
    took: dict[str, list[float]] = {name: [] for name in SINKS}
    with socket(AF_INET, SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        for number in range(rounds + 1):
            for name, make in SINKS.items():
                seconds = _seconds(make, collector.getsockname()[1], work)
                if number:  # the first round fills caches
                    took[name].append(seconds)
    for name in SINKS:
        section.add(
            f"{kind} {name}",
            rate=Figure.of([DROPS / seconds for seconds in took[name]], "drops/s"),
            ratio=Figure.of(
                [a / b for a, b in zip(took[name], took["file"], strict=True)], "times"
            ),
        )


def _seconds(make: Make, port: int, work: list[list[bytes]]) -> float:
    """Seconds of processor until the last drop of all is written."""
    with tempfile.TemporaryDirectory(prefix="ryu-droplog-bench-", dir="/var/tmp") as folder:
        return chain.processor_seconds(make(folder, port), work)
