"""Addresses with masks: which of many filters accept an address. Pure.

What it costs hardly depends on how many filters there are, and not at all on whether the address
was seen before: prefixes are ranges of addresses, found by bisection; for other masks, tables say
for each value of each byte which filters accept it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import xor
from typing import NamedTuple, TypeAlias

Masked: TypeAlias = tuple[bytes, bytes]
"""An address and a mask of the same length, no bit set outside the mask."""

_BYTE_VALUES = 256

_Wish: TypeAlias = tuple[int, bytes, bytes]
"""A filter's bit, and the address and mask that it wants."""


ByteTables: TypeAlias = Sequence[tuple[int, Sequence[int]]]


class Acceptance(NamedTuple):
    """Which filters accept an address of some length."""

    starts: Sequence[bytes]
    """Where the next range of addresses starts, in ascending order; prefixes are ranges."""
    sets: Sequence[int]
    """Those that accept the addresses before the first start, then from each start on; those whose
    mask is no prefix are in all of them."""
    tables: ByteTables
    """For each byte that such a mask covers, its position and those that accept each value."""


def masked(address: bytes, mask: bytes) -> Masked:
    """The address without the bits outside of the mask, and the mask."""
    return bytes(a & b for a, b in zip(address, mask, strict=True)), mask


def narrow(left: int, accepted: Acceptance, address: bytes) -> int:
    """Those of the filters `left` that accept the address, which has the length of `accepted`."""
    starts, sets, tables = accepted
    left &= sets[bisect_right(starts, address)]
    for position, table in tables:
        if not left:
            break
        left &= table[address[position]]
    return left


def acceptance(wanted: Sequence[Masked | None], length: int) -> Acceptance:
    """The filters that accept an address of this length."""
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
    return Acceptance(starts, sets, _tables(others, (1 << len(wanted)) - 1, length))


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


def _tables(wishes: Sequence[_Wish], everyone: int, length: int) -> ByteTables:
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
