"""One marked record through a sink as it is configured: what `ryu-droplog send-test` does."""

from __future__ import annotations

import threading
import time
from struct import Struct
from typing import Any, Literal, NamedTuple

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.model.location import Location
from ryu_droplog.packet import headers
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext

BRIDGE = "send-test"
TABLE = "SEND_TEST"
PAYLOAD = "ryu-droplog send-test"
OWNER_KEY = "test"
"""The key in `owner` of a record, and of the formats `extended` and `json`, that has the mark."""

_ETHERNET = Struct("!6s6sH")
_IPV4 = Struct("!BBHHHBBH4s4s")
_UDP = Struct("!HHHH")
# Locally administered addresses, documentation addresses (RFC 5737), the port discard.
_SOURCE_MAC, _DESTINATION_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
_SOURCE_IP, _DESTINATION_IP = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
_PORT = 9
_ALONE = {"delivery": "at_most_once", "spool": None}
"""Options that a trial has instead of the configured ones: a spool is the running program's."""


class Trial(NamedTuple):
    """What became of the record."""

    outcome: Literal["acknowledged", "written", "failed"]
    """`acknowledged`: the receiver has said that it has it; `written`: it took it in silence."""
    why: str = ""
    """Why it failed."""


def marked_drop(mark: str) -> Drop:
    """A drop that nobody takes for a real one, with the mark in its payload."""
    payload = f"{PAYLOAD} {mark}".encode()
    udp = _UDP.pack(_PORT, _PORT, _UDP.size + len(payload), 0) + payload
    ip = (0x45, 0, _IPV4.size + len(udp), 0, 0, 64, headers.PROTOCOL_UDP)
    ends = _SOURCE_IP, _DESTINATION_IP
    checksum = _checksum(_IPV4.pack(*ip, 0, *ends))
    ethernet = _ETHERNET.pack(_DESTINATION_MAC, _SOURCE_MAC, headers.ETHERTYPE_IPV4)
    where = Location((BRIDGE, 0), BRIDGE, 0, TABLE, "MISS")
    return decode(ethernet + _IPV4.pack(*ip, checksum, *ends) + udp, time.time(), where, b"")


def _checksum(header: bytes) -> int:
    """RFC 791 section 3.1, of a header whose own checksum is 0."""
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def try_sink(spec: SinkSpec, node: str, mark: str, seconds: float) -> Trial:
    """Make the sink, send one record through it, and end it; raises nothing.

    Its filters are not asked, and its spool, which a running program may have, is not touched.
    `seconds` is what the sink has to write and its receiver to answer.
    """
    context = SinkContext(threading, lambda drop: {OWNER_KEY: mark}, node)
    try:
        sink: Sink = SINKS.get(spec.type)(_alone(spec), context)
        sink.start()
        sink.put([marked_drop(mark)])
        left = sink.close(seconds)
    except DropLogError as error:
        return Trial("failed", str(error))
    except Exception as error:  # a sink of another package may raise anything
        return Trial("failed", f"{type(error).__name__}: {error}")
    if sink.written:
        return Trial("acknowledged" if sink.acknowledged else "written")
    return Trial("failed", _why(sink, left, seconds))


def _alone(spec: SinkSpec) -> SinkSpec:
    options: Any = spec.options
    replaced = {key: value for key, value in _ALONE.items() if key in type(options).model_fields}
    return SinkSpec(
        spec.name, spec.type, options=options.model_copy(update=replaced), title=spec.title
    )


def _why(sink: Sink, left: int, seconds: float) -> str:
    failure = sink.failure
    reason = failure.text.strip().splitlines()[-1] if failure is not None else ""
    if not reason and sink.notices:
        reason = sink.notices[-1].strip().splitlines()[-1]
    if left:
        waited = f"no answer within {seconds:g} s"
        return f"{waited}: {reason}" if reason else waited
    return reason or "the sink does not take such a drop"
