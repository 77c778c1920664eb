"""Whose a packet is, of the ends that are known on its bridge. Pure.

Nothing is guessed: where two different ends answer to an address, neither is named.
"""

from __future__ import annotations

from typing import NamedTuple

from ryu_droplog.identity.ends import BridgeEnds, End
from ryu_droplog.identity.statement import ADDRESS, IN_PORT, MAC
from ryu_droplog.records.record import Identity

LOCAL_PORT, LOCAL_OFPORT = 0xFFFFFFFE, 65534
"""A bridge's own port, as OpenFlow 1.3 has it (section 7.2.1), and as OVSDB has it."""
_GROUP_BIT = 1
"""In the first byte of a MAC: it is no station's (IEEE 802-2014 section 8.2.2)."""

Networks = frozenset[tuple[str, str]]


class Packet(NamedTuple):
    """What of a packet its ends are found by."""

    in_port: int
    """0: not known."""
    source_mac: bytes
    destination_mac: bytes
    """6 bytes, or none."""
    source: bytes
    destination: bytes
    """IP addresses: 4 bytes, 16 bytes, or none."""


def whose(packet: Packet, ends: BridgeEnds) -> tuple[Identity | None, Identity | None]:
    """Whose source and destination are; None: not known.

    The source is at the port where the packet came in, whatever addresses it takes, where anything
    more is known of that port than its name. All else is found by MAC, and by IP address where the
    MAC is a router's, or where it does not speak against it.
    """
    at_port = _at_port(packet.in_port, ends)
    source, found_by = at_port, "port"
    if source is None or not source.is_someone:
        source, found_by = _by_mac(packet.source_mac, ends, frozenset()), "mac"
    networks = source.networks if source is not None else frozenset()
    destination = _by_mac(packet.destination_mac, ends, networks)
    if destination is not None:
        networks |= destination.networks
    first = _settled(source, found_by, packet.source_mac, packet.source, ends, networks)
    if first is None and at_port is not None and not (at_port.forwards or at_port.is_passage):
        first = at_port.identity("port")
    return first, _settled(
        destination, "mac", packet.destination_mac, packet.destination, ends, networks
    )


def _at_port(in_port: int, ends: BridgeEnds) -> End | None:
    """Who is at the port where the packet came in."""
    if not in_port:
        return None
    number = LOCAL_OFPORT if in_port == LOCAL_PORT else in_port
    return _only(ends.of((IN_PORT, (ends.bridge, number))))


def _by_mac(mac: bytes, ends: BridgeEnds, networks: Networks) -> End | None:
    if not mac or mac[0] & _GROUP_BIT:
        return None
    found = ends.of((MAC, mac))
    if len(found) > 1:
        found = tuple(end for end in found if end.networks & networks)
    return _only(found)


def _settled(
    end: End | None,
    found_by: str,
    mac: bytes,
    address: bytes,
    ends: BridgeEnds,
    networks: Networks,
) -> Identity | None:
    """The end, or where it is a router's or not known, who has the address behind it."""
    if end is not None and (not end.forwards or not address or address in end.addresses):
        return end.identity(found_by)
    if not address:
        return None
    known = ends.of((ADDRESS, address))
    fitting = tuple(each for each in known if mac in each.macs or each.networks & networks)
    if not fitting:
        fitting = known if end is not None else tuple(each for each in known if not each.macs)
    found = _only(fitting if known else ends.in_range(address))
    return found.identity("ip") if found is not None else None


def _only(ends: tuple[End, ...]) -> End | None:
    return ends[0] if len(ends) == 1 else None
