"""IPv4 and IPv6 with its extension headers; what is behind them is found by the protocol."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.packet import headers
from ryu_droplog.packet.deep import control, transport
from ryu_droplog.packet.deep.layers import Fragment, IPv4, IPv6, Packet
from ryu_droplog.packet.deep.walk import TUNNELS, Decoder, Walk, cut
from ryu_droplog.text.addresses import IPV4_TEXT, IPV6_TEXT

_DONT_FRAGMENT = 0x4000
_OFFSET_UNIT = 8
_ECN_MASK = 3

# IPv6 extension headers, RFC 8200 section 4, and IANA's list of them.
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS: Mapping[int, str] = {
    headers.PROTOCOL_HOP_BY_HOP: "hop-by-hop",
    43: "routing",
    _FRAGMENT: "fragment",
    _AUTHENTICATION: "ah",
    60: "destination",
    135: "mobility",
    139: "hip",
    140: "shim6",
}
_CHAIN = 16
"""Extension headers that are read at most."""
_UNIT = 8
"""Length of an extension header is counted in these, its first one not counted."""


def ipv4(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an IPv4 header (RFC 791 section 3.1) and what is behind it.

    The total length ends the packet before the padding, unless it is less than the header's own
    (segmentation offload, or a lie) or more than is there.
    """
    if start + headers.IPV4_LENGTH > end:
        return cut(walk, end)
    first, tos, length, identification, flags_offset, ttl, protocol, _, source, destination = (
        headers.IPV4.unpack_from(frame, start)
    )
    header_length = (first & headers.IPV4_IHL_MASK) * 4
    offset = flags_offset & headers.IPV4_OFFSET_MASK
    more = bool(flags_offset & headers.IPV4_MORE_FRAGMENTS)
    walk.packet.ipv4 = IPv4(
        IPV4_TEXT[source],
        IPV4_TEXT[destination],
        protocol,
        length,
        ttl,
        tos >> headers.IPV4_DSCP_SHIFT,
        tos & _ECN_MASK,
        identification,
        bool(flags_offset & _DONT_FRAGMENT),
        max(header_length - headers.IPV4_LENGTH, 0),
        Fragment(identification, offset * _OFFSET_UNIT, more) if offset or more else None,
    )
    walk.source, walk.destination, walk.protocol = source, destination, protocol
    if header_length < headers.IPV4_LENGTH:
        return start + headers.IPV4_LENGTH
    payload: int = start + header_length
    if payload > end:
        return cut(walk, end)
    if header_length <= length:
        end = min(end, start + length)
    if offset:
        return payload
    return _behind_protocol(walk, frame, payload, end)


def ipv6(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an IPv6 header, its extension headers (RFC 8200 sections 3, 4) and what is behind."""
    payload = start + headers.IPV6_LENGTH
    if payload > end:
        return cut(walk, end)
    class_flow, length, protocol, hop_limit, source, destination = headers.IPV6.unpack_from(
        frame, start
    )
    layer = walk.packet.ipv6 = IPv6(
        IPV6_TEXT[source],
        IPV6_TEXT[destination],
        protocol,
        length,
        hop_limit,
        class_flow >> headers.IPV6_CLASS_SHIFT & headers.IPV6_CLASS_MASK,
        class_flow & headers.IPV6_FLOW_MASK,
    )
    walk.source, walk.destination, walk.protocol = source, destination, protocol
    if length:  # 0 in a jumbogram, RFC 2675 section 3
        end = min(end, payload + length)
    if protocol in _EXTENSIONS:
        return _extensions(walk, layer, frame, payload, end)
    return _behind_protocol(walk, frame, payload, end)


def _extensions(walk: Walk, layer: IPv6, frame: bytes, start: int, end: int) -> int:
    names: list[str] = []
    while layer.protocol in _EXTENSIONS and len(names) < _CHAIN:
        kind = layer.protocol
        if start + _UNIT > end:
            layer.extensions = tuple(names)
            return cut(walk, end)
        names.append(_EXTENSIONS[kind])
        layer.protocol = walk.protocol = frame[start]
        length = _UNIT
        if kind == _AUTHENTICATION:  # RFC 4302 section 2.2: in units of 4 bytes, less 2
            length = (frame[start + 1] + 2) * 4
        elif kind == _FRAGMENT:
            offset_more = int.from_bytes(frame[start + 2 : start + 4], "big")
            identification = int.from_bytes(frame[start + 4 : start + 8], "big")
            offset = offset_more & ~(_OFFSET_UNIT - 1)
            layer.fragment = Fragment(identification, offset, bool(offset_more & 1))
            if offset:
                layer.extensions = tuple(names)
                return start + length
        else:
            length = (frame[start + 1] + 1) * _UNIT
        start += length
        if start > end:
            layer.extensions = tuple(names)
            return cut(walk, end)
    layer.extensions = tuple(names)
    if layer.protocol in _EXTENSIONS:
        return start
    return _behind_protocol(walk, frame, start, end)


def _behind_protocol(walk: Walk, frame: bytes, start: int, end: int) -> int:
    decoder = _DECODERS.get(walk.protocol)
    return start if decoder is None else decoder(walk, frame, start, end)


def _ipv4_inside(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """IPv4 in IP, RFC 2003 section 3."""
    return _inside(walk, frame, start, end, ipv4)


def _ipv6_inside(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """IPv6 in IP, RFC 2473 section 3."""
    return _inside(walk, frame, start, end, ipv6)


def _inside(walk: Walk, frame: bytes, start: int, end: int, decoder: Decoder) -> int:
    if walk.depth >= TUNNELS:
        return start
    inner = Walk(Packet(), walk.depth + 1)
    behind = decoder(inner, frame, start, end)
    walk.packet.inner = inner.packet
    return behind


_DECODERS: dict[int, Decoder] = {
    headers.PROTOCOL_ICMP: control.icmp,
    headers.PROTOCOL_IGMP: control.igmp,
    4: _ipv4_inside,
    headers.PROTOCOL_TCP: transport.tcp,
    headers.PROTOCOL_UDP: transport.udp,
    41: _ipv6_inside,
    47: transport.gre,
    headers.PROTOCOL_ICMPV6: control.icmpv6,
    headers.PROTOCOL_SCTP: transport.sctp,
}
