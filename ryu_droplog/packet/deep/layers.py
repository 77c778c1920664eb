"""The layers of a packet as a record shows them. Data only; docs/record.md is their reference.

A field that is None or empty is left out of a record. Addresses are text: MACs lower-case with
colons, IPv4 dotted, IPv6 by RFC 5952. Text that a packet brings along is printable ASCII.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct


class Layer(Struct, omit_defaults=True, gc=False):
    """What every layer has in common."""


def field(description: str) -> Meta:
    """What a field means, for the schema and the documentation."""
    return Meta(description=description)


class Ethernet(Layer):
    """Ethernet header, IEEE 802.3 section 3.2."""

    source: Annotated[str, field("source MAC")] = ""
    destination: Annotated[str, field("destination MAC")] = ""
    type: Annotated[int | None, field("EtherType behind all tags, or an 802.3 length")] = None


class Vlan(Layer):
    """A VLAN tag, IEEE 802.1Q section 9.6, or 802.1ad's."""

    tpid: Annotated[int, field("EtherType of the tag: 33024 (802.1Q), 34984 (802.1ad), 37120")]
    id: Annotated[int, field("VLAN id, 0 to 4095")]
    priority: Annotated[int, field("priority code point, 0 to 7")] = 0
    drop_eligible: Annotated[bool, field("drop eligible indicator")] = False


class Mpls(Layer):
    """An entry of an MPLS label stack, RFC 3032 section 2.1."""

    label: Annotated[int, field("label, 20 bits")]
    traffic_class: Annotated[int, field("traffic class (RFC 5462), 0 to 7")]
    ttl: Annotated[int, field("time to live")]


class Arp(Layer):
    """ARP for Ethernet and IPv4, RFC 826."""

    operation: Annotated[int, field("1 request, 2 reply")]
    sender_mac: Annotated[str, field("sender's MAC")]
    sender_ip: Annotated[str, field("sender's IPv4 address")]
    target_mac: Annotated[str, field("target's MAC")]
    target_ip: Annotated[str, field("target's IPv4 address")]


class Fragment(Layer):
    """A fragment: RFC 791 section 3.1, RFC 8200 section 4.5."""

    id: Annotated[int, field("identification")]
    offset: Annotated[int, field("offset of the fragment in bytes")]
    more: Annotated[bool, field("whether more fragments follow")] = False


class IPv4(Layer):
    """IPv4 header, RFC 791 section 3.1."""

    source: Annotated[str, field("source address")]
    destination: Annotated[str, field("destination address")]
    protocol: Annotated[int, field("IP protocol number")]
    length: Annotated[int, field("total length by the header, in bytes")]
    ttl: Annotated[int, field("time to live")]
    dscp: Annotated[int, field("differentiated services code point (RFC 2474)")] = 0
    ecn: Annotated[int, field("congestion notification (RFC 3168), 0 to 3")] = 0
    id: Annotated[int, field("identification")] = 0
    dont_fragment: Annotated[bool, field("flag DF")] = False
    options: Annotated[int, field("bytes of options")] = 0
    fragment: Annotated[Fragment | None, field("where the packet is a fragment")] = None


class IPv6(Layer):
    """IPv6 header and its extension headers, RFC 8200 sections 3 and 4."""

    source: Annotated[str, field("source address")]
    destination: Annotated[str, field("destination address")]
    protocol: Annotated[int, field("IP protocol number behind the extension headers")]
    length: Annotated[int, field("payload length by the header, in bytes")]
    hop_limit: Annotated[int, field("hop limit")]
    traffic_class: Annotated[int, field("traffic class")] = 0
    flow_label: Annotated[int, field("flow label")] = 0
    extensions: Annotated[
        tuple[str, ...],
        field(
            "extension headers in their order: hop-by-hop, routing, fragment, destination, ah, …"
        ),
    ] = ()
    fragment: Annotated[Fragment | None, field("the fragment header")] = None


class Icmp(Layer):
    """ICMP, RFC 792."""

    type: Annotated[int, field("type")]
    code: Annotated[int, field("code")]
    identifier: Annotated[int | None, field("of an echo message and its like")] = None
    sequence: Annotated[int | None, field("of an echo message and its like")] = None


class Icmpv6(Layer):
    """ICMPv6, RFC 4443; neighbour discovery, RFC 4861 section 4; MLD, RFC 2710 section 3."""

    type: Annotated[int, field("type")]
    code: Annotated[int, field("code")]
    identifier: Annotated[int | None, field("of an echo message")] = None
    sequence: Annotated[int | None, field("of an echo message")] = None
    target: Annotated[str, field("target of neighbour discovery or a redirect")] = ""
    source_link_layer: Annotated[str, field("source link-layer address option, a MAC")] = ""
    target_link_layer: Annotated[str, field("target link-layer address option, a MAC")] = ""
    group: Annotated[str, field("multicast address of MLD version 1")] = ""


class TcpTimestamps(Layer):
    """TCP timestamps option, RFC 7323 section 3.2."""

    value: Annotated[int, field("timestamp value")]
    echo: Annotated[int, field("timestamp echo reply")]


class TcpOptions(Layer):
    """TCP options, RFC 9293 section 3.2."""

    mss: Annotated[int | None, field("maximum segment size in bytes")] = None
    sack_permitted: Annotated[bool, field("SACK permitted (RFC 2018)")] = False
    window_scale: Annotated[int | None, field("shift of the window (RFC 7323)")] = None
    timestamps: Annotated[TcpTimestamps | None, field("timestamps (RFC 7323)")] = None


class Tcp(Layer):
    """TCP header, RFC 9293 section 3.1."""

    source_port: Annotated[int, field("source port")]
    destination_port: Annotated[int, field("destination port")]
    sequence: Annotated[int, field("sequence number")]
    acknowledgment: Annotated[int, field("acknowledgment number")]
    flags: Annotated[
        tuple[str, ...], field("flags that are set, of NS CWR ECE URG ACK PSH RST SYN FIN")
    ]
    window: Annotated[int, field("window, not scaled")]
    urgent_pointer: Annotated[int, field("urgent pointer")] = 0
    options: Annotated[TcpOptions | None, field("options")] = None


class Udp(Layer):
    """UDP header, RFC 768."""

    source_port: Annotated[int, field("source port")]
    destination_port: Annotated[int, field("destination port")]
    length: Annotated[int, field("length by the header, in bytes")]


class Sctp(Layer):
    """SCTP common header and the first chunk, RFC 9260 section 3."""

    source_port: Annotated[int, field("source port")]
    destination_port: Annotated[int, field("destination port")]
    verification_tag: Annotated[int, field("verification tag")]
    chunk: Annotated[int | None, field("type of the first chunk")] = None
    chunk_name: Annotated[str, field("name of the first chunk's type, as INIT")] = ""


class Igmp(Layer):
    """IGMP, RFC 2236 section 2 and RFC 9776 section 4."""

    type: Annotated[int, field("type")]
    name: Annotated[str, field("name of the type, as MEMBERSHIP_QUERY")] = ""
    groups: Annotated[
        tuple[str, ...], field("groups that it speaks of, 16 at most; none in a general query")
    ] = ()


class Gre(Layer):
    """GRE, RFC 2784 section 2 and RFC 2890 section 2."""

    version: Annotated[int, field("version")]
    protocol: Annotated[int, field("EtherType of what is inside")]
    key: Annotated[int | None, field("key")] = None
    sequence: Annotated[int | None, field("sequence number")] = None


class Vxlan(Layer):
    """VXLAN, RFC 7348 section 5."""

    vni: Annotated[int | None, field("network identifier, 24 bits")] = None


class Geneve(Layer):
    """Geneve, RFC 8926 section 3.4."""

    vni: Annotated[int, field("network identifier, 24 bits")]
    protocol: Annotated[int, field("EtherType of what is inside")]
    options: Annotated[int, field("bytes of options")] = 0


class Dhcp(Layer):
    """DHCP, RFC 2131 and RFC 2132; DHCPv6, RFC 8415."""

    version: Annotated[int, field("4 or 6")]
    operation: Annotated[str, field("message type by name, as DISCOVER or SOLICIT")]
    transaction: Annotated[int | None, field("transaction id")] = None
    client_mac: Annotated[str, field("client's hardware address (DHCPv4 over Ethernet)")] = ""
    requested_address: Annotated[str, field("address that the client asks for")] = ""
    hostname: Annotated[str, field("host name (option 12), of DHCPv6 the FQDN (option 39)")] = ""


class Dns(Layer):
    """DNS header and first question, RFC 1035 section 4.1."""

    id: Annotated[int, field("identifier")]
    operation: Annotated[str, field("opcode by name, as QUERY")]
    response: Annotated[bool, field("whether it is a response")] = False
    response_code: Annotated[int | None, field("response code, of a response")] = None
    name: Annotated[str, field("name of the first question, without the last dot")] = ""
    type: Annotated[int | None, field("type of the first question: 1 is A, 28 is AAAA")] = None


class Packet(Layer):
    """All layers of a packet that could be read; each is absent where the packet has none."""

    ethernet: Annotated[Ethernet | None, field("Ethernet header")] = None
    vlans: Annotated[tuple[Vlan, ...], field("VLAN tags, outermost first")] = ()
    mpls: Annotated[tuple[Mpls, ...], field("MPLS label stack, outermost first")] = ()
    arp: Annotated[Arp | None, field("ARP")] = None
    ipv4: Annotated[IPv4 | None, field("IPv4 header")] = None
    ipv6: Annotated[IPv6 | None, field("IPv6 header with its extension headers")] = None
    icmp: Annotated[Icmp | None, field("ICMP")] = None
    icmpv6: Annotated[Icmpv6 | None, field("ICMPv6")] = None
    igmp: Annotated[Igmp | None, field("IGMP")] = None
    tcp: Annotated[Tcp | None, field("TCP header")] = None
    udp: Annotated[Udp | None, field("UDP header")] = None
    sctp: Annotated[Sctp | None, field("SCTP header")] = None
    gre: Annotated[Gre | None, field("GRE header")] = None
    vxlan: Annotated[Vxlan | None, field("VXLAN header, of UDP to port 4789 or 8472")] = None
    geneve: Annotated[Geneve | None, field("Geneve header, of UDP to port 6081")] = None
    dhcp: Annotated[Dhcp | None, field("DHCP or DHCPv6 message")] = None
    dns: Annotated[Dns | None, field("DNS or multicast DNS message, over UDP")] = None
    inner: Annotated[InnerPacket, field("the packet inside a tunnel, with the same layers")] = None
    truncated: Annotated[
        bool, field("the packet ended inside a header that should have been shown")
    ] = False


InnerPacket: TypeAlias = "Packet | None"
