"""`sport`, `dport`: the ports of TCP and UDP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ryu_droplog.filters.numbers import Numbers, NumbersKey, accepting
from ryu_droplog.model.drop import Drop, Icmp
from ryu_droplog.plugins.filter_key import Test, indifferent

PORT_MAX = 0xFFFF


class PortKey(NumbersKey):
    """Ports: no packet without a header of TCP or UDP has one."""

    chance = 0.02
    cost = 1.5

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, description, PORT_MAX, "8000-8080", tested=("sport", "dport"))

    def test(self, wanted: Mapping[str, Sequence[Numbers | None]]) -> Test:
        """Look both ports up."""
        sports, dports = wanted["sport"], wanted["dport"]
        sources, destinations = accepting(sports, PORT_MAX), accepting(dports, PORT_MAX)
        absent = indifferent(sports) & indifferent(dports)

        def test(left: int, drop: Drop) -> int:
            l4 = drop.l4
            if l4 is None or isinstance(l4, Icmp):
                return left & absent
            return left & destinations[l4.dst_port] & sources[l4.src_port]

        return test


SPORT = PortKey("sport", "source: 0 to 65535, of TCP or UDP")
DPORT = PortKey("dport", "destination: 0 to 65535, of TCP or UDP")
