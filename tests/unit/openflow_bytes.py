"""OpenFlow 1.3 messages as a switch sends them, byte by byte (OpenFlow 1.3.5 section 7)."""

from __future__ import annotations

import struct

LOCAL = 0xFFFFFFFE
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REPLY = 0, 1, 2, 3, 6
PACKET_IN, FLOW_REMOVED, PORT_STATUS, MULTIPART_REPLY, BARRIER_REPLY = 10, 11, 12, 19, 21
PORT_DESC, MORE = 13, 1


def message(kind: int, body: bytes = b"", xid: int = 0, version: int = 4) -> bytes:
    """A whole message; its length is that of the body, modulo 65,536."""
    return struct.pack("!BBHI", version, kind, (8 + len(body)) & 0xFFFF, xid) + body


def multipart(kind: int, body: bytes, xid: int, flags: int = 0) -> bytes:
    """A multipart reply."""
    return message(MULTIPART_REPLY, struct.pack("!HH4x", kind, flags) + body, xid)


def hello(*versions: int, version: int | None = None) -> bytes:
    """A hello with a version bitmap."""
    bitmap = sum(1 << one for one in versions)
    body = struct.pack("!HHI", 1, 8, bitmap)
    return message(HELLO, body, version=max(versions) if version is None else version)


def features(datapath_id: int, n_tables: int = 254, xid: int = 2) -> bytes:
    """An OFPT_FEATURES_REPLY as Open vSwitch sends it."""
    return message(
        FEATURES_REPLY, struct.pack("!QIBB2xII", datapath_id, 0, n_tables, 0, 79, 0), xid
    )


def port(number: int, name: bytes) -> bytes:
    """One ofp_port."""
    return struct.pack("!I4x6s2x16s8I", number, b"\x02\0\0\0\0\x01", name, *range(8))


def ports(*described: bytes, flags: int = 0, xid: int = 3) -> bytes:
    """A part of the port description."""
    return multipart(PORT_DESC, b"".join(described), xid, flags)


def packet_in(frame: bytes, match: bytes = b"", cookie: int = 0, table_id: int = 0) -> bytes:
    """A PacketIn of that frame; lengths that do not fit into 16 bits are cut to them."""
    length = 4 + len(match)
    padding = bytes(-length % 8 + 2)
    head = struct.pack("!IHBBQ", 0xFFFFFFFF, len(frame) & 0xFFFF, 0, table_id, cookie)
    return message(PACKET_IN, head + struct.pack("!HH", 1, length) + match + padding + frame)
