"""The chain alone, from the bytes of a PacketIn to the written line, beside the usual ways.

No switch and no socket: batches of PacketIns as the reader hands them on, one round of each way
after the other, so that a machine that changes its speed changes it for all of them.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import frames, usual
from benchmarks.report import Figure, Report, Section, yardstick
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model import cookie
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.ring import Ring
from ryu_droplog.records.acknowledged import NOTHING_KNOWN, Baseline
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.text import File
from ryu_droplog.sources.packet_in import PacketInReader

BATCH = 64
"""PacketIns that the reader hands on at once."""
ROUNDS = 7
WRITE_TIME = 60.0
"""Seconds that the sink has to write what it was given."""
TABLE, PREFIX, PIPELINE, GENERATION = 4, "Acc-", "opflex-access", 1
LABEL = "Acc-SEC_GROUP_IN_TABLE MISS"

# Drops of one round: about as much time for each way.
CHAIN_DROPS, OSKEN_DROPS, NEUTRON_DROPS = 12_800, 1_280, 128
_TIME = re.compile(r"^\[[^]]*\] ")


def packet_ins(kind: str, variety: int = frames.VARIETY) -> list[bytes]:
    """PacketIns of a kind, as a flow of ours in the benchmark's table sends them."""
    return reported(frames.of_kind(kind, variety))


def reported(dropped: Sequence[bytes]) -> list[bytes]:
    """PacketIns with these frames, as a flow of ours in the benchmark's table sends them."""
    ours = cookie.Cookie(True, GENERATION, TABLE).pack()
    return [frames.packet_in(frame, ours, TABLE) for frame in dropped]


def batches(messages: list[bytes], count: int) -> list[list[bytes]]:
    """`count` messages in batches, taken in turn from those that there are."""
    taken = [messages[number % len(messages)] for number in range(count)]
    return [taken[start : start + BATCH] for start in range(0, count, BATCH)]


def chain_into(
    sinks: Sequence[Sink],
    books: SourceBooks,
    ring: Ring | None = None,
    baseline: Baseline = NOTHING_KNOWN,
) -> Chain:
    """A chain from the PacketIns of this benchmark, wired as the application does it."""
    pipeline = load_pipelines(None)[PIPELINE]
    reader = PacketInReader("br-bench", PREFIX, pipeline, GENERATION, books)
    return Chain(reader, books, None, sinks, ring=ring, mark=baseline.marker())


def processor_seconds(
    sink: Sink,
    work: Sequence[Sequence[bytes]],
    ring: Ring | None = None,
    baseline: Baseline = NOTHING_KNOWN,
) -> float:
    """Seconds of processor until the last drop is written. Raises RuntimeError if one is not."""
    chain, count = chain_into([sink], SourceBooks(), ring, baseline), sum(map(len, work))
    sink.start()
    begin = time.process_time()
    for messages in work:
        chain.take(messages, time.time(), time.monotonic())
    left = sink.close(WRITE_TIME)
    took = time.process_time() - begin
    written = sink.reading().total().written
    if left or written != count:
        raise RuntimeError(f"{sink.name}: {written} of {count} drops were written, {left} left")
    return took


def lines_to_nowhere() -> File:
    """A sink that writes lines of the OpFlex agent's, which have no names, to nowhere."""
    options = File.Options(path="/dev/null", encode="opflex")
    return File(SinkSpec("lines", "file", options=options), SinkContext(threading))


def in_turns(
    work: Sequence[Sequence[bytes]],
    rounds: int,
    ring: Ring | None = None,
    baseline: Baseline = NOTHING_KNOWN,
) -> tuple[list[float], list[float]]:
    """Microseconds of processor a drop of the chain alone, and with `ring` and `baseline`.

    A round of each in turns A B B A, after one with both that is not counted.
    """
    count = sum(map(len, work))

    def alone() -> float:
        return processor_seconds(lines_to_nowhere(), work) / count * 1e6

    def with_it() -> float:
        return processor_seconds(lines_to_nowhere(), work, ring, baseline) / count * 1e6

    without: list[float] = []
    with_both: list[float] = []
    with_it()
    for _ in range(rounds):
        first, second, third, fourth = alone(), with_it(), with_it(), alone()
        without.append((first + fourth) / 2)
        with_both.append((second + third) / 2)
    return without, with_both


class ChainWay:
    """The program's own way, wired as the application does it."""

    def __init__(self, path: str) -> None:
        spec = SinkSpec("lines", "file", options=File.Options(path=path, encode="opflex"))
        self.sink = File(spec, SinkContext(threading))
        self.books = SourceBooks()
        self._chain = chain_into([self.sink], self.books)
        self.sink.start()

    def take(self, messages: list[bytes]) -> None:
        """Send a batch on its way."""
        self._chain.take(messages, time.time(), time.monotonic())

    def close(self) -> None:
        """Wait until all is written. Raises RuntimeError when something is missing."""
        left = self.sink.close(WRITE_TIME)
        received = sum(table.received for table in self.books.tables.values())
        book = self.sink.reading().total()
        if left or book.written != received:
            raise RuntimeError(
                f"the chain logged {book.written} of {received} drops, "
                f"refused {book.refused}, failed {book.failed}, left {left}"
            )


def microseconds(
    way: ChainWay | usual.OskenWay | usual.NeutronWay, work: list[list[bytes]]
) -> float:
    """Microseconds a drop, until the last line is written and the file closed."""
    begin = time.perf_counter()
    for batch in work:
        way.take(batch)
    way.close()
    return (time.perf_counter() - begin) / sum(map(len, work)) * 1e6


def run(report: Report, quick: bool) -> None:
    """Measure all kinds of packets, to /dev/null and to a file on disk."""
    section = report.section("chain", "the chain alone: PacketIn to written line")
    kinds = ["TCP", "mixed"] if quick else [*frames.KINDS, "mixed"]
    with tempfile.TemporaryDirectory(prefix="ryu-droplog-bench-", dir="/var/tmp") as folder:
        for kind in kinds:
            messages = packet_ins(kind)
            check(messages, folder)
            for place, path in (("/dev/null", "/dev/null"), ("a file", f"{folder}/drops.log")):
                _measure(section, f"{kind} to {place}", messages, path)
    section.note(
        "each ratio is of two neighbouring rounds; yardstick: 100,000 turns of an empty loop"
    )


def check(messages: list[bytes], folder: str) -> None:
    """Raise RuntimeError unless the chain and os-ken's objects make the same lines."""
    texts = []
    ways: dict[str, Callable[[str], ChainWay | usual.OskenWay]] = {
        "chain": ChainWay,
        "os-ken": lambda path: usual.OskenWay(path, LABEL),
    }
    for name, make in ways.items():
        path = Path(folder, f"{name}.log")
        way = make(str(path))
        way.take(messages)
        way.close()
        texts.append([_TIME.sub("", line) for line in path.read_text().splitlines()])
        path.unlink()
    for ours, theirs in zip(*texts, strict=True):
        if ours != theirs:
            raise RuntimeError(f"the two lines differ:\n{ours}\n{theirs}")


def _measure(section: Section, case: str, messages: list[bytes], path: str) -> None:
    work = [batches(messages, count) for count in (CHAIN_DROPS, OSKEN_DROPS, NEUTRON_DROPS)]
    chain: list[float] = []
    osken: list[float] = []
    neutron: list[float] = []
    speed: list[float] = []
    microseconds(ChainWay(path), work[0])  # warm: caches of addresses, the file's first blocks
    for _ in range(ROUNDS):
        if path != "/dev/null":
            Path(path).unlink(missing_ok=True)
        speed.append(yardstick())
        chain.append(microseconds(ChainWay(path), work[0]))
        osken.append(microseconds(usual.OskenWay(path, LABEL), work[1]))
        neutron.append(microseconds(usual.NeutronWay(path, LABEL), work[2]))
    section.add(
        case,
        chain=Figure.of(chain, "µs"),
        os_ken_way=Figure.of(osken, "µs"),
        Neutron_way=Figure.of(neutron, "µs"),
        os_ken_ratio=Figure.of([b / a for a, b in zip(chain, osken, strict=True)], "times"),
        Neutron_ratio=Figure.of([b / a for a, b in zip(chain, neutron, strict=True)], "times"),
        yardstick=Figure.of(speed, "ms"),
    )
