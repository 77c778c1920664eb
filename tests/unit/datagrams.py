"""Drop logs of the OpFlex agent's switch, built by hand (RFC 8926 sections 3.4 and 3.5)."""

from __future__ import annotations

import struct

from frames import syn

OPFLEX = 0xFFFF
"""Class of the agent's options."""
ETHERNET = 0x6558
INT, ACC = 1, 2
"""VNIs of the integration and of the access bridge."""


def option(kind: int, value: bytes, option_class: int = OPFLEX, reserved: int = 0) -> bytes:
    """One option; its value has a multiple of 4 bytes, at most 124."""
    return struct.pack("!HBB", option_class, kind, reserved << 5 | len(value) // 4) + value


def number(kind: int, value: int, length: int = 4) -> bytes:
    """One of the agent's options, by its number."""
    return option(kind, value.to_bytes(length, "big"))


def header(
    *options: bytes,
    vni: int = ACC,
    protocol: int = ETHERNET,
    version: int = 0,
    flags: int = 0,
    length: int | None = None,
    reserved: int = 0,
) -> bytes:
    """A Geneve header with its options; `length` (in bytes) is right unless it is given."""
    behind = b"".join(options)
    units = (len(behind) if length is None else length) // 4
    start = struct.pack("!BBHI", version << 6 | units, flags, protocol, vni << 8 | reserved)
    return start + behind


def record(table_id: int = 4, reason: int = 0, policy: int = 0) -> bytes:
    """What the agent's flows always record: options 12 to 14."""
    return number(12, table_id) + number(13, reason) + number(14, policy, 8)


def drop_log(
    frame: bytes | None = None,
    table_id: int = 4,
    reason: int = 0,
    policy: int = 0,
    *more: bytes,
    vni: int = ACC,
) -> bytes:
    """A whole datagram; without a frame, of a TCP SYN."""
    return header(record(table_id, reason, policy), *more, vni=vni) + (
        syn() if frame is None else frame
    )
