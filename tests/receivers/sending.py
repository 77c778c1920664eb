"""Sinks and drops, for the tests of sinks with real receivers."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext

from .service import PATIENCE, eventually

NODE = "node.test"
TIME = 1_764_000_000.25
"""2025-11-24T16:00:00.25Z."""


def place(table: str = "SEC_GROUP_IN_TABLE", **more: Any) -> Location:
    """Where a packet was dropped: table 4 of br-int."""
    bridge = more.pop("bridge", "br-int")
    return Location(("br-int", 4), bridge, 4, table, more.pop("reason", "MISS"), "Acc-", **more)


PLACE = place()


def numbered(number: int, location: Location = PLACE) -> Drop:
    """A UDP packet that is known again by its source port."""
    segment = struct.pack("!HHHH", number, 53, 8, 0)
    addresses = socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 17, 0) + addresses
    ethernet = bytes.fromhex("0a580a0200c30022bdf819ff0800")
    return decode(ethernet + header + segment, TIME, location, b"")


def drops(count: int, first: int = 1) -> list[Drop]:
    """That many, numbered."""
    return [numbered(number) for number in range(first, first + count)]


@contextmanager
def running(
    type: str, name: str = "soc", queue: QueueSpec | None = None, **options: Any
) -> Iterator[Sink]:
    """A sink at work, with its settings as a file would have them."""
    kind = SINKS.get(type)
    made = kind.Options.model_validate(options)
    spec = SinkSpec(name, type, queue=queue or QueueSpec(), options=made)
    sink: Sink = kind(spec, SinkContext(threading, node=NODE))
    sink.start()
    try:
        yield sink
    finally:
        sink.close(PATIENCE)


def settled(sink: Sink, written: int, failed: int = 0) -> None:
    """Wait until the sink has counted so many drops."""

    def counted() -> bool:
        return (sink.written, sink.failed) == (written, failed)

    eventually(counted, f"{written} written, {failed} failed; notices {list(sink.notices)}")
    assert sink.waiting == 0


def said(sink: Sink, text: str) -> None:
    """Wait until the sink has said this."""
    eventually(lambda: any(text in notice for notice in sink.notices), f"a notice with {text!r}")


def ports(texts: Sequence[str]) -> list[int]:
    """The numbers of drops in lines of the format `opflex`."""
    return [int(text.partition(" SPT=")[2].split()[0]) for text in texts]
