"""Frames that are dropped, kind by kind, and the PacketIns in which a switch reports them.

Built here, so that the benchmarks need nothing of the tests. Checksums are 0: nobody checks them
on the way of a drop.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from random import Random

VARIETY = 256
"""Frames of each kind, all with different addresses and ports."""

_DMAC = bytes.fromhex("0a58 0a02 00c3")
_SMAC = bytes.fromhex("0022 bdf8 1900")
_IPV4, _ARP, _VLAN, _IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
_ICMP, _TCP, _UDP = 1, 6, 17
_SYN = 0x02
# What Linux puts into a SYN: MSS, SACK permitted, timestamps, no-op, window scale (RFC 9293 section
# 3.2, RFC 2018, RFC 7323).
_TCP_OPTIONS = bytes.fromhex("020405b4 0402 080a 00bc614e 00000000 01 030307")

# OpenFlow 1.3.5: section 7.1 (version, type, length, xid), 7.4.1 (buffer_id, total_len, reason,
# table_id, cookie), 7.2.3.1 (match of type OXM, with in_port alone, padded to 8).
_HEADER = struct.Struct("!BBHI")
_PACKET_IN = struct.Struct("!IHBBQ")
_MATCH = struct.Struct("!HHHBBI4x")
_VERSION, _TYPE, _NO_BUFFER = 4, 10, 0xFFFFFFFF
_OXM_BASIC = 0x8000


def packet_in(frame: bytes, cookie: int, table_id: int, in_port: int = 2) -> bytes:
    """Wrap a frame into a PacketIn of OpenFlow 1.3, whole, as Open vSwitch sends it."""
    match = _MATCH.pack(1, 12, _OXM_BASIC, 0, 4, in_port)
    body = _PACKET_IN.pack(_NO_BUFFER, len(frame), 0, table_id, cookie) + match + b"\0\0" + frame
    return _HEADER.pack(_VERSION, _TYPE, _HEADER.size + len(body), 0) + body


def tcp(number: int) -> bytes:
    """A SYN over IPv4, 74 bytes."""
    return _ethernet(_IPV4, _ipv4(number, _TCP, _tcp(number)))


def udp(number: int) -> bytes:
    """A datagram over IPv4, 74 bytes."""
    return _ethernet(_IPV4, _ipv4(number, _UDP, _udp(number)))


def icmp(number: int) -> bytes:
    """An echo request over IPv4, 98 bytes."""
    echo = struct.pack("!BBHHH", 8, 0, 0, number & 0xFFFF, number & 0xFFFF) + bytes(56)
    return _ethernet(_IPV4, _ipv4(number, _ICMP, echo))


def arp(number: int) -> bytes:
    """A request, padded to 60 bytes."""
    sender, target = _addresses(number)
    request = struct.pack("!HHBBH6s4s6s4s", 1, _IPV4, 6, 4, 1, _SMAC, sender, bytes(6), target)
    return _ethernet(_ARP, request).ljust(60, b"\0")


def tcp6(number: int) -> bytes:
    """A SYN over IPv6, 94 bytes."""
    return _ethernet(_IPV6, _ipv6(number, _TCP, _tcp(number)))


def udp6(number: int) -> bytes:
    """A datagram over IPv6, 94 bytes."""
    return _ethernet(_IPV6, _ipv6(number, _UDP, _udp(number)))


def vlan(number: int) -> bytes:
    """A SYN over IPv4 behind an 802.1Q tag, 78 bytes."""
    tag = struct.pack("!HH", number % 4094 + 1, _IPV4)
    return _ethernet(_VLAN, tag + _ipv4(number, _TCP, _tcp(number)))


def distinct(count: int, seed: int) -> list[bytes]:
    """Frames of all kinds in turn, with addresses and ports at random, hardly two the same.

    :param seed: the same one gives the same frames
    """
    random = Random(seed)
    makers = list(KINDS.values())
    return [_scatter(makers[number % len(makers)](number), random) for number in range(count)]


KINDS: dict[str, Callable[[int], bytes]] = {
    "TCP": tcp,
    "UDP": udp,
    "ICMP": icmp,
    "ARP": arp,
    "IPv6 TCP": tcp6,
    "IPv6 UDP": udp6,
    "VLAN": vlan,
}


def of_kind(kind: str, variety: int = VARIETY) -> list[bytes]:
    """Frames of a kind of `KINDS`; `mixed` has all kinds in turn."""
    if kind == "mixed":
        makers = list(KINDS.values())
        return [makers[number % len(makers)](number) for number in range(variety)]
    return [KINDS[kind](number) for number in range(variety)]


def traffic(kind: str, count: int, flows: int = VARIETY, seed: int = 1) -> list[bytes]:
    """Packets of so many flows of a kind, as `of_kind`; the flows take turns at random.

    In each packet differs what differs between packets of a flow: IP identification, sequence
    numbers, timestamps, windows, checksums, payload.
    """
    random = Random(seed)
    first = of_kind(kind, flows)
    return [_again(first[random.randrange(flows)], random) for _ in range(count)]


def _again(frame: bytes, random: Random) -> bytes:
    """Another packet of the same flow."""
    ethertype, start = int.from_bytes(frame[12:14], "big"), 14
    if ethertype == _VLAN:
        ethertype, start = int.from_bytes(frame[16:18], "big"), 18
    changed = bytearray(frame)
    if ethertype == _ARP:
        return frame
    if ethertype == _IPV4:
        changed[start + 4 : start + 6] = random.randbytes(2)
        changed[start + 10 : start + 12] = random.randbytes(2)
        protocol, behind = frame[start + 9], start + 20
    else:
        protocol, behind = frame[start + 6], start + 40
    fields = {_TCP: ((4, 4), (8, 4), (14, 4), (28, 8)), _UDP: ((6, 4),), _ICMP: ((2, 2), (6, 2))}
    for offset, size in fields[protocol]:
        changed[behind + offset : behind + offset + size] = random.randbytes(size)
    return bytes(changed)


def _scatter(frame: bytes, random: Random) -> bytes:
    """The frame with other MACs (of unicast, as most are), IP addresses and ports."""
    ethertype = int.from_bytes(frame[12:14], "big")
    start = 14
    if ethertype == _VLAN:
        ethertype, start = int.from_bytes(frame[16:18], "big"), 18
    changed = bytearray(frame)
    changed[0:12] = random.randbytes(12)
    changed[0] &= 0xFE
    changed[6] &= 0xFE
    if ethertype == _ARP:
        changed[start + 14 : start + 18] = random.randbytes(4)
        changed[start + 24 : start + 28] = random.randbytes(4)
        return bytes(changed)
    first, end = (start + 8, start + 40) if ethertype == _IPV6 else (start + 12, start + 20)
    changed[first:end] = random.randbytes(end - first)
    if ethertype == _IPV6 or frame[start + 9] != _ICMP:
        changed[end : end + 4] = random.randbytes(4)
    return bytes(changed)


def _addresses(number: int) -> tuple[bytes, bytes]:
    first = int(IPv4Address("10.2.0.1"))
    second = int(IPv4Address("10.130.0.1"))
    return (first + number).to_bytes(4, "big"), (second + number % 512).to_bytes(4, "big")


def _ethernet(ethertype: int, payload: bytes) -> bytes:
    return _DMAC + _SMAC + struct.pack("!H", ethertype) + payload


def _ipv4(number: int, protocol: int, payload: bytes) -> bytes:
    source, target = _addresses(number)
    length = 20 + len(payload)
    fixed = struct.pack("!BBHHHBBH", 0x45, 0, length, number & 0xFFFF, 0x4000, 62, protocol, 0)
    return fixed + source + target + payload


def _ipv6(number: int, next_header: int, payload: bytes) -> bytes:
    source = (int(IPv6Address("fd00::1")) + number).to_bytes(16, "big")
    target = (int(IPv6Address("fd00:1::1")) + number % 512).to_bytes(16, "big")
    fixed = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
    return fixed + source + target + payload


def _tcp(number: int) -> bytes:
    sequence = number * 2_654_435_761 & 0xFFFFFFFF
    ports = 1024 + number % 60_000, 80
    fixed = struct.pack("!HHIIHHHH", *ports, sequence, 0, 10 << 12 | _SYN, 62_020, 0, 0)
    return fixed + _TCP_OPTIONS


def _udp(number: int) -> bytes:
    return struct.pack("!HHHH", 1024 + number % 60_000, 53, 40, 0) + bytes(32)
