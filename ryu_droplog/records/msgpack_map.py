"""Objects in msgpack, put together of parts; what JSON would say, to the letter."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

import msgspec

from ryu_droplog.records.record import Record

pack = msgspec.msgpack.Encoder().encode
"""A value on its own. Raises UnicodeEncodeError for text that UTF-8 cannot have."""
_SHORT = 16
"""Pairs from which on the head of a map has three bytes, up to 65,535."""


def map_head(number: int) -> bytes:
    """What stands before so many pairs, 0 to 65,535."""
    if number < _SHORT:
        return bytes((0x80 | number,))
    return b"\xde" + number.to_bytes(2, "big")


def pairs(values: Mapping[str, Any]) -> bytes:
    """Keys and values without the head of the map."""
    return pack(values)[1 if len(values) < _SHORT else 3 :]


def pack_record(record: Record) -> bytes:
    """The record, which is used up: its bytes are text in base64, as in JSON."""
    frame: Any = record.frame
    if frame.data:
        frame.data = b2a_base64(frame.data, newline=False).decode("ascii")
    return pack(record)
