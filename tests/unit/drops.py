"""Drops, and the PacketIns that bring them, for the tests of what becomes of them."""

from __future__ import annotations

import struct
from typing import Any

from frames import syn

from ryu_droplog.model.cookie import Cookie
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.packet.ethernet import decode

GENERATION = 0xABCDEF


def location(
    table_id: int = 4,
    *,
    bridge: str = "br-int",
    name: str | None = None,
    reason: str = "MISS",
    **more: Any,
) -> Location:
    """Where a drop happened; `more` are other fields of a `Location`."""
    table = f"TABLE_{table_id}" if name is None else name
    return Location((bridge, table_id), bridge, table_id, table, reason, **more)


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
