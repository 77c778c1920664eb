"""Drops as IPFIX data records: RFC 7011, with the information elements of IANA's registry.

Three templates: IPv4, IPv6, and whatever is neither (ARP, LLDP, a frame that is cut). Each has the
same elements around what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from ryu_droplog.model.drop import Drop, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet import headers
from ryu_droplog.packet.ethernet import icmpv6
from ryu_droplog.packet.packet_in import context
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.text.printable import printable

# RFC 7011 sections 3.1 to 3.4: version, length, export time, sequence number, observation domain;
# set id, length; template id, number of fields; element, length.
VERSION: Final = 10
MESSAGE: Final = Struct("!HHIII")
SET: Final = Struct("!HH")
_TEMPLATE = Struct("!HH")
_FIELD = Struct("!HH")
TEMPLATE_SET: Final = 2
VARIABLE: Final = 0xFFFF
TEMPLATE_IPV4, TEMPLATE_IPV6, TEMPLATE_LAYER_2 = 256, 257, 258

# Elements, IANA "IP Flow Information Export (IPFIX) Entities": number, octets.
_WHEN_AND_HOW_MANY = (
    (152, 8),  # flowStartMilliseconds
    (153, 8),  # flowEndMilliseconds
    (2, 8),  # packetDeltaCount
    (1, 8),  # octetDeltaCount
    (10, 4),  # ingressInterface
    (89, 1),  # forwardingStatus
    (233, 1),  # firewallEvent
    (56, 6),  # sourceMacAddress
    (80, 6),  # destinationMacAddress
    (58, 2),  # vlanId
    (256, 2),  # ethernetType
)
_TRANSPORT = (
    (4, 1),  # protocolIdentifier
    (5, 1),  # ipClassOfService
    (7, 2),  # sourceTransportPort
    (11, 2),  # destinationTransportPort
    (6, 1),  # tcpControlBits, RFC 7125: reduced to what all collectors read
)
_NAMES = (
    (82, VARIABLE),  # interfaceName: the port
    (83, VARIABLE),  # interfaceDescription: the bridge
    (96, VARIABLE),  # applicationName: the table
    (335, VARIABLE),  # selectorName: reason, and policy where it is known
)
_COMMON = Struct("!QQQQIBB6s6sHH")
_IPV4 = Struct("!4s4sBBHHBH")
_IPV6 = Struct("!16s16sBBHHBH")
FIELDS: Final = {
    TEMPLATE_IPV4: (
        *_WHEN_AND_HOW_MANY,
        (8, 4),  # sourceIPv4Address
        (12, 4),  # destinationIPv4Address
        *_TRANSPORT,
        (32, 2),  # icmpTypeCodeIPv4
        *_NAMES,
    ),
    TEMPLATE_IPV6: (
        *_WHEN_AND_HOW_MANY,
        (27, 16),  # sourceIPv6Address
        (28, 16),  # destinationIPv6Address
        *_TRANSPORT,
        (139, 2),  # icmpTypeCodeIPv6
        *_NAMES,
    ),
    TEMPLATE_LAYER_2: (*_WHEN_AND_HOW_MANY, *_NAMES),
}

# forwardingStatus, RFC 7270 section 4.12: the upper two bits are 10 for dropped, 01 for forwarded.
# A table in which nothing matches says no more than that the packet was dropped.
_STATUS = {"MISS": 128, "DENY": 130, "PERMIT": 64}
_UNKNOWN = 128
# firewallEvent, RFC 8158: 0 is no event.
_DENIED, _NO_EVENT = 3, 0
_TCP_FLAGS_MASK = 0xFF
_NO_MAC = bytes(headers.MAC_LENGTH)
_MILLISECONDS = 1000  # in a second
_LATEST = 2**40  # seconds since the epoch
_SHORT, _LONG = 254, 0xFF
"""RFC 7011 section 7: up to 254 octets have a length of one octet, more have 255 and two octets."""
NAMES_CACHE_SIZE = 16_384


class Record(NamedTuple):
    """A data record."""

    template: int
    data: bytes


def templates() -> bytes:
    """The set with all templates."""
    body = b"".join(
        _TEMPLATE.pack(number, len(fields)) + b"".join(_FIELD.pack(*field) for field in fields)
        for number, fields in FIELDS.items()
    )
    return SET.pack(TEMPLATE_SET, SET.size + len(body)) + body


def record_maker(bridges: BridgeDirectory) -> Callable[[Drop], Record]:
    """What makes a data record of a drop; raises on nothing that a packet or a switch may say."""
    names: dict[tuple[object, ...], bytes] = {}

    def names_of(drop: Drop, port: int) -> bytes:
        location = drop.location
        port_name = bridges.port_name(location.key[0], port) if port else ""
        key = location, port_name
        text = names.get(key)
        if text is None:
            if len(names) >= NAMES_CACHE_SIZE:
                names.clear()
            reason = f"{location.reason} {location.policy}".rstrip()
            table = f"{location.prefix}{location.table}"
            texts = (port_name, location.bridge, table, reason)
            text = names[key] = b"".join(map(_variable, texts))
        return text

    def make(drop: Drop) -> Record:
        port = context(drop.metadata).in_port & 0xFFFFFFFF
        l3, names_text = drop.l3, names_of(drop, port)
        if isinstance(l3, IPv4):
            octets = max(l3.total_length, (l3.version_ihl & headers.IPV4_IHL_MASK) * 4)
            head = _common(drop, port, octets)
            flow = _IPV4.pack(l3.src, l3.dst, l3.protocol, l3.tos, *_transport(drop))
            return Record(TEMPLATE_IPV4, b"".join((head, flow, names_text)))
        if isinstance(l3, IPv6):
            head = _common(drop, port, headers.IPV6_LENGTH + l3.payload_length)
            traffic_class = l3.version_class_flow >> headers.IPV6_CLASS_SHIFT
            traffic_class &= headers.IPV6_CLASS_MASK
            flow = _IPV6.pack(l3.src, l3.dst, l3.next_header, traffic_class, *_transport(drop))
            return Record(TEMPLATE_IPV6, b"".join((head, flow, names_text)))
        start = headers.ETHERNET_LENGTH + headers.VLAN_LENGTH * len(drop.vlans)
        head = _common(drop, port, max(len(drop.frame) - start, 0))
        return Record(TEMPLATE_LAYER_2, head + names_text)

    return make


def _common(drop: Drop, port: int, octets: int) -> bytes:
    reason, packets = drop.location.reason, drop.repeated or 1
    last = _milliseconds(drop.time)
    return _COMMON.pack(
        _milliseconds(drop.first_time) if drop.repeated and drop.first_time else last,
        last,
        packets,
        packets * octets,
        port,
        _STATUS.get(reason, _UNKNOWN),
        _NO_EVENT if reason == "PERMIT" else _DENIED,
        drop.smac or _NO_MAC,
        drop.dmac or _NO_MAC,
        drop.vlans[0] & headers.VLAN_VID_MASK if drop.vlans else 0,
        max(drop.ethertype, 0),
    )


def _transport(drop: Drop) -> Sequence[int]:
    """Ports, TCP flags, and type and code of ICMP; 0 where there are none."""
    l4 = drop.l4
    if isinstance(l4, Tcp):
        return l4.src_port, l4.dst_port, l4.offset_flags & _TCP_FLAGS_MASK, 0
    if isinstance(l4, Udp):
        return l4.src_port, l4.dst_port, 0, 0
    message = (l4.type, l4.code) if isinstance(l4, Icmp) else icmpv6(drop)
    return (0, 0, 0, message[0] << 8 | message[1]) if message else (0, 0, 0, 0)


def _milliseconds(seconds: float) -> int:
    return int(min(max(seconds, 0.0), _LATEST) * _MILLISECONDS)


def _variable(text: str) -> bytes:
    value = printable(text).encode("utf-8")
    size = len(value)
    if size <= _SHORT:
        return bytes((size,)) + value
    return bytes((_LONG, size >> 8, size & 0xFF)) + value
