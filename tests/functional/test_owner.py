"""Whose bridge it is, told from what a real switch says of its flows.

The flows are small models of what each owner writes; tests/owners has the owners themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from ryu_droplog.openflow.requests import dump
from ryu_droplog.owners.base import Recognition
from ryu_droplog.owners.detection import recognise

from .peer import Peer, ours

pytestmark = pytest.mark.ovs

BRIDGE = "br-owner"

NEUTRON = """
cookie=0x5a01,table=0,priority=65535,dl_vlan=4095,actions=drop
cookie=0x5a01,table=0,priority=3,in_port=1,vlan_tci=0x0000/0x1fff,actions=mod_vlan_vid:1,resubmit(,58)
cookie=0x5a01,table=0,priority=2,in_port=1,actions=drop
cookie=0x5a01,table=0,priority=0,actions=resubmit(,58)
cookie=0x5a01,table=23,priority=0,actions=drop
cookie=0x5a01,table=24,priority=0,actions=drop
cookie=0x5a01,table=30,priority=0,actions=resubmit(,58)
cookie=0x5a01,table=31,priority=0,actions=resubmit(,58)
cookie=0x5a01,table=58,priority=0,actions=resubmit(,60)
"""
NEUTRON_WITHOUT_FIREWALL = f"""
{NEUTRON}
cookie=0x5a01,table=60,priority=3,actions=NORMAL
"""
NEUTRON_WITH_FIREWALL = f"""
{NEUTRON}
cookie=0x5a01,table=60,priority=100,in_port=2,actions=load:2->NXM_NX_REG5[],load:1->NXM_NX_REG6[],resubmit(,71)
cookie=0x5a01,table=60,priority=1,actions=NORMAL
cookie=0x5a01,table=71,priority=65,ip,reg5=2,in_port=2,dl_src=fa:16:3e:00:00:0a,actions=ct(table=72,zone=NXM_NX_REG6[0..15])
cookie=0x5a01,table=71,priority=10,reg5=2,in_port=2,actions=resubmit(,93)
cookie=0x5a01,table=71,priority=0,actions=drop
cookie=0x5a01,table=72,priority=50,ct_state=+inv+trk,actions=resubmit(,93)
cookie=0x5a01,table=72,priority=0,actions=drop
cookie=0x5a01,table=73,priority=0,actions=drop
cookie=0x5a01,table=81,priority=100,arp,reg5=2,actions=output:2
cookie=0x5a01,table=81,priority=0,actions=drop
cookie=0x5a01,table=82,priority=40,reg5=2,ct_state=-est,actions=resubmit(,93)
cookie=0x5a01,table=82,priority=0,actions=drop
cookie=0x5a01,table=91,priority=1,actions=resubmit(,94)
cookie=0x5a01,table=92,priority=0,actions=drop
cookie=0x5a01,table=93,priority=0,actions=drop
cookie=0x5a01,table=94,priority=1,actions=NORMAL
"""
OVN = """
cookie=0x7d1f0001,table=0,priority=100,in_port=1,actions=load:1->OXM_OF_METADATA[],load:1->NXM_NX_REG14[],resubmit(,8)
cookie=0,table=0,priority=0,actions=drop
cookie=0x1a2b3c01,table=8,priority=100,metadata=0x1,vlan_tci=0x1000/0x1000,actions=drop
cookie=0x1a2b3c02,table=8,priority=50,metadata=0x1,actions=resubmit(,9)
cookie=0x1a2b3c03,table=9,priority=50,metadata=0x1,reg10=0x8000/0x8000,actions=drop
cookie=0x1a2b3c04,table=9,priority=0,metadata=0x1,actions=resubmit(,10)
cookie=0x1a2b3c05,table=10,priority=0,metadata=0x1,actions=resubmit(,37)
cookie=0,table=37,priority=0,actions=resubmit(,40)
cookie=0x7d1f0001,table=40,priority=100,reg15=0x1,metadata=0x1,actions=resubmit(,64)
cookie=0,table=64,priority=0,actions=resubmit(,65)
cookie=0x7d1f0001,table=65,priority=100,reg15=0x1,metadata=0x1,actions=output:1
"""


def agent(drop_table: int) -> str:
    """The OpFlex agent's bridge whose last table is `drop_table`."""
    flows = [
        f"cookie=0x4000000000000000,table={table},priority=0,"
        f"actions=load:{table}->NXM_NX_REG0[],resubmit(,{drop_table})"
        for table in range(drop_table)
    ]
    flows += [
        f"cookie=0x1{table:02x},table={table},priority=100,in_port=1,actions=resubmit(,{table + 1})"
        for table in range(drop_table - 1)
    ]
    return "\n".join(flows)


LEARNING_SWITCH = """
table=0,priority=1,in_port=1,dl_src=00:00:00:00:00:01,actions=output:2
table=0,priority=0,actions=CONTROLLER:65535
"""
AGENTS_TABLES = "\n".join(
    f"table={table},priority=0,actions=resubmit(,{table + 1})" for table in range(15)
)
SOMEBODYS_23 = "\n".join(
    f"table={table},priority=0,actions=resubmit(,{table + 1})" for table in range(22)
)
BRIDGES = {
    "Neutron, its OVS firewall": (NEUTRON_WITH_FIREWALL, "neutron", "certain"),
    "Neutron without it": (NEUTRON_WITHOUT_FIREWALL, "neutron", "likely"),
    "OVN": (OVN, "ovn", "certain"),
    "the OpFlex agent's integration bridge": (agent(15), "opflex-int", "certain"),
    "the OpFlex agent's access bridge": (agent(9), "opflex-access", "certain"),
    "nobody's, without flows": ("", "auto", "unknown"),
    "nobody's, as made": ("priority=0,actions=NORMAL", "auto", "unknown"),
    "a learning switch's": (LEARNING_SWITCH, "auto", "unknown"),
    "one with the tables of the OpFlex agent": (AGENTS_TABLES, "auto", "unknown"),
    "one that uses table 23": (
        f"{SOMEBODYS_23}\ntable=22,actions=goto_table:23\ntable=23,priority=0,actions=drop\n"
        "table=60,priority=0,actions=NORMAL",
        "auto",
        "unknown",
    ),
}


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    switch.add_bridge(BRIDGE)
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def recognised(switch: PrivateSwitch, flows: str) -> Recognition:
    """Put the flows there, and let it look at what the switch says of them."""
    file = switch.folder / "flows.txt"
    file.write_text(flows)
    switch.ofctl("add-flows", BRIDGE, str(file))
    with Peer(switch, BRIDGE) as peer:
        return recognise(dump(peer.connection))


@pytest.mark.parametrize("whose", BRIDGES)
def test_owner_is_recognised_by_its_flows(switch: PrivateSwitch, bridge: str, whose: str) -> None:
    flows, pipeline, sureness = BRIDGES[whose]
    found = recognised(switch, flows)
    assert (pipeline, sureness) == (found.pipeline, found.sureness)
    assert bool(found.evidence) == (sureness != "unknown")


def test_evidence_can_be_read(switch: PrivateSwitch, bridge: str) -> None:
    assert (
        "table 23 is its canary: one drop, to which no flow leads",
        "25 of 25 flows have one cookie",
        "the tables of its OVS firewall are in use",
    ) == recognised(switch, NEUTRON_WITH_FIREWALL).evidence


def test_flows_of_this_program_hide_no_owner(switch: PrivateSwitch, bridge: str) -> None:
    before = recognised(switch, NEUTRON_WITH_FIREWALL)
    with Peer(switch, BRIDGE) as peer:
        assert [] == peer.add(ours(93, 1)) + peer.add(ours(1)) + peer.add(ours(23, 1))
        assert before == recognise(dump(peer.connection))
