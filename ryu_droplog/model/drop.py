"""Drop: the one type that every stage passes on.

Addresses stay bytes as they were on the wire (network byte order): a filter compares bytes, and
only a sink that prints needs text.

The types are msgspec Structs, because one of each is made for every packet: they are made in half
the time of a named tuple or a dataclass, and the garbage collector need not look at them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from ryu_droplog.model.location import Location


class Arp(Struct, frozen=True, gc=False):
    """ARP for Ethernet and IPv4 (RFC 826), the fields in the order of the wire."""

    hardware_type: int
    protocol_type: int
    hardware_length: int
    protocol_length: int
    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes


class IPv4(Struct, frozen=True, gc=False):
    """IPv4 header without options (RFC 791 section 3.1), the fields in the order of the wire."""

    version_ihl: int
    tos: int
    total_length: int
    identification: int
    flags_offset: int
    ttl: int
    protocol: int
    checksum: int
    src: bytes
    dst: bytes


class IPv6(Struct, frozen=True, gc=False):
    """IPv6 fixed header (RFC 8200 section 3), the fields in the order of the wire."""

    version_class_flow: int
    payload_length: int
    next_header: int
    hop_limit: int
    src: bytes
    dst: bytes


class Icmp(Struct, frozen=True, gc=False):
    """ICMP header as an echo message has it (RFC 792), the fields in the order of the wire."""

    type: int
    code: int
    checksum: int
    identifier: int
    sequence: int


class Tcp(Struct, frozen=True, gc=False):
    """TCP header without options (RFC 9293 section 3.1), the fields in the order of the wire."""

    src_port: int
    dst_port: int
    sequence: int
    acknowledgment: int
    offset_flags: int
    window: int
    checksum: int
    urgent_pointer: int


class Udp(Struct, frozen=True, gc=False):
    """UDP header (RFC 768), the fields in the order of the wire."""

    src_port: int
    dst_port: int
    length: int
    checksum: int


L3 = Arp | IPv4 | IPv6
L4 = Icmp | Tcp | Udp


Arrival = tuple[Location, bytes, bytes]
"""Where a packet was dropped, what the switch knew of it (OXM fields), and its frame."""


class Drop(Struct, gc=False):
    """A dropped packet: when and where, and its headers as far as they were whole."""

    time: float
    """Seconds since the epoch, when the program read the packet from the switch: to be written. The
    time of day may be set meanwhile, so it measures nothing."""
    location: Location
    metadata: bytes
    """What the switch knew of the packet: the OXM fields of the PacketIn's match, raw."""
    frame: bytes
    """The Ethernet frame, as much of it as arrived."""
    smac: bytes
    """Source MAC, 6 bytes; empty when the frame ends before all of it."""
    dmac: bytes
    """Destination MAC, 6 bytes; empty when the frame ends before all of it."""
    vlans: tuple[int, ...]
    """Tag control information of each 802.1Q tag, outermost first; the low 12 bits are the VID."""
    ethertype: int
    """EtherType behind all whole 802.1Q tags: 0x8100 when the next tag is cut, -1 when the frame
    ends within its Ethernet header."""
    l3: L3 | None
    """ARP, IPv4 or IPv6 header; None for any other EtherType or when it is cut."""
    protocol: int
    """IP protocol number, or the IPv6 header's next header; -1 without an IP header."""
    l4: L4 | None
    """ICMP (over IPv4), TCP or UDP header; None for any other, a later fragment, or when cut."""
    truncated: bool
    """True when the frame, or the IP packet by its own length, ended inside a header that should
    have been printed."""
    repeated: int = 0
    """How many more like it came within the window of deduplication; 0: it stands for itself."""
    first_time: float = 0.0
    """`time` of the first that a repeated one stands for; 0 where it stands for itself."""
    summarised: bool = False
    """Whether it stands for packets that the switch counted and did not send: `repeated` of them,
    this one not among them."""
    received: float = 0.0
    """The same moment as `time` by a clock that is never set; 0 where there is none: of a capture.
    Whose a packet was is what held at that moment."""
    acknowledged: bool = False
    """Whether the baseline has it: somebody knows of it."""


Explain = Callable[[Drop], Mapping[str, "str | int"]]
"""Why a packet was dropped and whose it was, in its owner's words: by key, in the order in which
they are shown; empty where nothing is known. Never waits, never raises, in any thread.
"""
