"""The signature of a packet: what a flow of the switch can match of it."""

from __future__ import annotations

import struct

import pytest
from frames import (
    ARP,
    DMAC,
    IPV4,
    IPV6,
    QTAG,
    SMAC,
    arp,
    ethernet,
    icmp,
    ipv4,
    ipv6,
    mac,
    tcp,
    udp,
    vlan,
)
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.packet.signature import NO_ETHERTYPE, NONE, Signature, in_port, signature_of

PORT = 7
A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes(15) + b"\x01", bytes(15) + b"\x02"
MACS = mac(SMAC), mac(DMAC)
SEGMENT = ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1024, 80))
SCTP = struct.pack("!HHII", 1024, 3868, 1, 0)
FRAGMENT_HEADER = struct.pack("!BxHI", 17, 0, 1)
LATER_HEADER = struct.pack("!BxHI", 17, 8 << 3, 1)
OPTIONS = bytes((6, 0, 1, 4, 0, 0, 0, 0))


def v6(next_header: int, *payload: bytes) -> bytes:
    return ethernet(IPV6, ipv6("::1", "::2", next_header, *payload))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet(IPV4, SEGMENT), Signature(PORT, IPV4, A, B, 6, 80)),
        (ethernet(IPV4, SEGMENT) + bytes(6), Signature(PORT, IPV4, A, B, 6, 80)),
        (ethernet(QTAG, vlan(5, IPV4), SEGMENT), Signature(PORT, IPV4, A, B, 6, 80)),
        (
            ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, udp(53, 5353))),
            Signature(PORT, IPV4, A, B, 17, 5353),
        ),
        (
            ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 132, SCTP)),
            Signature(PORT, IPV4, A, B, 132, 3868),
        ),
        (
            ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8))),
            Signature(PORT, IPV4, A, B, 1),
        ),
        (
            ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, bytes(8), offset=8)),
            Signature(PORT, IPV4, A, B, 17, later=True),
        ),
        (v6(6, tcp(1024, 443)), Signature(PORT, IPV6, A6, B6, 6, 443)),
        (v6(0, OPTIONS, tcp(1024, 443)), Signature(PORT, IPV6, A6, B6, 6, 443)),
        (v6(44, FRAGMENT_HEADER, udp(1, 9)), Signature(PORT, IPV6, A6, B6, 17, 9)),
        (v6(44, LATER_HEADER, bytes(8)), Signature(PORT, IPV6, A6, B6, 17, later=True)),
        (v6(58, bytes(8)), Signature(PORT, IPV6, A6, B6, 58)),
        (ethernet(ARP, arp("10.0.0.1", "10.0.0.2")), Signature(PORT, ARP, *MACS)),
        (ethernet(0x88B5, bytes(46)), Signature(PORT, 0x88B5, *MACS)),
        (ethernet(38, b"\x42\x42\x03", bytes(35)), Signature(PORT, NO_ETHERTYPE, *MACS)),
    ],
)
def test_frame_has_the_signature_of_its_kind(frame: bytes, expected: Signature) -> None:
    assert expected == signature_of(frame, PORT)


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(IPV4, SEGMENT)[:13],
        ethernet(QTAG, vlan(5, QTAG), vlan(6, IPV4), SEGMENT),
        ethernet(QTAG, b"\x00"),
        ethernet(IPV4, SEGMENT)[:50],
        ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2), ihl=4)),
        ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2), total_length=19)),
        ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, bytes(8))),
        ethernet(IPV4, b"\x65" + SEGMENT[1:]),
        v6(6, tcp(1024, 443))[:40],
        v6(0, b"\x06"),
        v6(6, bytes(8)),
        ethernet(38, b"\xaa\xaa\x03", bytes(35)),
    ],
)
def test_frame_that_the_switch_may_read_in_another_way_has_none(frame: bytes) -> None:
    assert signature_of(frame, PORT) is None


@given(st.binary(max_size=120) | st.integers(0, 80).map(lambda size: v6(0, OPTIONS * 9)[:size]))
def test_any_bytes_have_a_signature_or_none(frame: bytes) -> None:
    signature = signature_of(frame, PORT)
    assert signature is None or (PORT, True) == (signature.in_port, signature.port >= NONE)


def test_ingress_port_is_read_from_the_match() -> None:
    assert 7 == in_port(bytes.fromhex("00010004 80000004 80000004 00000007"))
    assert 0 == in_port(bytes.fromhex("00010004 0000000a"))
    assert 0 == in_port(bytes.fromhex("80000002 0007"))
