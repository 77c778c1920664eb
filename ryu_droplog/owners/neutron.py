"""Neutron's ML2/OVS agent: its integration bridge, with or without its OVS firewall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ryu_droplog.model.drop import Drop, Udp
from ryu_droplog.owners.base import (
    Explanation,
    FlowsByTable,
    Names,
    Owner,
    Recognition,
    Remedy,
    all_flows,
)
from ryu_droplog.owners.neutron_rule import rule_command
from ryu_droplog.packet import headers
from ryu_droplog.packet.ethernet import icmpv6
from ryu_droplog.packet.packet_in import Context, context
from ryu_droplog.records.record import Record
from ryu_droplog.text.phrases import count

# Its canary, where all packets come by, and the tables of its OVS firewall that it has had in every
# release (neutron-lib, plugins/ml2/ovs_constants.py: CANARY_TABLE, TRANSIENT_TABLE,
# BASE_EGRESS_TABLE, RULES_EGRESS_TABLE, BASE_INGRESS_TABLE, RULES_INGRESS_TABLE).
_CANARY = 23
_TRANSIENT = 60
_FIREWALL = frozenset((71, 72, 81, 82))
_MANY = 0.9
"""Share of flows that counts as nearly all."""

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
# Its own `log` extension sends drops of a port to its controller before they reach the catch-all
# drop (neutron, services/logapi/drivers/openvswitch): table 93, this priority.
_LOG_PRIORITY = 53

_NO_RULE = "no rule matches"
_GONE = "the rule that allowed the connection is gone"


class Neutron(Owner):
    """Neutron's ML2/OVS agent."""

    name = "neutron"
    pipelines = ("neutron",)

    def recognise(self, flows: FlowsByTable) -> Recognition | None:
        """By its canary, and by the tables of its OVS firewall."""
        canary = flows.get(_CANARY, ())
        if len(canary) != 1 or canary[0].effect.acts or not canary[0].catch_all:
            return None
        if any(step.table_id == _CANARY for flow in all_flows(flows) for step in flow.effect.steps):
            return None
        if _TRANSIENT not in flows:
            return None
        evidence = [f"table {_CANARY} is its canary: one drop, to which no flow leads"]
        numbers = Counter(flow.cookie for flow in all_flows(flows))
        same, total = max(numbers.values()), numbers.total()
        if same >= _MANY * total:
            evidence.append(f"{same} of {total} flows have one cookie")
        if set(flows) >= _FIREWALL:
            evidence.append("the tables of its OVS firewall are in use")
            return Recognition("neutron", "certain", tuple(evidence))
        evidence.append(f"table {_TRANSIENT} is in use, and no table of its OVS firewall")
        return Recognition("neutron", "likely", tuple(evidence))

    def explain(self, drop: Drop, names: Names) -> Explanation:
        """What its OVS firewall noted of a packet.

        `direction` is the VM's view: egress is what it sends. `port` and `ofport` are of the port
        whose rules dropped the packet, `network` is the local VLAN, `why` is in words.
        """
        if drop.location.table_id not in _FIREWALL_TABLES:
            return {}
        packet = context(drop.metadata)
        port = packet.registers.get(_PORT_REGISTER, 0)
        direction = _direction(drop.location.table_id, packet.in_port, port)
        explanation: dict[str, str | int | None] = {
            "direction": direction,
            "port": names.ports.get(port) if port else None,
            "ofport": port or None,
            "network": packet.registers.get(_NETWORK_REGISTER) or None,
            "why": _after_conntrack(drop, packet)
            if packet.ct_state & headers.CT_STATE_TRACKED
            else _before_conntrack(drop, direction),
        }
        return {key: value for key, value in explanation.items() if value is not None}

    def remedy(self, record: Record, port_ids: Mapping[str, str]) -> Remedy | None:
        """The security group rule for the port whose rules dropped the packet."""
        if record.table.id not in _FIREWALL_TABLES:
            return None
        why = str(record.owner.get("why", ""))
        if why not in (_NO_RULE, _GONE):
            reason = why or "it is not known why the firewall dropped the packet"
            return Remedy("", f"no security group rule would let it pass: {reason}")
        return rule_command(record, port_ids)

    def warnings(self, flows: FlowsByTable) -> Iterator[str]:
        """Of its own packet logging, which takes drops of ports before anyone else sees them."""
        logging = sum(
            flow.priority == _LOG_PRIORITY and flow.effect.tells
            for flow in flows.get(_DROPPED_TRAFFIC_TABLE, ())
        )
        if logging:
            yield (
                f"Neutron's own packet logging takes the drops of {count(logging, 'port')}: they"
                " are not seen here"
            )


def _direction(table_id: int, in_port: int, port: int) -> str | None:
    """By the table; for the one where both end, by whether the packet came in at the port."""
    if table_id in _EGRESS_TABLES:
        return "egress"
    if table_id in _INGRESS_TABLES:
        return "ingress"
    if not port:
        return None
    return "egress" if port == in_port else "ingress"


def _after_conntrack(drop: Drop, packet: Context) -> str | None:
    """Why a packet was dropped whose connection was looked up; None where nothing tells."""
    if packet.ct_state & headers.CT_STATE_INVALID:
        return "invalid conntrack state"
    if packet.ct_state & headers.CT_STATE_ESTABLISHED and packet.ct_mark & _RULE_GONE:
        return _GONE
    return _NO_RULE if drop.location.table_id in _RULES_TABLES else None


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
