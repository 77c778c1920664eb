"""`smac`, `dmac`: the MACs of a packet."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from netaddr import EUI

from ryu_droplog.filters.masked import Masked, acceptance, masked
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet import headers
from ryu_droplog.plugins.filter_key import FilterKey, Form, Test, indifferent

WHOLE_MAC = b"\xff" * headers.MAC_LENGTH
"""The mask of one MAC alone."""
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)


class MacKey(FilterKey):
    """A MAC, or MAC and mask; a frame that ends before it has none."""

    chance = 0.05
    cost = 2.0

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, description, {"type": "string"})

    def parse(self, value: object) -> Masked:
        """The MAC and its mask; bits outside the mask are ignored."""
        text, slash, mask_text = value.partition("/") if isinstance(value, str) else ("", "", "")
        if not _MAC.fullmatch(text) or (slash and not _MAC.fullmatch(mask_text)):
            # Without quotes, 10:20:30:40:50:10 is a number to base 60 in YAML 1.1.
            expected = 'a MAC or MAC/MASK, such as "5a:08:66:00:00:00/ff:ff:ff:00:00:00" in quotes'
            raise self.refuse(value, expected)
        return masked(EUI(text).packed, EUI(mask_text).packed if slash else WHOLE_MAC)

    def form(self, value: Masked) -> Form:
        """In lower case, with the mask where it leaves something out."""
        address, mask = value
        text = address.hex(":")
        return text if mask == WHOLE_MAC else f"{text}/{mask.hex(':')}"


class _Source(MacKey):
    def test(self, wanted: Mapping[str, Sequence[Masked | None]]) -> Test:
        starts, sets, tables = acceptance(wanted[self.name], headers.MAC_LENGTH)
        absent = indifferent(wanted[self.name])

        def test(left: int, drop: Drop) -> int:
            mac = drop.smac
            if not mac:
                return left & absent
            left &= sets[bisect_right(starts, mac)]
            for position, table in tables:
                if not left:
                    break
                left &= table[mac[position]]
            return left

        return test


class _Destination(MacKey):
    def test(self, wanted: Mapping[str, Sequence[Masked | None]]) -> Test:
        starts, sets, tables = acceptance(wanted[self.name], headers.MAC_LENGTH)
        absent = indifferent(wanted[self.name])

        def test(left: int, drop: Drop) -> int:
            mac = drop.dmac
            if not mac:
                return left & absent
            left &= sets[bisect_right(starts, mac)]
            for position, table in tables:
                if not left:
                    break
                left &= table[mac[position]]
            return left

        return test


_FORM = "a MAC, or MAC and mask: `5a:08:66:00:00:00/ff:ff:ff:00:00:00`"
SMAC = _Source("smac", f"source: {_FORM}")
DMAC = _Destination("dmac", f"destination: {_FORM}")
