"""Addresses as text: pure, and each spelt once while it is remembered."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

ADDRESS_CACHE_SIZE = 16_384
"""How many addresses of each kind (MAC, IPv4, IPv6) keep their text."""

_LOW_32_BITS = bytes(12), bytes(10) + b"\xff\xff"
"""What stands before an IPv4 address that is written with dots in an IPv6 address."""


class AddressTexts(dict[bytes, str]):
    """Text of addresses by their bytes, each spelt once; when it is full, it is emptied."""

    def __init__(self, spell: Callable[[bytes], str]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, address: bytes) -> str:
        if len(self) >= ADDRESS_CACHE_SIZE:
            self.clear()
        text = self[address] = self._spell(address)
        return text


def ipv4(address: bytes) -> str:
    """Dotted decimal, of 4 bytes."""
    return ".".join(map(str, address))


def ipv6(address: bytes) -> str:
    """RFC 5952, of 16 bytes; an IPv4 address in the low 32 bits is dotted (section 5)."""
    head, low = address[:12], address[12:]
    if head in _LOW_32_BITS and (head[-1] or low[:2] != b"\0\0"):
        return f"{'::ffff:' if head[-1] else '::'}{ipv4(low)}"
    return IPv6Address(address).compressed


MAC_TEXT = AddressTexts(lambda address: address.hex(":"))
"""Lower-case with colons, of 6 bytes."""
IPV4_TEXT = AddressTexts(ipv4)
"""Dotted decimal, of 4 bytes."""
IPV6_TEXT = AddressTexts(ipv6)
"""RFC 5952, of 16 bytes; see `ipv6`."""
