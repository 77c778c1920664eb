"""Why a packet was dropped and whose it was, in the words of the bridge's owner.

Read from what the owner had noted in registers and connection tracking when the packet fell
through; only the formats that have room for it ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ryu_droplog.drop import Drop, Udp
from ryu_droplog.packet import wire
from ryu_droplog.packet.frame import icmpv6
from ryu_droplog.packet.packetin import Context, context

# Neutron's OVS firewall (neutron, agent/linux/openvswitch_firewall): register 5 holds the OpenFlow
# port whose rules are applied, register 6 the local VLAN of its network; bit 0 of the conntrack
# mark says that the rule behind an established connection is gone. Tables by neutron-lib,
# plugins/ml2/ovs_constants.py.
_PORT_REGISTER, _NETWORK_REGISTER = 5, 6
_RULE_GONE = 0x1
_EGRESS_TABLES = frozenset((71, 72, 73))
_INGRESS_TABLES = frozenset((81, 82))
_DROPPED_TRAFFIC_TABLE = 93
_FIREWALL_TABLES = _EGRESS_TABLES | _INGRESS_TABLES | {_DROPPED_TRAFFIC_TABLE}

# OVN (ovn, include/ovn/logical-fields.h): the OpenFlow metadata holds the tunnel key of the logical
# datapath, registers 14 and 15 the keys of the logical ports where the packet came in and goes out.
_INPORT_REGISTER, _OUTPORT_REGISTER = 14, 15


def neutron(drop: Drop, port_names: Mapping[int, str]) -> dict[str, str | int]:
    """What Neutron's OVS firewall (ML2/OVS) noted of a packet.

    `direction` is the VM's view: egress is what it sends. `port` and `ofport` are of the port whose
    rules dropped the packet, `network` is the local VLAN, `why` is in words. What is not known is
    left out. `port_names` are the bridge's ports by OpenFlow number. Never raises.
    """
    if drop.origin.table_id not in _FIREWALL_TABLES:
        return {}
    known = context(drop.metadata)
    port = known.registers.get(_PORT_REGISTER, 0)
    egress = _is_egress(drop.origin.table_id, known.in_port, port)
    told: dict[str, str | int] = {"direction": "egress" if egress else "ingress"}
    if port in port_names:
        told["port"] = port_names[port]
    if port:
        told["ofport"] = port
    if known.registers.get(_NETWORK_REGISTER):
        told["network"] = known.registers[_NETWORK_REGISTER]
    told["why"] = _firewall_says(drop, known, egress=egress)
    return told


def _is_egress(table_id: int, in_port: int, port: int) -> bool:
    if table_id == _DROPPED_TRAFFIC_TABLE:
        return port == in_port
    return table_id in _EGRESS_TABLES


def _firewall_says(drop: Drop, known: Context, *, egress: bool) -> str:
    state = known.ct_state
    if state & wire.CT_STATE_TRACKED:
        if state & wire.CT_STATE_INVALID:
            return "invalid conntrack state"
        if state & wire.CT_STATE_ESTABLISHED and known.ct_mark & _RULE_GONE:
            return "the rule that allowed the connection is gone"
        return "no rule matches"
    if drop.ethertype not in (wire.ETHERTYPE_IPV4, wire.ETHERTYPE_IPV6, wire.ETHERTYPE_ARP):
        return f"EtherType {drop.ethertype:#06x} is not allowed" if drop.ethertype >= 0 else "cut"
    if egress and isinstance(drop.l4, Udp) and _is_dhcp_server(drop.l4):
        return "a DHCP server is not allowed at the port"
    if egress and (icmpv6(drop) or (0,))[0] == wire.ICMPV6_ROUTER_ADVERTISEMENT:
        return "a router advertisement is not allowed from the port"
    return "anti-spoofing: not an address of the port"


def _is_dhcp_server(udp: Udp) -> bool:
    return (udp.src_port, udp.dst_port) in wire.DHCP_SERVER_TO_CLIENT


@dataclass(frozen=True)
class Directory:
    """What OVN calls the keys that a packet carries."""

    datapaths: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Tunnel key -> name, and `switch` or `router`."""
    ports: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Tunnel keys of datapath and port -> name of the logical port."""


def ovn(drop: Drop, directory: Directory) -> dict[str, str | int]:
    """Which logical switch or router of OVN dropped a packet, and between which of its ports.

    Keys that have no name in the directory are given by number, as `datapath_key`, `inport_key` and
    `outport_key`. Never raises.
    """
    known = context(drop.metadata)
    if not known.metadata:
        return {}
    told: dict[str, str | int] = {}
    if known.metadata in directory.datapaths:
        told["datapath"], told["datapath_type"] = directory.datapaths[known.metadata]
    else:
        told["datapath_key"] = known.metadata
    for name, register in (("inport", _INPORT_REGISTER), ("outport", _OUTPORT_REGISTER)):
        key = known.registers.get(register, 0)
        if (known.metadata, key) in directory.ports:
            told[name] = directory.ports[known.metadata, key]
        elif key:
            told[f"{name}_key"] = key
    return told
