"""Which drops are captured in flow-based mode: the agent's flow specifications.

What the switch itself can choose is said by `ryu_droplog.openflow.capture_match`; what it hands
over is asked here, drop by drop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from ryu_droplog.config.capture_spec import TUN_DST, TUN_SRC, TUNNEL_ID, FlowSpec
from ryu_droplog.model.drop import Drop, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet.packet_in import oxm_fields

FLOW_BASED = "drop-log-mode flow-based"
"""Name, in the books, of what leaves out drops that no flow file asks for."""
_FIELDS = (
    "src_mac",
    "dst_mac",
    "eth_type",
    "ip_proto",
    "inner_src",
    "inner_dst",
    "src_port",
    "dst_port",
    "tunnel_id",
    "outer_src",
    "outer_dst",
)
"""The fields of a FlowSpec in the order of `_values`."""
_NO_TUNNEL = (0, bytes(4), bytes(4))
_FIRST_OF_TUNNEL = len(_FIELDS) - len(_NO_TUNNEL)


class CaptureFilter:
    """Asks of each drop whether one of many specifications fits it.

    Specifications that name the same fields are looked up together, so that a thousand of them
    cost about as much as one.
    """

    def __init__(self, specs: Sequence[FlowSpec]) -> None:
        """Without any `specs` nothing fits."""
        wanted: dict[tuple[int, ...], set[Any]] = {}
        for spec in specs:
            values = tuple(getattr(spec, name) for name in _FIELDS)
            named = tuple(place for place, value in enumerate(values) if value is not None)
            wanted.setdefault(named, set()).add(itemgetter(*named)(values) if named else ())
        self._all = () in wanted
        self._asks_tunnel = any(place >= _FIRST_OF_TUNNEL for named in wanted for place in named)
        self._lookups: list[tuple[Callable[[Sequence[object]], Any], set[Any]]] = [
            (itemgetter(*named), known) for named, known in wanted.items() if named
        ]

    def match(self, drop: Drop) -> str | None:
        """Why the drop is left out, as `chain.DropFilter` has it; None: it is captured."""
        return None if self.fits(drop) else FLOW_BASED

    def fits(self, drop: Drop) -> bool:
        """Whether the headers of the drop, and its tunnel, are what any specification asks for.

        What the drop does not have, because its frame is cut, say, fits only a specification that
        does not name it. Addresses of ARP and ports of other protocols than TCP and UDP do not
        count. A tunnel id of 0 and an outer address of 0.0.0.0 are the same as none, as in the
        switch.
        """
        if self._all:
            return True
        if not self._lookups:
            return False
        values = _values(drop, _tunnel(drop.metadata) if self._asks_tunnel else _NO_TUNNEL)
        return any(pick(values) in known for pick, known in self._lookups)


def _values(drop: Drop, tunnel: tuple[int, bytes, bytes]) -> tuple[object, ...]:
    src = dst = src_port = dst_port = None
    if isinstance(drop.l3, (IPv4, IPv6)):
        src, dst = drop.l3.src, drop.l3.dst
    if isinstance(drop.l4, (Tcp, Udp)):
        src_port, dst_port = drop.l4.src_port, drop.l4.dst_port
    return (
        drop.smac,
        drop.dmac,
        drop.ethertype,
        drop.protocol,
        src,
        dst,
        src_port,
        dst_port,
        *tunnel,
    )


def _tunnel(metadata: bytes) -> tuple[int, bytes, bytes]:
    """Tunnel id, outer source and destination."""
    tunnel_id, src, dst = _NO_TUNNEL
    for oxm_class, number, value, _ in oxm_fields(metadata):
        field = (oxm_class, number)
        if field == TUNNEL_ID:
            tunnel_id = int.from_bytes(value, "big")
        elif field == TUN_SRC:
            src = value
        elif field == TUN_DST:
            dst = value
    return tunnel_id, src, dst
