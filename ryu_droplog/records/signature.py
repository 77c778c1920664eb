"""The signature of a drop's record, without the record."""

from __future__ import annotations

from ryu_droplog.model.drop import Drop, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.records.keys import CACHE_SIZE, Keys


class Signatures:
    """The signature of each drop; those of connections are remembered. For one thread at a time."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._remembered: dict[object, bytes] = {}

    def of(self, drop: Drop) -> bytes:
        """What the record of the drop has as `signature`."""
        l3, l4 = drop.l3, drop.l4
        if not (isinstance(l3, IPv4 | IPv6) and isinstance(l4, Tcp | Udp)):
            return self._made(drop)
        ports = l4.src_port, l4.dst_port
        flow = drop.location, drop.ethertype, drop.protocol, ports, l3.src, l3.dst
        signature = self._remembered.get(flow)
        if signature is None:
            if len(self._remembered) >= CACHE_SIZE:
                self._remembered.clear()
            signature = self._remembered[flow] = self._made(drop)
        return signature

    def _made(self, drop: Drop) -> bytes:
        walk, _ = decode(drop.frame)
        return self._keys.of(drop.location, walk)[0].encode("ascii")
