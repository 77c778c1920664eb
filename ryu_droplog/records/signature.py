"""The signature and the problem of a drop's record, without the record."""

from __future__ import annotations

from ryu_droplog.model.drop import Arp, Drop, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.records.keys import CACHE_SIZE, Keys


class Signatures:
    """The keys of each drop; those of most are remembered. For one thread at a time."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._remembered: dict[object, tuple[str, str]] = {}

    def of(self, drop: Drop) -> bytes:
        """What the record of the drop has as `signature`."""
        return self.keys(drop)[0].encode("ascii")

    def keys(self, drop: Drop) -> tuple[str, str]:
        """What the record of the drop has as `signature` and as `problem`."""
        l3, l4 = drop.l3, drop.l4
        flow: tuple[object, ...]
        if isinstance(l3, IPv4 | IPv6) and isinstance(l4, Tcp | Udp):
            ports = l4.src_port, l4.dst_port
            flow = drop.location, drop.ethertype, drop.protocol, ports, l3.src, l3.dst
        elif isinstance(l3, IPv4) and isinstance(l4, Icmp):
            flow = drop.location, drop.ethertype, drop.protocol, l3.src, l3.dst
        elif isinstance(l3, Arp):
            ends = drop.smac, drop.dmac, l3.sender_ip, l3.target_ip
            flow = drop.location, drop.ethertype, ends
        else:
            return self._made(drop)
        keys = self._remembered.get(flow)
        if keys is None:
            if len(self._remembered) >= CACHE_SIZE:
                self._remembered.clear()
            keys = self._remembered[flow] = self._made(drop)
        return keys

    def _made(self, drop: Drop) -> tuple[str, str]:
        walk, _ = decode(drop.frame)
        return self._keys.signature_and_problem(drop.location, walk)
