"""`smac`, `dmac`: the MACs of a packet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter

from netaddr import EUI

from ryu_droplog.filters.masked import Masked, acceptance, masked, narrow
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet import headers
from ryu_droplog.plugins.filter_key import FilterKey, Form, Test, indifferent

WHOLE_MAC = b"\xff" * headers.MAC_LENGTH
"""The mask of one MAC alone."""
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)


class MacKey(FilterKey):
    """A MAC, or MAC and mask, of the field of `Drop` with the key's name.

    A frame that ends before it has none.
    """

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

    def test(self, wanted: Mapping[str, Sequence[Masked | None]]) -> Test:
        accepted = acceptance(wanted[self.name], headers.MAC_LENGTH)
        absent = indifferent(wanted[self.name])
        mac_of = attrgetter(self.name)

        def test(left: int, drop: Drop) -> int:
            mac = mac_of(drop)
            return narrow(left, accepted, mac) if mac else left & absent

        return test


_FORM = "a MAC, or MAC and mask: `5a:08:66:00:00:00/ff:ff:ff:00:00:00`"
SMAC = MacKey("smac", f"source: {_FORM}")
DMAC = MacKey("dmac", f"destination: {_FORM}")
