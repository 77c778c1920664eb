"""Ethernet, VLAN tags, MPLS labels and ARP; what is behind them is found by the EtherType."""

from __future__ import annotations

from ryu_droplog.packet import headers
from ryu_droplog.packet.deep import ip
from ryu_droplog.packet.deep.layers import Arp, Ethernet, Mpls, Packet, Vlan
from ryu_droplog.packet.deep.walk import Walk, cut
from ryu_droplog.text.addresses import IPV4_TEXT, MAC_TEXT

# Tags: 802.1Q, 802.1ad (IEEE 802.1Q section 9.5), and what switches used before 802.1ad.
_TPIDS = frozenset((headers.ETHERTYPE_VLAN, headers.ETHERTYPE_SERVICE_VLAN, 0x9100))
_TAGS = 8
"""Tags that are read at most."""
# MPLS unicast and multicast, RFC 3032 section 5 and RFC 5332 section 3.
_ETHERTYPES_MPLS = frozenset((0x8847, 0x8848))
_LABELS = 16
"""Labels that are read at most."""
_LABEL_LENGTH = 4


def decode(frame: bytes) -> tuple[Walk, int]:
    """Take a frame apart; also where its last header ends. Nothing is raised, whatever the bytes.

    :param frame: from the destination MAC on, without the frame check sequence; padding is allowed
    """
    walk = Walk(Packet())
    return walk, ethernet(walk, frame, 0, len(frame))


def ethernet(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """Read an Ethernet header, IEEE 802.3 section 3.2, and all that is behind it."""
    mac = headers.MAC_LENGTH
    if end - start < headers.ETHERNET_LENGTH:
        whole = (end - start) // mac
        walk.packet.ethernet = Ethernet(
            MAC_TEXT[frame[start + mac : start + 2 * mac]] if whole > 1 else "",
            MAC_TEXT[frame[start : start + mac]] if whole else "",
        )
        return cut(walk, end)
    destination, source, ethertype = headers.ETHERNET.unpack_from(frame, start)
    start += headers.ETHERNET_LENGTH
    layer = walk.packet.ethernet = Ethernet(MAC_TEXT[source], MAC_TEXT[destination], ethertype)
    if ethertype in _TPIDS:
        ethertype, start = _tags(walk, frame, start, end, ethertype)
        layer.type = ethertype
        if ethertype in _TPIDS and start + headers.VLAN_LENGTH > end:
            return cut(walk, end)
    walk.ethertype = ethertype
    return behind_ethertype(walk, frame, start, end, ethertype)


def behind_ethertype(walk: Walk, frame: bytes, start: int, end: int, ethertype: int) -> int:
    """Read what stands behind an EtherType; what is not known is left alone."""
    if ethertype == headers.ETHERTYPE_IPV4:
        return ip.ipv4(walk, frame, start, end)
    if ethertype == headers.ETHERTYPE_IPV6:
        return ip.ipv6(walk, frame, start, end)
    if ethertype == headers.ETHERTYPE_ARP:
        return _arp(walk, frame, start, end)
    if ethertype in _ETHERTYPES_MPLS:
        return _mpls(walk, frame, start, end)
    return start


def _tags(walk: Walk, frame: bytes, start: int, end: int, tpid: int) -> tuple[int, int]:
    """Read tags: the EtherType behind those that are whole, and where it ends."""
    tags: list[Vlan] = []
    while tpid in _TPIDS and start + headers.VLAN_LENGTH <= end and len(tags) < _TAGS:
        tag, following = headers.VLAN.unpack_from(frame, start)
        start += headers.VLAN_LENGTH
        tags.append(Vlan(tpid, tag & headers.VLAN_VID_MASK, tag >> 13, bool(tag & 0x1000)))
        tpid = following
    walk.packet.vlans = tuple(tags)
    return tpid, start


def _arp(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """ARP at its layout for Ethernet and IPv4, RFC 826, whatever types and lengths it claims."""
    if start + headers.ARP_LENGTH > end:
        return cut(walk, end)
    *_, operation, sender, sender_ip, target, target_ip = headers.ARP.unpack_from(frame, start)
    walk.packet.arp = Arp(
        operation, MAC_TEXT[sender], IPV4_TEXT[sender_ip], MAC_TEXT[target], IPV4_TEXT[target_ip]
    )
    walk.source, walk.destination = sender_ip, target_ip
    return start + headers.ARP_LENGTH


def _mpls(walk: Walk, frame: bytes, start: int, end: int) -> int:
    """A label stack, RFC 3032 section 2.1; behind it IP, where the first nibble says so.

    RFC 4928 section 3: nothing else that is carried begins with 4 or 6.
    """
    labels: list[Mpls] = []
    bottom = False
    while not bottom and len(labels) < _LABELS:
        if start + _LABEL_LENGTH > end:
            walk.packet.mpls = tuple(labels)
            return cut(walk, end)
        entry = int.from_bytes(frame[start : start + _LABEL_LENGTH], "big")
        start += _LABEL_LENGTH
        labels.append(Mpls(entry >> 12, entry >> 9 & 7, entry & 0xFF))
        bottom = bool(entry & 0x100)
    walk.packet.mpls = tuple(labels)
    version = frame[start] >> 4 if bottom and start < end else 0
    if version == 4:
        walk.ethertype = headers.ETHERTYPE_IPV4
        return ip.ipv4(walk, frame, start, end)
    if version == 6:
        walk.ethertype = headers.ETHERTYPE_IPV6
        return ip.ipv6(walk, frame, start, end)
    return start
