"""Header layouts, offsets, masks and numbers of all that is decoded here, each with its source.

Every layout is in network byte order. The order of a `Struct`'s fields is that of the wire, and
where `ryu_droplog.model.drop` has a tuple for the header, that of the tuple.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

# Ethernet, IEEE 802.3 section 3.2 (RFC 894 for IPv4): destination, source, EtherType.
ETHERNET: Final = Struct("!6s6sH")
ETHERNET_LENGTH: Final = ETHERNET.size
MAC_LENGTH: Final = 6

# IEEE 802.3 section 3.2.7: what is shorter behind the Ethernet header is padded to this many bytes.
ETHERNET_MIN_PAYLOAD = 46

# EtherTypes, IEEE 802 Numbers at IANA. Below 0x0600 the field is the length of an 802.3 frame.
ETHERTYPE_MIN: Final = 0x0600
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_SERVICE_VLAN: Final = 0x88A8
ETHERTYPE_IPV6: Final = 0x86DD

# 802.1Q tag, IEEE 802.1Q section 9.6, as it stands behind its EtherType: tag control information
# (3 bits priority, 1 bit drop eligible, 12 bits VID), EtherType of what follows.
VLAN: Final = Struct("!HH")
VLAN_LENGTH: Final = VLAN.size
VLAN_VID_MASK: Final = 0x0FFF

# ARP for Ethernet and IPv4, RFC 826: hardware and protocol type, their address lengths, operation,
# sender MAC and IPv4 address, target MAC and IPv4 address.
ARP: Final = Struct("!HHBBH6s4s6s4s")
ARP_LENGTH: Final = ARP.size

# IPv4, RFC 791 section 3.1: version and IHL, type of service, total length, identification, flags
# and fragment offset, time to live, protocol, checksum, source, destination.
IPV4: Final = Struct("!BBHHHBBH4s4s")
IPV4_LENGTH: Final = IPV4.size
IPV4_ADDRESS_LENGTH: Final = 4
IPV4_IHL_MASK: Final = 0x0F  # in 32-bit words
IPV4_FLAGS_SHIFT: Final = 13
IPV4_OFFSET_MASK: Final = 0x1FFF  # in units of 8 bytes
IPV4_MORE_FRAGMENTS: Final = 0x2000
# RFC 2474 section 3: the upper six bits of the type of service are the DSCP.
IPV4_DSCP_SHIFT: Final = 2

# IPv6, RFC 8200 section 3: version (4 bits), traffic class (8) and flow label (20); payload length,
# next header, hop limit, source, destination.
IPV6: Final = Struct("!IHBB16s16s")
IPV6_LENGTH: Final = IPV6.size
IPV6_ADDRESS_LENGTH: Final = 16
IPV6_CLASS_SHIFT: Final = 20
IPV6_CLASS_MASK: Final = 0xFF
IPV6_FLOW_MASK: Final = 0xFFFFF

# IP protocols, Assigned Internet Protocol Numbers at IANA.
PROTOCOL_HOP_BY_HOP: Final = 0  # IPv6's hop-by-hop options, RFC 8200 section 4.3
PROTOCOL_ICMP: Final = 1
PROTOCOL_IGMP: Final = 2
PROTOCOL_TCP: Final = 6
PROTOCOL_UDP: Final = 17
PROTOCOL_ICMPV6: Final = 58
PROTOCOL_SCTP: Final = 132

# ICMP echo, RFC 792: type, code, checksum, identifier, sequence number.
ICMP: Final = Struct("!BBHHH")
ICMP_LENGTH: Final = ICMP.size

# TCP, RFC 9293 section 3.1: ports, sequence and acknowledgment number, data offset and flags,
# window, checksum, urgent pointer.
TCP: Final = Struct("!HHIIHHHH")
TCP_LENGTH: Final = TCP.size
TCP_DATA_OFFSET_SHIFT: Final = 12  # in 32-bit words
TCP_FLAGS_MASK: Final = 0x01FF
# The flags by name, highest bit first. NS is RFC 3540's, CWR and ECE are RFC 3168's.
TCP_FLAG_NAMES: Final = ("NS", "CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")

# UDP, RFC 768: ports, length, checksum.
UDP: Final = Struct("!HHHH")
UDP_LENGTH: Final = UDP.size

# OpenFlow 1.3.5 sections 7.1 (ofp_header: version, type, length, xid), 7.4.1 (ofp_packet_in:
# buffer_id, total_len, reason, table_id, cookie) and 7.2.3.1 (ofp_match: type, length). The version
# and type are read as one number. buffer_id, total_len and xid are stepped over: Open vSwitch
# buffers nothing, and how much of the packet arrived is the message's length to say.
PACKET_IN: Final = Struct("!HH4x4x2xBBQHH")
PACKET_IN_LENGTH: Final = PACKET_IN.size
OPENFLOW_VERSION: Final = 4  # 1.3
OPENFLOW_1_3_PACKET_IN: Final = OPENFLOW_VERSION << 8 | 10  # version and type: OFPT_PACKET_IN
MATCH_TYPE_OXM: Final = 1  # OFPMT_OXM
MATCH_HEADER_LENGTH: Final = 4  # counted in the match's length, which leaves out its padding
MATCH_ALIGNMENT: Final = 8  # a power of two
PACKET_IN_PAD_LENGTH: Final = 2  # behind the match, so that the IP header is aligned

# OXM, OpenFlow 1.3.5 section 7.2.3.2: class, field (7 bits) and has-mask (1 bit), length of all
# that follows. Value and mask take half of it each.
OXM: Final = Struct("!HBB")
OXM_LENGTH: Final = OXM.size
OXM_FIELD_SHIFT: Final = 1
OXM_HAS_MASK: Final = 0x01
OXM_CLASS_NXM_0: Final = 0x0000  # OFPXMC_NXM_0
OXM_CLASS_NXM_1: Final = 0x0001  # OFPXMC_NXM_1
OXM_CLASS_EXPERIMENTER: Final = 0xFFFF  # OFPXMC_EXPERIMENTER
OXM_EXPERIMENTER_LENGTH: Final = 4  # the experimenter's number, first of what follows

# Open vSwitch, ovs-fields(7): tun_metadata<n> is NXM_NX field 40 + n, of up to 124 bytes. The
# OpFlex agent keeps in number 12 the table id, in 13 the capture reason, in 14 the policy's cookie.
NXM_TUN_METADATA_0: Final = 40
NXM_TUN_METADATA_TABLE: Final = NXM_TUN_METADATA_0 + 12
NXM_TUN_METADATA_REASON: Final = NXM_TUN_METADATA_0 + 13
NXM_TUN_METADATA_POLICY: Final = NXM_TUN_METADATA_0 + 14

# Other fields that a PacketIn of Open vSwitch has, ovs-fields(7). OpenFlow 1.3.5 section 7.2.3.7:
# the ingress port and the pipeline's metadata; NXM_NX fields 0 to 15: registers, 105 to 108:
# connection tracking state, zone, mark and label.
OXM_CLASS_BASIC: Final = 0x8000  # OFPXMC_OPENFLOW_BASIC
OXM_IN_PORT: Final = 0
OXM_METADATA: Final = 2
NXM_REGISTERS: Final = 16
NXM_CT_STATE: Final = 105
CT_STATE_NAMES: Final = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")  # from bit 0
NXM_CT_ZONE: Final = 106
NXM_CT_MARK: Final = 107
NXM_CT_LABEL: Final = 108
CT_STATE_ESTABLISHED: Final = 0x02
CT_STATE_INVALID: Final = 0x10
CT_STATE_TRACKED: Final = 0x20

# Ports of DHCP (RFC 2131 section 4.1: server 67, client 68; RFC 8415 section 7.2: 547, 546), and
# the router advertisement among the types of ICMPv6 (RFC 4861 section 4.2).
DHCP_SERVER_TO_CLIENT: Final = {ETHERTYPE_IPV4: (67, 68), ETHERTYPE_IPV6: (547, 546)}
ICMPV6_ROUTER_ADVERTISEMENT: Final = 134

# Multicast: the LLDP address Nearest Bridge (IEEE 802.1AB section 7.1); IPv6 over Ethernet as
# address and mask (RFC 2464 section 7); mDNS's IPv4 group and its port (RFC 6762 section 3).
LLDP_MAC: Final = bytes.fromhex("0180c200000e")
IPV6_MULTICAST_MAC: Final = bytes.fromhex("333300000000"), bytes.fromhex("ffff00000000")
MDNS_IPV4: Final = bytes((224, 0, 0, 251))
MDNS_PORT: Final = 5353

# Geneve, RFC 8926 section 3.4: version (2 bits) and length of the options (6, in units of 4 bytes),
# flags, protocol type, VNI (24 bits) and 8 reserved ones. Section 3.5: option class, type, length
# (the low 5 bits, in units of 4 bytes, without these 4).
GENEVE: Final = Struct("!BBHI")
GENEVE_LENGTH: Final = GENEVE.size
GENEVE_VERSION_SHIFT: Final = 6
GENEVE_OPTIONS_MASK: Final = 0x3F
GENEVE_UNIT: Final = 4
GENEVE_VNI_SHIFT: Final = 8
GENEVE_OPTION: Final = Struct("!HBB")
GENEVE_OPTION_LENGTH_MASK: Final = 0x1F
ETHERTYPE_TRANSPARENT_ETHERNET: Final = 0x6558
# UDP ports: RFC 8926 section 3.3, and where the OpFlex agent listens (its switch's port 6081 on
# loopback is redirected there).
GENEVE_PORT: Final = 6081
DROP_LOG_PORT: Final = 50000


class OptionField(NamedTuple):
    """The field of Open vSwitch that an option of the OpFlex agent was copied from."""

    number: int
    """Of the NXM_NX field."""
    length: int
    """Bytes of the option's value."""
    width: int
    """Bytes of the field, the last ones of the value."""


# What the OpFlex agent records of a dropped packet (opflex, agent-ovs/ovs/PacketDecoderLayers.cpp):
# types 0 to 7 are registers (0 holds the source group, 2 the destination group, 7 the output port),
# 8 to 11 ct_state, ct_zone, ct_mark and ct_label (ovs-fields(7)), 12 the table, 13 the capture
# reason, 14 the cookie of the policy.
OPFLEX_SOURCE_GROUP: Final = 0
OPFLEX_DESTINATION_GROUP: Final = 2
OPFLEX_OUTPUT_PORT: Final = 7
GENEVE_CLASS_OPFLEX: Final = 0xFFFF
GENEVE_OPTION_TABLE: Final = 12
GENEVE_OPTION_FIELDS: Final = {
    **{register: OptionField(register, 4, 4) for register in range(8)},
    8: OptionField(NXM_CT_STATE, 4, 4),
    9: OptionField(NXM_CT_ZONE, 4, 2),
    10: OptionField(NXM_CT_MARK, 4, 4),
    11: OptionField(NXM_CT_LABEL, 16, 16),
    12: OptionField(NXM_TUN_METADATA_TABLE, 4, 4),
    13: OptionField(NXM_TUN_METADATA_REASON, 4, 4),
    14: OptionField(NXM_TUN_METADATA_POLICY, 8, 8),
}
