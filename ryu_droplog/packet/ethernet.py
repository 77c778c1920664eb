"""An Ethernet frame: bytes in, the fields of a Drop out.

No length in a packet is trusted past the bytes that are there. What is whole is reported, what is
cut is said to be cut, and what a packet claims about itself is never a reason to raise.
"""

from __future__ import annotations

from ryu_droplog.model.drop import L3, L4, Arp, Drop, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.model.location import Location
from ryu_droplog.packet import headers

# Every layer hands back its own header, the protocol, the header behind it, and whether it was cut.
_Layers = tuple[L3 | None, int, L4 | None, bool]

_NO_PROTOCOL = -1
_NO_ETHERTYPE = -1


def decode(frame: bytes, time: float, location: Location, metadata: bytes) -> Drop:
    """Take a dropped frame apart, as far as it is whole. Nothing is raised, whatever the bytes.

    :param frame: from the destination MAC on, without the frame check sequence; padding is allowed
    :param time: when the program read the packet, in seconds since the epoch
    :param location: where it was dropped
    :param metadata: the OXM fields of the PacketIn's match, passed on as they are
    """
    size = len(frame)
    if size < headers.ETHERNET_LENGTH:
        return _without_ethertype(frame, time, location, metadata)
    dmac, smac, ethertype = headers.ETHERNET.unpack_from(frame)
    start = headers.ETHERNET_LENGTH
    vlans: tuple[int, ...] = ()
    if ethertype == headers.ETHERTYPE_VLAN:
        vlans, ethertype, start = _vlans(frame, start)

    # An 802.1Q EtherType that is still there has its tag cut.
    layers: _Layers
    if ethertype == headers.ETHERTYPE_IPV4:
        layers = _ipv4(frame, start, size)
    elif ethertype == headers.ETHERTYPE_IPV6:
        layers = _ipv6(frame, start, size)
    elif ethertype == headers.ETHERTYPE_ARP:
        layers = _arp(frame, start, size)
    else:
        layers = None, _NO_PROTOCOL, None, ethertype == headers.ETHERTYPE_VLAN
    l3, protocol, l4, truncated = layers
    return Drop(
        time, location, metadata, frame, smac, dmac, vlans, ethertype, l3, protocol, l4, truncated
    )


def _without_ethertype(frame: bytes, time: float, location: Location, metadata: bytes) -> Drop:
    """Report a frame that ends within its Ethernet header: those addresses that are whole."""
    dmac = frame[: headers.MAC_LENGTH]
    smac = frame[headers.MAC_LENGTH : 2 * headers.MAC_LENGTH]
    return Drop(
        time,
        location,
        metadata,
        frame,
        smac=smac if len(smac) == headers.MAC_LENGTH else b"",
        dmac=dmac if len(dmac) == headers.MAC_LENGTH else b"",
        vlans=(),
        ethertype=_NO_ETHERTYPE,
        l3=None,
        protocol=_NO_PROTOCOL,
        l4=None,
        truncated=True,
    )


def _vlans(frame: bytes, start: int) -> tuple[tuple[int, ...], int, int]:
    """Read 802.1Q tags from `start`: those that are whole, the EtherType behind, and its end."""
    tags: list[int] = []
    ethertype = headers.ETHERTYPE_VLAN
    while ethertype == headers.ETHERTYPE_VLAN and start + headers.VLAN_LENGTH <= len(frame):
        tag, ethertype = headers.VLAN.unpack_from(frame, start)
        tags.append(tag)
        start += headers.VLAN_LENGTH
    return tuple(tags), ethertype, start


def _arp(frame: bytes, start: int, end: int) -> _Layers:
    """Read ARP at its layout for Ethernet and IPv4, whatever types and lengths it claims."""
    if start + headers.ARP_LENGTH > end:
        return None, _NO_PROTOCOL, None, True
    return Arp(*headers.ARP.unpack_from(frame, start)), _NO_PROTOCOL, None, False


def _ipv4(frame: bytes, start: int, end: int) -> _Layers:
    """Read an IPv4 header and the header behind it.

    The total length tells packet from padding in a frame that is short enough to be padded, unless
    it is less than the header's own (segmentation offload, or a lie). In a longer frame all bytes
    count, whatever it says: the OpFlex agent never looks at it. Behind a header length of less than
    five words nothing can be found, and a later fragment starts with payload.
    """
    if start + headers.IPV4_LENGTH > end:
        return None, _NO_PROTOCOL, None, True
    header = IPv4(*headers.IPV4.unpack_from(frame, start))
    protocol = header.protocol
    header_length = (header.version_ihl & headers.IPV4_IHL_MASK) * 4
    if header_length < headers.IPV4_LENGTH:
        return header, protocol, None, False
    payload = start + header_length
    if payload > end:
        return header, protocol, None, True
    if header.flags_offset & headers.IPV4_OFFSET_MASK:
        return header, protocol, None, False
    if end - start <= headers.ETHERNET_MIN_PAYLOAD and header_length <= header.total_length:
        end = min(end, start + header.total_length)
    if protocol == headers.PROTOCOL_ICMP:
        if payload + headers.ICMP_LENGTH > end:
            return header, protocol, None, True
        return header, protocol, Icmp(*headers.ICMP.unpack_from(frame, payload)), False
    l4, truncated = _transport(protocol, frame, payload, end)
    return header, protocol, l4, truncated


def _ipv6(frame: bytes, start: int, end: int) -> _Layers:
    """Read an IPv6 header and the header behind it.

    Padding cannot be mistaken for a header: behind an IPv6 header there is no room for one in a
    frame that is short enough to be padded.
    """
    payload = start + headers.IPV6_LENGTH
    if payload > end:
        return None, _NO_PROTOCOL, None, True
    header = IPv6(*headers.IPV6.unpack_from(frame, start))
    l4, truncated = _transport(header.next_header, frame, payload, end)
    return header, header.next_header, l4, truncated


def _transport(protocol: int, frame: bytes, start: int, end: int) -> tuple[L4 | None, bool]:
    """Read a TCP or UDP header that ends no later than `end`, and whether it was cut."""
    if protocol == headers.PROTOCOL_TCP:
        if start + headers.TCP_LENGTH > end:
            return None, True
        return Tcp(*headers.TCP.unpack_from(frame, start)), False
    if protocol == headers.PROTOCOL_UDP:
        if start + headers.UDP_LENGTH > end:
            return None, True
        return Udp(*headers.UDP.unpack_from(frame, start)), False
    return None, False


def icmpv6(drop: Drop) -> tuple[int, int] | None:
    """Type and code of an ICMPv6 message (RFC 4443 section 2.1) right behind the IPv6 header.

    None when there is none, or it is cut; `Drop` has no header for it, because the drop line of the
    OpFlex agent shows none.
    """
    if drop.protocol != headers.PROTOCOL_ICMPV6 or not isinstance(drop.l3, IPv6):
        return None
    start = headers.ETHERNET_LENGTH + len(drop.vlans) * headers.VLAN_LENGTH + headers.IPV6_LENGTH
    head = drop.frame[start : start + 2]
    return (head[0], head[1]) if len(head) == 2 else None
