"""A captured packet: the UDP datagram in it, if there is one. Bytes in, bytes out; nothing raises.

Link types by https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ryu_droplog.packet import headers

# Where the EtherType stands, and where the packet begins: LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL and
# LINKTYPE_LINUX_SLL2, which `tcpdump -i any` writes.
_WITH_ETHERTYPE: Final = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
_RAW: Final = frozenset((12, 14, 101, 228, 229))
"""LINKTYPE_RAW and its like: an IP packet, and nothing before it."""
_FAMILY: Final = frozenset((0, 108))
"""LINKTYPE_NULL and LINKTYPE_LOOP: four bytes before the IP packet."""
LINK_TYPES: Final = frozenset((*_WITH_ETHERTYPE, *_RAW, *_FAMILY))
"""All that can be read."""

_VLANS: Final = frozenset((headers.ETHERTYPE_VLAN, headers.ETHERTYPE_SERVICE_VLAN))


class Datagram(NamedTuple):
    """A UDP datagram, as much of it as was captured."""

    port: int
    """Destination port."""
    payload: bytes
    cut: bool = False
    """Whether it is longer, by its own word and the IP packet's, than what is there."""


def datagram(link_type: int, packet: bytes) -> Datagram | None:
    """The UDP datagram in a packet; None where there is none, or none that is whole in its headers.

    Fragments are none, nor is what is behind an IPv6 extension header: no drop log is sent so.
    """
    start = _ip_start(link_type, packet)
    if start is None or start >= len(packet):
        return None
    version = packet[start] >> 4
    if version == 4:
        return _behind_ipv4(packet, start)
    return _behind_ipv6(packet, start) if version == 6 else None


def _ip_start(link_type: int, packet: bytes) -> int | None:
    if link_type in _RAW:
        return 0
    if link_type in _FAMILY:
        return 4
    layout = _WITH_ETHERTYPE.get(link_type)
    if layout is None:
        return None
    position, start = layout
    ethertype = int.from_bytes(packet[position : position + 2], "big")
    while ethertype in _VLANS:
        start += headers.VLAN_LENGTH
        ethertype = int.from_bytes(packet[start - 2 : start], "big")
    return start if ethertype in (headers.ETHERTYPE_IPV4, headers.ETHERTYPE_IPV6) else None


def _behind_ipv4(packet: bytes, start: int) -> Datagram | None:
    if start + headers.IPV4_LENGTH > len(packet):
        return None
    fields = headers.IPV4.unpack_from(packet, start)
    total, flags_offset, protocol = fields[2], fields[4], fields[6]
    length = (fields[0] & headers.IPV4_IHL_MASK) * 4
    fragment = flags_offset & (headers.IPV4_OFFSET_MASK | headers.IPV4_MORE_FRAGMENTS)
    if protocol != headers.PROTOCOL_UDP or fragment or length < headers.IPV4_LENGTH:
        return None
    return _udp(packet, start + length, start + total)


def _behind_ipv6(packet: bytes, start: int) -> Datagram | None:
    if start + headers.IPV6_LENGTH > len(packet):
        return None
    _, length, next_header, _, _, _ = headers.IPV6.unpack_from(packet, start)
    payload = start + headers.IPV6_LENGTH
    return _udp(packet, payload, payload + length) if next_header == headers.PROTOCOL_UDP else None


def _udp(packet: bytes, start: int, end: int) -> Datagram | None:
    """`end` is where the IP packet ends by its own word."""
    payload = start + headers.UDP_LENGTH
    if payload > min(len(packet), end):
        return None
    _, port, length, _ = headers.UDP.unpack_from(packet, start)
    if length < headers.UDP_LENGTH:
        return None
    end = min(start + length, end)
    return Datagram(port, packet[payload:end], end > len(packet))
