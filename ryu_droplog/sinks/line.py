"""The drop line: the text of a drop as the OpFlex agent writes it.

Pure: a Drop in, text out. Every text is printable ASCII (as far as the location's names are) and
ends without a newline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache, partial
from socket import AF_INET, AF_INET6, inet_ntop

from ryu_droplog.model.drop import Arp, Drop, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.model.location import Location
from ryu_droplog.packet import headers
from ryu_droplog.text.addresses import ADDRESS_CACHE_SIZE, AddressTexts

LOCATION_CACHE_SIZE = 16_384
"""How many locations keep their text."""

_MICROSECONDS = 1_000_000  # in a second
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_VLAN_NAME = "Qtag"
ETHERTYPE_NAMES = {
    headers.ETHERTYPE_IPV4: "IPv4",
    headers.ETHERTYPE_ARP: "ARP",
    headers.ETHERTYPE_VLAN: _VLAN_NAME,
    headers.ETHERTYPE_IPV6: "IPv6",
}
PROTOCOL_NAMES = {
    headers.PROTOCOL_ICMP: "ICMP",
    headers.PROTOCOL_TCP: "TCP",
    headers.PROTOCOL_UDP: "UDP",
}
PROTOCOL_TEXT = tuple(
    PROTOCOL_NAMES.get(protocol, f"{protocol}_unrecognized") for protocol in range(256)
)


def ethertype_name(ethertype: int) -> str:
    """What the line calls an EtherType, 0 to 65535."""
    return ETHERTYPE_NAMES.get(ethertype) or f"{ethertype}_unrecognized"


def flag_names(flags: int) -> str:
    """Spell nine TCP flags: each that is set by its name and one space, highest bit first."""
    highest = len(headers.TCP_FLAG_NAMES) - 1
    return "".join(
        f"{name} "
        for bit, name in enumerate(headers.TCP_FLAG_NAMES)
        if flags >> (highest - bit) & 1
    )


_TCP_FLAGS_TEXT = tuple(flag_names(flags) for flags in range(headers.TCP_FLAGS_MASK + 1))


MAC_TEXT = AddressTexts(lambda address: address.hex(":"))
"""Lower-case with colons, of 6 bytes."""
IPV4_TEXT = AddressTexts(partial(inet_ntop, AF_INET))
"""Dotted decimal, of 4 bytes."""
IPV6_TEXT = AddressTexts(partial(inet_ntop, AF_INET6))
"""RFC 5952, of 16 bytes; an IPv4 address in the low 32 bits of ::/96 or ::ffff:0:0/96 is dotted, as
section 5 recommends and the OpFlex agent prints it."""


class LocationTexts(dict[Location, str]):
    """Text of locations, each spelt once; when it is full, it is emptied."""

    def __init__(self, spell: Callable[[Location], str]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, location: Location) -> str:
        if len(self) >= LOCATION_CACHE_SIZE:
            self.clear()
        text = self[location] = self._spell(location)
        return text


def _with_tenants(location: Location) -> str:
    """The drop reason, and the tenants where they are asked for: ` STID=a DTID=b`."""
    if location.source_tenant is None or location.destination_tenant is None:
        return location.drop_reason
    source, destination = location.source_tenant or "N/A", location.destination_tenant or "N/A"
    return f"{location.drop_reason} STID={source} DTID={destination}"


DROP_REASON_TEXT = LocationTexts(lambda location: location.drop_reason)
"""`Acc-SEC_GROUP_IN_TABLE MISS`."""
HEAD_TEXT = LocationTexts(_with_tenants)
"""What stands before the packet in every line."""

_ETHERNET_TEXT: dict[bytes, str] = {}
"""Text of Ethernet headers by their bytes, tags included; when it is full, it is emptied."""
_TAGS_CACHED = 2
"""802.1Q tags that a header in the cache has at most."""


def packet_text(drop: Drop, more: str = "") -> str:
    """Spell the packet, layer by layer; each layer begins with a space.

    What was cut is left out, and ` TRUNCATED` stands in its place. The line that ends a window of
    deduplication closes with ` REPEATED=<n>`; `more` stands before that.
    """
    l3, l4 = drop.l3, drop.l4
    text = f"{_ethernet_text(drop)}{_TEXT_OF[type(l3)](l3)}{_TEXT_OF[type(l4)](l4)}"
    if drop.truncated:
        text += " TRUNCATED"
    return f"{text}{more} REPEATED={drop.repeated}" if drop.repeated else text + more


def full(drop: Drop) -> str:
    """Write the line of the program's own log: time, severity, location, drop reason, packet."""
    head = f"[{timestamp(drop.time)}] [info] [ryu_droplog]"
    return f"{head} {HEAD_TEXT[drop.location]} {packet_text(drop)}"


def redirected(drop: Drop) -> str:
    """Write the line of a file of drops alone: time, drop reason, packet."""
    return f"[{timestamp(drop.time)}] {HEAD_TEXT[drop.location]} {packet_text(drop)}"


def bare(drop: Drop) -> str:
    """Write the line for syslog, which has its own time and severity: drop reason, packet."""
    return f"{HEAD_TEXT[drop.location]} {packet_text(drop)}"


@lru_cache(maxsize=4)
def timestamp(seconds: float) -> str:
    """Spell a time as `YYYY-Mon-DD HH:MM:SS.ffffff`: local time, English month in any locale.

    :param seconds: since the epoch; rounded to the nearest microsecond
    """
    microseconds = round(seconds * _MICROSECONDS)
    second = microseconds // _MICROSECONDS
    return f"{_second_text(second)}.{microseconds % _MICROSECONDS:06}"


@lru_cache(maxsize=4)
def zoned_timestamp(seconds: float) -> str:
    """Spell a time as `timestamp` does, and the time zone's offset then: ` +HHMM` or ` -HHMM`."""
    second = round(seconds * _MICROSECONDS) // _MICROSECONDS
    return f"{timestamp(seconds)} {_offset_text(second)}"


@lru_cache(maxsize=4)
def _offset_text(second: int) -> str:
    return time.strftime("%z", time.localtime(second))


@lru_cache(maxsize=4)
def _second_text(second: int) -> str:
    """Spell a whole second since the epoch; each has one text only, over a change of DST too."""
    local = time.localtime(second)
    return (
        f"{local.tm_year:04}-{_MONTHS[local.tm_mon - 1]}-{local.tm_mday:02} "
        f"{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02}"
    )


def _ethernet_text(drop: Drop) -> str:
    """Spell the Ethernet header and its 802.1Q tags; nothing where the EtherType is missing."""
    tags = len(drop.vlans)
    if drop.ethertype < 0 or tags > _TAGS_CACHED:
        return _spell_ethernet(drop)
    header = drop.frame[: headers.ETHERNET_LENGTH + tags * headers.VLAN_LENGTH]
    text = _ETHERNET_TEXT.get(header)
    if text is None:
        if len(_ETHERNET_TEXT) >= ADDRESS_CACHE_SIZE:
            _ETHERNET_TEXT.clear()
        text = _ETHERNET_TEXT[header] = _spell_ethernet(drop)
    return text


def _spell_ethernet(drop: Drop) -> str:
    if drop.ethertype < 0:
        return ""
    name = ethertype_name(drop.ethertype)
    addresses = f" SMAC={MAC_TEXT[drop.smac]} DMAC={MAC_TEXT[drop.dmac]}"
    if not drop.vlans:
        return f"{addresses} ETYP={name}"
    tags = _VLAN_NAME.join(f" QTAG={tag & headers.VLAN_VID_MASK} " for tag in drop.vlans)
    return f"{addresses} ETYP={_VLAN_NAME}{tags}{name}"


def _arp_text(arp: Arp) -> str:
    return (
        f" ARP_SPA={IPV4_TEXT[arp.sender_ip]} ARP_TPA={IPV4_TEXT[arp.target_ip]}"
        f" ARP_OP={arp.operation}"
    )


def _ipv4_text(ip: IPv4) -> str:
    return (
        f" SRC={IPV4_TEXT[ip.src]} DST={IPV4_TEXT[ip.dst]} LEN={ip.total_length}"
        f" DSCP={ip.tos >> headers.IPV4_DSCP_SHIFT} TTL={ip.ttl} ID={ip.identification}"
        f" FLAGS={ip.flags_offset >> headers.IPV4_FLAGS_SHIFT}"
        f" FRAG={ip.flags_offset & headers.IPV4_OFFSET_MASK}"
        f" PROTO={PROTOCOL_TEXT[ip.protocol]}"
    )


def _ipv6_text(ip: IPv6) -> str:
    class_flow = ip.version_class_flow
    return (
        f" SRC={IPV6_TEXT[ip.src]} DST={IPV6_TEXT[ip.dst]} LEN={ip.payload_length}"
        f" TC={class_flow >> headers.IPV6_CLASS_SHIFT & headers.IPV6_CLASS_MASK}"
        f" HL={ip.hop_limit} FL={class_flow & headers.IPV6_FLOW_MASK}"
        f" PROTO={PROTOCOL_TEXT[ip.next_header]}"
    )


def _tcp_text(tcp: Tcp) -> str:
    return (
        f" SPT={tcp.src_port} DPT={tcp.dst_port} SEQ={tcp.sequence} ACK={tcp.acknowledgment}"
        f" LEN={tcp.offset_flags >> headers.TCP_DATA_OFFSET_SHIFT} WINDOWS={tcp.window}"
        f" {_TCP_FLAGS_TEXT[tcp.offset_flags & headers.TCP_FLAGS_MASK]} URGP={tcp.urgent_pointer}"
    )


def _udp_text(udp: Udp) -> str:
    return f" SPT={udp.src_port} DPT={udp.dst_port} LEN={udp.length}"


def _icmp_text(icmp: Icmp) -> str:
    return f" TYPE={icmp.type} CODE={icmp.code} ID={icmp.identifier} SEQ={icmp.sequence}"


def _no_text(absent: None) -> str:
    return ""


_TEXT_OF: dict[type, Callable[..., str]] = {
    Arp: _arp_text,
    IPv4: _ipv4_text,
    IPv6: _ipv6_text,
    Icmp: _icmp_text,
    Tcp: _tcp_text,
    Udp: _udp_text,
    type(None): _no_text,
}
