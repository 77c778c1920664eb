"""A peer that says what it likes: OpenFlow byte by byte, as OpenFlow 1.3.5 section 7 has it."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

_HEADER = struct.Struct("!BBHI")
_LOCAL = 0xFFFFFFFE
_GET_CONFIG, _MULTIPART, _BARRIER, _FEATURES = 7, 18, 20, 5
_PORT_DESC, _METER_FEATURES = 13, 11


class FalseSwitch:
    """A bridge without flows and meters, under any name, from any address of this host."""

    def __init__(
        self, port: int, name: str, datapath_id: int, *, source: str = "127.0.0.1"
    ) -> None:
        """Connects to `port` of 127.0.0.1, and answers all that it is asked until `close`."""
        self._name = name.encode()
        self._datapath_id = datapath_id
        self.closed = threading.Event()
        """Set when the connection has ended."""
        self.watched = threading.Event()
        """Set when it was asked for more than the handshake: it was taken for a bridge."""
        self._sock = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def __enter__(self) -> FalseSwitch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _answer(self) -> None:
        with self._sock, self._sock.makefile("rb") as asked, suppress(OSError):
            self._sock.settimeout(None)
            self._send(0, 0, struct.pack("!HHI", 1, 8, 1 << 4))
            while len(header := asked.read(_HEADER.size)) == _HEADER.size:
                _, kind, length, xid = _HEADER.unpack(header)
                self._reply(kind, xid, asked.read(length - _HEADER.size))
        self.closed.set()

    def _reply(self, kind: int, xid: int, body: bytes) -> None:
        if kind == _FEATURES:
            features = struct.pack("!QIBB2xII", self._datapath_id, 0, 254, 0, 79, 0)
            self._send(kind + 1, xid, features)
        elif kind == _MULTIPART:
            multipart = int.from_bytes(body[:2], "big")
            described = b""
            if multipart == _PORT_DESC:
                described = struct.pack("!I4x6s2x16s32x", _LOCAL, b"\x02\0\0\0\0\1", self._name)
            elif multipart == _METER_FEATURES:
                described = bytes(16)
            self._send(kind + 1, xid, struct.pack("!HH4x", multipart, 0) + described)
        elif kind in (_GET_CONFIG, _BARRIER):
            self.watched.set()
            self._send(kind + 1, xid, bytes(4) if kind == _GET_CONFIG else b"")

    def _send(self, kind: int, xid: int, body: bytes) -> None:
        self._sock.sendall(_HEADER.pack(4, kind, _HEADER.size + len(body), xid) + body)
