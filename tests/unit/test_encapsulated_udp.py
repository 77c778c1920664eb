"""The datagram in a captured packet: by link type, cut at every length, with lengths that lie."""

from __future__ import annotations

import struct

import pytest
from captures import PORT, outer
from frames import ARP, IPV4, IPV6, QTAG, ethernet, ipv4, ipv6, udp, vlan

from ryu_droplog.packet.encapsulated_udp import LINK_TYPES, Datagram, datagram

PAYLOAD = b"eight by"
EXPECTED = Datagram(PORT, PAYLOAD)
SERVICE_TAG = 0x88A8
HEADER = udp(40000, PORT, 16)
OVER_IPV4 = outer(PAYLOAD)
OVER_IPV6 = ipv6("::1", "::1", 17, HEADER, PAYLOAD)
SLL = struct.pack("!HHH8s", 0, 772, 6, bytes(8))
"""LINKTYPE_LINUX_SLL without the protocol type at its end."""
SLL2 = struct.pack("!HIHBB8s", 0, 1, 772, 0, 6, bytes(8))
"""LINKTYPE_LINUX_SLL2 without the protocol type at its beginning."""


def number(value: int) -> bytes:
    return struct.pack("!H", value)


PACKETS: dict[str, tuple[int, bytes, bytes]] = {
    "ethernet": (1, ethernet(IPV4), OVER_IPV4),
    "ethernet ipv6": (1, ethernet(IPV6), OVER_IPV6),
    "vlan": (1, ethernet(QTAG, vlan(7, IPV4)), OVER_IPV4),
    "qinq": (1, ethernet(SERVICE_TAG, vlan(7, QTAG), vlan(8, IPV6)), OVER_IPV6),
    "three tags": (1, ethernet(QTAG, vlan(7, QTAG), vlan(8, QTAG), vlan(9, IPV4)), OVER_IPV4),
    "sll": (113, SLL + number(IPV4), OVER_IPV4),
    "sll ipv6": (113, SLL + number(IPV6), OVER_IPV6),
    "sll vlan": (113, SLL + number(QTAG) + vlan(7, IPV4), OVER_IPV4),
    "sll2": (276, number(IPV4) + SLL2, OVER_IPV4),
    "sll2 ipv6": (276, number(IPV6) + SLL2, OVER_IPV6),
    "sll2 vlan": (276, number(QTAG) + SLL2 + vlan(7, IPV6), OVER_IPV6),
    "raw": (101, b"", OVER_IPV4),
    "raw ipv6": (101, b"", OVER_IPV6),
    "raw, openbsd": (14, b"", OVER_IPV4),
    "raw, bsd": (12, b"", OVER_IPV6),
    "ipv4": (228, b"", OVER_IPV4),
    "ipv6": (229, b"", OVER_IPV6),
    "null, little": (0, struct.pack("<I", 2), OVER_IPV4),
    "null, big": (0, struct.pack(">I", 30), OVER_IPV6),
    "loop": (108, struct.pack(">I", 2), OVER_IPV4),
    "options": (101, b"", ipv4("10.0.0.1", "10.0.0.2", 17, HEADER, PAYLOAD, options=bytes(40))),
}
EACH = pytest.mark.parametrize(
    ("link_type", "before", "packet"), list(PACKETS.values()), ids=list(PACKETS)
)


@EACH
def test_whole_packet_gives_the_datagram(link_type: int, before: bytes, packet: bytes) -> None:
    assert EXPECTED == datagram(link_type, before + packet)


@EACH
def test_padding_is_not_of_the_datagram(link_type: int, before: bytes, packet: bytes) -> None:
    assert EXPECTED == datagram(link_type, before + packet + bytes(30))


@EACH
def test_cut_packet_gives_what_was_captured(link_type: int, before: bytes, packet: bytes) -> None:
    data = before + packet
    headers = len(data) - len(PAYLOAD)
    for size in range(len(data)):
        expected = Datagram(PORT, PAYLOAD[: size - headers], True) if size >= headers else None
        assert (size, expected) == (size, datagram(link_type, data[:size]))


def test_every_link_type_is_tried() -> None:
    assert set(LINK_TYPES) == {link_type for link_type, _, _ in PACKETS.values()}


def over_ipv4(*payload: bytes, protocol: int = 17, **fields: int) -> bytes:
    return ipv4("10.0.0.1", "10.0.0.2", protocol, *payload, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (over_ipv4(udp(1, PORT, 8)), b""),
        (over_ipv4(udp(1, PORT, 12), PAYLOAD), PAYLOAD[:4]),
        (over_ipv4(udp(1, PORT, 65535), PAYLOAD), PAYLOAD),
        (over_ipv4(udp(1, PORT, 65535), PAYLOAD, total_length=32), PAYLOAD[:4]),
        (over_ipv4(udp(1, PORT, 16), PAYLOAD, total_length=65535), PAYLOAD),
        (over_ipv4(HEADER, PAYLOAD, flags=2), PAYLOAD),
        (ipv6("::1", "::2", 17, udp(1, PORT, 65535), PAYLOAD, payload_length=12), PAYLOAD[:4]),
        (ipv6("::1", "::2", 17, HEADER, PAYLOAD, payload_length=65535), PAYLOAD),
    ],
)
def test_length_that_lies_gives_no_more_than_is_there(packet: bytes, expected: bytes) -> None:
    assert Datagram(PORT, expected) == datagram(101, packet)


NONE: dict[str, tuple[int, bytes]] = {
    "nothing": (1, b""),
    "arp": (1, ethernet(ARP, OVER_IPV4)),
    "802.3": (1, ethernet(60, OVER_IPV4)),
    "behind a tag: arp": (1, ethernet(QTAG, vlan(7, ARP), OVER_IPV4)),
    "tags to the end": (1, ethernet(QTAG, vlan(7, QTAG) * 400)),
    "tcp": (101, over_ipv4(HEADER, PAYLOAD, protocol=6)),
    "first fragment": (101, over_ipv4(HEADER, PAYLOAD, flags=1)),
    "later fragment": (101, over_ipv4(HEADER, PAYLOAD, offset=1)),
    "ihl 0": (101, over_ipv4(HEADER, PAYLOAD, ihl=0)),
    "ihl 4": (101, over_ipv4(HEADER, PAYLOAD, ihl=4)),
    "ihl past the end": (101, over_ipv4(HEADER, ihl=15)),
    "total length of the header": (101, over_ipv4(HEADER, PAYLOAD, total_length=20)),
    "total length 0": (101, over_ipv4(HEADER, PAYLOAD, total_length=0)),
    "udp length 0": (101, over_ipv4(udp(1, PORT, 0), PAYLOAD)),
    "udp length 7": (101, over_ipv4(udp(1, PORT, 7), PAYLOAD)),
    "ipv6 with an extension header": (101, ipv6("::1", "::2", 0, bytes([17]) + bytes(7), HEADER)),
    "ipv6 fragment": (101, ipv6("::1", "::2", 44, bytes([17]) + bytes(7), HEADER)),
    "ipv6 length 7": (101, ipv6("::1", "::2", 17, HEADER, PAYLOAD, payload_length=7)),
    "version 5": (101, b"\x55" + OVER_IPV4[1:]),
    "bluetooth": (201, OVER_IPV4),
    "link type that nobody has": (1 << 20, OVER_IPV4),
}


@pytest.mark.parametrize(("link_type", "packet"), list(NONE.values()), ids=list(NONE))
def test_what_is_no_whole_datagram_is_none(link_type: int, packet: bytes) -> None:
    assert datagram(link_type, packet) is None
