"""Matches as the switch writes them: whether two overlap, how they read, how one becomes ours.

A match is the OXM fields of an ofp_match, raw, network byte order, without header and padding
(OpenFlow 1.3.5 section 7.2.3); empty for a catch-all. Open vSwitch writes a field under the same
OXM id wherever it describes a flow, so that two matches can be compared field by field.

Sources of ids and names: OpenFlow 1.3.5 section 7.2.3.8; Open vSwitch, include/openvswitch/
meta-flow.h and lib/match.c (what `ovs-ofctl dump-flows` shows).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from ryu_droplog.packet import headers
from ryu_droplog.packet.packet_in import oxm_fields

_BASIC = headers.OXM_CLASS_BASIC
_NXM_0, _NXM_1 = headers.OXM_CLASS_NXM_0, headers.OXM_CLASS_NXM_1

FieldId = tuple[int, int]
"""OXM class and field number."""

_REGISTERS = 16
_TOP_BIT = 0x80000000
_REGISTER_SIZE = 4
"""Bytes."""
SPARE_REGISTERS = (15, 14, 13, 12, 11, 10)
"""Registers whose bit 31 nobody is known to set, the least likely first.

OVN keeps port keys in 14 and 15, connection tracking zones in 11 to 13, flags in 10, and addresses
below that (ovn, include/ovn/logical-fields.h); Neutron's firewall uses 5 and 6.
"""
_MASKED_REGISTER = Struct("!HBBII")
_LONGEST_REMEMBERED = 256
"""Bytes of a match whose fields are remembered: real ones have less than 150."""
_OXM_HEADER = 4  # class, field and has-mask, length of what follows


def fields(match: bytes) -> Mapping[FieldId, tuple[int, int, int]]:
    """Value, mask and length in bytes of each field; an exact field has a mask of all ones."""
    return _remembered(match) if len(match) <= _LONGEST_REMEMBERED else _fields(match)


@lru_cache(maxsize=8192)
def _remembered(match: bytes) -> Mapping[FieldId, tuple[int, int, int]]:
    return _fields(match)


def _fields(match: bytes) -> Mapping[FieldId, tuple[int, int, int]]:
    by_id = {}
    for oxm_class, number, value, mask in oxm_fields(match):
        ones = (1 << 8 * len(value)) - 1
        whole = ones if mask is None else int.from_bytes(mask, "big")
        by_id[oxm_class, number] = (int.from_bytes(value, "big"), whole, len(value))
    return by_id


def overlap(first: bytes, second: bytes) -> bool:
    """Whether some packet can match both; True also where that cannot be told.

    That cannot be told of a field under two names, such as a register and the half of an xreg.
    """
    if not first or not second:
        return True
    ours, theirs = fields(first), fields(second)
    for field, (value, mask, _) in ours.items():
        if field in theirs:
            their_value, their_mask, _ = theirs[field]
            if (value ^ their_value) & mask & their_mask:
                return False
    return True


def free_bit(match: bytes) -> int | None:
    """The first of `SPARE_REGISTERS` whose bit 31 the match says nothing of; None: there is none.

    Open vSwitch writes registers one by one, also where an xreg or xxreg was asked for.
    """
    present = fields(match)
    for register in SPARE_REGISTERS:
        _, mask, size = present.get((_NXM_1, register), (0, 0, _REGISTER_SIZE))
        if size == _REGISTER_SIZE and not mask & _TOP_BIT:
            return register
    return None


def with_free_bit(match: bytes, register: int) -> bytes:
    """The match, and bit 31 of that register 0: so no match of anyone else's is the same.

    `register` is what `free_bit` said.
    """
    value, mask, _ = fields(match).get((_NXM_1, register), (0, 0, _REGISTER_SIZE))
    ours = _MASKED_REGISTER.pack(_NXM_1, register << 1 | 1, 8, value, mask | _TOP_BIT)
    if not mask:
        return match + ours
    start = 0
    while match[start : start + 3] != ours[:3]:
        start += _OXM_HEADER + match[start + _OXM_HEADER - 1]
    return match[:start] + ours + match[start + len(ours) :]


# How fields read


def _decimal(value: int, mask: int, size: int) -> str:
    return str(value) if mask == _ones(size) else f"{value:#x}/{mask:#x}"


def _hexadecimal(value: int, mask: int, size: int) -> str:
    text = f"{value:#x}" if value else "0"
    return text if mask == _ones(size) else f"{text}/{mask:#x}"


def _mac(value: int, mask: int, size: int) -> str:
    text = value.to_bytes(size, "big").hex(":")
    return text if mask == _ones(size) else f"{text}/{mask.to_bytes(size, 'big').hex(':')}"


def _ipv4(value: int, mask: int, size: int) -> str:
    return _address(str(IPv4Address(value)), mask, 32, lambda number: str(IPv4Address(number)))


def _ipv6(value: int, mask: int, size: int) -> str:
    return _address(str(IPv6Address(value)), mask, 128, lambda number: str(IPv6Address(number)))


def _address(text: str, mask: int, bits: int, spell: Callable[[int], str]) -> str:
    length = mask.bit_count()
    if mask != (1 << bits) - (1 << bits - length):
        return f"{text}/{spell(mask)}"
    return text if length == bits else f"{text}/{length}"


def _flags(bits: int, *names: str) -> Callable[[int, int, int], str]:
    """Bits by name, the lowest first: `+` where it must be set, `-` where not.

    Where all of the `bits` count: those that are set, with `|` between them.
    """

    def spell(value: int, mask: int, size: int) -> str:
        known = (1 << len(names)) - 1
        if mask & bits == bits:
            return "|".join(name for bit, name in enumerate(names) if value >> bit & 1) or "0"
        if mask & ~known:
            return _hexadecimal(value, mask, size)
        return "".join(
            f"{'+' if value >> bit & 1 else '-'}{name}"
            for bit, name in enumerate(names)
            if mask >> bit & 1
        )

    return spell


_CT_STATE = _flags(0xFFFFFFFF, *headers.CT_STATE_NAMES)
_TCP_FLAGS = _flags(0xFFF, *map(str.lower, reversed(headers.TCP_FLAG_NAMES)))
_FRAGMENTS = {(0, 3): "no", (1, 1): "yes", (1, 3): "first", (3, 3): "later", (0, 2): "not_later"}
_FRAGMENTS[2, 2] = "later"


def _fragment(value: int, mask: int, size: int) -> str:
    known = (value & 3 & mask, mask & 3)
    return _FRAGMENTS.get(known) or _hexadecimal(value, mask, size)


def _port(value: int, mask: int, size: int) -> str:
    return _PORTS.get(value) or str(value)


_PORTS = {0xFFFFFFFE: "LOCAL", 0xFFFFFFFD: "CONTROLLER", 0xFFFFFFF8: "IN_PORT"}
"""Reserved ports (section 7.2.1)."""


def _tos(value: int, mask: int, size: int) -> str:
    return str(value << 2)  # nw_tos is the whole octet, the field its upper six bits


def _ones(size: int) -> int:
    return (1 << 8 * size) - 1


_NAMES: dict[FieldId, tuple[str, Callable[[int, int, int], str]]] = {
    (_NXM_1, 37): ("conj_id", _decimal),
    (_NXM_1, 105): ("ct_state", _CT_STATE),
    (_NXM_1, 106): ("ct_zone", _decimal),
    (_NXM_1, 107): ("ct_mark", _hexadecimal),
    (_NXM_1, 108): ("ct_label", _hexadecimal),
    (_NXM_1, 119): ("ct_nw_proto", _decimal),
    (_NXM_1, 120): ("ct_nw_src", _ipv4),
    (_NXM_1, 121): ("ct_nw_dst", _ipv4),
    (_NXM_1, 122): ("ct_ipv6_src", _ipv6),
    (_NXM_1, 123): ("ct_ipv6_dst", _ipv6),
    (_NXM_1, 124): ("ct_tp_src", _decimal),
    (_NXM_1, 125): ("ct_tp_dst", _decimal),
    (_NXM_1, 35): ("tcp_flags", _TCP_FLAGS),
    (_NXM_1, 33): ("pkt_mark", _hexadecimal),
    **{(_NXM_1, n): (f"reg{n}", _hexadecimal) for n in range(_REGISTERS)},
    (_BASIC, 38): ("tun_id", _hexadecimal),
    (_NXM_1, 31): ("tun_src", _ipv4),
    (_NXM_1, 32): ("tun_dst", _ipv4),
    (_NXM_1, 109): ("tun_ipv6_src", _ipv6),
    (_NXM_1, 110): ("tun_ipv6_dst", _ipv6),
    **{(_NXM_1, 40 + n): (f"tun_metadata{n}", _hexadecimal) for n in range(64)},
    (_BASIC, 2): ("metadata", _hexadecimal),
    (_BASIC, 0): ("in_port", _port),
    (_NXM_0, 4): ("vlan_tci", lambda v, m, s: f"0x{v:04x}/0x{m:04x}" if m != 0xFFFF else f"{v:#x}"),
    (_BASIC, 7): ("dl_vlan_pcp", _decimal),
    (_BASIC, 4): ("dl_src", _mac),
    (_BASIC, 3): ("dl_dst", _mac),
    (_BASIC, 22): ("arp_spa", _ipv4),
    (_BASIC, 23): ("arp_tpa", _ipv4),
    (_BASIC, 21): ("arp_op", _decimal),
    (_BASIC, 24): ("arp_sha", _mac),
    (_BASIC, 25): ("arp_tha", _mac),
    (_BASIC, 11): ("nw_src", _ipv4),
    (_BASIC, 12): ("nw_dst", _ipv4),
    (_BASIC, 26): ("ipv6_src", _ipv6),
    (_BASIC, 27): ("ipv6_dst", _ipv6),
    (_BASIC, 28): ("ipv6_label", _hexadecimal),
    (_BASIC, 8): ("nw_tos", _tos),
    (_BASIC, 9): ("nw_ecn", _decimal),
    (_NXM_1, 29): ("nw_ttl", _decimal),
    (_NXM_1, 26): ("nw_frag", _fragment),
    **{(_BASIC, n): ("tp_src", _decimal) for n in (13, 15, 17)},
    **{(_BASIC, n): ("tp_dst", _decimal) for n in (14, 16, 18)},
    (_BASIC, 42): ("tcp_flags", _TCP_FLAGS),
    (_BASIC, 19): ("icmp_type", _decimal),
    (_BASIC, 20): ("icmp_code", _decimal),
    (_BASIC, 29): ("icmp_type", _decimal),
    (_BASIC, 30): ("icmp_code", _decimal),
    (_BASIC, 31): ("nd_target", _ipv6),
    (_BASIC, 32): ("nd_sll", _mac),
    (_BASIC, 33): ("nd_tll", _mac),
}
"""Name and spelling of each field, in the order in which they are shown."""

_ETHERTYPE, _VLAN, _PROTOCOL = (_BASIC, 5), (_BASIC, 6), (_BASIC, 10)
_VLAN_PRESENT = 0x1000
_IP, _IPV6 = 0x0800, 0x86DD
_ETHERTYPES = {_IP: "ip", 0x0806: "arp", 0x8035: "rarp", _IPV6: "ipv6", 0x8847: "mpls"}
_PROTOCOLS = {
    (_IP, 1): "icmp",
    (_IP, 6): "tcp",
    (_IP, 17): "udp",
    (_IP, 132): "sctp",
    (_IPV6, 58): "icmp6",
    (_IPV6, 6): "tcp6",
    (_IPV6, 17): "udp6",
    (_IPV6, 132): "sctp6",
}


def text(match: bytes) -> str:
    """How `ovs-ofctl dump-flows` shows the match; printable ASCII, whatever the bytes.

    The order of fields may differ from ovs-ofctl's. A field that is not known is
    `oxm_<class>_<field>`.
    """
    left = dict(fields(match))
    parts = [*_protocol(left), *_vlan(left)]
    for field, (name, spell) in _NAMES.items():
        if field in left:
            parts.append(f"{name}={_spelt(spell, *left.pop(field))}")
    for (oxm_class, number), (value, mask, size) in left.items():
        parts.append(f"oxm_{oxm_class:#x}_{number}={_hexadecimal(value, mask, size)}")
    return ",".join(parts)


def field_text(field: FieldId, value: int, mask: int, size: int) -> tuple[str, str]:
    """What `ovs-ofctl dump-flows` calls one field, and how it shows this value of it.

    `size` is the length of the field in bytes. Two fields that `text` shows together have names of
    their own here: `dl_type`, `nw_proto`, `dl_vlan`.
    """
    if field == _ETHERTYPE:
        return "dl_type", f"0x{value:04x}"
    if field == _PROTOCOL:
        return "nw_proto", str(value)
    if field == _VLAN:
        exact = value & _VLAN_PRESENT and mask & 0x1FFF == 0x1FFF
        return "dl_vlan", str(value & 0xFFF) if exact else f"0x{value:04x}/0x{mask & 0x1FFF:04x}"
    if field not in _NAMES:
        return f"oxm_{field[0]:#x}_{field[1]}", _hexadecimal(value, mask, size)
    name, spell = _NAMES[field]
    return name, _spelt(spell, value, mask, size)


def _spelt(spell: Callable[[int, int, int], str], value: int, mask: int, size: int) -> str:
    try:
        return spell(value, mask, size)
    except ValueError:  # an address of another length than addresses have
        return _hexadecimal(value, mask, size)


def _protocol(left: dict[FieldId, tuple[int, int, int]]) -> list[str]:
    """EtherType and IP protocol, by their names where they have any."""
    if _ETHERTYPE not in left:
        return []
    ethertype = left.pop(_ETHERTYPE)[0]
    protocol = left.pop(_PROTOCOL, (None, 0, 0))[0]
    name = _ETHERTYPES.get(ethertype, f"dl_type=0x{ethertype:04x}")
    if protocol is None:
        return [name]
    known = _PROTOCOLS.get((ethertype, protocol))
    return [known] if known else [name, f"nw_proto={protocol}"]


def _vlan(left: dict[FieldId, tuple[int, int, int]]) -> list[str]:
    """OXM_OF_VLAN_VID: the VLAN id, and a bit that says whether there is a tag."""
    if _VLAN not in left:
        return []
    value, mask, _ = left.pop(_VLAN)
    if value & _VLAN_PRESENT and mask & 0x1FFF == 0x1FFF:
        return [f"dl_vlan={value & 0xFFF}"]
    return [f"vlan_tci=0x{value:04x}/0x{mask & 0x1FFF:04x}"]
