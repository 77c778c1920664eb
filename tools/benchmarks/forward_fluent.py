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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import msgpack

from benchmarks.into_receiver import Work, make, measure, through, use_receivers
from benchmarks.report import Report
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.sinks import fluent_protocol
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.fluent import Fluent

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
ALONE, BESIDE = "file in opflex alone", "file in opflex beside fluent in ecs"
OTHER_FLOWS = {2_000: "2,000 flows", 0: "every flow new"}
"""So many flows, where there are not 256."""


def run(report: Report, quick: bool) -> None:
    """Measure each way into the forward server, and what it costs beside a file."""
    use_receivers()
    fluent: Any = import_module("receivers.fluent")
    section = report.section("forward", "forwarding: drops a second into a receiver")
    if not fluent.MODULE.is_dir():
        section.note("left out: tools/test receivers installs it")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        fluent.FluentServer() as server,
        _acknowledger() as hollow,
    ):

        def into(address: str, **keys: Any) -> Sink:
            return make("fluent", servers=[address], require_ack=True, **keys)

        def spooled() -> Sink:
            spool = {"directory": tempfile.mkdtemp(dir=folder)}
            return into(server.address, delivery="at_least_once", spool=spool)

        measure(
            section,
            {
                "forward server alone": lambda work: _bare(server.port, work),
                "fluent, acknowledged": lambda work: through(work, into(server.address)),
                "fluent, gzip": lambda work: through(work, into(server.address, gzip=True)),
                "fluent, spool": lambda work: through(work, spooled()),
                "fluent, receiver keeps nothing": lambda work: through(work, into(hollow)),
                BESIDE: lambda work: through(work, _file(), into(hollow)),
                ALONE: lambda work: through(work, _file()),
            },
            quick,
            ALONE,
        )
        for flows, name in OTHER_FLOWS.items():
            alone = f"{ALONE}, {name}"
            measure(
                section,
                {
                    f"{BESIDE}, {name}": lambda work: through(work, _file(), into(hollow)),
                    alone: lambda work: through(work, _file()),
                },
                quick,
                alone,
                flows,
            )
    section.note(
        "the server alone: messages made before, each acknowledged; all others from the bytes of a"
        " PacketIn on, in ecs; processor: of this program, a drop; ratio: to the file alone"
    )


class Kept(Fluent):
    """Makes messages, and sends none."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self.messages: list[bytes] = []

    def send(self, chunk: Chunk) -> None:
        name = fluent_protocol.chunk_name(chunk.id)
        self.messages.append(fluent_protocol.packed_forward("bench", chunk.items, name, False))


def _bare(port: int, work: Work) -> tuple[float, float]:
    """The receiver's own limit: one message after the other, each acknowledged."""
    kept = make("fluent", Kept, servers=["tcp:127.0.0.1:1"])
    through(work, kept)
    assert isinstance(kept, Kept)
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


def _file() -> Sink:
    return make("file", path=os.devnull, encode="opflex")


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
