"""What the switch can choose of the drops that are asked for: specifications to matches. Pure.

Flows of one priority must not overlap (OFPFF_CHECK_OVERLAP), hence neither may these matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

from ryu_droplog.config.capture_spec import TUN_DST, TUN_SRC, TUNNEL_ID, FlowSpec
from ryu_droplog.openflow.oxm_match import FieldId, fields, overlap
from ryu_droplog.packet import headers

MAX_MATCHES = 64
"""More flows than this in each table would be a burden on the switch."""

# OpenFlow 1.3.5 section 7.2.3.8, class OFPXMC_OPENFLOW_BASIC.
_BASIC = headers.OXM_CLASS_BASIC
_ETH_DST, _ETH_SRC, _ETH_TYPE, _IP_PROTO = (_BASIC, 3), (_BASIC, 4), (_BASIC, 5), (_BASIC, 10)
_ADDRESSES = {
    0x0800: ((_BASIC, 11), (_BASIC, 12)),
    0x86DD: ((_BASIC, 26), (_BASIC, 27)),
}
"""Source and destination address by EtherType."""
_PORTS = {
    6: ((_BASIC, 13), (_BASIC, 14)),
    17: ((_BASIC, 15), (_BASIC, 16)),
    132: ((_BASIC, 17), (_BASIC, 18)),
}
"""Source and destination port by IP protocol: TCP, UDP, SCTP."""
_FAMILY = {4: 0x0800, 16: 0x86DD}
"""EtherType by length of an address."""
_ORDER = (
    TUNNEL_ID,
    TUN_SRC,
    TUN_DST,
    _ETH_DST,
    _ETH_SRC,
    _ETH_TYPE,
    _IP_PROTO,
    *(field for pair in (*_ADDRESSES.values(), *_PORTS.values()) for field in pair),
)
"""Every field stands behind its prerequisites (table 12 of section 7.2.3.8)."""
_PREREQUISITE = {
    _IP_PROTO: _ETH_TYPE,
    **{field: _ETH_TYPE for pair in _ADDRESSES.values() for field in pair},
    **{field: _IP_PROTO for pair in _PORTS.values() for field in pair},
}

_MIN_ETHERTYPE = 0x0600
_TAGS = (0x8100, 0x88A8)
_IPV6_EXTENSIONS = (0, 43, 44, 51, 60)
"""Next headers that Open vSwitch steps over (lib/flow.c, parse_ipv6_ext_hdrs)."""

_Match = Mapping[FieldId, bytes]


def matches(specs: Sequence[FlowSpec]) -> tuple[bytes, ...]:
    """OXM fields, raw, of flows that together match what any of the `specs` fits.

    No two of them overlap; there are at most `MAX_MATCHES`. They match more than is asked for
    where the specifications overlap or are too many, and where a field of the switch does not say
    what the specification means: an EtherType that is a length or a tag, an extension header of
    IPv6. Empty bytes match all, and are then the only ones; () matches nothing.

    What the switch reads in another way than `ryu_droplog.packet.ethernet` cannot be matched: what
    is behind more tags than the switch's vlan-limit, ports of a fragment, headers that it finds
    malformed.
    """
    packed = {_pack(match) for spec in specs for match in _of_spec(spec)}
    return _disjoint(sorted(packed, key=lambda match: (len(fields(match)), match)))


def _of_spec(spec: FlowSpec) -> Iterator[_Match]:
    """The matches of one specification, which do not overlap; none if nothing can ever fit it."""
    below = {
        TUNNEL_ID: _number(spec.tunnel_id, 8),
        TUN_SRC: spec.outer_src,
        TUN_DST: spec.outer_dst,
        _ETH_DST: spec.dst_mac,
        _ETH_SRC: spec.src_mac,
    }
    match = {field: value for field, value in below.items() if value is not None}
    addresses = (spec.inner_src, spec.inner_dst)
    ports = (_number(spec.src_port, 2), _number(spec.dst_port, 2))
    if (*addresses, *ports, spec.ip_proto) == (None,) * 5:
        if spec.eth_type is not None and not _is_unsayable(spec.eth_type):
            match[_ETH_TYPE] = spec.eth_type.to_bytes(2, "big")
        yield match
        return
    for family in _families(spec):
        for protocol in _protocols(spec):
            specific = {**match, _ETH_TYPE: family.to_bytes(2, "big")}
            specific.update(_named(_ADDRESSES[family], addresses))
            if protocol is not None and not (family == 0x86DD and protocol in _IPV6_EXTENSIONS):
                specific[_IP_PROTO] = bytes((protocol,))
                specific.update(_named(_PORTS.get(protocol, ()), ports))
            yield specific


def _is_unsayable(eth_type: int) -> bool:
    """Whether the switch never has this as the EtherType of a frame that has it on the wire.

    Open vSwitch has 0x05ff or that of SNAP for a length, and steps over tags (lib/flow.c,
    parse_ethertype and parse_vlan).
    """
    return eth_type < _MIN_ETHERTYPE or eth_type in _TAGS


def _families(spec: FlowSpec) -> set[int]:
    """The EtherTypes of IP that the specification leaves possible."""
    possible = set(_ADDRESSES)
    if spec.eth_type is not None:
        possible &= {spec.eth_type}
    for address in (spec.inner_src, spec.inner_dst):
        if address is not None:
            possible &= {_FAMILY[len(address)]}
    return possible


def _protocols(spec: FlowSpec) -> Sequence[int | None]:
    """The IP protocols that the specification leaves possible; None: any."""
    if spec.src_port is None and spec.dst_port is None:
        return (spec.ip_proto,)
    if spec.ip_proto is None:
        return (6, 17)
    return (spec.ip_proto,) if spec.ip_proto in _PORTS else ()


def _named(ids: Iterable[FieldId], values: Iterable[bytes | None]) -> dict[FieldId, bytes]:
    return {field: value for field, value in zip(ids, values, strict=False) if value is not None}


def _number(value: int | None, size: int) -> bytes | None:
    return None if value is None else value.to_bytes(size, "big")


def _pack(match: _Match) -> bytes:
    """The raw fields, each exact, in the order of `_ORDER` (section 7.2.3.2)."""
    return b"".join(
        field[0].to_bytes(2, "big") + bytes((field[1] << 1, len(match[field]))) + match[field]
        for field in _ORDER
        if field in match
    )


def _disjoint(overlapping: Sequence[bytes]) -> tuple[bytes, ...]:
    """Matches that do not overlap and cover all of `overlapping`; the widest come first."""
    disjoint: list[bytes] = []
    for match in overlapping:
        whole = match
        while True:
            other = next((each for each in disjoint if overlap(each, whole)), None)
            if other is None:
                break
            disjoint.remove(other)
            whole = _agreed(other, whole)
        disjoint.append(whole)
        if len(disjoint) > MAX_MATCHES:
            return (reduce(_agreed, overlapping),)
    return tuple(sorted(disjoint))


def _agreed(first: bytes, second: bytes) -> bytes:
    """The match with the fields on which both agree, and whose prerequisites they share."""
    ours, theirs = fields(first), fields(second)
    same: dict[FieldId, bytes] = {}
    for field in _ORDER:
        if field not in ours or ours[field] != theirs.get(field):
            continue
        needed = _PREREQUISITE.get(field)
        if needed is None or needed in same:
            value, _, size = ours[field]
            same[field] = value.to_bytes(size, "big")
    return _pack(same)
