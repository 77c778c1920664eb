"""Values of others as statements have them: names fit for a line, addresses as bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from ryu_droplog.identity.statement import Prefix
from ryu_droplog.text.printable import printable

MOST = 64
"""Addresses of one end that are looked at."""
_MAC = re.compile("([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")


def name(value: object) -> str:
    """A name, printable and on one line; empty where there is none."""
    return printable(value) if isinstance(value, str) else ""


def macs(values: Iterable[object]) -> tuple[bytes, ...]:
    """Those that are MACs of one station, 6 bytes each."""
    found = [
        bytes.fromhex(re.sub("[:-]", "", value))
        for value in _first(values)
        if isinstance(value, str) and _MAC.fullmatch(value)
    ]
    return tuple(dict.fromkeys(mac for mac in found if not mac[0] & 1 and any(mac)))


def addresses(values: Iterable[object]) -> tuple[bytes, ...]:
    """Those that are IP addresses, with or without the length of their prefix."""
    found = []
    for value in _first(values):
        address = _interface(value)
        if address is not None and any(address.ip.packed):
            found.append(address.ip.packed)
    return tuple(dict.fromkeys(found))


def prefix(value: str) -> Prefix | None:
    """A range of addresses; None: it is a single one, or none."""
    address = _interface(value)
    if address is None or address.network.prefixlen == address.max_prefixlen:
        return None
    return Prefix(address.network.network_address.packed, address.network.prefixlen)


def _interface(value: object) -> IPv4Interface | IPv6Interface | None:
    if not isinstance(value, str):
        return None
    try:
        return ip_interface(value.strip())
    except ValueError:
        return None


def _first(values: Iterable[object]) -> Iterable[object]:
    return list(values)[:MOST]
