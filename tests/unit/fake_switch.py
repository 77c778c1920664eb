"""A switch of bytes: gives a sound answer to every request of the program's, and has no flows."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import openflow_bytes as wire

_REQUEST = struct.Struct("!BBHI")
_FEATURES, _GET_CONFIG, _MULTIPART, _BARRIER, _EXPERIMENTER, _ECHO = 5, 7, 18, 20, 4, 2
_DESC, _FLOW, _METER_CONFIG, _METER_FEATURES, _TABLE_FEATURES = 0, 1, 10, 11, 12
_MONITOR = 0xFFFF
DESCRIPTION = struct.pack("!256s256s256s32s256s", b"Nicira", b"OVS", b"3.1.0", b"None", b"None")


def table(number: int, name: bytes) -> bytes:
    """One entry of OFPMP_TABLE_FEATURES without properties."""
    return struct.pack("!HB5x32sQQII", 64, number, name, 0, 0, 3, 1_000_000)


def flow(table_id: int, priority: int = 5, cookie: int = 0, instructions: bytes = b"") -> bytes:
    """One entry of OFPMP_FLOW, for ARP."""
    behind = bytes.fromhex("0001000a 80000a02 0806 000000000000") + instructions
    head = struct.pack(
        "!HBxIIHHHH4xQQQ", 48 + len(behind), table_id, 3, 0, priority, 0, 0, 0, cookie, 7, 420
    )
    return head + behind


def update(table_id: int, priority: int, event: int = 0, instructions: bytes = b"") -> bytes:
    """A flow monitor reply of one update, about ARP."""
    match = bytes.fromhex("0001000a 80000a02 0806 000000000000")
    length = 24 + len(match) + len(instructions)
    body = struct.pack("!HHHHHHHBxQ", length, event, 0, priority, 0, 0, 10, table_id, 9)
    return struct.pack("!4sI", b"ONF\0", 1870) + body + match + instructions


class FakeSwitch:
    """What a bridge says to each request."""

    def __init__(self, name: bytes, datapath_id: int, flows: bytes = b"") -> None:
        self.name = name
        self.datapath_id = datapath_id
        self.flows = flows
        """Entries of the reply to OFPMP_FLOW."""

    def answer(self, request: bytes) -> bytes:
        """The replies to one request; empty where none is due."""
        _, kind, _, xid = _REQUEST.unpack_from(request)
        if kind == _FEATURES:
            return wire.features(self.datapath_id, xid=xid)
        if kind == _GET_CONFIG:
            return wire.message(8, struct.pack("!HH", 0, 128), xid)
        if kind == _BARRIER:
            return wire.message(wire.BARRIER_REPLY, xid=xid)
        if kind == _ECHO:
            return wire.message(wire.ECHO_REPLY, request[8:], xid)
        if kind == _EXPERIMENTER and len(request) >= 24 and request[8:12] == b"ONF\0":
            return wire.message(_EXPERIMENTER, request[8:24], xid)  # a bundle's control message
        if kind == _MULTIPART:
            [multipart] = struct.unpack_from("!H", request, 8)
            return wire.multipart(multipart, self._multipart(multipart, request), xid)
        return b""

    def _multipart(self, kind: int, request: bytes) -> bytes:
        bodies = {
            wire.PORT_DESC: wire.port(wire.LOCAL, self.name) + wire.port(1, b"tap1"),
            _DESC: DESCRIPTION,
            _FLOW: self.flows,
            _METER_FEATURES: struct.pack("!IIIBB2x", 200_000, 2, 15, 1, 0),
            _TABLE_FEATURES: table(0, b"zero") + table(1, b""),
            _MONITOR: request[16:24],
        }
        return bodies.get(kind, b"")


def requests(sock: socket.socket, quiet: float) -> Iterator[bytes]:
    """The whole messages that come, until none comes for `quiet` seconds or the end."""
    data = b""
    sock.settimeout(quiet)
    while True:
        while len(data) >= 8:
            length = int.from_bytes(data[2:4], "big")
            if len(data) < max(length, 8):
                break
            yield data[:length]
            data = data[length:]
        try:
            chunk = sock.recv(65536)
        except (TimeoutError, ConnectionError):
            return
        if not chunk:
            return
        data += chunk
