"""An owner that races, and traffic: no packet is treated otherwise than on a bridge without us.

Two bridges get the same changes and the same packets, and one of them is watched.
"""

from __future__ import annotations

import ctypes
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from private_ovs import NETNS_FOLDER, PrivateSwitch, run

from .packets import ARP, IPV4, arp, ethernet, ipv4, udp
from .program import Program, eventually, our_flows

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

RACE = 60.0
"""Seconds."""
SETTLE = 0.1
"""Seconds from a change to the packets: what our answer to it may take on a busy machine."""
CONFIG = """
bridges: [{name: br-seen, explicit_drops: log}]
lease: {duration: 4, renew: 1}
meter: {rate: 100000, burst: 10000}
"""
TABLES = (0, 1, 2)
MATCHES = ("", "arp", "udp", "udp,tp_dst=7", "ip,nw_src=10.0.0.1")
ACTIONS = ("drop", "drop", "NORMAL", "resubmit(,1)", "resubmit(,2)")
STABLE = ("table=0,priority=9,udp,tp_dst=9,actions=NORMAL", "table=0,priority=9,icmp,actions=drop")
"""Flows that stay: what the first matches always passes."""

_CLONE_NEWNET = 0x4000_0000
_ETH_P_ALL = 0x0003
_PATIENCE = 0.05


def socket_in(netns: str) -> socket.socket:
    """A packet socket on `eth0` of a guest, that is, of another network namespace."""
    made: list[socket.socket] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(NETNS_FOLDER / netns, "rb") as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        sock.bind(("eth0", 0))
        made.append(sock)

    thread = threading.Thread(target=make)  # which alone goes into that namespace
    thread.start()
    thread.join()
    [sock] = made
    return sock


@dataclass
class Twin:
    """A bridge with a guest that sends and one that listens."""

    bridge: str
    sender: socket.socket
    listener: socket.socket

    def delivers(self, frames: list[bytes]) -> list[bool]:
        """Send the frames; which of them arrive."""
        self.listener.setblocking(False)
        while self._next():
            pass
        for frame in frames:
            self.sender.send(frame)
        arrived: set[bytes] = set()
        deadline = time.monotonic() + _PATIENCE
        self.listener.settimeout(_PATIENCE / 5)
        while time.monotonic() < deadline and len(arrived) < len(frames):
            arrived.add(self._next())
        return [frame in arrived for frame in frames]

    def _next(self) -> bytes:
        try:
            return self.listener.recv(2048)
        except (BlockingIOError, TimeoutError):
            return b""


@pytest.fixture(scope="module")
def twins(switch: PrivateSwitch) -> Iterator[tuple[Twin, Twin]]:
    made = []
    for bridge, sender, listener in (("br-seen", "s1", "s2"), ("br-alone", "t1", "t2")):
        switch.add_bridge(bridge)
        for name in (sender, listener):
            switch.guest(name, bridge)
        made.append(Twin(bridge, socket_in(sender), socket_in(listener)))
    yield made[0], made[1]
    for twin in made:
        twin.sender.close()
        twin.listener.close()
        switch.vsctl("del-br", twin.bridge)


def packets(number: int) -> list[bytes]:
    """One of each kind, each like no other before it."""
    mark = number.to_bytes(4, "big") + bytes(40)
    src, dst = "10.0.0.1", "10.0.0.2"
    return [
        ethernet(IPV4, ipv4(src, dst, 17, udp(number % 60000 + 1, port, 8 + len(mark)), mark))
        for port in (7, 8, 9)
    ] + [
        ethernet(IPV4, ipv4(src, dst, 1, bytes([8, 0, 0, 0]), mark)),
        ethernet(ARP, arp(src, dst), mark),
        ethernet(0x88B5, mark),
    ]


class Owner:
    """Makes the same change on both bridges."""

    def __init__(self, switch: PrivateSwitch, bridges: tuple[str, str], seed: int) -> None:
        self._switch = switch
        self._bridges = bridges
        self._random = random.Random(seed)
        self._places: list[str] = []

    def change(self) -> None:
        choose = self._random.choice
        if self._places and self._random.random() < 0.45:
            place = self._places.pop(self._random.randrange(len(self._places)))
            self._do(f"delete_strict {place}")
            return
        match = choose(MATCHES)
        table, priority = choose(TABLES), self._random.randrange(4)
        place = f"table={table},priority={priority}{',' + match if match else ''}"
        actions = choose([a for a in ACTIONS if a != f"resubmit(,{table})" and not (
            table and a.startswith("resubmit") and int(a[10]) <= table)])  # fmt: skip
        if place not in self._places:
            self._places.append(place)
        self._do(f"add {place},actions={actions}")

    def _do(self, command: str) -> None:
        for bridge in self._bridges:
            add = ("ovs-ofctl", "-O", "OpenFlow13", "add-flows", bridge, "-")
            run(*add, env=self._switch.env, stdin=f"{command}\n".encode())


def test_every_packet_is_treated_as_on_a_bridge_without_us(
    switch: PrivateSwitch, twins: tuple[Twin, Twin]
) -> None:
    seen, alone = twins
    for twin in twins:
        for flow in STABLE:
            switch.ofctl("add-flow", twin.bridge, flow)
    owner = Owner(switch, (seen.bridge, alone.bridge), seed=11)
    number = delivered = lost = 0
    stood = False
    with Program(switch, CONFIG) as program:
        assert eventually(True, lambda: "watching" in program.said())
        end = time.monotonic() + RACE
        while time.monotonic() < end:
            owner.change()
            time.sleep(SETTLE)
            number += 1
            frames = packets(number)
            expected, actual = alone.delivers(frames), seen.delivers(frames)
            flows = "\n".join(switch.flows(seen.bridge))
            assert expected == actual, f"after {number} changes\n{flows}"
            assert actual[2]
            delivered += sum(actual)
            lost += len(actual) - sum(actual)
            stood = stood or bool(our_flows(switch, seen.bridge))
        assert 0 == program.end()
    assert stood
    assert delivered > number
    assert lost > number
    assert switch.flows(alone.bridge) == switch.flows(seen.bridge)
