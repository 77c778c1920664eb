"""Layers that only records show, from frames that scapy builds and frames built by hand."""

from __future__ import annotations

from typing import Any

import pytest
from frames import ethernet, ipv4, ipv6, tcp, udp, vlan
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DHCP6_Solicit,
    DHCP6OptClientFQDN,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
)
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.layers.vxlan import VXLAN

from ryu_droplog.packet.deep import dns
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.packet.deep.layers import Fragment, Packet, TcpOptions, TcpTimestamps

A, B = "00:22:bd:f8:19:ff", "0a:58:0a:02:00:c3"
ETHER = Ether(src=A, dst=B)
V4 = ETHER / IP(src="10.0.0.1", dst="10.0.0.2")
IGMP = ETHER / IP(src="10.0.0.1", dst="224.0.0.22", proto=2)
V6 = ETHER / IPv6(src="fd00::1", dst="fd00::2")

FRAMES: dict[str, Any] = {
    "neighbour solicitation": V6 / ICMPv6ND_NS(tgt="fd00::9") / ICMPv6NDOptSrcLLAddr(lladdr=A),
    "neighbour advertisement": V6 / ICMPv6ND_NA(tgt="fd00::9") / ICMPv6NDOptDstLLAddr(lladdr=B),
    "icmpv6 echo": V6 / ICMPv6EchoRequest(id=7, seq=8),
    "mld": V6 / IPv6ExtHdrHopByHop() / ICMPv6MLReport(mladdr="ff02::1:2"),
    "sctp": V4 / SCTP(sport=1000, dport=2000, tag=0xFEED) / SCTPChunkInit(),
    "igmp": IGMP / bytes((0x16, 0, 0, 0, 224, 1, 2, 3)),
    "igmp 3": IGMP
    / bytes((0x22, 0, 0, 0, 0, 0, 0, 2))
    / bytes((4, 0, 0, 1, 224, 1, 1, 1, 10, 0, 0, 9))
    / bytes((4, 0, 0, 0, 224, 1, 1, 2)),
    "extension headers": V6
    / IPv6ExtHdrHopByHop()
    / IPv6ExtHdrDestOpt()
    / IPv6ExtHdrFragment(id=5, offset=0, m=1)
    / UDP(sport=1, dport=2)
    / b"x",
    "802.1ad": ETHER
    / Dot1AD(vlan=100, prio=5)
    / Dot1Q(vlan=200, dei=1)
    / IP(src="10.0.0.1", dst="10.0.0.2")
    / ICMP(id=3, seq=4),
    "mpls": ETHER
    / MPLS(label=17, s=0, ttl=9)
    / MPLS(label=18, s=1, cos=2, ttl=8)
    / V4[IP]
    / ICMP(),
    "gre": V4 / GRE(key_present=1, key=77, seqnum_present=1, sequence_number=3) / V4[IP] / ICMP(),
    "vxlan": V4
    / UDP(sport=9999, dport=4789)
    / VXLAN(vni=42, flags="Instance")
    / V6
    / TCP(dport=22),
    "geneve": V4
    / UDP(sport=9999, dport=6081)
    / GENEVE(vni=43, proto=0x6558)
    / ETHER
    / ARP(op=1, hwsrc=A, psrc="10.9.9.1", pdst="10.9.9.2"),
    "dhcp": V4
    / UDP(sport=68, dport=67)
    / BOOTP(op=1, xid=0x1234, chaddr=bytes.fromhex(A.replace(":", "")))
    / DHCP(
        options=[
            ("message-type", "request"),
            ("requested_addr", "10.0.0.77"),
            ("hostname", b"web\x1b[2J"),
            "end",
        ]
    ),
    "dhcpv6": V6
    / UDP(sport=546, dport=547)
    / DHCP6_Solicit(trid=0xABCDE)
    / DHCP6OptIA_NA(ianaopts=[DHCP6OptIAAddress(addr="fd00::77")])
    / DHCP6OptClientFQDN(fqdn="web.example."),
    "dns": V4
    / UDP(sport=4444, dport=53)
    / DNS(id=9, qd=[DNSQR(qname="www.example.org", qtype=28)]),
    "tcp options": V4
    / TCP(
        sport=1,
        dport=2,
        options=[
            ("MSS", 1460),
            ("SAckOK", b""),
            ("Timestamp", (5, 6)),
            ("NOP", None),
            ("WScale", 7),
        ],
    ),
    "ip in ip": V4 / IP(src="172.16.0.1", dst="172.16.0.2") / UDP(sport=5, dport=6),
}


def packet(name: str) -> Packet:
    return decode(bytes(FRAMES[name]))[0].packet


def test_neighbour_discovery_says_the_target_and_who_asks() -> None:
    message = packet("neighbour solicitation").icmpv6
    assert message is not None
    assert (135, "fd00::9", A, "") == (
        message.type,
        message.target,
        message.source_link_layer,
        message.target_link_layer,
    )
    answer = packet("neighbour advertisement").icmpv6
    assert answer is not None
    assert (136, "fd00::9", "", B) == (
        answer.type,
        answer.target,
        answer.source_link_layer,
        answer.target_link_layer,
    )


def test_icmpv6_echo_and_mld_say_what_they_are_about() -> None:
    echo = packet("icmpv6 echo").icmpv6
    assert echo is not None
    assert (128, 7, 8) == (echo.type, echo.identifier, echo.sequence)
    report = packet("mld").icmpv6
    assert report is not None
    assert (131, "ff02::1:2") == (report.type, report.group)


def test_sctp_has_ports_tag_and_first_chunk() -> None:
    walk, _ = decode(bytes(FRAMES["sctp"]))
    layer = walk.packet.sctp
    assert layer is not None
    assert (1000, 2000, 0xFEED, "INIT") == (
        layer.source_port,
        layer.destination_port,
        layer.verification_tag,
        layer.chunk_name,
    )
    assert (132, 1000, 2000) == (walk.protocol, walk.source_port, walk.destination_port)


def test_igmp_names_its_groups() -> None:
    layer = packet("igmp").igmp
    assert layer is not None
    assert ("V2_MEMBERSHIP_REPORT", ("224.1.2.3",)) == (layer.name, layer.groups)
    report = packet("igmp 3").igmp
    assert report is not None
    assert ("V3_MEMBERSHIP_REPORT", ("224.1.1.1", "224.1.1.2")) == (report.name, report.groups)


def test_ports_behind_extension_headers_are_found() -> None:
    walk, _ = decode(bytes(FRAMES["extension headers"]))
    layer = walk.packet.ipv6
    assert layer is not None
    assert ("hop-by-hop", "destination", "fragment") == layer.extensions
    assert Fragment(5, 0, True) == layer.fragment
    assert (17, 1, 2) == (walk.protocol, walk.source_port, walk.destination_port)


def test_service_tag_and_customer_tag_are_both_there() -> None:
    walk, _ = decode(bytes(FRAMES["802.1ad"]))
    outer, inner = walk.packet.vlans
    assert (0x88A8, 100, 5, False) == (outer.tpid, outer.id, outer.priority, outer.drop_eligible)
    assert (0x8100, 200, True) == (inner.tpid, inner.id, inner.drop_eligible)
    assert walk.packet.icmp is not None
    assert (3, 4) == (walk.packet.icmp.identifier, walk.packet.icmp.sequence)


def test_label_stack_ends_at_its_bottom() -> None:
    layers = packet("mpls")
    assert [(17, 0, 9), (18, 2, 8)] == [(m.label, m.traffic_class, m.ttl) for m in layers.mpls]
    assert layers.icmp is not None


def test_gre_shows_key_sequence_and_the_packet_inside() -> None:
    layers = packet("gre")
    assert layers.gre is not None
    assert (77, 3, 0x0800) == (layers.gre.key, layers.gre.sequence, layers.gre.protocol)
    assert layers.inner is not None
    assert layers.inner.icmp is not None


def test_vxlan_and_geneve_show_the_inner_addresses() -> None:
    vxlan = packet("vxlan")
    assert vxlan.vxlan is not None
    assert vxlan.inner is not None
    assert vxlan.inner.ipv6 is not None
    assert vxlan.inner.tcp is not None
    assert (42, "fd00::2", 22) == (
        vxlan.vxlan.vni,
        vxlan.inner.ipv6.destination,
        vxlan.inner.tcp.destination_port,
    )
    geneve = packet("geneve")
    assert geneve.geneve is not None
    assert geneve.inner is not None
    assert geneve.inner.arp is not None
    assert (43, "10.9.9.2") == (geneve.geneve.vni, geneve.inner.arp.target_ip)


def test_ip_in_ip_shows_the_inner_packet_and_keeps_the_outer_flow() -> None:
    walk, _ = decode(bytes(FRAMES["ip in ip"]))
    assert walk.packet.inner is not None
    assert walk.packet.inner.udp is not None
    assert (4, -1) == (walk.protocol, walk.destination_port)


def test_dhcp_says_who_asks_for_what_in_ascii() -> None:
    layer = packet("dhcp").dhcp
    assert layer is not None
    assert (4, "REQUEST", 0x1234, A, "10.0.0.77", "web\\x1b[2J") == (
        layer.version,
        layer.operation,
        layer.transaction,
        layer.client_mac,
        layer.requested_address,
        layer.hostname,
    )
    six = packet("dhcpv6").dhcp
    assert six is not None
    assert (6, "SOLICIT", 0xABCDE, "fd00::77", "web.example") == (
        six.version,
        six.operation,
        six.transaction,
        six.requested_address,
        six.hostname,
    )


def test_dns_says_operation_and_name() -> None:
    layer = packet("dns").dns
    assert layer is not None
    assert (9, "QUERY", False, "www.example.org", 28) == (
        layer.id,
        layer.operation,
        layer.response,
        layer.name,
        layer.type,
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\x03a.b\x02\x1b\\\x00", ("a\\046b.\\027\\092", 8)),
        (b"\x03abc", ("abc", -1)),
        (b"\x09abc", ("", -1)),
        (b"\x01a\xc0\x00", ("a", -1)),
        (b"\x00", ("", 1)),
    ],
)
def test_name_is_read_as_far_as_it_is_whole(message: bytes, expected: tuple[str, int]) -> None:
    assert expected == dns.name_at(message, 0)


def test_tcp_options_are_read_up_to_a_lie() -> None:
    layer = packet("tcp options").tcp
    assert layer is not None
    assert TcpOptions(1460, True, 7, TcpTimestamps(5, 6)) == layer.options
    lie = ethernet(
        0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2, options=b"\x02\x04\x05\xb4\x08\xff\0\0"))
    )
    layer = decode(lie)[0].packet.tcp
    assert layer is not None
    assert TcpOptions(1460) == layer.options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("0101 080a 00000005 00000006", TcpOptions(timestamps=TcpTimestamps(5, 6))),
        ("0101 0809 00000005 00000006", None),
        ("0101 0801 00000005 00000006", None),
        (
            "020405b4 0402 080a 00000005 00000006 00 030307",
            TcpOptions(1460, True, None, TcpTimestamps(5, 6)),
        ),
        ("020405b4 0102 080a 00000005 00000006 01 030307", TcpOptions(1460)),
        ("020405b4 0402 080b 00000005 00000006 01 030307", TcpOptions(1460, True, 7)),
        (
            "080a 00000005 00000006 030307 01 020405b4 0402",
            TcpOptions(1460, True, 7, TcpTimestamps(5, 6)),
        ),
    ],
)
def test_tcp_options_of_usual_lengths_are_read_by_what_they_are(
    options: str, expected: TcpOptions | None
) -> None:
    segment = tcp(1, 2, options=bytes.fromhex(options))
    layer = decode(ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, segment)))[0].packet.tcp
    assert layer is not None
    assert expected == layer.options


def test_later_fragment_has_no_ports() -> None:
    frame = ethernet(
        0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 2), offset=3, identification=9)
    )
    walk, _ = decode(frame)
    assert walk.packet.ipv4 is not None
    assert Fragment(9, 24, False) == walk.packet.ipv4.fragment
    assert -1 == walk.source_port
    assert walk.packet.udp is None


def test_padding_is_no_header() -> None:
    """A TCP header of 4 bytes by the IP packet's length, in a padded frame, is cut."""
    frame = ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2), total_length=24)) + bytes(
        20
    )
    layers = decode(frame)[0].packet
    assert layers.truncated
    assert layers.tcp is None


def test_tunnels_within_tunnels_are_not_followed_without_end() -> None:
    inside = b""
    for _ in range(200):
        inside = ipv4("10.0.0.1", "10.0.0.2", 4, inside)
    layers: Packet | None = decode(ethernet(0x0800, inside))[0].packet
    depth = 0
    while layers is not None:
        layers, depth = layers.inner, depth + 1
    assert 5 == depth


def test_chain_of_tags_and_extension_headers_has_a_bound() -> None:
    tags = b"".join(vlan(1, 0x8100) for _ in range(1000))
    assert 8 == len(decode(ethernet(0x8100, tags))[0].packet.vlans)
    chain = bytes((60, 0, 1, 4, 0, 0, 0, 0)) * 1000
    layers = decode(ethernet(0x86DD, ipv6("fd00::1", "fd00::2", 60, chain)))[0].packet
    assert layers.ipv6 is not None
    assert 16 == len(layers.ipv6.extensions)


@pytest.mark.parametrize("name", FRAMES)
def test_frame_is_decoded_at_every_length(name: str) -> None:
    """Nothing raises, and no header is said to end behind what is there."""
    frame = bytes(FRAMES[name])
    for length in range(len(frame) + 1):
        _, end = decode(frame[:length])
        assert 0 <= end <= length
    whole, _ = decode(frame)
    padded, _ = decode(frame + bytes(64))
    assert whole.packet == padded.packet
    assert not whole.packet.truncated
