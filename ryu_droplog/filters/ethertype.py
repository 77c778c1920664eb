"""`ethertype`: the EtherType behind all 802.1Q tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ryu_droplog.filters.numbers import as_number
from ryu_droplog.packet import headers
from ryu_droplog.plugins.filter_key import FilterKey, Form, Test, indifferent

ETHERTYPES: Mapping[str, int] = {
    "ipv4": headers.ETHERTYPE_IPV4,
    "ipv6": headers.ETHERTYPE_IPV6,
    "arp": headers.ETHERTYPE_ARP,
}
"""Names that `ethertype` may have in a configuration."""
ETHERTYPE_MAX = 0xFFFF
_HEXADECIMAL = re.compile(r"0x[0-9a-f]{1,4}", re.ASCII | re.IGNORECASE)


class _Ethertype(FilterKey):
    chance = 0.8

    def parse(self, value: object) -> int:
        if isinstance(value, str) and value.lower() in ETHERTYPES:
            return ETHERTYPES[value.lower()]
        if isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
            return int(value, 16)
        number = as_number(value, ETHERTYPE_MAX)
        if number is None:
            expected = f"an integer from 0 to 0xffff, or one of {', '.join(ETHERTYPES)}"
            raise self.refuse(value, expected)
        return number

    def form(self, value: int) -> Form:
        return f"0x{value:04x}"

    def test(self, wanted: Mapping[str, Sequence[int | None]]) -> Test:
        others = indifferent(wanted[self.name])
        accepted: dict[int, int] = {}
        for n, number in enumerate(wanted[self.name]):
            if number is not None:
                accepted[number] = accepted.get(number, others) | 1 << n
        find = accepted.get
        return lambda left, drop: left & find(drop.ethertype, others)


ETHERTYPE = _Ethertype(
    "ethertype",
    f"0 to 0xffff, or {', '.join(f'`{name}`' for name in ETHERTYPES)}; behind all 802.1Q tags",
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": ETHERTYPE_MAX}, {"type": "string"}]},
)
