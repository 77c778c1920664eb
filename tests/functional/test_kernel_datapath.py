"""The kernel's datapath: what a drop becomes there, and what of it outlives ovs-vswitchd."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, in_netns, run, send_frame

from . import books
from .books import File, held_back, settled
from .packets import syn
from .program import (
    OURS,
    Program,
    add_flows,
    eventually,
    foreign_flows,
    our_flows,
    our_meters,
    watched,
)
from .test_stepping_aside import FLOOD, NOTE

pytestmark = [pytest.mark.ovs, pytest.mark.kernel_switch]

BRIDGE = "br-kernel"
BRIDGES = f"bridges: [{{name: {BRIDGE}}}]"
CONFIG = f"{BRIDGES}\nmeter: {{rate: 20, burst: 20}}"
FLOWS = (
    "table=0,priority=5,arp,actions=NORMAL",
    "table=0,priority=4,tcp,tp_dst=80,actions=goto_table:1",
    "table=1,priority=0,actions=drop",
)
WATCHED = [0, 1]
OVS_CTL = "/usr/share/openvswitch/scripts/ovs-ctl"
STORM, RATE = 1500, 300
"""Frames of a storm, and how many a second: what an emulated machine carries."""
LOUD = 6000
"""Frames of a flow that is so loud that it steps aside."""
SEGMENTS = 10
"""Datagrams that a guest hands over to its interface as one."""
SEND_SEGMENTS = f"""
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT, linux/udp.h
sender.sendto(bytes({SEGMENTS} * 1000), ("10.9.0.2", 53))
"""

_PACKETS = re.compile(r"\bpackets:(\d+)")
_METERED = re.compile(r"\bmeter\(\d+\),userspace\(pid=\d+,controller\(reason=0,")


@pytest.fixture(scope="module")
def switch() -> Iterator[PrivateSwitch]:
    with PrivateSwitch(kernel=True) as started:
        started.add_bridge(BRIDGE, datapath="system")
        started.guest("one", BRIDGE, "10.9.0.1/24")
        yield started


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge of the kernel's datapath with a guest `one`, whose tables 0 and 1 lose packets."""
    add_flows(switch, BRIDGE, *FLOWS)
    yield BRIDGE
    switch.ofctl("del-flows", BRIDGE)


def dropped_by(flow: str) -> int:
    """Packets of a flow of the datapath."""
    found = _PACKETS.search(flow)
    assert found is not None, flow
    return int(found[1])


def datapath_flows(switch: PrivateSwitch) -> list[str]:
    """Those of the kernel that send to the program, asked of the kernel, not of ovs-vswitchd."""
    dump = run("ovs-dpctl", "dump-flows", "system@ovs-system", env=switch.env)
    return [flow for flow in dump.splitlines() if "controller(" in flow]


def test_storm_is_rate_limited_in_the_kernel_and_the_books_balance_to_the_packet(
    switch: PrivateSwitch, bridge: str
) -> None:
    file = File(switch)
    config = f"{CONFIG}\nstorm: {{enable: false}}\n{file.config}"
    with Program(switch, config) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        books.send(switch, STORM, RATE)
        assert [] != datapath_flows(switch)
        for flow in datapath_flows(switch):
            assert _METERED.search(flow), flow
        dropped = settled(switch, bridge)
        book = books.all_in(program, bridge, dropped)
        assert (STORM, 0, 0) == (book["dropped"], book["lost_in_switch"], book["waiting"])
        assert STORM / 2 < held_back(switch, bridge) == book["metered"]
        assert STORM == file.lines() + book["metered"]
        assert [] == file.odd()
        assert 0 == program.end()
    assert not our_flows(switch, bridge)
    assert not our_meters(switch, bridge)


def test_loud_flow_steps_aside_and_the_books_balance_to_the_packet(
    switch: PrivateSwitch, bridge: str
) -> None:
    def aside() -> int:
        return sum(flow.endswith(f"actions={NOTE}") for flow in switch.flows(bridge, OURS))

    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        with books.load(switch, LOUD, RATE, "one", FLOOD):
            assert 1 == eventually(1, aside)
        book = books.all_in(program, bridge, LOUD)
        assert (LOUD, 0, 0) == (book["dropped"], book["lost_in_switch"], book["waiting"])
        assert 0 < book["summarised"]
        assert LOUD == book["logged"] + book["metered"] + book["summarised"]
        assert {0} == set(books.status(program)["unexplained"].values())
        assert 0 == eventually(0, aside), "it is quiet"
        assert 0 == program.end()
    assert len(FLOWS) == len(switch.flows(bridge))


def test_owner_who_takes_the_places_of_our_flows_has_them(
    switch: PrivateSwitch, bridge: str
) -> None:
    """One replaces our table-miss flow, one overlaps with our flow above a drop."""
    theirs = ("table=0,priority=0,actions=NORMAL", "table=1,priority=1,tcp,actions=NORMAL")
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        add_flows(switch, bridge, *theirs)
        assert [] == eventually([], lambda: our_flows(switch, bridge))
        with_theirs = foreign_flows(switch, bridge)
        assert len(FLOWS) + len(theirs) == len(with_theirs)
        send_frame("one", "eth0", syn())
        for flow in theirs:
            place = flow.rpartition(",")[0]
            switch.ofctl("--strict", "del-flows", bridge, place)
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        assert [] == program.lines()
        send_frame("one", "eth0", syn())
        assert 1 == eventually(1, lambda: len(program.lines()))
        assert 0 == program.end()
    assert len(FLOWS) == len(switch.flows(bridge))


def test_restart_by_ovs_ctl_keeps_the_owners_flows_and_ours_come_again(
    switch: PrivateSwitch, bridge: str
) -> None:
    """It saves all flows and restores them in one bundle, ours without their meters."""
    theirs = foreign_flows(switch, bridge)
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        before = our_flows(switch, bridge)
        with switch.restarted_by(OVS_CTL):
            assert 2 == eventually(2, lambda: program.times("connected to"))
            assert before == eventually(before, lambda: our_flows(switch, bridge))
            assert WATCHED == eventually(WATCHED, lambda: our_meters(switch, bridge))
            assert theirs == foreign_flows(switch, bridge)
            send_frame("one", "eth0", syn())
            assert 1 == eventually(1, lambda: len(program.lines()))
            assert 0 == program.end()
            assert theirs == switch.flows(bridge)
            assert not our_meters(switch, bridge)


def test_drops_while_ovs_vswitchd_is_dead_are_counted_by_the_kernel_alone(
    switch: PrivateSwitch, bridge: str
) -> None:
    """Its flows outlive ovs-vswitchd, and the next one throws them away with their counters."""
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        send_frame("one", "eth0", syn(), count=5, interval=0.1)
        assert 5 == eventually(5, lambda: books.total(program, bridge)["dropped"])
        switch.kill_vswitchd()
        try:
            [before] = datapath_flows(switch)
            send_frame("one", "eth0", syn(), count=10)
            [after] = datapath_flows(switch)
            assert 10 == dropped_by(after) - dropped_by(before)
        finally:
            switch.start_vswitchd()
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        assert 5 == books.total(program, bridge)["dropped"]
        send_frame("one", "eth0", syn())
        assert 6 == eventually(6, lambda: books.total(program, bridge)["dropped"])
        assert 6 == eventually(6, lambda: len(program.lines()))
        assert 0 == program.end()


def test_segments_that_a_guest_leaves_to_its_interface_are_a_line_each(
    switch: PrivateSwitch, bridge: str
) -> None:
    """The kernel's flow counts the packet that they still are; the program what it got."""
    inside = in_netns("one", "ip", "neigh", "replace", "10.9.0.2", "dev", "eth0")
    run(*inside, "lladdr", "02:00:00:00:00:02")
    run(*in_netns("one", "ethtool", "-K", "eth0", "tx", "on", "tx-udp-segmentation", "on"))
    with Program(switch, BRIDGES) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        for packets in (1, 2, 3):
            run(*in_netns("one", sys.executable, "-I", "-S", "-c", SEND_SEGMENTS))
            lines = packets * SEGMENTS
            assert lines == eventually(lines, lambda: len(program.lines()))
        # The first had no flow in the kernel yet, and went through ovs-vswitchd in segments.
        assert SEGMENTS + 2 == settled(switch, bridge)
        book = books.total(program, bridge)
        assert (lines, lines, 0) == (book["dropped"], book["logged"], book["lost_in_switch"])
        assert 0 == program.end()
