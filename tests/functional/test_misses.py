"""A bridge whose own controller is asked on a miss keeps its misses."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn
from .program import Program, add_flows, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-asks"
PORT = 16790
HELLO, ECHO_REQUEST, ECHO_REPLY, SET_CONFIG, PACKET_IN = 0, 2, 3, 9, 10  # OpenFlow 1.0


class OldController:
    """A controller of OpenFlow 1.0 that counts its packet-ins."""

    def __init__(self) -> None:
        self.packet_ins = 0
        self._listener = socket.create_server(("127.0.0.1", PORT))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, sock.makefile("rb") as stream:
                sock.sendall(struct.pack("!BBHI", 1, HELLO, 8, 1))
                sock.sendall(struct.pack("!BBHIHH", 1, SET_CONFIG, 12, 2, 0, 128))
                while header := stream.read(8):
                    _, kind, length, xid = struct.unpack("!BBHI", header)
                    body = stream.read(length - 8)
                    if kind == ECHO_REQUEST:
                        sock.sendall(struct.pack("!BBHI", 1, ECHO_REPLY, length, xid) + body)
                    self.packet_ins += kind == PACKET_IN

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def controller(switch: PrivateSwitch) -> Iterator[OldController]:
    """The bridge's controller; the bridge has a guest `one`."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    made = OldController()
    switch.vsctl("set-controller", BRIDGE, f"tcp:127.0.0.1:{PORT}")
    yield made
    switch.vsctl("del-br", BRIDGE)
    made.close()


def test_controller_of_openflow_10_is_still_asked_on_a_miss(
    switch: PrivateSwitch, controller: OldController
) -> None:
    def asked(before: int) -> bool:
        send_frame("one", "eth0", syn())
        return controller.packet_ins > before

    assert True is eventually(True, lambda: asked(0))
    add_flows(switch, BRIDGE, "table=0,priority=5,arp,actions=goto_table:4")
    add_flows(switch, BRIDGE, "table=4,priority=0,actions=drop")
    with Program(switch, f"bridges: [{{name: {BRIDGE}}}]") as program:
        why = "TABLE_0 (a miss goes to the bridge's own controller)"
        assert 1 == eventually(1, lambda: program.times(f"left alone: {why}"))
        assert [4] == watched(switch, BRIDGE)
        before = controller.packet_ins
        assert True is eventually(True, lambda: asked(before))
        assert 0 == program.end()
