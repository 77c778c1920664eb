"""Where packets of one flow differ: fields of their headers, and where those stand in a frame."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from ryu_droplog.model.drop import Drop, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet import headers
from ryu_droplog.packet.deep.transport import DNS_PORTS, PAYLOAD_PORTS

LAYOUT_CACHE_SIZE = 2_048
"""Layouts that are remembered at most."""
WHOLE = 256
"""Bytes of a frame at most whose headers alone do not say what it is."""
_TAGS = 2
"""802.1Q tags at most."""
_IS_FRAGMENT = headers.IPV4_MORE_FRAGMENTS | headers.IPV4_OFFSET_MASK
_IPV4_WORDS, _TCP_WORDS = headers.IPV4_LENGTH // 4, headers.TCP_LENGTH // 4
_ECHOES = frozenset((0, 8))  # RFC 792

# TCP options in which timestamps (RFC 7323) differ, as most senders put them: of a SYN behind MSS,
# with SACK permitted; of any other segment behind twice no operation.
_SYN_WORDS, _SYN_STAMPS = 10, b"\x04\x02\x08\x0a"
_SEGMENT_WORDS, _SEGMENT_STAMPS = 8, b"\x01\x01\x08\x0a"
_STAMP, _ECHO = "tcp.options.timestamps.value", "tcp.options.timestamps.echo"


class _Field(NamedTuple):
    offset: int
    """From the beginning of its header, in bytes."""
    size: int
    """2 or 4 bytes."""
    path: str
    """Where it stands in the layers of the packet; empty: nowhere."""


_TCP = (
    _Field(4, 4, "tcp.sequence"),
    _Field(8, 4, "tcp.acknowledgment"),
    _Field(14, 2, "tcp.window"),
    _Field(16, 2, ""),
)
_FIELDS: Mapping[str, tuple[_Field, ...]] = {
    "ipv4": (_Field(4, 2, "ipv4.id"), _Field(10, 2, "")),
    "ipv4 without id": (_Field(10, 2, ""),),  # the layer leaves out an id of 0
    "ipv6": (),
    "tcp": _TCP,
    "tcp syn": (*_TCP, _Field(28, 4, _STAMP), _Field(32, 4, _ECHO)),
    "tcp segment": (*_TCP, _Field(24, 4, _STAMP), _Field(28, 4, _ECHO)),
    "udp": (_Field(6, 2, ""),),
    "dns": (_Field(6, 2, ""), _Field(8, 2, "dns.id")),
    "icmp": (_Field(2, 2, ""),),
    "icmp echo": (_Field(2, 2, ""), _Field(6, 2, "icmp.sequence")),
    "": (),
}
"""What differs between packets of a flow, by the header."""
FIELDS = 7
"""Fields of a layout at most."""


class Layout(Struct, frozen=True, eq=False):
    """Which bits of a frame all packets of a flow have in common; one object for each."""

    length: int
    """Bytes that say what the packet is: its headers, or all of it."""
    mask: int
    """Of these, as a number in network byte order, the bits that are common."""
    paths: tuple[tuple[str, ...], ...]
    """The fields that differ, by where they stand in the layers of the packet."""
    read: Callable[[bytes], tuple[Any, ...]]
    """Their values in a frame, in the order of `paths`."""

    def common(self, frame: bytes) -> int:
        """The bits of a frame that all packets of its flow have in common."""
        return int.from_bytes(frame[: self.length], "big") & self.mask


def layout_of(drop: Drop) -> Layout | None:
    """The layout of a packet; None where no two packets like it can be told to be alike.

    Two frames of the same length, with the same layout and the same `common` bits, are decoded to
    the same layers, but for the fields of `paths`.
    """
    l3, l4, frame = drop.l3, drop.l4, drop.frame
    tags = len(drop.vlans)
    size = len(frame)
    start = headers.ETHERNET_LENGTH + tags * headers.VLAN_LENGTH
    if tags > _TAGS:
        return None
    if type(l3) is IPv4:
        if l3.flags_offset & _IS_FRAGMENT or l3.version_ihl & headers.IPV4_IHL_MASK != _IPV4_WORDS:
            return _whole(start, "", size)
        network = "ipv4" if l3.identification else "ipv4 without id"
        behind = start + headers.IPV4_LENGTH
    elif type(l3) is IPv6:
        network, behind = "ipv6", start + headers.IPV6_LENGTH
    else:
        return _whole(start, "", size)
    if type(l4) is Tcp:
        words = l4.offset_flags >> headers.TCP_DATA_OFFSET_SHIFT
        length = behind + words * 4
        if words < _TCP_WORDS or length > size:
            return _whole(start, network, size)
        transport = "tcp"
        if words == _SYN_WORDS and frame[behind + 24 : behind + 28] == _SYN_STAMPS:
            transport = "tcp syn"
        elif words == _SEGMENT_WORDS and frame[behind + 20 : behind + 24] == _SEGMENT_STAMPS:
            transport = "tcp segment"
        return _layout(start, network, transport, length)
    if type(l4) is Udp:
        if l4.src_port not in PAYLOAD_PORTS and l4.dst_port not in PAYLOAD_PORTS:
            return _layout(start, network, "udp", behind + headers.UDP_LENGTH)
        if l4.src_port in DNS_PORTS or l4.dst_port in DNS_PORTS:
            return _whole(start, network, size, "dns" if size >= behind + 10 else "udp")
        return _whole(start, network, size, "udp")
    if type(l4) is Icmp:
        transport = "icmp echo" if l4.type in _ECHOES else "icmp"
        return _layout(start, network, transport, behind + headers.ICMP_LENGTH)
    return _whole(start, network, size)


def _whole(start: int, network: str, size: int, transport: str = "") -> Layout | None:
    return _layout(start, network, transport, size) if size <= WHOLE else None


@lru_cache(maxsize=LAYOUT_CACHE_SIZE)
def _layout(start: int, network: str, transport: str, length: int) -> Layout:
    """`start` is where the network header begins; `network` and `transport` are of `_FIELDS`."""
    behind = start + (headers.IPV6_LENGTH if network == "ipv6" else headers.IPV4_LENGTH)
    fields = [(start + each.offset, each.size, each.path) for each in _FIELDS[network]]
    fields += [(behind + each.offset, each.size, each.path) for each in _FIELDS[transport]]
    common = bytearray(b"\xff" * length)
    form, read = "!", 0
    paths = []
    for offset, size, path in fields:
        common[offset : offset + size] = bytes(size)
        if path:
            form += f"{offset - read}x{'I' if size == 4 else 'H'}"
            read = offset + size
            paths.append(tuple(path.split(".")))
    mask = int.from_bytes(common, "big")
    return Layout(length, mask, tuple(paths), struct.Struct(form).unpack_from)
