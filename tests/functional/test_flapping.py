"""A switch that is connected to and leaves at once, again and again: tried less and less often."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress

import pytest
from private_ovs import PrivateSwitch

from .false_switch import FalseSwitch
from .program import Program

pytestmark = pytest.mark.ovs


class _Flapping(FalseSwitch):
    """A false switch that was connected to, and hangs up once it is taken for a bridge."""

    def __init__(self, sock: socket.socket, name: str, datapath_id: int) -> None:
        self._name = name.encode()
        self._datapath_id = datapath_id
        self._sock = sock

    def serve(self) -> None:
        """Answer until the program asks for more than the handshake."""
        header = struct.Struct("!BBHI")
        with self._sock, self._sock.makefile("rb") as asked, suppress(OSError):
            self._sock.settimeout(20)
            self._send(0, 0, struct.pack("!HHI", 1, 8, 1 << 4))
            while len(head := asked.read(header.size)) == header.size:
                _, kind, length, xid = header.unpack(head)
                body = asked.read(length - header.size)
                if kind in (7, 20):  # GET_CONFIG_REQUEST, BARRIER_REQUEST
                    return
                self._reply(kind, xid, body)


def test_switch_that_leaves_after_the_handshake_is_tried_less_and_less_often(
    switch: PrivateSwitch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(45)
        port = server.getsockname()[1]
        config = f'bridges: [{{name: br-flap, connect: "tcp:127.0.0.1:{port}"}}]'
        with Program(switch, config) as program:
            came = []
            for _ in range(5):
                sock, _ = server.accept()
                came.append(time.monotonic())
                _Flapping(sock, "br-flap", 77).serve()
            # Each pause is at least a half of the full one.
            assert came[-1] - came[0] > (0.5 + 1 + 2 + 4) / 2 - 0.5
            assert 25 > len(program.said().splitlines())
            assert program.times("connected to tcp:127.0.0.1") >= 4
            program.end(patience=20)
