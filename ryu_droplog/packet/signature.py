"""The signature of a packet as a flow of the switch can match it: a frame in, fields out. Pure.

What the switch reads in another way than this module has no signature: headers that are cut or
contradict themselves, and what is behind more than one tag (Open vSwitch, lib/flow.c,
miniflow_extract and parse_ethertype).
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from ryu_droplog.packet import headers
from ryu_droplog.packet.packet_in import oxm_fields

WITH_PORTS = {
    headers.PROTOCOL_TCP: headers.TCP_LENGTH,
    headers.PROTOCOL_UDP: headers.UDP_LENGTH,
    headers.PROTOCOL_SCTP: 12,
}
"""Protocols with a destination port, and the bytes of their header (SCTP: RFC 9260 section 3.1)."""
NONE = -1
"""Stands for a protocol or a port that a packet does not have."""
NO_ETHERTYPE = 0x05FF
"""What Open vSwitch has for the EtherType of a frame with a length and without one of SNAP."""

_PORTS = Struct("!HH")
_TAGS = (headers.ETHERTYPE_VLAN, headers.ETHERTYPE_SERVICE_VLAN)
_SNAP = b"\xaa\xaa"
_PORT_NUMBER = 4
"""Bytes of OXM_OF_IN_PORT."""

# RFC 8200 section 4: extension headers, each of which begins with the number of the next one.
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _OPTIONS = 0, 43, 44, 51, 60
_EXTENSION = Struct("!BB")
_FRAGMENT_HEADER = Struct("!BxH4x")
_FRAGMENT_OFFSET = 0xFFF8


class Signature(NamedTuple):
    """What the packets of a loud flow have in common."""

    in_port: int
    """OpenFlow port number, 32 bits."""
    ethertype: int
    source: bytes
    """IPv4 or IPv6 address, network byte order; without IP the MAC."""
    target: bytes
    """The same of the destination."""
    protocol: int = NONE
    """Of IP: of the last extension header for IPv6."""
    port: int = NONE
    """Destination port; `NONE` for protocols without ports, and for later fragments."""
    later: bool = False
    """Whether it is a fragment other than the first."""

    @property
    def by_mac(self) -> bool:
        """Whether its ends are MACs."""
        return len(self.source) == headers.MAC_LENGTH


def in_port(metadata: bytes) -> int:
    """The ingress port in the OXM fields of a PacketIn's match; 0 where there is none."""
    for oxm_class, field, value, _mask in oxm_fields(metadata):
        if (oxm_class, field) == (headers.OXM_CLASS_BASIC, headers.OXM_IN_PORT):
            return int.from_bytes(value, "big") if len(value) == _PORT_NUMBER else 0
    return 0


def signature_of(frame: bytes, port: int) -> Signature | None:
    """The signature of a frame that came in at an OpenFlow port; None: it has none.

    Nothing is raised, whatever the bytes.
    """
    size = len(frame)
    if size < headers.ETHERNET_LENGTH:
        return None
    target, source, ethertype = headers.ETHERNET.unpack_from(frame)
    start = headers.ETHERNET_LENGTH
    if ethertype in _TAGS:
        if size < start + headers.VLAN_LENGTH:
            return None
        _tag, ethertype = headers.VLAN.unpack_from(frame, start)
        start += headers.VLAN_LENGTH
        if ethertype in _TAGS:
            return None
    if ethertype == headers.ETHERTYPE_IPV4:
        return _ipv4(frame, start, port)
    if ethertype == headers.ETHERTYPE_IPV6:
        return _ipv6(frame, start, port)
    if ethertype < headers.ETHERTYPE_MIN:
        if frame[start : start + 2] == _SNAP:
            return None
        ethertype = NO_ETHERTYPE
    return Signature(port, ethertype, source, target)


def _ipv4(frame: bytes, start: int, port: int) -> Signature | None:
    if len(frame) < start + headers.IPV4_LENGTH:
        return None
    version_ihl, _tos, length, _id, flags_offset, _ttl, protocol, _sum, source, target = (
        headers.IPV4.unpack_from(frame, start)
    )
    header = (version_ihl & headers.IPV4_IHL_MASK) * 4
    if version_ihl >> 4 != 4 or header < headers.IPV4_LENGTH:
        return None
    if not header <= length <= len(frame) - start:
        return None
    later = bool(flags_offset & headers.IPV4_OFFSET_MASK)
    plain = Signature(port, headers.ETHERTYPE_IPV4, source, target, protocol, later=later)
    return _with_port(plain, frame, start + header, start + length)


def _ipv6(frame: bytes, start: int, port: int) -> Signature | None:
    body = start + headers.IPV6_LENGTH
    if len(frame) < body:
        return None
    version, length, protocol, _hops, source, target = headers.IPV6.unpack_from(frame, start)
    end = body + length
    if version >> 28 != 6 or end > len(frame):
        return None
    later = False
    while protocol in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _OPTIONS) and not later:
        if body + headers.UDP_LENGTH > end:  # all of them have 8 bytes at least
            return None
        following, words = _EXTENSION.unpack_from(frame, body)
        if protocol == _FRAGMENT:
            _, offset = _FRAGMENT_HEADER.unpack_from(frame, body)
            later = bool(offset & _FRAGMENT_OFFSET)
            body += _FRAGMENT_HEADER.size
        elif protocol == _AUTHENTICATION:  # RFC 4302 section 2.2: in 4 bytes, less 2
            body += (words + 2) * 4
        else:
            body += (words + 1) * 8
        protocol = following
    plain = Signature(port, headers.ETHERTYPE_IPV6, source, target, protocol, later=later)
    return _with_port(plain, frame, body, end)


def _with_port(plain: Signature, frame: bytes, start: int, end: int) -> Signature | None:
    length = WITH_PORTS.get(plain.protocol)
    if length is None or plain.later:
        return plain
    if start + length > end:
        return None
    return plain._replace(port=_PORTS.unpack_from(frame, start)[1])
