"""What Neutron's OVS firewall noted of a packet, in words, and what it keeps from being seen."""

from __future__ import annotations

import pytest
from drops import location
from frames import ARP, IPV4, IPV6, QTAG, arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vlan

from ryu_droplog.model.drop import Drop
from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import owner_named
from ryu_droplog.packet.ethernet import decode

NEUTRON = owner_named("neutron")
A, B, UPLINK = 2, 3, 1
PORTS = {A: "tapa", B: "tapb", UPLINK: "int-br-ex"}

NEW, ESTABLISHED, INVALID = 0x21, 0x22, 0x30  # with +trk


def drop(frame: bytes, metadata: bytes = b"", table: int = 93) -> Drop:
    return decode(frame, 0.0, location(table, name="T"), metadata)


def oxm(oxm_class: int, field: int, value: int, length: int = 4) -> bytes:
    header = oxm_class.to_bytes(2, "big") + bytes((field << 1, length))
    return header + value.to_bytes(length, "big")


def noted(in_port: int, port: int, state: int = 0, mark: int = 0, network: int = 1) -> bytes:
    """The OXM fields of Neutron's firewall, in the order in which Open vSwitch sends them."""
    fields = [(0x8000, 0, in_port), (1, 5, port), (1, 6, network), (1, 105, state), (1, 107, mark)]
    return b"".join(oxm(*field) for field in fields if field[2])


def router(kind: int = 134) -> bytes:
    return ethernet(IPV6, ipv6("fe80::1", "ff02::1", 58, bytes([kind, 0]) + bytes(22)))


SYN = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(41001, 80)))
ECHO = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8)))
DHCP = ethernet(IPV4, ipv4("10.0.0.1", "255.255.255.255", 17, udp(67, 68)))
DHCP_REQUEST = ethernet(IPV4, ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 67)))
DHCPV6 = ethernet(IPV6, ipv6("fe80::1", "ff02::1", 17, udp(547, 546)))
DHCP_PORTS_OF_IPV4 = ethernet(IPV6, ipv6("fe80::1", "ff02::1", 17, udp(67, 68)))
TAGGED = ethernet(QTAG, vlan(7, 0x86DD), ipv6("fe80::1", "ff02::1", 58, bytes([134]) + bytes(23)))
STRANGE = ethernet(0x88B5, bytes(46))
LENGTH = ethernet(0x0026, bytes(46))

NO_RULE = "no rule matches"
SPOOFED = "anti-spoofing: not an address of the port"
DHCP_SERVER = "a DHCP server is not allowed at the port"
ROUTER = "a router advertisement is not allowed from the port"

FIREWALL: dict[str, tuple[int, bytes, bytes, tuple[str | None, str | None]]] = {
    "to a port, new": (93, SYN, noted(A, B, NEW), ("ingress", NO_RULE)),
    "from a port, new": (93, SYN, noted(B, B, NEW), ("egress", NO_RULE)),
    "DHCP to a port, tracked": (93, DHCP, noted(A, B, NEW), ("ingress", NO_RULE)),
    "from the uplink": (93, SYN, noted(UPLINK, B, NEW), ("ingress", NO_RULE)),
    "invalid": (93, SYN, noted(A, A, INVALID), ("egress", "invalid conntrack state")),
    "invalid, marked": (93, SYN, noted(A, B, INVALID, 1), ("ingress", "invalid conntrack state")),
    "established, its rule gone": (
        93, SYN, noted(A, B, ESTABLISHED, 1),
        ("ingress", "the rule that allowed the connection is gone"),
    ),
    "established, not marked": (93, SYN, noted(A, B, ESTABLISHED), ("ingress", NO_RULE)),
    "new, marked": (93, SYN, noted(A, B, NEW, 1), ("ingress", NO_RULE)),
    "false IP": (93, SYN, noted(A, A), ("egress", SPOOFED)),
    "false ICMP": (93, ECHO, noted(A, A), ("egress", SPOOFED)),
    "false ARP": (93, ethernet(ARP, arp("10.0.0.9", "10.0.0.2")), noted(A, A), ("egress", SPOOFED)),
    "false neighbour": (93, router(136), noted(A, A), ("egress", SPOOFED)),
    "DHCP request": (93, DHCP_REQUEST, noted(A, A), ("egress", SPOOFED)),
    "DHCP server": (93, DHCP, noted(A, A), ("egress", DHCP_SERVER)),
    "DHCPv6 server": (93, DHCPV6, noted(A, A), ("egress", DHCP_SERVER)),
    "ports of DHCP in IPv6": (93, DHCP_PORTS_OF_IPV4, noted(A, A), ("egress", SPOOFED)),
    "router": (93, router(), noted(A, A), ("egress", ROUTER)),
    "router behind a tag": (93, TAGGED, noted(A, A), ("egress", ROUTER)),
    "strange EtherType from a port": (
        93, STRANGE, noted(A, A), ("egress", "EtherType 0x88b5 is not allowed"),
    ),
    "strange EtherType to a port": (
        81, STRANGE, noted(UPLINK, B), ("ingress", "EtherType 0x88b5 is not allowed"),
    ),
    "802.3 frame": (
        93, LENGTH, noted(A, A), ("egress", "a frame with an 802.3 length is not allowed"),
    ),
    "base table": (71, DHCP, noted(A, A), ("egress", DHCP_SERVER)),
    "rules of what is sent": (72, SYN, noted(A, A, NEW), ("egress", NO_RULE)),
    "rules of what is received": (82, SYN, noted(A, B, NEW), ("ingress", NO_RULE)),
    "accepted already": (73, SYN, noted(A, A, NEW), ("egress", None)),
    "tracked in the base table": (81, SYN, noted(A, B, NEW), ("ingress", None)),
    "untracked where the rules are": (72, SYN, noted(A, A), ("egress", None)),
    "untracked IP to a port": (93, DHCP, noted(A, B), ("ingress", None)),
    "cut in its UDP header": (93, DHCP[:-4], noted(A, A), ("egress", None)),
    "cut in its tag": (93, TAGGED[:15], noted(A, A), ("egress", None)),
    "cut in its addresses": (93, DHCP[:9], noted(A, A), ("egress", None)),
    "egress table, nothing noted": (71, SYN, b"", ("egress", SPOOFED)),
    "nothing noted": (93, SYN, b"", (None, None)),
    "of no port": (93, SYN, noted(A, 0), (None, None)),
}  # fmt: skip
"""Table, frame, what the PacketIn says; direction and why."""


@pytest.mark.parametrize("case", FIREWALL)
def test_firewall_tells_direction_and_why(case: str) -> None:
    table, frame, metadata, expected = FIREWALL[case]
    told = NEUTRON.explain(drop(frame, metadata, table), Names(PORTS))
    assert expected == (told.get("direction"), told.get("why"))


def test_firewall_tells_whose_rules_dropped_the_packet_in_the_order_of_the_docs() -> None:
    told = NEUTRON.explain(drop(SYN, noted(A, B, NEW, network=7)), Names(PORTS))
    expected = [
        ("direction", "ingress"),
        ("port", "tapb"),
        ("ofport", B),
        ("network", 7),
        ("why", NO_RULE),
    ]
    assert expected == list(told.items())


def test_port_without_a_name_is_told_by_number() -> None:
    told = NEUTRON.explain(drop(SYN, noted(A, 9, NEW)), Names(PORTS))
    assert (9, False) == (told["ofport"], "port" in told)


@pytest.mark.parametrize("table", [0, 23, 24, 25, 60, 74, 80, 83, 91, 92, 94, 254])
def test_firewall_says_nothing_of_other_tables(table: int) -> None:
    assert {} == NEUTRON.explain(drop(SYN, noted(A, B, NEW), table), Names(PORTS))


def firewall_log(table: int = 93, priority: int = 53, *, tells: bool = True) -> Flow:
    return Flow(table, priority, 7, b"", 0, 0, Effect(tells=tells))


def test_its_own_packet_logging_is_warned_of() -> None:
    flows = {93: [firewall_log(), firewall_log(), firewall_log(priority=0)]}
    [warning] = NEUTRON.warnings(flows)
    assert "takes the drops of 2 ports" in warning


def test_nothing_is_warned_of_where_it_logs_nothing() -> None:
    flows = {93: [firewall_log(tells=False)], 94: [firewall_log(94)]}
    assert [] == list(NEUTRON.warnings(flows))
