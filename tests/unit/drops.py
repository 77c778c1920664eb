"""Drops, and the PacketIns that bring them, for the tests of what becomes of them."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence

from frames import syn

from ryu_droplog.model.accounting import TableBook
from ryu_droplog.model.cookie import Cookie
from ryu_droplog.model.drop import Drop, Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.sinks.base import Sink

GENERATION = 0xABCDEF


def location(
    table_id: int = 4,
    *,
    bridge: str = "br-int",
    name: str | None = None,
    reason: str = "MISS",
    book: TableBook | None = None,
) -> Location:
    """Where a drop happened; its book is a new one unless it is given."""
    table = f"TABLE_{table_id}" if name is None else name
    label = f"{table} {reason}"
    return Location(bridge, table_id, table, reason, label, book or TableBook())


def drop(
    frame: bytes | None = None,
    where: Location | None = None,
    time: float = 0.0,
    metadata: bytes = b"",
) -> Drop:
    """A drop of this frame, with these OXM fields of its PacketIn; without one, of a TCP SYN."""
    return decode(syn() if frame is None else frame, time, where or location(), metadata)


def packet_in(frame: bytes | None = None, table_id: int = 4, generation: int = GENERATION) -> bytes:
    """What a flow of ours in that table sends (OpenFlow 1.3.5 section 7.4.1)."""
    data = syn() if frame is None else frame
    cookie = Cookie(True, generation, table_id).pack()
    body = struct.pack("!IHBBQ", 0xFFFFFFFF, len(data), 0, table_id, cookie)
    body += struct.pack("!HH4x", 1, 4) + bytes(2) + data
    return struct.pack("!BBHI", 4, 10, 8 + len(body), 0) + body


class Kept(Sink):
    """A sink that keeps what it writes."""

    def __init__(self, queue_size: int = 100_000) -> None:
        super().__init__("kept", threading, queue_size)
        self.drops: list[Drop] = []

    def write(self, lines: Sequence[Drop]) -> int:
        self.drops += lines
        return len(lines)
