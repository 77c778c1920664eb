"""Which drops fit a flow specification, and what the switch is told of it."""

from __future__ import annotations

import struct
from itertools import combinations

import pytest
from drops import drop
from frames import (
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

from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.openflow.capture_match import MAX_MATCHES, matches
from ryu_droplog.openflow.oxm_match import overlap, text
from ryu_droplog.processing.capture_filter import CaptureFilter

V4_SRC, V4_DST = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
V6_SRC, V6_DST = bytes(15) + b"\x01", bytes(15) + b"\x02"
TCP4 = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1000, 80)))
UDP6 = ethernet(IPV6, ipv6("::1", "::2", 17, udp(1000, 80)))
TUNNEL = bytes.fromhex("80004c08 0000000000000007 00013e04 c0a80001 00014004 c0a80002")


def spec(**named: bytes | int) -> FlowSpec:
    return FlowSpec("u", **named)  # type: ignore[arg-type]


def fits(wanted: FlowSpec, frame: bytes, metadata: bytes = b"") -> bool:
    return CaptureFilter([wanted]).fits(drop(frame, metadata=metadata))


@pytest.mark.parametrize(
    ("wanted", "frame"),
    [
        (spec(), TCP4),
        (spec(), b""),
        (spec(src_mac=mac(SMAC), dst_mac=mac(DMAC)), TCP4),
        (spec(eth_type=IPV4), TCP4),
        (spec(eth_type=IPV4), ethernet(QTAG, vlan(5, IPV4), TCP4[14:])),
        (spec(inner_src=V4_SRC, inner_dst=V4_DST), TCP4),
        (spec(ip_proto=6, src_port=1000, dst_port=80), TCP4),
        (spec(inner_src=V6_SRC, inner_dst=V6_DST, dst_port=80), UDP6),
        (spec(tunnel_id=0, outer_src=bytes(4)), TCP4),
    ],
)
def test_drop_with_all_that_is_named_fits(wanted: FlowSpec, frame: bytes) -> None:
    assert fits(wanted, frame)


@pytest.mark.parametrize(
    ("wanted", "frame"),
    [
        (spec(src_mac=mac(DMAC)), TCP4),
        (spec(src_mac=mac(SMAC)), TCP4[:10]),
        (spec(eth_type=IPV6), TCP4),
        (spec(eth_type=QTAG), ethernet(QTAG, vlan(5, IPV4), TCP4[14:])),
        (spec(inner_src=V4_DST), TCP4),
        (spec(inner_src=V4_SRC, inner_dst=V4_SRC), TCP4),
        (spec(inner_src=V4_SRC), ethernet(0x0806, arp("10.0.0.1", "10.0.0.2"))),
        (spec(ip_proto=17, dst_port=80), TCP4),
        (spec(dst_port=81), TCP4),
        (spec(dst_port=80), TCP4[:36]),
        (spec(src_port=0), ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8)))),
        (spec(dst_port=80), ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 80), offset=9))),
        (spec(tunnel_id=7), TCP4),
        (spec(outer_src=V4_SRC), TCP4),
    ],
)
def test_drop_without_some_of_it_does_not_fit(wanted: FlowSpec, frame: bytes) -> None:
    assert not fits(wanted, frame)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (spec(tunnel_id=7), True),
        (spec(tunnel_id=0), False),
        (spec(outer_src=bytes((192, 168, 0, 1)), outer_dst=bytes((192, 168, 0, 2))), True),
        (spec(outer_src=bytes((192, 168, 0, 2))), False),
        (spec(tunnel_id=7, dst_port=81), False),
    ],
)
def test_tunnel_is_read_from_what_the_switch_knew(wanted: FlowSpec, expected: bool) -> None:
    assert expected == fits(wanted, TCP4, TUNNEL)


def test_drop_fits_if_any_specification_does_and_none_without_any() -> None:
    taken = drop(TCP4)
    assert CaptureFilter([spec(dst_port=1), spec(eth_type=0x0806), spec(dst_port=80)]).fits(taken)
    assert not CaptureFilter([spec(dst_port=1), spec(eth_type=0x0806)]).fits(taken)
    assert not CaptureFilter([]).fits(taken)


V6 = "ipv6_src=::1"


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([], []),
        ([spec()], [""]),
        ([spec(), spec(eth_type=0x0806)], [""]),
        ([spec(eth_type=0x0806)], ["arp"]),
        ([spec(eth_type=0x88CC)], ["dl_type=0x88cc"]),
        ([spec(inner_src=V4_SRC)], ["ip,nw_src=10.0.0.1"]),
        ([spec(inner_src=V6_SRC, ip_proto=58)], [f"icmp6,{V6}"]),
        ([spec(ip_proto=6)], ["tcp", "tcp6"]),
        ([spec(eth_type=IPV4, dst_port=80)], ["tcp,tp_dst=80", "udp,tp_dst=80"]),
        ([spec(inner_src=V6_SRC, src_port=5)], [f"tcp6,{V6},tp_src=5", f"udp6,{V6},tp_src=5"]),
        ([spec(ip_proto=132, dst_port=9)], ["sctp,tp_dst=9", "sctp6,tp_dst=9"]),
        (
            [spec(dst_port=53)],
            ["tcp,tp_dst=53", "tcp6,tp_dst=53", "udp,tp_dst=53", "udp6,tp_dst=53"],
        ),
        (
            [spec(tunnel_id=7, outer_src=V4_SRC, outer_dst=V4_DST)],
            ["tun_id=0x7,tun_src=10.0.0.1,tun_dst=10.0.0.2"],
        ),
        ([spec(src_mac=mac(SMAC))], [f"dl_src={SMAC}"]),
        ([spec(ip_proto=0)], ["ip,nw_proto=0", "ipv6"]),
        ([spec(eth_type=0x88A8)], [""]),
        ([spec(eth_type=46, src_mac=mac(SMAC))], [f"dl_src={SMAC}"]),
    ],
)
def test_specifications_become_these_matches(specs: list[FlowSpec], expected: list[str]) -> None:
    assert expected == sorted(text(match) for match in matches(specs))


@pytest.mark.parametrize(
    "never",
    [
        spec(ip_proto=1, dst_port=0),
        spec(eth_type=IPV6, inner_src=V4_SRC),
        spec(inner_src=V4_SRC, inner_dst=V6_DST),
        spec(eth_type=0x0806, ip_proto=6),
        spec(eth_type=0x0806, src_port=6),
        spec(eth_type=0x0806, inner_src=V4_SRC),
    ],
)
def test_specification_that_nothing_can_fit_gives_no_match(never: FlowSpec) -> None:
    assert () == matches([never])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (spec(inner_src=V4_SRC), spec(inner_dst=V4_DST), ["ip"]),
        (spec(inner_src=V4_SRC), spec(inner_src=V4_SRC, dst_port=80), ["ip,nw_src=10.0.0.1"]),
        (spec(src_mac=mac(SMAC)), spec(eth_type=IPV4), [""]),
        (spec(eth_type=IPV4, ip_proto=6, dst_port=1), spec(ip_proto=6, src_port=1), ["tcp", "T"]),
        (spec(inner_src=V4_SRC), spec(inner_src=V4_DST), ["ip,nw_src=10.0.0.1", "10.0.0.2"]),
    ],
)
def test_matches_that_overlap_become_what_they_agree_on(
    one: FlowSpec, other: FlowSpec, expected: list[str]
) -> None:
    whole = {"T": "tcp6,tp_src=1", "10.0.0.2": "ip,nw_src=10.0.0.2"}
    wanted = sorted(whole.get(each, each) for each in expected)
    assert wanted == sorted(text(match) for match in matches([one, other]))


def test_match_grown_by_one_other_takes_in_those_that_it_now_overlaps() -> None:
    specs = [
        spec(inner_src=V4_SRC, ip_proto=6),
        spec(inner_dst=V4_DST, ip_proto=6),
        spec(inner_src=V4_DST, inner_dst=V4_SRC, ip_proto=6),
    ]
    assert ["tcp"] == [text(match) for match in matches(specs)]


def ports(count: int) -> list[FlowSpec]:
    return [spec(eth_type=IPV4, ip_proto=6, dst_port=port) for port in range(count)]


def test_as_many_matches_as_are_allowed_stay_apart() -> None:
    found = matches(ports(MAX_MATCHES))
    assert MAX_MATCHES == len(found)
    assert not any(overlap(one, other) for one, other in combinations(found, 2))


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (ports(MAX_MATCHES + 1), "tcp"),
        ([*ports(MAX_MATCHES), spec(eth_type=IPV6, ip_proto=6, dst_port=1)], ""),
        ([spec(tunnel_id=7, dst_port=port) for port in range(1000)], "tun_id=0x7"),
    ],
)
def test_more_become_one_with_what_all_agree_on_and_its_prerequisites(
    specs: list[FlowSpec], expected: str
) -> None:
    assert [expected] == [text(match) for match in matches(specs)]


def test_fields_stand_behind_their_prerequisites() -> None:
    wanted = spec(
        src_mac=mac(SMAC), dst_mac=mac(DMAC), inner_src=V4_SRC, ip_proto=17, src_port=5, tunnel_id=1
    )
    expected = [38, 3, 4, 5, 10, 11, 15]
    (match,) = matches([wanted])
    found, start = [], 0
    while start < len(match):
        oxm_class, field, length = struct.unpack_from("!HBB", match, start)
        assert 0x8000 == oxm_class
        found.append(field >> 1)
        start += 4 + length
    assert expected == found
