"""ICMP, ICMPv6 with neighbour discovery, and IGMP."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.packet import headers
from ryu_droplog.packet.deep.layers import Icmp, Icmpv6, Igmp
from ryu_droplog.packet.deep.walk import Walk, cut
from ryu_droplog.text.addresses import IPV4_TEXT, IPV6_TEXT, MAC_TEXT

# ICMP messages with identifier and sequence number: RFC 792 (echo, timestamp, information),
# RFC 950 appendix I (address mask).
_ICMP_ECHOES = frozenset((0, 8, 13, 14, 15, 16, 17, 18))
_ICMPV6_HEAD = 4  # type, code, checksum: RFC 4443 section 2.1
_ICMPV6_ECHOES = frozenset((128, 129))
_ICMPV6_MLD = frozenset((130, 131, 132))
# Neighbour discovery, RFC 4861 section 4: where the target stands, and the options begin.
_ROUTER_SOLICITATION, _REDIRECT = 133, 137
_ND_TARGET: Mapping[int, int] = {135: 8, 136: 8, _REDIRECT: 8}
_ND_OPTIONS: Mapping[int, int] = {_ROUTER_SOLICITATION: 8, 134: 16, 135: 24, 136: 24, _REDIRECT: 40}
_ND_OPTION_UNIT = 8
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER = 1, 2
_ND_OPTION_COUNT = 16
"""Options that are read at most."""

# IGMP, RFC 2236 section 2.1 and RFC 9776 section 4.
_IGMP_LENGTH = 8
_IGMP_REPORT_3 = 0x22
_IGMP_NAMES: Mapping[int, str] = {
    0x11: "MEMBERSHIP_QUERY",
    0x12: "V1_MEMBERSHIP_REPORT",
    0x16: "V2_MEMBERSHIP_REPORT",
    0x17: "LEAVE_GROUP",
    _IGMP_REPORT_3: "V3_MEMBERSHIP_REPORT",
}
_IGMP_GROUPS = 16
"""Groups of a report that are read at most."""
_NO_GROUP = bytes(4)


def icmp(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an ICMP header, RFC 792; one of four bytes is a whole message of other kinds."""
    if start + 4 > end:
        return cut(walk, end)
    kind, code = frame[start], frame[start + 1]
    layer = walk.packet.icmp = Icmp(kind, code)
    if start + headers.ICMP_LENGTH > end:
        return cut(walk, end)
    if kind in _ICMP_ECHOES:
        *_, layer.identifier, layer.sequence = headers.ICMP.unpack_from(frame, start)
    return start + headers.ICMP_LENGTH


def icmpv6(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an ICMPv6 message, RFC 4443 section 2.1, with what RFC 4861 and RFC 2710 add to it."""
    if start + _ICMPV6_HEAD > end:
        return cut(walk, end)
    kind = frame[start]
    layer = walk.packet.icmpv6 = Icmpv6(kind, frame[start + 1])
    if kind in _ICMPV6_ECHOES:
        if start + headers.ICMP_LENGTH > end:
            return cut(walk, end)
        *_, layer.identifier, layer.sequence = headers.ICMP.unpack_from(frame, start)
        return start + headers.ICMP_LENGTH
    if kind in _ICMPV6_MLD:
        address = start + 8
        if address + headers.IPV6_ADDRESS_LENGTH > end:
            return cut(walk, end)
        layer.group = IPV6_TEXT[frame[address : address + headers.IPV6_ADDRESS_LENGTH]]
        return address + headers.IPV6_ADDRESS_LENGTH
    if kind in _ND_OPTIONS:
        return _neighbour_discovery(walk, layer, frame, start, end)
    return start + _ICMPV6_HEAD


def _neighbour_discovery(walk: Walk, layer: Icmpv6, frame: bytes, start: int, end: int) -> int:
    target = _ND_TARGET.get(layer.type)
    if target is not None and start + target + headers.IPV6_ADDRESS_LENGTH <= end:
        address = start + target
        layer.target = IPV6_TEXT[frame[address : address + headers.IPV6_ADDRESS_LENGTH]]
    start += _ND_OPTIONS[layer.type]
    if start > end:
        return cut(walk, end)
    # RFC 4861 section 4.6: type, length in units of 8 bytes; a length of 0 makes it invalid.
    for _ in range(_ND_OPTION_COUNT):
        if start + 2 > end:
            break
        kind, length = frame[start], frame[start + 1] * _ND_OPTION_UNIT
        if not length or start + length > end:
            return cut(walk, end)
        mac = frame[start + 2 : start + 2 + headers.MAC_LENGTH]
        if kind == _SOURCE_LINK_LAYER:
            layer.source_link_layer = MAC_TEXT[mac]
        elif kind == _TARGET_LINK_LAYER:
            layer.target_link_layer = MAC_TEXT[mac]
        start += length
    return start


def igmp(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an IGMP message of any version."""
    if start + _IGMP_LENGTH > end:
        return cut(walk, end)
    kind = frame[start]
    layer = walk.packet.igmp = Igmp(kind, _IGMP_NAMES.get(kind, ""))
    if kind != _IGMP_REPORT_3:
        group = frame[start + 4 : start + 8]
        if group != _NO_GROUP:
            layer.groups = (IPV4_TEXT[group],)
        return start + _IGMP_LENGTH
    records = int.from_bytes(frame[start + 6 : start + 8], "big")
    start += _IGMP_LENGTH
    groups: list[str] = []
    # RFC 9776 section 4.2.4: type, auxiliary data in words, number of sources, group.
    for _ in range(min(records, _IGMP_GROUPS)):
        if start + 8 > end:
            layer.groups = tuple(groups)
            return cut(walk, end)
        groups.append(IPV4_TEXT[frame[start + 4 : start + 8]])
        sources = int.from_bytes(frame[start + 2 : start + 4], "big")
        start += 8 + 4 * (sources + frame[start + 1])
    layer.groups = tuple(groups)
    return min(start, end)
