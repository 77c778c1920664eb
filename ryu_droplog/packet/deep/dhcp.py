"""DHCP and DHCPv6: what a message asks for, and of whom. Bytes in, a layer out; nothing raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ryu_droplog.packet import headers
from ryu_droplog.packet.deep.dns import name_at
from ryu_droplog.packet.deep.layers import Dhcp
from ryu_droplog.text.addresses import IPV4_TEXT, IPV6_TEXT, MAC_TEXT

# DHCP, RFC 2131 section 2: the fixed part, then the magic cookie and options (RFC 2132).
_FIXED, _TRANSACTION, _HARDWARE = 236, 4, 28
_MAGIC = bytes((99, 130, 83, 99))
_ETHERNET = 1
_PAD, _HOSTNAME, _REQUESTED, _TYPE, _END = 0, 12, 50, 53, 255
_TYPES: Mapping[int, str] = {  # RFC 2132 section 9.6, RFC 3203 section 4, RFC 4388 section 6.1
    1: "DISCOVER",
    2: "OFFER",
    3: "REQUEST",
    4: "DECLINE",
    5: "ACK",
    6: "NAK",
    7: "RELEASE",
    8: "INFORM",
    9: "FORCERENEW",
    10: "LEASEQUERY",
}
_BOOTP: Mapping[int, str] = {1: "BOOTREQUEST", 2: "BOOTREPLY"}

# DHCPv6, RFC 8415 sections 7.3, 8, 9 and 21.
_TYPES_6: Mapping[int, str] = {
    1: "SOLICIT",
    2: "ADVERTISE",
    3: "REQUEST",
    4: "CONFIRM",
    5: "RENEW",
    6: "REBIND",
    7: "REPLY",
    8: "RELEASE",
    9: "DECLINE",
    10: "RECONFIGURE",
    11: "INFORMATION-REQUEST",
    12: "RELAY-FORW",
    13: "RELAY-REPL",
}
_RELAYS = frozenset((12, 13))
_HEAD_6 = 4
_IA_NA, _IA_TA, _IA_ADDRESS, _FQDN = 3, 4, 5, 39
_IA_HEAD: Mapping[int, int] = {_IA_NA: 12, _IA_TA: 4}
_OPTIONS = 64
"""Options that are read at most."""


def version_4(message: bytes) -> Dhcp | None:
    """Read a DHCP or BOOTP message; None where not even its kind is there."""
    if not message:
        return None
    layer = Dhcp(4, _BOOTP.get(message[0], str(message[0])))
    if len(message) >= _TRANSACTION + 4:
        layer.transaction = int.from_bytes(message[_TRANSACTION : _TRANSACTION + 4], "big")
    mac = message[_HARDWARE : _HARDWARE + headers.MAC_LENGTH]
    if len(mac) == headers.MAC_LENGTH and (message[1], message[2]) == (_ETHERNET, len(mac)):
        layer.client_mac = MAC_TEXT[mac]
    if message[_FIXED : _FIXED + 4] != _MAGIC:
        return layer
    for kind, value in _options_4(message, _FIXED + 4):
        if kind == _TYPE and len(value) == 1:
            layer.operation = _TYPES.get(value[0], str(value[0]))
        elif kind == _REQUESTED and len(value) == headers.IPV4_ADDRESS_LENGTH:
            layer.requested_address = IPV4_TEXT[value]
        elif kind == _HOSTNAME:
            layer.hostname = _text(value)
    return layer


def _options_4(message: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Code and value of each whole option, RFC 2132 section 2."""
    for _ in range(_OPTIONS):
        while start < len(message) and message[start] == _PAD:
            start += 1
        if start + 1 >= len(message) or message[start] == _END:
            return
        value = start + 2
        behind = value + message[start + 1]
        if behind > len(message):
            return
        yield message[start], message[value:behind]
        start = behind


def version_6(message: bytes) -> Dhcp | None:
    """Read a DHCPv6 message; None where not even its kind is there."""
    if not message:
        return None
    layer = Dhcp(6, _TYPES_6.get(message[0], str(message[0])))
    if message[0] in _RELAYS or len(message) < _HEAD_6:
        return layer
    layer.transaction = int.from_bytes(message[1:_HEAD_6], "big")
    for kind, value in _options_6(message[_HEAD_6:]):
        if kind == _FQDN and len(value) > 1:  # RFC 4704 section 4.1: flags, then the name
            layer.hostname = name_at(value, 1)[0]
        elif kind in _IA_HEAD and not layer.requested_address:
            layer.requested_address = _address(value[_IA_HEAD[kind] :])
    return layer


def _address(options: bytes) -> str:
    """The first address in an identity association, RFC 8415 section 21.6; empty: none."""
    for kind, value in _options_6(options):
        if kind == _IA_ADDRESS and len(value) >= headers.IPV6_ADDRESS_LENGTH:
            return IPV6_TEXT[value[: headers.IPV6_ADDRESS_LENGTH]]
    return ""


def _options_6(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Code and value of each whole option, RFC 8415 section 21.1."""
    start = 0
    for _ in range(_OPTIONS):
        value = start + 4
        if value > len(options):
            return
        kind = int.from_bytes(options[start : start + 2], "big")
        start = value + int.from_bytes(options[start + 2 : value], "big")
        if start > len(options):
            return
        yield kind, options[value:start]


def _text(value: bytes) -> str:
    """What a client calls itself, as printable ASCII; bytes that are none are `\\xNN`."""
    return "".join(chr(c) if 0x20 <= c < 0x7F else f"\\x{c:02x}" for c in value.rstrip(b"\0"))
