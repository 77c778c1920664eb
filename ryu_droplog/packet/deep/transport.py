"""TCP with its options, UDP and what it carries, SCTP, and the tunnels GRE, VXLAN and Geneve."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from ryu_droplog.packet import headers
from ryu_droplog.packet.deep import dhcp, dns
from ryu_droplog.packet.deep.layers import (
    Geneve,
    Gre,
    Packet,
    Sctp,
    Tcp,
    TcpOptions,
    TcpTimestamps,
    Udp,
    Vxlan,
)
from ryu_droplog.packet.deep.walk import TUNNELS, Decoder, Walk, cut

# SCTP, RFC 9260 sections 3.1 and 3.2: ports, verification tag, checksum; then chunks.
_SCTP = Struct("!HHII")
_CHUNKS: Mapping[int, str] = {
    0: "DATA",
    1: "INIT",
    2: "INIT_ACK",
    3: "SACK",
    4: "HEARTBEAT",
    5: "HEARTBEAT_ACK",
    6: "ABORT",
    7: "SHUTDOWN",
    8: "SHUTDOWN_ACK",
    9: "ERROR",
    10: "COOKIE_ECHO",
    11: "COOKIE_ACK",
    14: "SHUTDOWN_COMPLETE",
}

# GRE, RFC 2784 section 2.1, RFC 2890 section 2: which parts are there, and the version.
_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE, _GRE_VERSION = 0x8000, 0x2000, 0x1000, 0x0007
_GRE_LENGTH, _GRE_PART = 4, 4

# VXLAN, RFC 7348 section 5 (port 4789; Linux used 8472 before): flags, VNI.
_VXLAN_PORTS = frozenset((4789, 8472))
_VXLAN_LENGTH = 8
_VXLAN_HAS_VNI = 0x08
DNS_PORTS = frozenset((53, headers.MDNS_PORT))
_DHCP4_PORTS = frozenset((67, 68))
_DHCP6_PORTS = frozenset((546, 547))
PAYLOAD_PORTS = _VXLAN_PORTS | {headers.GENEVE_PORT} | DNS_PORTS | _DHCP4_PORTS | _DHCP6_PORTS
"""Ports of UDP whose payload is looked into."""

_MSS, _WINDOW_SCALE, _SACK_PERMITTED, _TIMESTAMPS = 2, 3, 4, 8
# What nearly all senders begin a connection with (MSS, SACK permitted, timestamps, no operation,
# window scale), and send in it (twice no operation, timestamps): read at once.
_SYN_OPTIONS, _SYN_KINDS = Struct("!HHHHIIBHB"), (0x0204, 0x0402, 0x080A, 0x01, 0x0303)
_DATA_OPTIONS, _DATA_KINDS = Struct("!III"), 0x0101080A
_FLAGS = tuple(
    tuple(
        name
        for bit, name in enumerate(headers.TCP_FLAG_NAMES)
        if flags >> (len(headers.TCP_FLAG_NAMES) - 1 - bit) & 1
    )
    for flags in range(headers.TCP_FLAGS_MASK + 1)
)


def tcp(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read a TCP header, RFC 9293 section 3.1, and its options."""
    if start + headers.TCP_LENGTH > end:
        return cut(walk, end)
    source, destination, sequence, acknowledgment, offset_flags, window, _, urgent = (
        headers.TCP.unpack_from(frame, start)
    )
    layer = walk.packet.tcp = Tcp(
        source,
        destination,
        sequence,
        acknowledgment,
        _FLAGS[offset_flags & headers.TCP_FLAGS_MASK],
        window,
        urgent,
    )
    walk.source_port, walk.destination_port = source, destination
    options = start + headers.TCP_LENGTH
    behind = start + (offset_flags >> headers.TCP_DATA_OFFSET_SHIFT) * 4
    if behind <= options:
        return options
    layer.options = _tcp_options(frame, options, min(behind, end))
    return behind if behind <= end else cut(walk, end)


def _tcp_options(frame: bytes, start: int, end: int) -> TcpOptions | None:
    """The options that are known and whole, RFC 9293 section 3.2; None: there are none."""
    if end - start == _SYN_OPTIONS.size:
        sizes, mss, sack, stamps, value, echo, no_operation, scales, scale = (
            _SYN_OPTIONS.unpack_from(frame, start)
        )
        if (sizes, sack, stamps, no_operation, scales) == _SYN_KINDS:
            return TcpOptions(mss, True, scale, TcpTimestamps(value, echo))
    elif end - start == _DATA_OPTIONS.size:
        stamps, value, echo = _DATA_OPTIONS.unpack_from(frame, start)
        if stamps == _DATA_KINDS:
            return TcpOptions(timestamps=TcpTimestamps(value, echo))
    options = TcpOptions()
    some = False
    while start < end:
        kind = frame[start]
        if kind < 2:  # 0: end of the list, 1: no operation
            if not kind:
                break
            start += 1
            continue
        length = frame[start + 1] if start + 1 < end else 0
        if length < 2 or start + length > end:
            break
        if kind == _MSS and length == 4:
            options.mss = frame[start + 2] << 8 | frame[start + 3]
        elif kind == _WINDOW_SCALE and length == 3:
            options.window_scale = frame[start + 2]
        elif kind == _SACK_PERMITTED and length == 2:
            options.sack_permitted = True
        elif kind == _TIMESTAMPS and length == 10:
            options.timestamps = TcpTimestamps(
                int.from_bytes(frame[start + 2 : start + 6], "big"),
                int.from_bytes(frame[start + 6 : start + 10], "big"),
            )
        else:
            start += length
            continue
        some = True
        start += length
    return options if some else None


def udp(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read a UDP header, RFC 768, and by its ports what it carries."""
    payload = start + headers.UDP_LENGTH
    if payload > end:
        return cut(walk, end)
    source, destination, length, _ = headers.UDP.unpack_from(frame, start)
    walk.packet.udp = Udp(source, destination, length)
    walk.source_port, walk.destination_port = source, destination
    if length >= headers.UDP_LENGTH:  # 0 in a jumbogram, or with segmentation offload
        end = min(end, start + length)
    if payload == end:
        return payload
    packet = walk.packet
    if destination in _VXLAN_PORTS:
        return _vxlan(walk, frame, payload, end)
    if destination == headers.GENEVE_PORT:
        return _geneve(walk, frame, payload, end)
    if destination in DNS_PORTS or source in DNS_PORTS:
        packet.dns = dns.read(frame[payload:end])
    elif destination in _DHCP4_PORTS:
        packet.dhcp = dhcp.version_4(frame[payload:end])
    elif destination in _DHCP6_PORTS:
        packet.dhcp = dhcp.version_6(frame[payload:end])
    return payload


def sctp(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an SCTP common header and the type of the first chunk, RFC 9260 section 3."""
    behind = start + _SCTP.size
    if behind > end:
        return cut(walk, end)
    source, destination, tag, _ = _SCTP.unpack_from(frame, start)
    layer = walk.packet.sctp = Sctp(source, destination, tag)
    walk.source_port, walk.destination_port = source, destination
    if behind < end:
        layer.chunk = frame[behind]
        layer.chunk_name = _CHUNKS.get(layer.chunk, "")
    return behind


def gre(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read a GRE header and the packet inside."""
    if start + _GRE_LENGTH > end:
        return cut(walk, end)
    flags = int.from_bytes(frame[start : start + 2], "big")
    protocol = int.from_bytes(frame[start + 2 : start + 4], "big")
    layer = walk.packet.gre = Gre(flags & _GRE_VERSION, protocol)
    start += _GRE_LENGTH
    if layer.version:
        return start  # RFC 2637: PPP inside, with a layout of its own
    for part in (_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE):
        if not flags & part:
            continue
        if start + _GRE_PART > end:
            return cut(walk, end)
        value = int.from_bytes(frame[start : start + _GRE_PART], "big")
        if part == _GRE_KEY:
            layer.key = value
        elif part == _GRE_SEQUENCE:
            layer.sequence = value
        start += _GRE_PART
    return _inside(walk, frame, start, end, protocol)


def _vxlan(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read a VXLAN header, RFC 7348 section 5, and the frame inside."""
    if start + _VXLAN_LENGTH > end:
        return cut(walk, end)
    has_vni = frame[start] & _VXLAN_HAS_VNI
    vni = int.from_bytes(frame[start + 4 : start + 7], "big")
    walk.packet.vxlan = Vxlan(vni if has_vni else None)
    start += _VXLAN_LENGTH
    return _inside(walk, frame, start, end, headers.ETHERTYPE_TRANSPARENT_ETHERNET)


def _geneve(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read a Geneve header, RFC 8926 section 3.4, and what is inside."""
    if start + headers.GENEVE_LENGTH > end:
        return cut(walk, end)
    first, _, protocol, vni = headers.GENEVE.unpack_from(frame, start)
    options = (first & headers.GENEVE_OPTIONS_MASK) * headers.GENEVE_UNIT
    walk.packet.geneve = Geneve(vni >> headers.GENEVE_VNI_SHIFT, protocol, options)
    start += headers.GENEVE_LENGTH + options
    return _inside(walk, frame, start, end, protocol)


def _inside(walk: Walk, frame: bytes, start: int, end: int, ethertype: int) -> int:
    """Read the packet inside a tunnel by its EtherType, unless it is too deep or not there."""
    if start > end:
        return cut(walk, end)
    if start == end or walk.depth >= TUNNELS:
        return start
    from ryu_droplog.packet.deep import ethernet, ip  # which need this module

    inner = Walk(Packet(), walk.depth + 1)
    decoder: Decoder
    if ethertype == headers.ETHERTYPE_TRANSPARENT_ETHERNET:
        decoder = ethernet.ethernet
    elif ethertype == headers.ETHERTYPE_IPV4:
        decoder = ip.ipv4
    elif ethertype == headers.ETHERTYPE_IPV6:
        decoder = ip.ipv6
    else:
        return start
    behind = decoder(inner, frame, start, end)
    walk.packet.inner = inner.packet
    return behind
