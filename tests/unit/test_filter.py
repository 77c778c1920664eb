"""Which drops are left out: each default rule and its near misses, each field, families, order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from drops import drop
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

from ryu_droplog.config.filter_spec import DEFAULTS, FilterSpec, parse_filter
from ryu_droplog.processing.filter import FilterSet

LLDP = 0x88CC
LLDP_MAC = "01:80:c2:00:00:0e"
GROUP_MAC = "33:33:00:00:00:fb"
MDNS_MAC = "01:00:5e:00:00:fb"
A, B, MDNS = "10.2.0.229", "10.2.0.195", "224.0.0.251"
A6, B6, GROUP6 = "fd00::a", "fd00::b", "ff02::fb"

TCP4 = ethernet(IPV4, ipv4(A, B, 6, tcp(42934, 80)))
UDP4 = ethernet(IPV4, ipv4(A, B, 17, udp(5353, 53)))
ICMP4 = ethernet(IPV4, ipv4(A, B, 1, icmp(8)))
TCP6 = ethernet(IPV6, ipv6(A6, B6, 6, tcp(42934, 80)))
ARP4 = ethernet(ARP, arp(A, B))
LATER_FRAGMENT = ethernet(IPV4, ipv4(A, B, 6, tcp(42934, 80), offset=100))
ALL = (TCP4, UDP4, ICMP4, TCP6, ARP4, LATER_FRAGMENT, b"", mac(DMAC))


def default(frame: bytes) -> str | None:
    """The default rule that leaves out a drop of this frame."""
    return FilterSet(DEFAULTS).match(drop(frame))


def by(frame: bytes, **form: object) -> bool:
    """Whether a filter, as the configuration writes it, leaves out a drop of this frame."""
    found = FilterSet([parse_filter({"name": "it", **form})]).match(drop(frame))
    assert found in ("it", None)
    return found == "it"


def segment(sport: int, dport: int) -> bytes:
    return ethernet(IPV4, ipv4(A, B, 6, tcp(sport, dport)))


def group6(next_header: int, *payload: bytes, dmac: str = GROUP_MAC) -> bytes:
    return ethernet(IPV6, ipv6(A6, GROUP6, next_header, *payload), dmac=dmac)


def mdns(sport: int = 5353, dport: int = 5353, dst: str = MDNS) -> bytes:
    return ethernet(IPV4, ipv4(A, dst, 17, udp(sport, dport)), dmac=MDNS_MAC)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet(LLDP, bytes(46), dmac=LLDP_MAC), "lldp"),
        (mac(LLDP_MAC) + mac(SMAC), "lldp"),
        (mac(LLDP_MAC), "lldp"),
        (ethernet(IPV4, ipv4(A, B, 6, tcp(1, 2)), dmac=LLDP_MAC), "lldp"),
        (ethernet(IPV4, ipv4(A, "224.0.0.22", 2, bytes(16), options=b"\x94\4\0\0")), "igmp"),
        (ethernet(IPV4, ipv4(A, B, 2)), "igmp"),
        (group6(58, b"\x87\0\0\0"), "icmpv6-multicast"),
        (group6(58), "icmpv6-multicast"),
        (group6(58, dmac="33:33:ff:ff:ff:ff"), "icmpv6-multicast"),
        (group6(0, b"\x3a\0\5\2\0\0\1\0" + b"\x8f" + bytes(7)), "ipv6-hop-by-hop-multicast"),
        (group6(17, udp(5353, 5353)), "mdns-ipv6"),
        (group6(17, udp(40000, 5353)), "mdns-ipv6"),
        (ethernet(IPV4, ipv4(A, B, 17, udp(40000, 5353)), dmac=GROUP_MAC), "mdns-ipv6"),
        (mdns(), "mdns"),
    ],
)
def test_chatter_that_nobody_routes_is_left_out_by_default(frame: bytes, expected: str) -> None:
    assert expected == default(frame)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet(QTAG, vlan(7, LLDP), bytes(46), dmac=LLDP_MAC), "lldp"),
        (ethernet(QTAG, vlan(4094, IPV4), ipv4(A, B, 2)), "igmp"),
        (ethernet(QTAG, vlan(1, QTAG), vlan(2, IPV4), ipv4(A, B, 2)), "igmp"),
        (
            ethernet(QTAG, vlan(7, IPV6), ipv6(A6, GROUP6, 58), dmac=GROUP_MAC),
            "icmpv6-multicast",
        ),
        (ethernet(QTAG, vlan(7, IPV4), ipv4(A, MDNS, 17, udp(5353, 5353))), "mdns"),
    ],
)
def test_tagged_chatter_is_left_out_like_untagged(frame: bytes, expected: str) -> None:
    assert expected == default(frame)


@pytest.mark.parametrize(
    "frame",
    [
        *ALL,
        syn(),
        # beside lldp
        ethernet(LLDP, bytes(46), dmac="01:80:c2:00:00:0d"),
        ethernet(LLDP, bytes(46), smac=LLDP_MAC),
        ethernet(LLDP, bytes(46), dmac="01:80:c2:00:01:0e"),
        mac(LLDP_MAC)[:5],
        # beside igmp
        ethernet(IPV4, ipv4(A, "224.0.0.22", 3, bytes(16))),
        ethernet(IPV6, ipv6(A6, GROUP6, 2), dmac=GROUP_MAC),
        ethernet(IPV4, ipv4(A, "224.0.0.22", 2)[:19]),
        # beside icmpv6-multicast
        group6(58, dmac="33:34:00:00:00:01"),
        group6(58, dmac=DMAC),
        group6(59),
        ethernet(IPV4, ipv4(A, B, 58), dmac=GROUP_MAC),
        ethernet(IPV4, ipv4(A, B, 1, icmp(8)), dmac=GROUP_MAC),
        ethernet(IPV6, ipv6(A6, GROUP6, 58), smac=GROUP_MAC),
        group6(58)[:53],
        # beside ipv6-hop-by-hop-multicast
        group6(0, bytes(8), dmac=DMAC),
        group6(60, bytes(8)),
        ethernet(IPV4, ipv4(A, B, 0), dmac=GROUP_MAC),
        # beside mdns-ipv6
        group6(17, udp(5353, 5354)),
        group6(17, udp(5353, 53)),
        group6(17, udp(5353, 5353), dmac=DMAC),
        group6(6, tcp(5353, 5353)),
        group6(17, udp(5353, 5353)[:7]),
        ethernet(IPV4, ipv4(A, B, 17, udp(5353, 5354)), dmac=GROUP_MAC),
        # beside mdns
        mdns(sport=5354),
        mdns(dport=5354),
        mdns(dst="224.0.0.252"),
        ethernet(IPV4, ipv4(MDNS, A, 17, udp(5353, 5353))),
        ethernet(IPV4, ipv4(A, MDNS, 6, tcp(5353, 5353))),
        ethernet(IPV4, ipv4(A, MDNS, 17, udp(5353, 5353), offset=1)),
        ethernet(ARP, arp(A, MDNS)),
        ethernet(IPV6, ipv6(A6, "::224.0.0.251", 17, udp(5353, 5353))),
    ],
)
def test_what_is_only_near_to_chatter_is_kept_by_default(frame: bytes) -> None:
    assert default(frame) is None


def test_every_default_has_a_name_of_its_own() -> None:
    expected = ("lldp", "igmp", "icmpv6-multicast", "ipv6-hop-by-hop-multicast")
    assert (*expected, "mdns-ipv6", "mdns") == FilterSet(DEFAULTS).names


@pytest.mark.parametrize("frame", ALL)
def test_without_filters_everything_is_kept(frame: bytes) -> None:
    assert FilterSet([]).match(drop(frame)) is None


@pytest.mark.parametrize(
    ("key", "values", "others"),
    [
        (
            "sip",
            [A, "10.0.0.0/8", "10.2.0.228/30", "10.2.0.229/31", "128.0.0.0/0", "11.0.0.0/7"],
            [B, "10.2.0.228", "10.2.0.224/30", "10.2.0.228/32", "128.0.0.0/1", "::/0", A6],
        ),
        ("dip", [B, "10.2.0.0/25", "10.2.0.128/25"][::2], [A, "10.2.0.0/25", "::ffff:10.2.0.195"]),
        (
            "smac",
            [SMAC, f"{SMAC}/00:00:00:00:00:ff", "00:00:00:00:00:00/01:00:00:00:00:00"],
            [DMAC],
        ),
        (
            "dmac",
            [DMAC, "0a:58:00:00:00:00/ff:ff:00:00:00:00", "02:00:00:00:00:00/02:00:00:00:00:00"],
            [SMAC, "0a:59:00:00:00:00/ff:ff:00:00:00:00", "01:00:00:00:00:00/01:00:00:00:00:00"],
        ),
        ("ip_proto", ["tcp", 6], [0, 1, 5, 7, "udp", 255]),
        ("sport", [42934], [80, 0, 42933]),
        ("dport", [80], [42934, 0, 81]),
    ],
)
def test_field_holds_for_its_own_part_of_a_segment_alone(
    key: str, values: Sequence[object], others: Sequence[object]
) -> None:
    expected = [True] * len(values) + [False] * len(others)
    assert expected == [by(TCP4, **{key: value}) for value in (*values, *others)]


@pytest.mark.parametrize(
    ("key", "values", "others"),
    [
        (
            "sip",
            [A6, "fd00::/8", "::/0", "fd00::8/125"],
            [B6, "fc00::/8", "0.0.0.0/0", "fd00::/125"],
        ),
        ("dip", [B6, "fd00::/64", "8000::/1"], [A6, "fd00:0:0:1::/64", "0.0.0.0/0", "::/1"]),
        ("ip_proto", ["tcp"], ["icmpv6", 0]),
        ("sport", [42934], [80]),
        ("dport", [80], [42934]),
    ],
)
def test_field_holds_for_ipv6_alike(
    key: str, values: Sequence[object], others: Sequence[object]
) -> None:
    expected = [True] * len(values) + [False] * len(others)
    assert expected == [by(TCP6, **{key: value}) for value in (*values, *others)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"sip": A}, True),
        ({"sip": "10.2.0.0/16", "dip": B}, True),
        ({"sip": B}, False),
        ({"dip": A}, False),
        ({"dip": "::/0"}, False),
        ({"sip": A, "ip_proto": 0}, False),
        ({"sip": A, "dport": 0}, False),
    ],
)
def test_address_holds_for_the_ends_of_arp(form: dict[str, object], expected: bool) -> None:
    assert expected == by(ARP4, **form)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet(IPV4, ipv4("0.0.0.0", "0.0.0.0", 6, tcp(0, 0))), True),
        (ethernet(IPV4, ipv4("0.0.0.0", "0.0.0.0", 17, udp(0, 0))), True),
        (ethernet(IPV6, ipv6("::", "::", 17, udp(0, 0))), True),
        (ethernet(IPV4, ipv4(A, B, 1, icmp(0))), False),
        (ethernet(IPV4, ipv4(A, B, 132, bytes(12))), False),
        (ethernet(IPV4, ipv4(A, B, 6, tcp(0, 0), offset=1)), False),
        (ethernet(IPV4, ipv4(A, B, 6, tcp(0, 0)[:19])), False),
        (ethernet(IPV6, ipv6(A6, B6, 17, udp(0, 0)[:7])), False),
        (ARP4, False),
        (b"", False),
    ],
)
def test_port_holds_only_where_there_is_one(frame: bytes, expected: bool) -> None:
    assert [expected] * 2 == [by(frame, sport=0), by(frame, dport=0)]


@pytest.mark.parametrize("key", ["sport", "dport"])
def test_range_holds_from_its_first_port_to_its_last(key: str) -> None:
    wanted = {key: ["8000-8080", 53, "65534-65535"]}
    inside = [53, 8000, 8040, 8080, 65534, 65535]
    outside = [0, 52, 54, 7999, 8081, 65533]
    found = {port: by(segment(port, port), **wanted) for port in (*inside, *outside)}
    assert dict.fromkeys(inside, True) | dict.fromkeys(outside, False) == found


def test_ranges_of_several_filters_overlap_and_the_first_that_holds_is_told() -> None:
    forms = [
        {"name": "one", "dport": "10-20"},
        {"name": "two", "dport": ["15-30", 99]},
        {"name": "rest", "sport": 7},
    ]
    prune = FilterSet([parse_filter(form) for form in forms])
    expected = {9: "rest", 10: "one", 20: "one", 21: "two", 30: "two", 31: "rest", 99: "two"}
    assert expected == {port: prune.match(drop(segment(7, port))) for port in expected}
    assert prune.match(drop(segment(8, 31))) is None


def test_list_of_protocols_holds_for_each_of_them() -> None:
    found = [by(frame, ip_proto=["tcp", "icmp"]) for frame in (TCP4, TCP6, ICMP4, UDP4, ARP4)]
    assert [True, True, True, False, False] == found


def test_protocol_of_a_later_fragment_holds() -> None:
    assert [True, False] == [by(LATER_FRAGMENT, ip_proto=proto) for proto in ("tcp", "udp")]


@pytest.mark.parametrize("frame", [b"", mac(DMAC)[:5], mac(DMAC), mac(DMAC) + mac(SMAC)[:5]])
def test_address_that_is_not_whole_is_not_accepted_by_any_mask(frame: bytes) -> None:
    anything = "00:00:00:00:00:00/00:00:00:00:00:00"
    assert not by(frame, smac=anything)
    assert (len(frame) >= 6) == by(frame, dmac=anything)
    assert not by(frame, sip="0.0.0.0/0")
    assert not by(frame, sip="::/0")


def test_ip_header_that_is_cut_has_no_addresses() -> None:
    assert not by(TCP4[:33], sip="0.0.0.0/0")
    assert not by(TCP4[:33], ip_proto="tcp")
    assert by(TCP4[:34], sip="0.0.0.0/0", ip_proto="tcp")


@pytest.mark.parametrize("key", ["sip", "dip", "smac", "dmac", "ip_proto", "sport", "dport"])
def test_filter_with_one_field_that_does_not_hold_keeps_the_drop(key: str) -> None:
    form: dict[str, object] = {
        "sip": "10.2.0.0/16",
        "dip": "10.2.0.195",
        "smac": "00:22:bd:00:00:00/ff:ff:ff:00:00:00",
        "dmac": DMAC,
        "ip_proto": "tcp",
        "sport": 42934,
        "dport": 80,
    }
    wrong: dict[str, object] = {
        "sip": "10.3.0.0/16",
        "dip": "10.2.0.194",
        "smac": "00:22:be:00:00:00/ff:ff:ff:00:00:00",
        "dmac": SMAC,
        "ip_proto": "udp",
        "sport": 42935,
        "dport": 81,
    }
    assert by(TCP4, **form)
    assert not by(TCP4, **{**form, key: wrong[key]})


def test_filter_over_two_families_never_holds() -> None:
    form = {"sip": "0.0.0.0/0", "dip": "::/0"}
    assert [False] * len(ALL) == [by(frame, **form) for frame in ALL]


def test_ethertype_holds_for_the_one_behind_all_tags() -> None:
    prune = FilterSet([FilterSpec("it", ethertype=LLDP)])
    tagged = ethernet(QTAG, vlan(1, QTAG), vlan(2, LLDP), bytes(40))
    frames = ethernet(LLDP), tagged, tagged[:21], TCP4, ethernet(LLDP)[:13]
    assert ["it", "it", None, None, None] == [prune.match(drop(frame)) for frame in frames]


def test_first_filter_that_holds_gives_the_name() -> None:
    filters = [
        parse_filter({"name": "ports", "dport": 443}),
        parse_filter({"name": "host", "sip": A}),
        parse_filter({"name": "all tcp", "ip_proto": "tcp"}),
        parse_filter({"name": "net", "sip": "10.0.0.0/8"}),
    ]
    frames = TCP4, TCP6, UDP4, ethernet(IPV4, ipv4("10.9.9.9", B, 1, icmp(8)))
    assert ["host", "all tcp", "host", "net"] == [FilterSet(filters).match(drop(f)) for f in frames]
    filters.reverse()
    assert ["net", "all tcp", "net", "net"] == [FilterSet(filters).match(drop(f)) for f in frames]


def test_each_of_a_thousand_filters_is_found() -> None:
    """Sets of filters are wider than any machine word."""
    numbers = range(1000)
    prune = FilterSet(
        [parse_filter({"name": str(n), "sip": f"10.1.{n >> 8}.{n & 255}"}) for n in numbers]
    )
    frames = [ethernet(IPV4, ipv4(f"10.1.{n >> 8}.{n & 255}", B, 6)) for n in numbers]
    assert [str(n) for n in numbers] == [prune.match(drop(frame)) for frame in frames]
    assert prune.match(drop(ethernet(IPV4, ipv4("10.1.3.232", B, 6)))) is None
