"""The three keys of a record: Community ID, signature and problem.

Each is `1:` (its version) and a hash; docs/record.md says byte by byte what is hashed.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Mapping
from struct import Struct
from typing import Any

from ryu_droplog.model.location import Location
from ryu_droplog.packet import headers
from ryu_droplog.packet.deep.walk import NONE, Walk

VERSION = "1:"
HASH_LENGTH = 16
"""Bytes of SHA-256 that a signature and a problem keep."""
CACHE_SIZE = 16_384
"""Keys that are remembered at most."""

# Community ID 1: seed, addresses, protocol, a zero, ports.
_SEED = b"\0\0"
_PORTS = Struct("!HH")
_PROBLEM = Struct("!HHH")
_PORT_PROTOCOLS = frozenset((headers.PROTOCOL_TCP, headers.PROTOCOL_UDP, headers.PROTOCOL_SCTP))
# What the messages of ICMP and ICMPv6 are answered by; those that have no answer go one way.
_ICMP_ANSWERS: Mapping[int, int] = {
    0: 8,
    8: 0,
    9: 10,
    10: 9,
    13: 14,
    14: 13,
    15: 16,
    16: 15,
    17: 18,
    18: 17,
}
_ICMPV6_ANSWERS: Mapping[int, int] = {
    128: 129,
    129: 128,
    130: 131,
    131: 130,
    133: 134,
    134: 133,
    135: 136,
    136: 135,
    139: 140,
    140: 139,
    144: 145,
    145: 144,
}


def community_id(walk: Walk) -> str:
    """Community ID version 1 with seed 0; empty where the packet is not of IP.

    Without ports, as a later fragment is, it has addresses and protocol alone.
    """
    source, destination, protocol = walk.source, walk.destination, walk.protocol
    if protocol == NONE or not source:
        return ""
    ports, one_way = _ports(walk, protocol)
    if ports is None:
        if destination < source:
            source, destination = destination, source
        tail = b""
    else:
        source_port, destination_port = ports
        if not one_way and (destination, destination_port) < (source, source_port):
            source, destination = destination, source
            source_port, destination_port = destination_port, source_port
        tail = _PORTS.pack(source_port, destination_port)
    hashed = b"".join((_SEED, source, destination, bytes((protocol, 0)), tail))
    return VERSION + b2a_base64(hashlib.sha1(hashed).digest(), newline=False).decode()


def _ports(walk: Walk, protocol: int) -> tuple[tuple[int, int] | None, bool]:
    """Ports, of ICMP what stands for them, and whether the flow has one direction only."""
    if protocol in _PORT_PROTOCOLS:
        if walk.source_port == NONE:
            return None, False
        return (walk.source_port, walk.destination_port), False
    if protocol == headers.PROTOCOL_ICMP:
        message: Any = walk.packet.icmp
        answers = _ICMP_ANSWERS
    elif protocol == headers.PROTOCOL_ICMPV6:
        message, answers = walk.packet.icmpv6, _ICMPV6_ANSWERS
    else:
        return None, False
    if message is None:
        return None, False
    answer = answers.get(message.type)
    if answer is None:
        return (message.type, message.code), True
    return (message.type, answer), False


_Keys = tuple[str, str, str]


class Keys:
    """Signatures and problems; those that were made last are remembered."""

    def __init__(self) -> None:
        self._flows: dict[tuple[Location, int, int, int, int, bytes, bytes], _Keys] = {}
        self._problems: dict[tuple[Location, int, int, int], tuple[Any, str]] = {}

    def of(self, location: Location, walk: Walk) -> _Keys:
        """All three keys of a drop: (signature, problem, community_id)."""
        source_port = walk.source_port
        if source_port == NONE:
            return (*self.signature_and_problem(location, walk), community_id(walk))
        flow = (
            location,
            walk.ethertype,
            walk.protocol,
            source_port,
            walk.destination_port,
            walk.source,
            walk.destination,
        )
        remembered = self._flows.get(flow)
        if remembered is None:
            if len(self._flows) >= CACHE_SIZE:
                self._flows.clear()
            pair = self.signature_and_problem(location, walk)
            remembered = self._flows[flow] = (*pair, community_id(walk))
        return remembered

    def signature_and_problem(self, location: Location, walk: Walk) -> tuple[str, str]:
        """Both keys of a drop."""
        key = location, walk.ethertype, walk.protocol, walk.destination_port
        remembered = self._problems.get(key)
        if remembered is None:
            if len(self._problems) >= CACHE_SIZE:
                self._problems.clear()
            hashed = hashlib.sha256(_problem_bytes(location, walk))
            remembered = self._problems[key] = hashed, _text(hashed)
        problem_hash, problem = remembered
        hashed = problem_hash.copy()
        hashed.update(_ends(walk))
        return _text(hashed), problem


def _text(hashed: Any) -> str:
    return f"{VERSION}{hashed.hexdigest()[: 2 * HASH_LENGTH]}"


def _problem_bytes(location: Location, walk: Walk) -> bytes:
    flow = location.flow
    return b"".join(
        (
            _counted(location.bridge),
            bytes((location.table_id & 0xFF,)),
            _counted(location.reason),
            (0 if flow is None else flow.priority).to_bytes(2, "big"),
            _counted("" if flow is None else flow.match),
            _PROBLEM.pack(
                max(walk.ethertype, 0),
                0xFFFF if walk.protocol == NONE else walk.protocol,
                max(walk.destination_port, 0),
            ),
        )
    )


def _ends(walk: Walk) -> bytes:
    source, destination = walk.source, walk.destination
    if not source and walk.packet.ethernet is not None:
        ethernet = walk.packet.ethernet
        source = bytes.fromhex(ethernet.source.replace(":", ""))
        destination = bytes.fromhex(ethernet.destination.replace(":", ""))
    return b"".join((bytes((len(source),)), source, bytes((len(destination),)), destination))


def _counted(text: str) -> bytes:
    data = text.encode("utf-8", "backslashreplace")
    return len(data).to_bytes(4, "big") + data
