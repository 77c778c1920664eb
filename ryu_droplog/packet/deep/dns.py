"""DNS: the header and the first question, RFC 1035 section 4.1. Nothing raises."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from ryu_droplog.packet.deep.layers import Dns

_HEADER = Struct("!HHHHHH")
_RESPONSE, _OPCODE_SHIFT, _OPCODE_MASK, _CODE_MASK = 0x8000, 11, 0xF, 0xF
# Opcodes by IANA's registry of DNS parameters.
_OPCODES: Mapping[int, str] = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE"}
_NAME_LENGTH = 255
"""Bytes of a name at most, RFC 1035 section 2.3.4."""
_LABEL_LENGTH = 63


def read(message: bytes) -> Dns | None:
    """Read a message; None where its header is not whole."""
    if len(message) < _HEADER.size:
        return None
    identifier, flags, questions, *_ = _HEADER.unpack_from(message)
    opcode = flags >> _OPCODE_SHIFT & _OPCODE_MASK
    response = bool(flags & _RESPONSE)
    layer = Dns(
        identifier,
        _OPCODES.get(opcode, str(opcode)),
        response,
        flags & _CODE_MASK if response else None,
    )
    if questions:
        layer.name, behind = name_at(message, _HEADER.size)
        if 0 <= behind <= len(message) - 2:
            layer.type = int.from_bytes(message[behind : behind + 2], "big")
    return layer


def name_at(message: bytes, start: int) -> tuple[str, int]:
    """The name at `start`, and where it ends: -1 where it is not whole there.

    Labels are joined by dots; in them, dots, backslashes and what is not printable ASCII are
    `\\DDD` (RFC 1035 section 5.1). A compressed name ends at its pointer: a first question has
    nothing before it that it could point to.
    """
    labels: list[str] = []
    limit = min(len(message), start + _NAME_LENGTH)
    while start < limit:
        length = message[start]
        start += 1
        if not length:
            return ".".join(labels), start
        if length > _LABEL_LENGTH or start + length > limit:
            break
        labels.append("".join(map(_CHARACTERS.__getitem__, message[start : start + length])))
        start += length
    return ".".join(labels), -1


_CHARACTERS = tuple(
    chr(c) if 0x21 <= c < 0x7F and chr(c) not in '.\\"' else f"\\{c:03}" for c in range(256)
)
