"""Frames built by hand, header by header, for the tests of decoding and printing."""

from __future__ import annotations

import socket
import struct

SMAC = "00:22:bd:f8:19:ff"
DMAC = "0a:58:0a:02:00:c3"

ARP = 0x0806
IPV4 = 0x0800
IPV6 = 0x86DD
QTAG = 0x8100


def mac(text: str) -> bytes:
    """Six bytes of a MAC written with colons."""
    return bytes.fromhex(text.replace(":", ""))


def ethernet(ethertype: int, *payload: bytes, smac: str = SMAC, dmac: str = DMAC) -> bytes:
    """A frame without padding."""
    return mac(dmac) + mac(smac) + struct.pack("!H", ethertype) + b"".join(payload)


def vlan(tci: int, ethertype: int) -> bytes:
    """What stands behind an EtherType of 0x8100."""
    return struct.pack("!HH", tci, ethertype)


def arp(sender: str, target: str, operation: int = 1, hardware_type: int = 1) -> bytes:
    """ARP for Ethernet and IPv4, from the frames' own source MAC to none."""
    return (
        struct.pack("!HHBBH", hardware_type, IPV4, 6, 4, operation)
        + mac(SMAC)
        + socket.inet_pton(socket.AF_INET, sender)
        + bytes(6)
        + socket.inet_pton(socket.AF_INET, target)
    )


def ipv4(
    src: str,
    dst: str,
    protocol: int,
    *payload: bytes,
    tos: int = 0,
    total_length: int | None = None,
    identification: int = 0,
    flags: int = 0,
    offset: int = 0,
    ttl: int = 64,
    options: bytes = b"",
    ihl: int | None = None,
) -> bytes:
    """An IPv4 packet; lengths are right unless they are given. The checksum is 0."""
    behind = b"".join(payload)
    if ihl is None:
        ihl = 5 + len(options) // 4
    if total_length is None:
        total_length = 20 + len(options) + len(behind)
    header = struct.pack(
        "!BBHHHBBH",
        4 << 4 | ihl,
        tos,
        total_length,
        identification,
        flags << 13 | offset,
        ttl,
        protocol,
        0,
    )
    addresses = socket.inet_pton(socket.AF_INET, src) + socket.inet_pton(socket.AF_INET, dst)
    return header + addresses + options + behind


def ipv6(
    src: str,
    dst: str,
    next_header: int,
    *payload: bytes,
    payload_length: int | None = None,
    traffic_class: int = 0,
    flow_label: int = 0,
    hop_limit: int = 64,
) -> bytes:
    """An IPv6 packet; the length is right unless it is given."""
    behind = b"".join(payload)
    if payload_length is None:
        payload_length = len(behind)
    version_class_flow = 6 << 28 | traffic_class << 20 | flow_label
    header = struct.pack("!IHBB", version_class_flow, payload_length, next_header, hop_limit)
    addresses = socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
    return header + addresses + behind


def tcp(
    src_port: int,
    dst_port: int,
    sequence: int = 0,
    acknowledgment: int = 0,
    flags: int = 0x02,
    window: int = 0,
    urgent: int = 0,
    options: bytes = b"",
    reserved: int = 0,
) -> bytes:
    """A TCP header; `flags` has nine bits, `reserved` three. The checksum is 0."""
    offset = 5 + len(options) // 4
    return (
        struct.pack(
            "!HHIIHHHH",
            src_port,
            dst_port,
            sequence,
            acknowledgment,
            offset << 12 | reserved << 9 | flags,
            window,
            0,
            urgent,
        )
        + options
    )


def udp(src_port: int, dst_port: int, length: int = 8) -> bytes:
    """A UDP header; the checksum is 0."""
    return struct.pack("!HHHH", src_port, dst_port, length, 0)


def icmp(type_: int, code: int = 0, identifier: int = 0, sequence: int = 0) -> bytes:
    """An ICMP echo header; the checksum is 0."""
    return struct.pack("!BBHHH", type_, code, 0, identifier, sequence)


def syn() -> bytes:
    """The TCP SYN of the worked line: a frame of 74 bytes."""
    segment = tcp(42934, 80, 2794802783, 0, 0x02, 62020, options=bytes(20))
    return ethernet(
        IPV4, ipv4("10.2.0.229", "10.2.0.195", 6, segment, identification=58352, flags=2, ttl=62)
    )
