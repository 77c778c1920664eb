"""Frames near 64 KB: Open vSwitch lets the length of their PacketIns overflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from namespaces import in_netns, run
from private_ovs import PrivateSwitch, send_frame

from .packets import IPV4, ethernet, ipv4, udp
from .program import Program, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-large"
LARGEST = 65_535
"""MTU: the largest of a veth."""


@pytest.fixture(scope="module", autouse=True)
def guest(switch: PrivateSwitch) -> Iterator[None]:
    switch.add_bridge(BRIDGE)
    run("ip", "netns", "add", "large")
    run("ip", "link", "add", "large", "mtu", str(LARGEST), "type", "veth",
        "peer", "name", "eth0", "netns", "large", "mtu", str(LARGEST))  # fmt: skip
    run("ip", "link", "set", "large", "addrgenmode", "none", "up")
    run("ip", "-n", "large", "link", "set", "eth0", "addrgenmode", "none", "up")
    run(*in_netns("large", "ethtool", "-K", "eth0", "tx", "off"))
    switch.add_port(BRIDGE, "large")
    yield
    run("ip", "netns", "del", "large")


def datagram(port: int, size: int = 60) -> bytes:
    """A frame of so many bytes, with a datagram to a port at its beginning."""
    return ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, udp(4000, port))).ljust(size, b"\xee")


@pytest.mark.parametrize("size", [65_400, 65_482, 65_483, 65_490, 65_500, 65_535, 65_536, 65_549])
def test_frame_near_64_kb_and_the_next_one_are_both_logged(
    switch: PrivateSwitch, size: int
) -> None:
    with Program(switch, f"bridges: [{{name: {BRIDGE}}}]") as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        for port, length in ((7001, 60), (7002, size), (7003, 60), (7004, size), (7005, 60)):
            send_frame("large", "eth0", datagram(port, length))
        expected = ["7001", "7002", "7003", "7004", "7005"]

        def ports() -> list[str]:
            lines = program.lines()
            return [port for port in expected for line in lines if f"={port} " in f"{line} "]

        assert expected == eventually(expected, ports), program.lines()
        assert 0 == program.times("trying again")
        assert 1 == program.times("connected to")
        assert 0 == program.end()
