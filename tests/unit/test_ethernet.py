"""Frames: which headers are found in them, and when a frame counts as truncated."""

from __future__ import annotations

import struct

import pytest
from drops import location
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
    syn,
    tcp,
    udp,
    vlan,
)

from ryu_droplog.model.drop import Arp, Drop, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet.ethernet import decode

ORIGIN = location(4, name="SEC_GROUP_IN_TABLE", prefix="Acc-")
METADATA = bytes.fromhex("8000000400000007")
A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"
PADDING = b"\xee" * 26  # fills an IPv4 packet without options up to the shortest frame


def decoded(frame: bytes) -> Drop:
    return decode(frame, 1708415956.5, ORIGIN, METADATA)


def test_tcp_syn_gives_every_field() -> None:
    frame = syn()
    expected = Drop(
        time=1708415956.5,
        location=ORIGIN,
        metadata=METADATA,
        frame=frame,
        smac=mac(SMAC),
        dmac=mac(DMAC),
        vlans=(),
        ethertype=IPV4,
        l3=IPv4(
            0x45, 0, 60, 58352, 0x4000, 62, 6, 0, bytes([10, 2, 0, 229]), bytes([10, 2, 0, 195])
        ),
        protocol=6,
        l4=Tcp(42934, 80, 2794802783, 0, 0xA002, 62020, 0, 0),
        truncated=False,
    )
    assert expected == decoded(frame)


def test_udp_over_ipv4_is_found() -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, 17, udp(53, 4444, 9), b"x")))
    assert (17, Udp(53, 4444, 9, 0), False) == (drop.protocol, drop.l4, drop.truncated)


def test_icmp_over_ipv4_is_found() -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, 1, icmp(8, 3, 77, 5))))
    assert (1, Icmp(8, 3, 0, 77, 5), False) == (drop.protocol, drop.l4, drop.truncated)


def test_arp_is_found() -> None:
    drop = decoded(ethernet(ARP, arp(A, B, 2)))
    expected = Arp(
        1, 0x0800, 6, 4, 2, mac(SMAC), bytes([10, 0, 0, 1]), bytes(6), bytes([10, 0, 0, 2])
    )
    assert (ARP, expected, -1, None, False) == (
        drop.ethertype,
        drop.l3,
        drop.protocol,
        drop.l4,
        drop.truncated,
    )


def test_arp_of_another_hardware_is_read_at_the_same_layout() -> None:
    drop = decoded(ethernet(ARP, arp(A, B, hardware_type=0x0101)))
    assert isinstance(drop.l3, Arp)
    assert (0x0101, bytes([10, 0, 0, 2])) == (drop.l3.hardware_type, drop.l3.target_ip)


def test_ipv6_fields_are_in_the_order_of_the_wire() -> None:
    packet = ipv6(A6, B6, 17, udp(1, 2), traffic_class=0xAB, flow_label=0x12345, hop_limit=9)
    drop = decoded(ethernet(IPV6, packet))
    src = bytes.fromhex("20010db8000000000000000000000001")
    dst = bytes.fromhex("20010db8000000000000000000000002")
    assert IPv6(0x6AB12345, 8, 17, 9, src, dst) == drop.l3
    assert (17, Udp(1, 2, 8, 0), False) == (drop.protocol, drop.l4, drop.truncated)


def test_tcp_over_ipv6_is_found() -> None:
    drop = decoded(ethernet(IPV6, ipv6(A6, B6, 6, tcp(1, 2, 3, 4))))
    assert Tcp(1, 2, 3, 4, 0x5002, 0, 0, 0) == drop.l4


@pytest.mark.parametrize("next_header", [0, 1, 2, 43, 44, 58, 59, 132])
def test_other_next_header_ends_the_decoding(next_header: int) -> None:
    """ICMP (1) means nothing over IPv6."""
    drop = decoded(ethernet(IPV6, ipv6(A6, B6, next_header, bytes(40))))
    assert (next_header, None, False) == (drop.protocol, drop.l4, drop.truncated)


@pytest.mark.parametrize("protocol", [0, 2, 41, 47, 50, 58, 132, 255])
def test_other_protocol_ends_the_decoding(protocol: int) -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, protocol)))
    assert (protocol, None, False) == (drop.protocol, drop.l4, drop.truncated)


@pytest.mark.parametrize("ethertype", [0x0000, 0x0026, 0x05FF, 0x88A8, 0x88CC, 0xFFFF])
def test_unknown_ethertype_is_whole(ethertype: int) -> None:
    drop = decoded(ethernet(ethertype))
    assert (ethertype, None, -1, None, False) == (
        drop.ethertype,
        drop.l3,
        drop.protocol,
        drop.l4,
        drop.truncated,
    )


@pytest.mark.parametrize("depth", [1, 2, 5, 300])
def test_stacked_vlans_are_read_to_the_end(depth: int) -> None:
    tags = [vlan(0xE000 | number, QTAG) for number in range(depth - 1)]
    drop = decoded(ethernet(QTAG, *tags, vlan(4094, IPV4), ipv4(A, B, 17, udp(1, 2))))
    assert (*(0xE000 | number for number in range(depth - 1)), 4094) == drop.vlans
    assert (IPV4, Udp(1, 2, 8, 0), False) == (drop.ethertype, drop.l4, drop.truncated)


@pytest.mark.parametrize("there", range(4))
def test_cut_vlan_tag_is_truncated(there: int) -> None:
    frame = ethernet(QTAG, vlan(7, QTAG), vlan(8, IPV4)[:there])
    drop = decoded(frame)
    expected = (QTAG, (7,), None, True)
    assert expected == (drop.ethertype, drop.vlans, drop.l3, drop.truncated)


@pytest.mark.parametrize(
    ("size", "smac", "dmac"),
    [
        (0, b"", b""),
        (5, b"", b""),
        (6, b"", mac(DMAC)),
        (11, b"", mac(DMAC)),
        (12, mac(SMAC), mac(DMAC)),
        (13, mac(SMAC), mac(DMAC)),
    ],
)
def test_cut_ethernet_header_gives_the_addresses_that_are_whole(
    size: int, smac: bytes, dmac: bytes
) -> None:
    drop = decoded(syn()[:size])
    assert (smac, dmac, -1, (), None, -1, None, True) == (
        drop.smac,
        drop.dmac,
        drop.ethertype,
        drop.vlans,
        drop.l3,
        drop.protocol,
        drop.l4,
        drop.truncated,
    )


@pytest.mark.parametrize("words", range(1, 11))
def test_ipv4_options_are_stepped_over(words: int) -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, 17, udp(1, 2), options=b"\x01" * 4 * words)))
    assert (Udp(1, 2, 8, 0), False) == (drop.l4, drop.truncated)


@pytest.mark.parametrize("ihl", range(5))
def test_header_length_below_five_words_leaves_nothing_to_be_found(ihl: int) -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, 6, tcp(1, 2), ihl=ihl)))
    assert isinstance(drop.l3, IPv4)
    expected = (6, None, False)
    assert expected == (drop.protocol, drop.l4, drop.truncated)


@pytest.mark.parametrize("protocol", [2, 6])
def test_header_length_above_the_bytes_is_truncated(protocol: int) -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, protocol, bytes(39), ihl=15)))
    assert isinstance(drop.l3, IPv4)
    assert (protocol, None, True) == (drop.protocol, drop.l4, drop.truncated)


@pytest.mark.parametrize("offset", [1, 2, 0x1FFF])
@pytest.mark.parametrize("protocol", [1, 6, 17])
@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(40)])
def test_later_fragment_has_no_header_and_is_whole(
    offset: int, protocol: int, payload: bytes
) -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, protocol, payload, flags=1, offset=offset)))
    assert (protocol, None, False) == (drop.protocol, drop.l4, drop.truncated)


def test_first_fragment_has_its_header() -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, 17, udp(1, 2, 3000), bytes(16), flags=1)))
    assert (Udp(1, 2, 3000, 0), False) == (drop.l4, drop.truncated)


@pytest.mark.parametrize(("protocol", "needed"), [(1, 8), (6, 20), (17, 8)])
def test_total_length_ends_the_packet_before_the_padding(protocol: int, needed: int) -> None:
    """What the padding says is no header, however well it would fit."""
    short = decoded(ethernet(IPV4, ipv4(A, B, protocol, PADDING, total_length=20 + needed - 1)))
    whole = decoded(ethernet(IPV4, ipv4(A, B, protocol, PADDING, total_length=20 + needed)))
    expected = (None, True)
    assert expected == (short.l4, short.truncated)
    assert whole.l4 is not None
    assert not whole.truncated


def test_total_length_of_the_header_alone_leaves_none_behind() -> None:
    drop = decoded(ethernet(IPV4, ipv4(A, B, 17, PADDING, total_length=20)))
    expected = (None, True)
    assert expected == (drop.l4, drop.truncated)


@pytest.mark.parametrize("total_length", [0, 1, 19, 23, 1500, 65535])
def test_total_length_that_cannot_be_gives_way_to_the_frames_end(total_length: int) -> None:
    packet = ipv4(A, B, 17, udp(1, 2), options=bytes(4), total_length=total_length)
    drop = decoded(ethernet(IPV4, packet))
    assert (Udp(1, 2, 8, 0), False) == (drop.l4, drop.truncated)


@pytest.mark.parametrize("payload_length", [0, 1, 8, 9, 65535])
def test_payload_length_changes_nothing(payload_length: int) -> None:
    """No frame that is short enough to be padded has room for a header behind IPv6."""
    drop = decoded(ethernet(IPV6, ipv6(A6, B6, 17, udp(1, 2), payload_length=payload_length)))
    assert (Udp(1, 2, 8, 0), False) == (drop.l4, drop.truncated)


def test_total_length_of_a_frame_too_long_for_padding_is_not_looked_at() -> None:
    """The OpFlex agent prints all of such a packet, with total length 28 in its own test."""
    header = tcp(41634, 179, 2939917199, options=bytes(20))
    drop = decoded(ethernet(IPV4, ipv4(A, B, 6, header, total_length=28)))
    assert isinstance(drop.l4, Tcp)
    assert (41634, 179, False) == (drop.l4.src_port, drop.l4.dst_port, drop.truncated)


def test_version_that_contradicts_the_ethertype_is_read_by_the_ethertype() -> None:
    packet = bytearray(ipv4(A, B, 17, udp(1, 2)))
    packet[0] = 0x65
    drop = decoded(ethernet(IPV4, bytes(packet)))
    assert (Udp(1, 2, 8, 0), False) == (drop.l4, drop.truncated)


def test_frame_of_the_greatest_message_is_read() -> None:
    """More than 16,000 tags and no end: a frame of 65,000 bytes that is nothing but tags."""
    frame = ethernet(QTAG, *[struct.pack("!HH", 1, QTAG)] * 16246)
    drop = decoded(frame)
    expected = (16246, QTAG, True)
    assert expected == (len(drop.vlans), drop.ethertype, drop.truncated)
