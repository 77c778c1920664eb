"""Why a packet was dropped and whose it was, in the words of the bridge's owner.

Read from what the owner had noted in registers and connection tracking when the packet fell
through; only the formats that have room for it ask.
"""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.model.drop import Drop, Udp
from ryu_droplog.ovsdb.southbound import Directory
from ryu_droplog.packet import headers
from ryu_droplog.packet.ethernet import icmpv6
from ryu_droplog.packet.packet_in import Context, context

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
# Where conntrack has seen the packet already, and the rules of the port are what is left; before
# conntrack, the base tables look at addresses and EtherTypes. Both send what they drop to 93.
_RULES_TABLES = frozenset((72, 82, _DROPPED_TRAFFIC_TABLE))
_BASE_TABLES = frozenset((71, 81, _DROPPED_TRAFFIC_TABLE))

_FIREWALL_ETHERTYPES = (headers.ETHERTYPE_IPV4, headers.ETHERTYPE_IPV6, headers.ETHERTYPE_ARP)

# OVN (ovn, include/ovn/logical-fields.h): the OpenFlow metadata holds the tunnel key of the logical
# datapath, registers 14 and 15 the keys of the logical ports where the packet came in and goes out.
_INPORT_REGISTER, _OUTPORT_REGISTER = 14, 15


def neutron(drop: Drop, port_names: Mapping[int, str]) -> dict[str, str | int]:
    """What Neutron's OVS firewall (ML2/OVS) noted of a packet.

    `direction` is the VM's view: egress is what it sends. `port` and `ofport` are of the port whose
    rules dropped the packet, `network` is the local VLAN, `why` is in words. What is not known is
    left out. `port_names` are the bridge's ports by OpenFlow number. Never raises.
    """
    if drop.location.table_id not in _FIREWALL_TABLES:
        return {}
    known = context(drop.metadata)
    port = known.registers.get(_PORT_REGISTER, 0)
    direction = _direction(drop.location.table_id, known.in_port, port)
    told: dict[str, str | int | None] = {
        "direction": direction,
        "port": port_names.get(port) if port else None,
        "ofport": port or None,
        "network": known.registers.get(_NETWORK_REGISTER) or None,
        "why": _after_conntrack(drop, known)
        if known.ct_state & headers.CT_STATE_TRACKED
        else _before_conntrack(drop, direction),
    }
    return {key: value for key, value in told.items() if value is not None}


def opflex(drop: Drop) -> dict[str, str | int]:
    """What the OpFlex agent noted of a packet: its groups, and the port where it was to go out.

    In registers 0, 2 and 7 (opflex, agent-ovs/ovs/PacketDecoderLayers.cpp). Never raises.
    """
    registers = context(drop.metadata).registers
    told = {
        "source_group": registers.get(headers.OPFLEX_SOURCE_GROUP),
        "destination_group": registers.get(headers.OPFLEX_DESTINATION_GROUP),
        "out_port": registers.get(headers.OPFLEX_OUTPUT_PORT),
    }
    return {key: value for key, value in told.items() if value}


def _direction(table_id: int, in_port: int, port: int) -> str | None:
    """By the table; for the one where both end, by whether the packet came in at the port."""
    if table_id in _EGRESS_TABLES:
        return "egress"
    if table_id in _INGRESS_TABLES:
        return "ingress"
    if not port:
        return None
    return "egress" if port == in_port else "ingress"


def _after_conntrack(drop: Drop, known: Context) -> str | None:
    """Why a packet was dropped whose connection was looked up; None where nothing tells."""
    if known.ct_state & headers.CT_STATE_INVALID:
        return "invalid conntrack state"
    if known.ct_state & headers.CT_STATE_ESTABLISHED and known.ct_mark & _RULE_GONE:
        return "the rule that allowed the connection is gone"
    return "no rule matches" if drop.location.table_id in _RULES_TABLES else None


def _before_conntrack(drop: Drop, direction: str | None) -> str | None:
    """Why a packet was dropped that got no further than the base tables; None as above."""
    ethertype = drop.ethertype
    if drop.location.table_id not in _BASE_TABLES or direction is None:
        return None
    if ethertype not in _FIREWALL_ETHERTYPES:
        if ethertype < 0 or ethertype == headers.ETHERTYPE_VLAN:
            return None  # the frame is cut
        if ethertype < headers.ETHERTYPE_MIN:
            return "a frame with an 802.3 length is not allowed"
        return f"EtherType {ethertype:#06x} is not allowed"
    if direction == "ingress" or drop.truncated:
        return None  # the base table of what a VM gets lets IP and ARP pass
    if _is_from_dhcp_server(drop):
        return "a DHCP server is not allowed at the port"
    if (icmpv6(drop) or (0,))[0] == headers.ICMPV6_ROUTER_ADVERTISEMENT:
        return "a router advertisement is not allowed from the port"
    return "anti-spoofing: not an address of the port"


def _is_from_dhcp_server(drop: Drop) -> bool:
    if not isinstance(drop.l4, Udp):
        return False
    ports = (drop.l4.src_port, drop.l4.dst_port)
    return ports == headers.DHCP_SERVER_TO_CLIENT.get(drop.ethertype)


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
