"""Captures built by hand, block by block, and the packets in them.

pcap by draft-ietf-opsawg-pcap, pcapng by draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from datagrams import drop_log
from frames import IPV4, ethernet, ipv4

ETHERNET = 1
"""LINKTYPE_ETHERNET."""
PORT = 6081
NOW = 1708415956
MICROSECONDS = NOW * 1_000_000 + 845_663
"""The second of the worked lines."""


def outer(payload: bytes, port: int = PORT, length: int | None = None) -> bytes:
    """The IPv4 packet that carries a datagram."""
    header = struct.pack("!HHHH", 40000, port, 8 + len(payload) if length is None else length, 0)
    return ipv4("127.0.0.1", "127.0.0.1", 17, header, payload)


def packet(payload: bytes | None = None, port: int = PORT) -> bytes:
    """The frame that carries a datagram; without one, a drop log of a TCP SYN."""
    return ethernet(IPV4, outer(drop_log() if payload is None else payload, port))


def pcap(
    *packets: bytes,
    order: str = "<",
    nano: bool = False,
    link_type: int = ETHERNET,
    part: int = 0,
    lengths: Sequence[int] | None = None,
) -> bytes:
    """A pcap file, its packets a second apart; `part` is the part of the second.

    `lengths` are what the packets had before they were cut; None: none was.
    """
    lengths = [len(data) for data in packets] if lengths is None else lengths
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(
        struct.pack(f"{order}IIII", NOW + number, part, len(data), length) + data
        for number, (data, length) in enumerate(zip(packets, lengths, strict=True))
    )


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Any block of pcapng."""
    body = padded(body)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + padded(value)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link_type: int = ETHERNET, *options: bytes, order: str = "<", snaplen: int = 0
) -> bytes:
    end = option(0, b"", order) if options else b""
    head = struct.pack(f"{order}HHI", link_type, 0, snaplen)
    return block(1, head + b"".join(options) + end, order)


def enhanced(
    data: bytes, time: int = 0, interface: int = 0, order: str = "<", length: int | None = None
) -> bytes:
    """An Enhanced Packet Block; `time` in the units of its interface.

    `length` is what the packet had before it was cut; None: it was not.
    """
    size = len(data) if length is None else length
    head = (interface, time >> 32, time & 0xFFFFFFFF, len(data), size)
    return block(6, struct.pack(f"{order}IIIII", *head) + padded(data), order)


def simple(data: bytes, order: str = "<", length: int | None = None) -> bytes:
    """A Simple Packet Block."""
    size = len(data) if length is None else length
    return block(3, struct.pack(f"{order}I", size) + data, order)
