"""Filters: what a drop must have to be left out, and their text forms in a configuration.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any, TypeAlias

from msgspec import Struct
from netaddr import EUI, INET_PTON, AddrFormatError, IPAddress, IPNetwork

from ryu_droplog.packet import headers
from ryu_droplog.schema.yaml_file import join, nearest, show

PROTOCOLS: Mapping[str, int] = {
    "icmp": headers.PROTOCOL_ICMP,
    "igmp": headers.PROTOCOL_IGMP,
    "tcp": headers.PROTOCOL_TCP,
    "udp": headers.PROTOCOL_UDP,
    "icmpv6": headers.PROTOCOL_ICMPV6,
    "sctp": headers.PROTOCOL_SCTP,
}
"""Names that `ip_proto` may have in a configuration."""

NAME_LENGTH = 64
"""Characters of a filter's name at most."""
PROTOCOL_MAX, PORT_MAX = 0xFF, 0xFFFF
MAX_NUMBERS = 1000
"""Numbers and ranges that a list of a filter has at most."""
_BITS = {4: 32, 6: 128}
"""In an address, by the IP version."""
_WHOLE_MAC = b"\xff" * headers.MAC_LENGTH
_WHOLE_IPV4 = b"\xff" * headers.IPV4_ADDRESS_LENGTH

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)

Masked: TypeAlias = tuple[bytes, bytes]
Numbers: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of numbers, each with its first and its last: ascending, and with a gap before the next.
"""
Parser: TypeAlias = Callable[[str, object], object]
"""Makes the value of a filter's key; raises FilterError."""


class FilterSpec(Struct, frozen=True):
    """What a drop must have to be left out: all that is set here, and at least one thing is."""

    name: str
    """Under which it is counted."""
    sip: Masked | None = None
    """Source address and mask, 4 or 16 bytes each, no bit set outside the mask. It holds for an IP
    header of its own family alone, and the IPv4 one for the sender of ARP."""
    dip: Masked | None = None
    """The same for the destination, and the target of ARP."""
    smac: Masked | None = None
    """Source MAC and mask, 6 bytes each, no bit set outside the mask."""
    dmac: Masked | None = None
    """The same for the destination."""
    ethertype: int | None = None
    """Behind all 802.1Q tags, 0 to 65535."""
    ip_proto: Numbers | None = None
    """IP protocol numbers, or the IPv6 header's next header, 0 to 255."""
    sport: Numbers | None = None
    """Source ports of TCP or UDP, 0 to 65535; no packet without such a header has one."""
    dport: Numbers | None = None
    """The same for the destination."""


def only(number: int) -> Numbers:
    """This number alone."""
    return ((number, number),)


DEFAULTS: tuple[FilterSpec, ...] = (
    FilterSpec("lldp", dmac=(headers.LLDP_MAC, _WHOLE_MAC)),
    FilterSpec("igmp", ethertype=headers.ETHERTYPE_IPV4, ip_proto=only(headers.PROTOCOL_IGMP)),
    FilterSpec(
        "icmpv6-multicast",
        dmac=headers.IPV6_MULTICAST_MAC,
        ethertype=headers.ETHERTYPE_IPV6,
        ip_proto=only(headers.PROTOCOL_ICMPV6),
    ),
    FilterSpec(
        "ipv6-hop-by-hop-multicast",
        dmac=headers.IPV6_MULTICAST_MAC,
        ethertype=headers.ETHERTYPE_IPV6,
        ip_proto=only(headers.PROTOCOL_HOP_BY_HOP),
    ),
    FilterSpec(
        "mdns-ipv6",  # of MAC and port alone, as the OpFlex agent's
        dmac=headers.IPV6_MULTICAST_MAC,
        ip_proto=only(headers.PROTOCOL_UDP),
        dport=only(headers.MDNS_PORT),
    ),
    FilterSpec(
        "mdns",
        dip=(headers.MDNS_IPV4, _WHOLE_IPV4),
        ethertype=headers.ETHERTYPE_IPV4,
        ip_proto=only(headers.PROTOCOL_UDP),
        sport=only(headers.MDNS_PORT),
        dport=only(headers.MDNS_PORT),
    ),
)
"""What nobody routes: left out unless the user wants to see it."""


class FilterError(ValueError):
    """A filter's text form is wrong."""

    def __init__(self, key: str, wrong: str, expected: str) -> None:
        """`key` is empty where it is the filter as a whole; the rest is as in `mistake`."""
        where = f"{join('', key)}: " if key else ""
        super().__init__(f"{where}{wrong}; expected {expected}")
        self.key = key
        self.wrong = wrong
        self.expected = expected


def parse_filter(fields: Mapping[str, object]) -> FilterSpec:
    """The filter that a configuration's mapping describes.

    Addresses are texts, with `/PREFIX` (IP) or `/MASK` (MAC) where less than all of it must hold;
    bits outside of that are ignored. Numbers are integers or decimal texts, `ip_proto` may also be
    one of the names in PROTOCOLS; in their place may be a range, `"8000-8080"`, or a list of
    numbers and ranges. Raises FilterError for the first mistake.
    """
    return _parse(fields, _PARSERS)


def parse_plain_filter(fields: Mapping[str, object]) -> FilterSpec:
    """The same without ranges and lists: the grammar of the OpFlex agent's control files."""
    return _parse(fields, _PLAIN_PARSERS)


def _parse(fields: Mapping[str, object], parsers: Mapping[str, Parser]) -> FilterSpec:
    if not isinstance(fields, Mapping):
        raise FilterError("", _got(fields), f"a mapping with the keys {', '.join(_PARSERS)}")
    for key in fields:
        if not isinstance(key, str) or key not in _PARSERS:
            name = key if isinstance(key, str) else _shown(key)
            wrong = f"unknown key{nearest(name, _PARSERS)}"
            raise FilterError(name, wrong, f"one of {', '.join(_PARSERS)}")
    if "name" not in fields:
        raise FilterError("name", "missing", _EXPECTED_NAME)
    values: dict[str, Any] = {key: parsers[key](key, value) for key, value in fields.items()}
    if len(values) == 1:
        others = ", ".join(key for key in _PARSERS if key != "name")
        raise FilterError("", "nothing but a name, which all drops would fit", f"one of {others}")
    return FilterSpec(**values)


def fields(filter: FilterSpec) -> dict[str, str | int | list[int | str]]:
    """The filter in text forms, key by key: what `parse_filter` reads, and `ethertype` (`0x86dd`).

    A key that is not set is left out.
    """
    forms: dict[str, str | int | list[int | str] | None] = {
        "name": filter.name,
        "sip": _ip_text(filter.sip),
        "dip": _ip_text(filter.dip),
        "smac": _mac_text(filter.smac),
        "dmac": _mac_text(filter.dmac),
        "ethertype": None if filter.ethertype is None else f"0x{filter.ethertype:04x}",
        "ip_proto": _numbers_form(filter.ip_proto),
        "sport": _numbers_form(filter.sport),
        "dport": _numbers_form(filter.dport),
    }
    return {key: form for key, form in forms.items() if form is not None}


_EXPECTED_NAME = f"a name of 1 to {NAME_LENGTH} printable characters"


def _name(key: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_LENGTH or not value.isprintable():
        raise FilterError(key, _got(value), _EXPECTED_NAME)
    return value


def _ip(key: str, value: object) -> Masked:
    text, slash, prefix = value.partition("/") if isinstance(value, str) else ("", "", "")
    try:
        # INET_PTON: all four parts of an IPv4 address, in decimal without leading zeros.
        address = IPAddress(text, flags=INET_PTON)
    except (AddrFormatError, ValueError):
        address = None
    if address is None or (slash and not _is_decimal(prefix, _BITS[address.version])):
        expected = 'an address or ADDRESS/PREFIX, IPv4 or IPv6, such as "10.0.0.0/8"'
        raise FilterError(key, _got(value), expected)
    network = IPNetwork(f"{address}/{prefix}" if slash else address)
    return network.network.packed, network.netmask.packed


def _mac(key: str, value: object) -> Masked:
    text, slash, mask_text = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not _MAC.fullmatch(text) or (slash and not _MAC.fullmatch(mask_text)):
        # Without quotes, 10:20:30:40:50:10 is a number to base 60 in YAML 1.1.
        expected = 'a MAC or MAC/MASK, such as "5a:08:66:00:00:00/ff:ff:ff:00:00:00" in quotes'
        raise FilterError(key, _got(value), expected)
    mask = EUI(mask_text).packed if slash else _WHOLE_MAC
    return bytes(a & b for a, b in zip(EUI(text).packed, mask, strict=True)), mask


def _protocol(key: str, value: object) -> int:
    if isinstance(value, str) and value.lower() in PROTOCOLS:
        return PROTOCOLS[value.lower()]
    return _number(key, value, PROTOCOL_MAX, f", or one of {', '.join(PROTOCOLS)}")


def _port(key: str, value: object) -> int:
    return _number(key, value, PORT_MAX)


def _number(key: str, value: object, highest: int, others: str = "") -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest:
        return value
    if isinstance(value, str) and _is_decimal(value, highest):
        return int(value)
    raise FilterError(key, _got(value), f"an integer from 0 to {highest}{others}")


def _plain(parse: Callable[[str, object], int]) -> Parser:
    """The parser of one number as Numbers."""
    return lambda key, value: only(parse(key, value))


def _several(parse: Callable[[str, object], int], example: str) -> Parser:
    """The parser of a number, a range of them, or a list of both."""

    def one(key: str, value: object) -> tuple[int, int]:
        found = _RANGE.fullmatch(value) if isinstance(value, str) else None
        try:
            first, last = found.groups() if found else (value, value)
            low, high = parse(key, first), parse(key, last)
        except FilterError as error:
            expected = f'{error.expected}, a range such as "{example}", or a list of these'
            raise FilterError(key, _got(value), expected) from None
        if low > high:
            raise FilterError(key, _got(value), "a range whose first number is not above its last")
        return low, high

    def several(key: str, value: object) -> Numbers:
        values = value if isinstance(value, list) else [value]
        if not 1 <= len(values) <= MAX_NUMBERS:
            wrong = f"got a list of {len(values)}"
            raise FilterError(key, wrong, f"a list of 1 to {MAX_NUMBERS} numbers and ranges")
        return _merged(sorted(one(key, each) for each in values))

    return several


def _merged(ranges: Iterable[tuple[int, int]]) -> Numbers:
    """The same numbers in as few ranges as can be; `ranges` are sorted."""
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            low, high = merged[-1][0], max(merged.pop()[1], high)
        merged.append((low, high))
    return tuple(merged)


_PARSERS: Mapping[str, Parser] = {
    "name": _name,
    "sip": _ip,
    "dip": _ip,
    "smac": _mac,
    "dmac": _mac,
    "ip_proto": _several(_protocol, "0-5"),
    "sport": _several(_port, "8000-8080"),
    "dport": _several(_port, "8000-8080"),
}
_PLAIN_PARSERS: Mapping[str, Parser] = {
    **_PARSERS,
    "ip_proto": _plain(_protocol),
    "sport": _plain(_port),
    "dport": _plain(_port),
}


def _is_decimal(text: str, highest: int) -> bool:
    """Whether it is 0 to `highest`, below 100,000, without leading zeros."""
    return _DECIMAL.fullmatch(text) is not None and int(text) <= highest


def _got(value: object) -> str:
    return f"got {_shown(value)}"


def _shown(value: object) -> str:
    if value is None or isinstance(value, (str, int, float, list, dict)):
        return show(value)
    return f"a value of type {type(value).__name__}"


def _numbers_form(numbers: Numbers | None) -> int | str | list[int | str] | None:
    if numbers is None:
        return None
    forms = [low if low == high else f"{low}-{high}" for low, high in numbers]
    return forms[0] if len(forms) == 1 else forms


def _ip_text(masked: Masked | None) -> str | None:
    if masked is None:
        return None
    address, mask = masked
    text = inet_ntop(AF_INET if len(address) == headers.IPV4_ADDRESS_LENGTH else AF_INET6, address)
    prefix = int.from_bytes(mask, "big").bit_count()
    return text if prefix == len(mask) * 8 else f"{text}/{prefix}"


def _mac_text(masked: Masked | None) -> str | None:
    if masked is None:
        return None
    address, mask = masked
    text = address.hex(":")
    return text if mask == _WHOLE_MAC else f"{text}/{mask.hex(':')}"
