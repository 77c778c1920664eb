"""The fields of a packet where it was dropped, as a flow's match has them. Pure.

A record holds the packet and what the switch had noted of it in the table that dropped it: what
earlier tables had rewritten is rewritten here, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_address

from ryu_droplog.openflow.oxm_match import FieldId
from ryu_droplog.packet import headers
from ryu_droplog.packet.deep.layers import Packet
from ryu_droplog.records.record import Conntrack, Context, Record, Tunnel

_BASIC = headers.OXM_CLASS_BASIC
_NXM_0, _NXM_1 = headers.OXM_CLASS_NXM_0, headers.OXM_CLASS_NXM_1
_TCP_FLAGS = headers.TCP_FLAG_NAMES[::-1]
_VLAN_PRESENT = 0x1000
_FRAGMENT, _LATER = 1, 2

ZERO_UNLESS_NOTED: frozenset[FieldId] = frozenset(
    [*((_NXM_1, register) for register in range(16))]
    + [(_NXM_1, 37), *((_NXM_1, ct) for ct in range(105, 109)), (_BASIC, 2), (_BASIC, 38)]
    + [(_NXM_1, 31), (_NXM_1, 32), *((_NXM_1, 40 + number) for number in range(64))]
    + [(_NXM_1, 109), (_NXM_1, 110)]
)
"""Registers, conj_id, ct_*, metadata, tunnel: a switch leaves them out of a PacketIn where they
are 0."""
NOTED: frozenset[FieldId] = frozenset(ZERO_UNLESS_NOTED - {(_NXM_1, 37)})
"""Those of them that a line of the log does not tell."""

PacketFields = dict[FieldId, int]
"""Value of each field that the packet has, by OXM class and number."""


def packet_fields(record: Record) -> PacketFields:
    """All fields that the record tells."""
    fields: PacketFields = dict(_of_packet(record.packet))
    if record.port is not None:
        fields[_BASIC, 0] = record.port.number
    if record.context is not None:
        fields.update(_of_context(record.context))
    return fields


def noted_of_text(flow: str) -> PacketFields:
    """Registers, metadata, connection tracking of a flow as `ofproto/trace` writes it."""
    fields: PacketFields = {}
    for name, value in re.findall(r"(?:^|,)([a-z_0-9]+)=([^,]*)", flow):
        if name == "ct_state":
            fields[_NXM_1, 105] = _bits(value.split("|"), headers.CT_STATE_NAMES)
        elif name in _BY_NAME and re.fullmatch(r"0x[0-9a-f]+|\d+", value):
            fields[_BY_NAME[name]] = int(value, 0)
    return fields


_BY_NAME: dict[str, FieldId] = {
    **{f"reg{number}": (_NXM_1, number) for number in range(16)},
    "metadata": (_BASIC, 2),
    "tun_id": (_BASIC, 38),
    "ct_zone": (_NXM_1, 106),
    "ct_mark": (_NXM_1, 107),
    "ct_label": (_NXM_1, 108),
}


def _of_packet(packet: Packet) -> Iterator[tuple[FieldId, int]]:
    ethernet = packet.ethernet
    if ethernet is not None:
        if ethernet.source:
            yield (_BASIC, 4), _mac(ethernet.source)
            yield (_BASIC, 3), _mac(ethernet.destination)
        if ethernet.type is not None:
            yield (_BASIC, 5), ethernet.type
    vlan = packet.vlans[0] if packet.vlans else None
    yield (_BASIC, 6), vlan.id | _VLAN_PRESENT if vlan else 0
    if vlan:
        yield (_BASIC, 7), vlan.priority
        yield (_NXM_0, 4), vlan.priority << 13 | _VLAN_PRESENT | vlan.id
    else:
        yield (_NXM_0, 4), 0
    yield from _of_network(packet)
    yield from _of_transport(packet)


def _of_network(packet: Packet) -> Iterator[tuple[FieldId, int]]:
    arp = packet.arp
    if arp is not None:
        yield (_BASIC, 21), arp.operation
        yield (_BASIC, 22), int(ip_address(arp.sender_ip))
        yield (_BASIC, 23), int(ip_address(arp.target_ip))
        yield (_BASIC, 24), _mac(arp.sender_mac)
        yield (_BASIC, 25), _mac(arp.target_mac)
    v4, v6 = packet.ipv4, packet.ipv6
    if v4 is not None:
        yield (_BASIC, 11), int(ip_address(v4.source))
        yield (_BASIC, 12), int(ip_address(v4.destination))
        yield (_BASIC, 8), v4.dscp
        yield (_BASIC, 9), v4.ecn
        yield (_NXM_1, 29), v4.ttl
    if v6 is not None:
        yield (_BASIC, 26), int(ip_address(v6.source))
        yield (_BASIC, 27), int(ip_address(v6.destination))
        yield (_BASIC, 28), v6.flow_label
        yield (_BASIC, 8), v6.traffic_class >> 2
        yield (_BASIC, 9), v6.traffic_class & 3
        yield (_NXM_1, 29), v6.hop_limit
    ip = v4 or v6
    if ip is not None:
        yield (_BASIC, 10), ip.protocol
        fragment = ip.fragment
        later = _LATER if fragment and fragment.offset else 0
        yield (_NXM_1, 26), _FRAGMENT | later if fragment else 0


def _of_transport(packet: Packet) -> Iterator[tuple[FieldId, int]]:
    for layer, first in ((packet.tcp, 13), (packet.udp, 15), (packet.sctp, 17)):
        if layer is not None:
            yield (_BASIC, first), layer.source_port
            yield (_BASIC, first + 1), layer.destination_port
    if packet.tcp is not None:
        flags = _bits(packet.tcp.flags, _TCP_FLAGS)
        yield (_BASIC, 42), flags
        yield (_NXM_1, 35), flags
    for icmp, first in ((packet.icmp, 19), (packet.icmpv6, 29)):
        if icmp is not None:
            yield (_BASIC, first), icmp.type
            yield (_BASIC, first + 1), icmp.code
    nd = packet.icmpv6
    if nd is not None:
        if nd.target:
            yield (_BASIC, 31), int(ip_address(nd.target))
        if nd.source_link_layer:
            yield (_BASIC, 32), _mac(nd.source_link_layer)
        if nd.target_link_layer:
            yield (_BASIC, 33), _mac(nd.target_link_layer)


def _of_context(context: Context) -> Iterator[tuple[FieldId, int]]:
    if context.metadata:
        yield (_BASIC, 2), int(context.metadata, 0)
    for name, value in context.registers.items():
        if name in _BY_NAME:
            yield _BY_NAME[name], value
    if context.tunnel is not None:
        yield from _of_tunnel(context.tunnel)
    if context.conntrack is not None:
        yield from _of_conntrack(context.conntrack)


def _of_tunnel(tunnel: Tunnel) -> Iterator[tuple[FieldId, int]]:
    if tunnel.id:
        yield (_BASIC, 38), int(tunnel.id, 0)
    for text, v4, v6 in ((tunnel.source, 31, 109), (tunnel.destination, 32, 110)):
        if text:
            address = ip_address(text)
            yield (_NXM_1, v4 if address.version == 4 else v6), int(address)
    for name, value in tunnel.metadata.items():
        yield (_NXM_1, 40 + int(name.removeprefix("tun_metadata"))), int(value, 0)


def _of_conntrack(conntrack: Conntrack) -> Iterator[tuple[FieldId, int]]:
    yield (_NXM_1, 105), _bits(conntrack.state, headers.CT_STATE_NAMES)
    if conntrack.zone is not None:
        yield (_NXM_1, 106), conntrack.zone
    if conntrack.mark is not None:
        yield (_NXM_1, 107), conntrack.mark
    if conntrack.label:
        yield (_NXM_1, 108), int(conntrack.label, 0)


def _bits(names: Collection[str], order: tuple[str, ...]) -> int:
    return sum(1 << bit for bit, name in enumerate(order) if name in names)


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)
