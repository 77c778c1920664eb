"""The drop line, byte for byte."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from clocks import forget
from drops import location
from frames import (
    ARP,
    IPV4,
    IPV6,
    QTAG,
    arp,
    ethernet,
    icmp,
    ipv4,
    ipv6,
    syn,
    tcp,
    udp,
    vlan,
)

from ryu_droplog.packet.ethernet import decode
from ryu_droplog.sinks import line

ORIGIN = location(4, name="SEC_GROUP_IN_TABLE", prefix="Acc-")
A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "fe80::a00:27ff:fefe:8f95", "ff02::1:2"

MACS = " SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3"
AB = " SRC=10.0.0.1 DST=10.0.0.2"
AB6 = " SRC=fe80::a00:27ff:fefe:8f95 DST=ff02::1:2"

SYN_PACKET = (
    " SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3 ETYP=IPv4 SRC=10.2.0.229 DST=10.2.0.195 LEN=60"
    " DSCP=0 TTL=62 ID=58352 FLAGS=2 FRAG=0 PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783 ACK=0 LEN=10"
    " WINDOWS=62020 SYN  URGP=0"
)


def printed(frame: bytes, seconds: float = 0.0) -> str:
    return line.packet_text(decode(frame, seconds, ORIGIN, b""))


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Local time as TZ says, UTC to begin with; `set_zone` changes it."""
    set_zone(monkeypatch, "UTC0")
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()
    forget(line)


def set_zone(zone: pytest.MonkeyPatch, name: str) -> None:
    zone.setenv("TZ", name)
    time.tzset()
    forget(line)


# The worked lines.


def test_tcp_syn_is_printed_in_full(zone: pytest.MonkeyPatch) -> None:
    drop = decode(syn(), 1708415956.845663, ORIGIN, b"")
    expected = (
        "[2024-Feb-20 07:59:16.845663] [info] [ryu_droplog] Acc-SEC_GROUP_IN_TABLE MISS "
        + SYN_PACKET
    )
    assert expected == line.full(drop)


def test_redirected_line_has_time_and_reason_alone(zone: pytest.MonkeyPatch) -> None:
    drop = decode(syn(), 1708415956.845663, ORIGIN, b"")
    expected = "[2024-Feb-20 07:59:16.845663] Acc-SEC_GROUP_IN_TABLE MISS " + SYN_PACKET
    assert expected == line.redirected(drop)


def test_bare_line_begins_with_the_reason() -> None:
    drop = decode(syn(), 1708415956.845663, ORIGIN, b"")
    expected = "Acc-SEC_GROUP_IN_TABLE MISS " + SYN_PACKET
    assert expected == line.bare(drop)


def test_arp_request_is_printed() -> None:
    frame = ethernet(
        ARP, arp("13.0.0.3", "13.0.0.5"), smac="9e:72:a6:94:18:af", dmac="ff:ff:ff:ff:ff:ff"
    )
    expected = (
        " SMAC=9e:72:a6:94:18:af DMAC=ff:ff:ff:ff:ff:ff ETYP=ARP"
        " ARP_SPA=13.0.0.3 ARP_TPA=13.0.0.5 ARP_OP=1"
    )
    assert expected == printed(frame)


def test_tagged_igmp_with_options_is_printed() -> None:
    packet = ipv4(
        "192.168.210.8",
        "224.0.0.22",
        2,
        bytes(16),
        tos=0xC0,
        ttl=1,
        flags=2,
        options=bytes.fromhex("94040000"),
    )
    frame = ethernet(
        QTAG, vlan(4094, IPV4), packet, smac="fa:16:3e:d3:f3:0b", dmac="01:00:5e:00:00:16"
    )
    expected = (
        " SMAC=fa:16:3e:d3:f3:0b DMAC=01:00:5e:00:00:16 ETYP=Qtag QTAG=4094 IPv4"
        " SRC=192.168.210.8 DST=224.0.0.22 LEN=40 DSCP=48 TTL=1 ID=0 FLAGS=2 FRAG=0"
        " PROTO=2_unrecognized"
    )
    assert expected == printed(frame)


def test_udp_over_ipv6_is_printed() -> None:
    packet = ipv6(A6, B6, 17, udp(546, 547, 60), hop_limit=1, payload_length=60)
    frame = ethernet(IPV6, packet, smac="9e:72:a6:94:18:af", dmac="5a:08:66:ce:0b:49")
    expected = (
        " SMAC=9e:72:a6:94:18:af DMAC=5a:08:66:ce:0b:49 ETYP=IPv6 SRC=fe80::a00:27ff:fefe:8f95"
        " DST=ff02::1:2 LEN=60 TC=0 HL=1 FL=0 PROTO=UDP SPT=546 DPT=547 LEN=60"
    )
    assert expected == printed(frame)


# Layer by layer, and each layer cut: a frame, and each layer's last byte and text.

IP_FIELDS = " DSCP=0 TTL=64 ID=0 FLAGS=0 FRAG=0"

LAYERS: dict[str, tuple[bytes, list[tuple[int, str]]]] = {
    "tcp": (
        ethernet(IPV4, ipv4(A, B, 6, tcp(1, 65535, 4294967295, 7, 0x11, 9, 3))),
        [
            (14, MACS + " ETYP=IPv4"),
            (34, AB + " LEN=40" + IP_FIELDS + " PROTO=TCP"),
            (54, " SPT=1 DPT=65535 SEQ=4294967295 ACK=7 LEN=5 WINDOWS=9 ACK FIN  URGP=3"),
        ],
    ),
    "udp": (
        ethernet(IPV4, ipv4(A, B, 17, udp(53, 4444, 8), tos=0xB9, identification=65535, flags=7)),
        [
            (14, MACS + " ETYP=IPv4"),
            (34, AB + " LEN=28 DSCP=46 TTL=64 ID=65535 FLAGS=7 FRAG=0 PROTO=UDP"),
            (42, " SPT=53 DPT=4444 LEN=8"),
        ],
    ),
    "icmp": (
        ethernet(IPV4, ipv4(A, B, 1, icmp(8, 1, 65535, 2))),
        [
            (14, MACS + " ETYP=IPv4"),
            (34, AB + " LEN=28" + IP_FIELDS + " PROTO=ICMP"),
            (42, " TYPE=8 CODE=1 ID=65535 SEQ=2"),
        ],
    ),
    "arp reply": (
        ethernet(ARP, arp(A, B, 2)),
        [(14, MACS + " ETYP=ARP"), (42, " ARP_SPA=10.0.0.1 ARP_TPA=10.0.0.2 ARP_OP=2")],
    ),
    "tcp over ipv6": (
        ethernet(
            IPV6,
            ipv6(A6, B6, 6, tcp(1, 2, 3, 4), traffic_class=184, flow_label=1048575, hop_limit=255),
        ),
        [
            (14, MACS + " ETYP=IPv6"),
            (54, AB6 + " LEN=20 TC=184 HL=255 FL=1048575 PROTO=TCP"),
            (74, " SPT=1 DPT=2 SEQ=3 ACK=4 LEN=5 WINDOWS=0 SYN  URGP=0"),
        ],
    ),
    "udp over ipv6": (
        ethernet(IPV6, ipv6(A6, B6, 17, udp(546, 547))),
        [
            (14, MACS + " ETYP=IPv6"),
            (54, AB6 + " LEN=8 TC=0 HL=64 FL=0 PROTO=UDP"),
            (62, " SPT=546 DPT=547 LEN=8"),
        ],
    ),
    "icmpv6": (
        ethernet(IPV6, ipv6(A6, B6, 58, icmp(135))),
        [
            (14, MACS + " ETYP=IPv6"),
            (54, AB6 + " LEN=8 TC=0 HL=64 FL=0 PROTO=58_unrecognized"),
        ],
    ),
    "icmp over ipv6": (
        ethernet(IPV6, ipv6(A6, B6, 1, icmp(8))),
        [(14, MACS + " ETYP=IPv6"), (54, AB6 + " LEN=8 TC=0 HL=64 FL=0 PROTO=ICMP")],
    ),
    "stacked vlan": (
        ethernet(QTAG, vlan(0xF001, QTAG), vlan(4095, ARP), arp(A, B)),
        [
            (14, MACS + " ETYP=Qtag"),
            (18, " QTAG=1 Qtag"),
            (22, " QTAG=4095 ARP"),
            (50, " ARP_SPA=10.0.0.1 ARP_TPA=10.0.0.2 ARP_OP=1"),
        ],
    ),
    "vlan with an unknown ethertype": (
        ethernet(QTAG, vlan(0, 0x88A8), bytes(4)),
        [(14, MACS + " ETYP=Qtag"), (18, " QTAG=0 34984_unrecognized")],
    ),
    "ipv4 options": (
        ethernet(IPV4, ipv4(A, B, 17, udp(1, 2), options=b"\x94\x04\0\0" * 10)),
        [
            (14, MACS + " ETYP=IPv4"),
            (34, AB + " LEN=68" + IP_FIELDS + " PROTO=UDP"),
            (82, " SPT=1 DPT=2 LEN=8"),
        ],
    ),
    "first fragment": (
        ethernet(IPV4, ipv4(A, B, 17, udp(1, 2, 999), bytes(8), flags=1)),
        [
            (14, MACS + " ETYP=IPv4"),
            (34, AB + " LEN=36 DSCP=0 TTL=64 ID=0 FLAGS=1 FRAG=0 PROTO=UDP"),
            (42, " SPT=1 DPT=2 LEN=999"),
        ],
    ),
    "later fragment": (
        ethernet(IPV4, ipv4(A, B, 6, tcp(1, 2), flags=1, offset=8191)),
        [
            (14, MACS + " ETYP=IPv4"),
            (34, AB + " LEN=40 DSCP=0 TTL=64 ID=0 FLAGS=1 FRAG=8191 PROTO=TCP"),
        ],
    ),
    "unknown ethertype": (ethernet(0x88CC, bytes(30)), [(14, MACS + " ETYP=35020_unrecognized")]),
    "802.3 length": (ethernet(38, bytes(38)), [(14, MACS + " ETYP=38_unrecognized")]),
}


@pytest.mark.parametrize(("frame", "layers"), LAYERS.values(), ids=LAYERS)
def test_whole_frame_has_all_layers(frame: bytes, layers: list[tuple[int, str]]) -> None:
    assert "".join(text for _, text in layers) == printed(frame)


@pytest.mark.parametrize(("frame", "layers"), LAYERS.values(), ids=LAYERS)
def test_frame_cut_anywhere_has_its_whole_layers(
    frame: bytes, layers: list[tuple[int, str]]
) -> None:
    expected = []
    for size in range(len(frame) + 1):
        whole = "".join(text for end, text in layers if end <= size)
        expected.append(whole if layers[-1][0] <= size else whole + " TRUNCATED")
    assert expected == [printed(frame[:size]) for size in range(len(frame) + 1)]


@pytest.mark.parametrize(("frame", "layers"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_padded_frame_has_the_line_of_the_unpadded(
    frame: bytes, layers: list[tuple[int, str]], filler: bytes
) -> None:
    padded = frame.ljust(60, filler) + 4 * filler
    assert "".join(text for _, text in layers) == printed(padded)


def test_packet_shorter_than_its_header_is_not_made_whole_by_padding() -> None:
    frame = ethernet(IPV4, ipv4(A, B, 17, b"\0\x01\0\x02")).ljust(60, b"\0")
    expected = MACS + " ETYP=IPv4" + AB + " LEN=24" + IP_FIELDS + " PROTO=UDP TRUNCATED"
    assert expected == printed(frame)


def test_header_length_below_five_words_ends_the_line() -> None:
    frame = ethernet(IPV4, ipv4(A, B, 6, tcp(1, 2), ihl=4))
    expected = MACS + " ETYP=IPv4" + AB + " LEN=40" + IP_FIELDS + " PROTO=TCP"
    assert expected == printed(frame)


FLAGS = {
    0x000: "",
    0x001: "FIN ",
    0x002: "SYN ",
    0x004: "RST ",
    0x008: "PSH ",
    0x010: "ACK ",
    0x020: "URG ",
    0x040: "ECE ",
    0x080: "CWR ",
    0x100: "NS ",
    0x012: "ACK SYN ",
    0x018: "ACK PSH ",
    0x0C2: "CWR ECE SYN ",
    0x1FF: "NS CWR ECE URG ACK PSH RST SYN FIN ",
}


@pytest.mark.parametrize(("flags", "names"), FLAGS.items())
@pytest.mark.parametrize("reserved", [0, 7])
def test_tcp_flags_are_named_in_order(flags: int, names: str, reserved: int) -> None:
    segment = tcp(1, 2, 3, 4, flags, 5, 6, reserved=reserved)
    text = printed(ethernet(IPV4, ipv4(A, B, 6, segment)))
    expected = f" SPT=1 DPT=2 SEQ=3 ACK=4 LEN=5 WINDOWS=5 {names} URGP=6"
    assert expected == text[text.index(" SPT") :]


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "2001:db8::1",
        "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1",
        "2001:db8::1:0:0:1",
        "fe80::abcd",
        "64:ff9b::102:304",
        "::ffff:1.2.3.4",
        "::1.2.3.4",
        "::ffff:0:102:304",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ],
)
def test_ipv6_address_is_in_the_form_of_rfc_5952(address: str) -> None:
    text = printed(ethernet(IPV6, ipv6(address, "ff02::1", 59)))
    assert f" SRC={address} DST=ff02::1 " == text[text.index(" SRC") : text.index("LEN")]


def test_more_addresses_than_the_cache_holds_are_all_right() -> None:
    texts = line.AddressTexts(lambda address: address.hex())
    addresses = [number.to_bytes(4, "big") for number in range(line.ADDRESS_CACHE_SIZE + 2)]
    sizes = []
    for address in addresses:
        assert address.hex() == texts[address]
        sizes.append(len(texts))
    bound = line.ADDRESS_CACHE_SIZE
    assert bound == max(sizes)
    assert address.hex() == texts[address]


# Time.


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "1970-Jan-01 00:00:00.000000"),
        (0.000001, "1970-Jan-01 00:00:00.000001"),
        (1708415956.000009, "2024-Feb-20 07:59:16.000009"),
        (1708415956.999999, "2024-Feb-20 07:59:16.999999"),
        (1708415956.9999997, "2024-Feb-20 07:59:17.000000"),
        (1709251199.9999998, "2024-Mar-01 00:00:00.000000"),
        (1735689599.5, "2024-Dec-31 23:59:59.500000"),
        (-0.25, "1969-Dec-31 23:59:59.750000"),
    ],
)
def test_time_is_rounded_to_the_microsecond(
    zone: pytest.MonkeyPatch, seconds: float, expected: str
) -> None:
    assert expected == line.timestamp(seconds)


def test_every_microsecond_of_a_clock_comes_back(zone: pytest.MonkeyPatch) -> None:
    """A clock's nearest float is printed as the microsecond that was meant."""
    wanted = range(0, 1_000_000, 997)
    printed_fractions = [int(line.timestamp(1708415956 + n / 1e6)[-6:]) for n in wanted]
    assert list(wanted) == printed_fractions


def test_months_are_english(zone: pytest.MonkeyPatch) -> None:
    first_days = [1704067200 + 86400 * 31 * month for month in range(12)]
    expected = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    assert expected == [line.timestamp(day)[5:8] for day in first_days]


def test_change_of_summer_time_shows_at_its_second(zone: pytest.MonkeyPatch) -> None:
    """Europe: forward on 2024-03-31 and back on 2024-10-27, both at 01:00 UTC."""
    set_zone(zone, "CET-1CEST,M3.5.0,M10.5.0/3")
    times = [1711846799.5, 1711846800.5, 1729990799.5, 1729990800.5]
    expected = [
        "2024-Mar-31 01:59:59.500000",
        "2024-Mar-31 03:00:00.500000",
        "2024-Oct-27 02:59:59.500000",
        "2024-Oct-27 02:00:00.500000",
    ]
    assert expected == [line.timestamp(seconds) for seconds in times]


def test_times_that_alternate_keep_their_own_text(zone: pytest.MonkeyPatch) -> None:
    """More seconds in turn than texts are kept."""
    seconds = [1708415956 + number for number in range(10)] * 2
    texts = [line.timestamp(second) for second in seconds]
    assert texts[:10] == texts[10:]
    assert all(earlier < later for earlier, later in pairwise(texts[:10]))
