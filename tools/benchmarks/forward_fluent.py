"""How many drops a second go into a receiver: the sink beside the receiver's own limit.

The receiver's limit is what it takes of messages that were made before, from a client that does
nothing else. Each round measures one after the other. The receivers are those of tests/receivers,
each a private one on the loopback.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import msgpack

from benchmarks import chain
from benchmarks.encode import FILE
from benchmarks.report import Figure, Report, Section
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.processing.chain import Chain
from ryu_droplog.sinks import fluent_protocol
from ryu_droplog.sinks.base import Sink, SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.fluent import Fluent, FluentOptions
from ryu_droplog.sinks.text import File
from ryu_droplog.sources.packet_in import PacketInReader

TESTS = Path(__file__).resolve().parents[2] / "tests"
ACKNOWLEDGER = """
import socket, msgpack
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
while True:
    client, _ = listening.accept()
    unpacker = msgpack.Unpacker()
    while data := client.recv(1 << 20):
        unpacker.feed(data)
        for _, _, option in unpacker:
            client.sendall(msgpack.packb({"ack": option["chunk"]}))
"""
"""A receiver that keeps nothing: with it the sink itself is the limit."""
DROPS = 40_000
QUICK_DROPS = 10_000
ROUNDS = 3
KIND = "mixed"
ALONE, BESIDE = "file in opflex alone", "file in opflex beside fluent in ecs"
PAUSE = 0.01
AHEAD = 50_000
"""Drops that wait for the sink at most: the chain is held back, so that nothing is refused."""


def run(report: Report, quick: bool) -> None:
    """Measure each way into the forward server, and what it costs beside a file."""
    sys.path.insert(0, str(TESTS))
    server_type: Any = import_module("receivers.fluent").FluentServer
    if not import_module("receivers.fluent").MODULE.is_dir():
        report.section("forward", "forwarding").note("left out: tools/test receivers installs it")
        return
    count, rounds = (QUICK_DROPS, 1) if quick else (DROPS, ROUNDS)
    work = chain.batches(chain.packet_ins(KIND), count)
    section = report.section("forward", "forwarding: drops a second into a receiver")
    with (
        tempfile.TemporaryDirectory() as folder,
        server_type() as server,
        _acknowledger() as hollow,
    ):

        def spooled(number: int) -> Sink:
            return _fluent(
                server.address,
                require_ack=True,
                delivery="at_least_once",
                spool={"directory": f"{folder}/{number}"},
            )

        ways: dict[str, Callable[[int], tuple[float, float]]] = {
            "forward server alone": lambda number: _bare(server.port, work),
            "fluent, acknowledged": lambda number: _through(
                [_fluent(server.address, require_ack=True)], work
            ),
            "fluent, gzip": lambda number: _through(
                [_fluent(server.address, require_ack=True, gzip=True)], work
            ),
            "fluent, spool": lambda number: _through([spooled(number)], work),
            "fluent, receiver keeps nothing": lambda number: _through(
                [_fluent(hollow, require_ack=True)], work
            ),
            BESIDE: lambda number: _through([_file(), _fluent(hollow, require_ack=True)], work),
            ALONE: lambda number: _through([_file()], work),
        }
        _measure(section, ways, count, rounds)
    section.note(
        "the server alone: messages made before, each acknowledged; all others from the bytes of a"
        " PacketIn on, in ecs; processor: of this program, a drop; ratio: to the file alone"
    )


def _measure(
    section: Section, ways: dict[str, Callable[[int], tuple[float, float]]], count: int, rounds: int
) -> None:
    rates: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            seconds, processor = way(number)
            rates[name].append(count / seconds)
            costs[name].append(processor / count * 1e6)
    for name in ways:
        ratios = [a / b for a, b in zip(costs[name], costs[ALONE], strict=True)]
        section.add(
            name,
            rate=Figure.of(rates[name], "drops/s"),
            processor=Figure.of(costs[name], "µs"),
            ratio=Figure.of(ratios, "times"),
        )


class Kept(Fluent):
    """Makes messages, and sends none."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self.messages: list[bytes] = []

    def send(self, chunk: Chunk) -> None:
        name = fluent_protocol.chunk_name(chunk.id)
        self.messages.append(fluent_protocol.packed_forward("bench", chunk.items, name, False))


def _bare(port: int, work: Sequence[Sequence[bytes]]) -> tuple[float, float]:
    """The receiver's own limit: one message after the other, each acknowledged."""
    kept = Kept(_spec(FluentOptions(servers=("tcp:127.0.0.1:1",))), _context())
    _through([kept], work)
    unpacker = msgpack.Unpacker()
    with socket.create_connection(("127.0.0.1", port)) as client:
        begin, processor = time.monotonic(), time.process_time()
        for message in kept.messages:
            client.sendall(message)
            while not any("ack" in answer for answer in unpacker):
                data = client.recv(65536)
                if not data:
                    raise RuntimeError("the forward server has closed the connection")
                unpacker.feed(data)
        return time.monotonic() - begin, time.process_time() - processor


def _fluent(address: str, **keys: object) -> Sink:
    return Fluent(_spec(FluentOptions.model_validate({"servers": [address], **keys})), _context())


def _file() -> Sink:
    options = File.Options(path=os.devnull, encode="opflex")
    return File(SinkSpec(FILE, FILE, options=options), _context())


@contextmanager
def _acknowledger() -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-c", ACKNOWLEDGER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"tcp:127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _spec(options: FluentOptions) -> SinkSpec:
    return SinkSpec("bench", "fluent", queue=QueueSpec(2 * AHEAD), options=options)


def _context() -> SinkContext:
    return SinkContext(threading, node="node-1")


def _through(sinks: list[Sink], work: Sequence[Sequence[bytes]]) -> tuple[float, float]:
    """Seconds, and seconds of processor, from the first PacketIn to the last drop written."""
    books, count = SourceBooks(), sum(map(len, work))
    reader: Any = PacketInReader(
        "br-bench", chain.PREFIX, load_pipelines(None)[chain.PIPELINE], chain.GENERATION, books
    )
    way = Chain(reader, books, None, sinks)
    for sink in sinks:
        sink.start()
    begin, processor = time.monotonic(), time.process_time()
    for messages in work:
        way.take(list(messages), time.time(), time.monotonic())
        while any(sink.waiting > AHEAD for sink in sinks):
            time.sleep(PAUSE)
    while any(sink.written + sink.lost < count for sink in sinks):
        time.sleep(PAUSE)
    seconds, used = time.monotonic() - begin, time.process_time() - processor
    for sink in sinks:
        left = sink.close(chain.WRITE_TIME)
        if left or sink.written != count:
            raise RuntimeError(f"{sink.name}: {sink.written} of {count} drops were written")
    return seconds, used
