"""Sinks with their settings, for tests of what becomes of drops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.records.context import explain_nothing
from ryu_droplog.sinks.base import BatchSink, Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.packet_events import PacketEvents
from ryu_droplog.sinks.syslog import Syslog
from ryu_droplog.sinks.text import File, StandardOutput

Explain = Callable[[Drop], Mapping[str, "str | int"]]


def spec(kind: type[Sink], name: str, queue: QueueSpec | None = None, **options: Any) -> SinkSpec:
    """The settings of a sink."""
    return SinkSpec(name, name, options=kind.Options(**options), queue=queue or QueueSpec())


def context(explain: Explain = explain_nothing) -> SinkContext:
    """What the program gives to a sink."""
    return SinkContext(threading, explain)


def file_sink(path: Path, encode: str = "opflex", explain: Explain = explain_nothing) -> File:
    """A file, called by its path."""
    return File(spec(File, str(path), path=str(path), encode=encode), context(explain))


def standard_output(encode: str = "opflex") -> StandardOutput:
    """Standard output."""
    return StandardOutput(spec(StandardOutput, "standard output", encode=encode), context())


def syslog_sink(address: Path | str, kind: type[Syslog] = Syslog) -> Syslog:
    """Syslog, whose daemon has its socket there."""
    return kind(spec(kind, "syslog", to=f"unix:{address}"), context())


def packet_events(path: Path | str, retry: float = 0.05, held: int = 30) -> PacketEvents:
    """Packet events to a listener, tried again soon."""
    queue = QueueSpec(held)
    options = spec(PacketEvents, f"packet events to {path}", queue, socket=str(path))
    return PacketEvents(options, context(), retry)


class Kept(BatchSink):
    """Keeps what it writes."""

    Options = SinkOptions

    def __init__(self, queue_size: int = 100_000, name: str = "kept", **settings: Any) -> None:
        queue = QueueSpec(queue_size, settings.pop("overflow", "newest"))
        super().__init__(SinkSpec(name, "kept", queue=queue, **settings), context())
        self.drops: list[Drop] = []

    def write(self, items: Sequence[Drop]) -> int:
        self.drops += items
        return len(items)
