"""A frame made again from what a line of the log tells of it. Pure.

What a line does not show is 0; checksums are, too, because no flow can match them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ryu_droplog.packet import headers

_ETHERTYPES = {"IPv4": 0x0800, "ARP": 0x0806, "IPv6": 0x86DD}
_PROTOCOLS = {"ICMP": headers.PROTOCOL_ICMP, "TCP": headers.PROTOCOL_TCP, "UDP": 17}
_UNNAMED = "_unrecognized"
_TCP_WORDS = headers.TCP_LENGTH // 4
_TTL = 64
"""Where a line says none."""
_MORE_THAN_HEADERS = 65535


def frame_of(facts: Mapping[str, str]) -> bytes:
    """The Ethernet frame; as much of it as the facts have, at least its Ethernet header."""
    ethertype = _number(facts.get("ethertype", ""), _ETHERTYPES)
    tags = b"".join(
        headers.ETHERTYPE_VLAN.to_bytes(2, "big")
        + (int(vid) & headers.VLAN_VID_MASK).to_bytes(2, "big")
        for vid in facts.get("vlans", "").split()
        if vid.isdigit()
    )
    macs = _mac(facts.get("dmac", "")) + _mac(facts.get("smac", ""))
    kind = (ethertype & 0xFFFF).to_bytes(2, "big")
    return macs + tags + kind + _network(facts, ethertype)


def _network(facts: Mapping[str, str], ethertype: int) -> bytes:
    source, destination = facts.get("src", ""), facts.get("dst", "")
    try:
        if ethertype == headers.ETHERTYPE_ARP:
            return headers.ARP.pack(
                1, headers.ETHERTYPE_IPV4, 6, 4, int(facts.get("arp_op", "1")) & 0xFFFF,
                _mac(facts.get("smac", "")), socket.inet_aton(source), bytes(6),
                socket.inet_aton(destination),
            )  # fmt: skip
        protocol = _number(facts.get("protocol", ""), _PROTOCOLS) & 0xFF
        length = int(facts.get("length", "0")) & 0xFFFF
        ttl = int(facts.get("ttl", str(_TTL))) & 0xFF
        if ethertype == headers.ETHERTYPE_IPV4:
            offset = int(facts.get("fragment_offset", "0")) & headers.IPV4_OFFSET_MASK
            behind = b"" if offset else _transport(facts, protocol)
            length = max(length, headers.IPV4_LENGTH + len(behind))
            tos = int(facts.get("dscp", "0")) << headers.IPV4_DSCP_SHIFT & 0xFF
            ends = socket.inet_aton(source), socket.inet_aton(destination)
            head = headers.IPV4.pack(0x45, tos, length, 0, offset, ttl, protocol, 0, *ends)
            return (head + behind).ljust(length, b"\0")
        if ethertype == headers.ETHERTYPE_IPV6:
            behind = _transport(facts, protocol)
            length = max(length, len(behind))
            ends6 = (socket.inet_pton(socket.AF_INET6, end) for end in (source, destination))
            head = headers.IPV6.pack(
                6 << 28, min(length, _MORE_THAN_HEADERS), protocol, ttl, *ends6
            )
            return head + behind.ljust(length, b"\0")
    except (OSError, ValueError):  # an address that is none
        pass
    return b""


def _transport(facts: Mapping[str, str], protocol: int) -> bytes:
    ports = int(facts.get("sport", "0")) & 0xFFFF, int(facts.get("dport", "0")) & 0xFFFF
    if protocol == headers.PROTOCOL_TCP:
        flags = _flags(facts.get("tcp_flags", ""))
        words = _TCP_WORDS << headers.TCP_DATA_OFFSET_SHIFT
        return headers.TCP.pack(*ports, 0, 0, words | flags, 0, 0, 0)
    if protocol == headers.PROTOCOL_UDP:
        return headers.UDP.pack(*ports, headers.UDP_LENGTH, 0)
    if protocol in (headers.PROTOCOL_ICMP, headers.PROTOCOL_ICMPV6) and "icmp_type" in facts:
        kind, code = int(facts["icmp_type"]) & 0xFF, int(facts.get("icmp_code", "0")) & 0xFF
        return headers.ICMP.pack(kind, code, 0, 0, 0)
    return b""


def _flags(text: str) -> int:
    names = set(text.split())
    highest = len(headers.TCP_FLAG_NAMES) - 1
    return sum(
        1 << highest - bit for bit, name in enumerate(headers.TCP_FLAG_NAMES) if name in names
    )


def _number(text: str, names: Mapping[str, int]) -> int:
    """A name, a number in decimal or hexadecimal, or `N_unrecognized`; 0 where it is none."""
    if text in names:
        return names[text]
    try:
        return int(text.removesuffix(_UNNAMED), 0)
    except ValueError:
        return 0


def _mac(text: str) -> bytes:
    try:
        mac = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        mac = b""
    return mac if len(mac) == headers.MAC_LENGTH else bytes(headers.MAC_LENGTH)
