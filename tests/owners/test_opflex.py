"""Beside an owner that does with its access bridge what the OpFlex agent does.

The agent itself cannot be had here: it needs Cisco's fabric. What it keeps on its bridges is
described in docs/owners.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from functional.program import Program, eventually, our_flows, our_meters
from private_ovs import PrivateSwitch, run, send_frame

from .documented import documented
from .reach import reach
from .wire import ARP, ICMP, IP, TCP, UDP, Ether, Packet

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(120)]

BRIDGE = "br-access"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]\nlease: {{duration: 30, renew: 2}}"
SECTION = "The OpFlex agent"
LAST = 9
MACS = {"pod1": "0a:58:0a:02:00:01", "pod2": "0a:58:0a:02:00:02"}
IPS = {"pod1": "10.2.0.1", "pod2": "10.2.0.2"}

# Where the packet was and why it ended: option types 12 and 13 of class 0xffff.
TLVS = "{class=0xffff,type=12,len=4}->tun_metadata12,{class=0xffff,type=13,len=4}->tun_metadata13"
TABLE_DROP = "cookie=0x4000000000000000,priority=0"


def record(table: int, reason: int) -> str:
    return f"set_field:{table}->tun_metadata12,set_field:{reason}->tun_metadata13,goto_table:{LAST}"


FLOWS = [
    *(f"table={table},{TABLE_DROP},actions={record(table, 0)}" for table in range(LAST)),
    "table=0,priority=100,actions=goto_table:2",
    f"table=2,priority=50,arp,arp_spa={IPS['pod1']},actions=NORMAL",
    f"table=2,priority=50,arp,arp_spa={IPS['pod2']},actions=NORMAL",
    f"table=2,priority=50,ip,nw_src={IPS['pod1']},actions=goto_table:4",
    f"table=2,priority=50,ip,nw_src={IPS['pod2']},actions=goto_table:6",
    "table=4,priority=20,tcp,tp_dst=80,actions=goto_table:8",
    f"table=4,priority=20,udp,actions={record(4, 1)}",
    "table=6,priority=20,tcp,tp_src=80,actions=goto_table:8",
    "table=8,priority=5,actions=NORMAL",
    f"table={LAST},priority=0,actions=drop",
]

ONE_TO_TWO = Ether(src=MACS["pod1"], dst=MACS["pod2"])
TWO_TO_ONE = Ether(src=MACS["pod2"], dst=MACS["pod1"])
FORWARD, BACK = IP(src=IPS["pod1"], dst=IPS["pod2"]), IP(src=IPS["pod2"], dst=IPS["pod1"])
PACKETS: dict[str, tuple[str, Packet]] = {
    "to a port that no rule names": ("pod1", ONE_TO_TWO / FORWARD / TCP(dport=443)),
    "denied by a rule": ("pod1", ONE_TO_TWO / FORWARD / UDP(dport=53)),
    "from an address that is not the pod's": (
        "pod1",
        ONE_TO_TWO / IP(src="10.2.0.9", dst=IPS["pod2"]) / ICMP(),
    ),
    "ARP for another's address": (
        "pod1",
        ONE_TO_TWO / ARP(hwsrc=MACS["pod1"], psrc="10.2.0.9", pdst=IPS["pod2"]),
    ),
    "what a pod may not send": ("pod2", TWO_TO_ONE / BACK / ICMP()),
}


@pytest.fixture(scope="module")
def agent(switch: PrivateSwitch) -> Iterator[PrivateSwitch]:
    """The bridge with the owner's flows, and two pods."""
    switch.add_bridge(BRIDGE)
    switch.ofctl("add-tlv-map", BRIDGE, TLVS)
    for name, mac in MACS.items():
        switch.guest(name, BRIDGE, f"{IPS[name]}/16", mac=mac)
    program_bridge(switch)
    yield switch
    switch.vsctl("del-br", BRIDGE)


def program_bridge(switch: PrivateSwitch) -> None:
    """What the agent does at a sync: all flows anew, and what is not its own away."""
    switch.ofctl("del-flows", BRIDGE)
    add = ("ovs-ofctl", "-O", "OpenFlow13", "add-flows", BRIDGE, "-")
    run(*add, env=switch.env, stdin="".join(f"{flow}\n" for flow in FLOWS).encode())


def logged(switch: PrivateSwitch, program: Program, what: str) -> tuple[str, ...]:
    """The drop reason that comes of a packet."""
    before = len(program.lines())
    guest, packet = PACKETS[what]
    send_frame(guest, "eth0", bytes(packet))
    eventually(True, lambda: len(program.lines()) > before, patience=4)
    return tuple(line.partition("  ")[0].rpartition("] ")[2] for line in program.lines()[before:])


def reached_beside(switch: PrivateSwitch) -> dict[str, bool]:
    return reach(switch, IPS, [("pod1", "pod2")])


def test_documented_drops_are_those_that_are_tried() -> None:
    assert set(PACKETS) == set(documented(SECTION))


def test_drops_are_logged_and_the_owner_notices_nothing(agent: PrivateSwitch) -> None:
    before, reached = agent.flows(BRIDGE), reached_beside(agent)
    with Program(agent, CONFIG) as program:
        assert eventually(True, lambda: len(our_flows(agent, BRIDGE)) == 1)
        assert 1 == program.times("owner: opflex-access (certain")
        for what, expected in documented(SECTION).items():
            assert expected == logged(agent, program, what), what
        assert reached == reached_beside(agent)
        program_bridge(agent)
        assert eventually(True, lambda: len(our_flows(agent, BRIDGE)) == 1)
        assert ("Acc-SEC_GROUP_IN_TABLE DENY",) == logged(agent, program, "denied by a rule")
        assert 0 == program.end()
    assert before == agent.flows(BRIDGE)
    assert not our_meters(agent, BRIDGE)
    assert reached == reached_beside(agent)
    assert ["pod1 to pod2:80"] == [way for way, open_ in reached.items() if open_]
