"""`ip_proto`: the protocol of an IPv4 packet, the next header of an IPv6 packet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ryu_droplog.filters.numbers import NumberKey, Numbers
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet import headers
from ryu_droplog.plugins.filter_key import Test

PROTOCOLS: Mapping[str, int] = {
    "icmp": headers.PROTOCOL_ICMP,
    "igmp": headers.PROTOCOL_IGMP,
    "tcp": headers.PROTOCOL_TCP,
    "udp": headers.PROTOCOL_UDP,
    "icmpv6": headers.PROTOCOL_ICMPV6,
    "sctp": headers.PROTOCOL_SCTP,
}
"""Names that `ip_proto` may have in a configuration."""
PROTOCOL_MAX = 0xFF


class _Protocol(NumberKey):
    chance = 0.3

    def number(self, drop: Drop) -> int:
        return drop.protocol

    def test(self, wanted: Mapping[str, Sequence[Numbers | None]]) -> Test:
        table = self.table(wanted[self.name])
        return lambda left, drop: left & table[drop.protocol]


IP_PROTO = _Protocol(
    "ip_proto",
    f"0 to 255, or {', '.join(f'`{name}`' for name in PROTOCOLS)}; for IPv6, the next header",
    PROTOCOL_MAX,
    "0-5",
    PROTOCOLS,
)
