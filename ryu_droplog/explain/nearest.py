"""Which flows of a table came closest to a packet, and in which fields they differ. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from struct import Struct
from typing import NamedTuple

from ryu_droplog.explain.packet_fields import ZERO_UNLESS_NOTED, PacketFields
from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.openflow.oxm_match import FieldId, field_text, fields
from ryu_droplog.packet import headers

MOST = 5
"""Flows that are shown."""

_BASIC, _NXM_1 = headers.OXM_CLASS_BASIC, headers.OXM_CLASS_NXM_1
_CONJ_ID = (_NXM_1, 37)
_ETHERTYPE, _PROTOCOL = (_BASIC, 5), (_BASIC, 10)
_HEAVY: frozenset[FieldId] = frozenset(
    [_ETHERTYPE, _PROTOCOL, _CONJ_ID, (_BASIC, 0), (_BASIC, 2), (_BASIC, 6), (_BASIC, 38)]
    + [(_NXM_1, number) for number in range(16)]
    + [(_NXM_1, 105), (_NXM_1, 106)]
)
"""A flow that differs in one of these is another port's, network's or protocol's."""
_HEAVY_COST, _COST = 4, 1
# Open vSwitch, lib/ofp-actions.c: NXAST_CONJUNCTION, 34: clause, number of clauses, id.
_CONJUNCTION_HEAD = bytes.fromhex("ffff0010000023200022")
_CONJUNCTION = Struct("!BBI")

_WORDS: dict[str, str] = {
    "dl_type": "EtherType", "nw_proto": "IP protocol", "dl_vlan": "VLAN", "in_port": "in port",
    "dl_src": "source MAC", "dl_dst": "destination MAC", "nw_src": "source address",
    "nw_dst": "destination address", "ipv6_src": "source address",
    "ipv6_dst": "destination address", "tp_src": "source port", "tp_dst": "destination port",
    "ct_state": "connection tracking state", "ct_zone": "connection tracking zone",
    "ct_mark": "connection tracking mark", "icmp_type": "ICMP type", "icmp_code": "ICMP code",
    "arp_spa": "ARP sender", "arp_tpa": "ARP target", "arp_op": "ARP operation",
    "tun_id": "tunnel id", "nw_ttl": "TTL", "tcp_flags": "TCP flags",
}  # fmt: skip


class Difference(NamedTuple):
    """A field in which a flow asks for something else than the packet has."""

    field: str
    """As ovs-ofctl calls it."""
    wanted: str
    """What the flow asks for, as ovs-ofctl shows it."""
    found: str
    """What the packet has; empty: it has no such field."""
    text: str
    """For people: `destination port is 80`."""


class Near(NamedTuple):
    """A flow that does more than drop, and what keeps the packet from it."""

    flow: Flow
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]
    """Fields that it asks for and of which nothing is known, as ovs-ofctl calls them."""
    conjunctions: tuple[str, ...]
    """Conditions of conjunctions that it is, for people: all of them must hold."""


def conjunctions_of(flow: Flow) -> tuple[str, ...]:
    """What a flow does that only names conditions of conjunctions; empty for any other."""
    found = []
    start = flow.instructions.find(_CONJUNCTION_HEAD)
    while start >= 0 and start + 16 <= len(flow.instructions):
        clause, clauses, number = _CONJUNCTION.unpack_from(flow.instructions, start + 10)
        found.append(f"condition {clause + 1} of {clauses} of conjunction {number}")
        start = flow.instructions.find(_CONJUNCTION_HEAD, start + 16)
    return tuple(found)


def matching(
    flows: Iterable[Flow], packet: PacketFields, unknown: Collection[FieldId]
) -> Flow | None:
    """The flow of others than this program that takes the packet: where ours stands, the one below.

    `unknown` are fields of which nothing is known. None: no flow does, or that cannot be told.
    """
    best: Flow | None = None
    for flow in flows:
        if is_ours(flow) or (best is not None and flow.priority <= best.priority):
            continue
        if _cost(flow, packet, unknown, 0) == 0 and not conjunctions_of(flow):
            best = flow
    return best


def nearest(
    flows: Iterable[Flow],
    packet: PacketFields,
    unknown: Collection[FieldId] = (),
    most: int = MOST,
) -> list[Near]:
    """The closest first: the fewest differences, of equals the highest priority.

    Those that drop, those of this program and those that match everything are left out, and so is
    the flow that takes the packet.
    """
    found: list[tuple[int, int, int, Flow]] = []
    limit = 1 << 30
    for order, flow in enumerate(flows):
        if not flow.match or not flow.effect.acts or is_ours(flow):
            continue
        cost = _cost(flow, packet, unknown, limit)
        if cost > limit or (cost == 0 and not conjunctions_of(flow)):
            continue
        item = (-cost, flow.priority, -order, flow)
        if len(found) < most:
            heapq.heappush(found, item)
        else:
            heapq.heappushpop(found, item)
        if len(found) == most:
            limit = -found[0][0]
    found.sort(reverse=True, key=lambda item: item[:3])
    return [_near(flow, packet, unknown) for *_, flow in found]


def _cost(flow: Flow, packet: PacketFields, unknown: Collection[FieldId], limit: int) -> int:
    """How far the flow is; more than `limit` is enough."""
    cost = 0
    for field, (value, mask, _) in fields(flow.match).items():
        found = packet.get(field)
        if found is None:
            if field in unknown:
                continue
            found = 0 if field in ZERO_UNLESS_NOTED else ~value
        if (found ^ value) & mask:
            cost += _HEAVY_COST if field in _HEAVY else _COST
            if cost > limit:
                return cost
    return cost


def _near(flow: Flow, packet: PacketFields, unknown: Collection[FieldId]) -> Near:
    differences, unknowns = [], []
    wanted = fields(flow.match)
    other = any(
        field in packet
        and field in wanted
        and (packet[field] ^ wanted[field][0]) & wanted[field][1]
        for field in (_ETHERTYPE, _PROTOCOL)
    )
    for field, (value, mask, size) in wanted.items():
        name, text = field_text(field, value, mask, size)
        found = packet.get(field)
        if found is None and field in unknown:
            unknowns.append(name)
            continue
        if found is None and field in ZERO_UNLESS_NOTED:
            found = 0
        if found is None:
            if not other:  # else that it has no such field goes without saying
                words = f"the packet has no {_WORDS.get(name, name)}"
                differences.append(Difference(name, text, "", words))
        elif (found ^ value) & mask:
            shown = field_text(field, found, (1 << 8 * size) - 1, size)[1]
            words = f"{_WORDS.get(name, name)} is {shown}"
            if field == _CONJ_ID:
                words = f"conjunction {value} is not complete"
            differences.append(Difference(name, text, shown, words))
    return Near(flow, tuple(differences), tuple(unknowns), conjunctions_of(flow))
