"""Which drops are left out, and by whose rule: by default control chatter that nobody routes.

Pure: filters and a Drop in, a name out. What a drop costs here hardly depends on how many filters
there are, and not at all on whether its addresses and ports were seen before: a field is looked up
in tables that say for each of its values which filters accept it, and the answer is what all fields
have in common.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import xor
from typing import NamedTuple, TypeAlias

from ryu_droplog.config.filter_spec import (
    PORT_MAX,
    PROTOCOL_MAX,
    FilterSpec,
    Masked,
    Numbers,
)
from ryu_droplog.model.drop import Arp, Drop, Icmp
from ryu_droplog.packet import headers

_BYTE_VALUES = 256

_Wish: TypeAlias = tuple[int, bytes, bytes]
"""A filter's bit, and the address and mask that it wants."""

# A set of filters is an integer, whose bit n stands for the n-th of them.


class _Acceptance(NamedTuple):
    """Which filters accept an address of some length."""

    starts: Sequence[bytes]
    """Where the next range of addresses starts, in ascending order; prefixes are ranges."""
    sets: Sequence[int]
    """Those that accept the addresses before the first start, then from each start on; those whose
    mask is no prefix are in all of them."""
    tables: Sequence[tuple[int, Sequence[int]]]
    """For each byte that such a mask covers, its position and those that accept each value."""


class FilterSet:
    """Tells by which of its filters a drop is left out; it never changes, any thread may ask."""

    def __init__(self, filters: Sequence[FilterSpec]) -> None:
        """`filters` in the order in which they are asked."""
        self.names = tuple(filter.name for filter in filters)
        """Of all filters, in their order."""
        protocols = [filter.ip_proto for filter in filters]
        # The last one is found at -1, which stands for no protocol.
        self._protocols = [*_each(protocols, PROTOCOL_MAX), _indifferent(protocols)]

        ethertypes = [filter.ethertype for filter in filters]
        self._ethertypes, self._other_ethertypes = _numbers(ethertypes)
        self._with_ethertype = _having(ethertypes)

        sports, dports = [f.sport for f in filters], [f.dport for f in filters]
        self._sports, self._dports = _each(sports, PORT_MAX), _each(dports, PORT_MAX)
        self._with_port = _having(sports) | _having(dports)

        smacs, dmacs = [f.smac for f in filters], [f.dmac for f in filters]
        self._smacs, self._with_smac = _addresses(smacs, headers.MAC_LENGTH), _having(smacs)
        self._dmacs, self._with_dmac = _addresses(dmacs, headers.MAC_LENGTH), _having(dmacs)

        sips, dips = [f.sip for f in filters], [f.dip for f in filters]
        lengths = headers.IPV4_ADDRESS_LENGTH, headers.IPV6_ADDRESS_LENGTH
        self._sips, self._dips = _addresses(sips, *lengths), _addresses(dips, *lengths)
        self._with_ip = _having(sips) | _having(dips)

    def match(self, drop: Drop) -> str | None:
        """Name of the first filter that leaves the drop out; None: it is kept."""
        left = self._protocols[drop.protocol]
        if left and self._with_dmac:
            left = _narrow(left, self._dmacs, drop.dmac)
        if left and self._with_port:
            l4 = drop.l4
            if l4 is None or isinstance(l4, Icmp):
                left &= ~self._with_port
            else:
                left &= self._dports[l4.dst_port] & self._sports[l4.src_port]
        if left and self._with_ip:
            l3 = drop.l3
            if l3 is None:
                left &= ~self._with_ip
            elif isinstance(l3, Arp):
                left = _narrow(left, self._dips, l3.target_ip)
                left = _narrow(left, self._sips, l3.sender_ip)
            else:
                left = _narrow(left, self._dips, l3.dst)
                left = _narrow(left, self._sips, l3.src)
        if left and self._with_smac:
            left = _narrow(left, self._smacs, drop.smac)
        if left and self._with_ethertype:
            left &= self._ethertypes.get(drop.ethertype, self._other_ethertypes)
        # The lowest bit that is set is the first filter.
        return self.names[(left & -left).bit_length() - 1] if left else None


def _narrow(left: int, acceptances: Mapping[int, _Acceptance], address: bytes) -> int:
    """Those of the filters `left` that accept the address, which may be empty."""
    starts, sets, tables = acceptances[len(address)]
    left &= sets[bisect_right(starts, address)]
    for position, table in tables:
        if not left:
            break
        left &= table[address[position]]
    return left


def _having(wanted: Iterable[object | None]) -> int:
    """The filters that want something of a field."""
    return sum(1 << n for n, value in enumerate(wanted) if value is not None)


def _numbers(wanted: Sequence[int | None]) -> tuple[dict[int, int], int]:
    """The filters that accept each number that any of them wants, and those that accept others."""
    others = sum(1 << n for n, number in enumerate(wanted) if number is None)
    accepted = {number: others for number in wanted if number is not None}
    for n, number in enumerate(wanted):
        if number is not None:
            accepted[number] |= 1 << n
    return accepted, others


def _each(wanted: Sequence[Numbers | None], highest: int) -> list[int]:
    """The filters that accept each number from 0 to `highest`."""
    edges: dict[int, int] = {}
    for n, ranges in enumerate(wanted):
        for low, high in ranges or ():
            edges[low] = edges.get(low, 0) ^ 1 << n
            edges[high + 1] = edges.get(high + 1, 0) ^ 1 << n
    accepted: list[int] = []
    accepting = _indifferent(wanted)
    for edge in sorted(edges):
        accepted += [accepting] * (edge - len(accepted))
        accepting ^= edges[edge]
    return accepted + [accepting] * (highest + 1 - len(accepted))


def _indifferent(wanted: Sequence[object | None]) -> int:
    """The filters that want nothing of a field."""
    return ((1 << len(wanted)) - 1) ^ _having(wanted)


def _addresses(wanted: Sequence[Masked | None], *lengths: int) -> dict[int, _Acceptance]:
    """The filters that accept an address, for each length that it may have; 0: it is not there."""
    return {length: _acceptance(wanted, length) for length in (0, *lengths)}


def _acceptance(wanted: Sequence[Masked | None], length: int) -> _Acceptance:
    prefixes: list[_Wish] = []
    others: list[_Wish] = []
    possible = 0
    for n, masked in enumerate(wanted):
        if masked is None:
            possible |= 1 << n
        elif len(masked[0]) == length:
            wish = 1 << n, *masked
            if _is_prefix(masked[1]):
                prefixes.append(wish)
            else:
                others.append(wish)
                possible |= 1 << n
    starts, sets = _ranges(prefixes, possible, length)
    return _Acceptance(starts, sets, _tables(others, (1 << len(wanted)) - 1, length))


def _ranges(wishes: Iterable[_Wish], possible: int, length: int) -> tuple[list[bytes], list[int]]:
    """Those that accept each range of addresses; `possible` are those that accept all of them."""
    edges: dict[int, int] = {}
    for bit, address, mask in wishes:
        start = int.from_bytes(address, "big")
        size = (1 << length * 8) - int.from_bytes(mask, "big")
        edges[start] = edges.get(start, 0) ^ bit
        edges[start + size] = edges.get(start + size, 0) ^ bit
    edges.pop(1 << length * 8, None)  # behind the last address
    starts = sorted(edges)
    sets = accumulate((edges[start] for start in starts), xor, initial=possible)
    return [start.to_bytes(length, "big") for start in starts], list(sets)


def _tables(wishes: Sequence[_Wish], everyone: int, length: int) -> list[tuple[int, Sequence[int]]]:
    """Those that accept each value of each byte that any of them covers."""
    tables: list[tuple[int, Sequence[int]]] = []
    for position in range(length):
        caring = [(bit, value[position], mask[position]) for bit, value, mask in wishes]
        caring = [(bit, value, mask) for bit, value, mask in caring if mask]
        if not caring:
            continue
        table = [everyone & ~sum(bit for bit, _, _ in caring)] * _BYTE_VALUES
        for bit, value, mask in caring:
            for accepted in range(_BYTE_VALUES):
                if accepted & mask == value:
                    table[accepted] |= bit
        tables.append((position, table))
    # First the bytes that leave the fewest filters, at worst.
    tables.sort(key=lambda entry: max(accepting.bit_count() for accepting in entry[1]))
    return tables


def _is_prefix(mask: bytes) -> bool:
    """Whether no bit is set behind one that is not."""
    holes = (1 << len(mask) * 8) - 1 - int.from_bytes(mask, "big")
    return holes & (holes + 1) == 0
