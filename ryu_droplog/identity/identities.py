"""Whose packets are, for sinks and observers: what held when a packet was received.

Asked for each drop, so what was found out of a flow is remembered until anything changes.
"""

from __future__ import annotations

import logging

from msgspec.structs import replace

from ryu_droplog.identity.ends import BridgeEnds
from ryu_droplog.identity.knowledge import Epoch, Knowledge
from ryu_droplog.identity.whose import Packet, whose
from ryu_droplog.model.drop import Arp, Drop, IPv4, IPv6
from ryu_droplog.model.location import Location
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import Identities as Ends
from ryu_droplog.records.record import Identity

LOG = logging.getLogger(__name__)

LATE = 2.0
"""Seconds after a packet in which it may become known whose it was (`identify_late`)."""
LOOKS = 100
"""Changes in that time that are looked at."""
FLOW_CACHE_SIZE = 8_192
"""Flows whose ends are remembered at most, of each time between two changes."""
BRIDGES = 256
"""Bridges whose ends are remembered at most, as long."""
NOBODY: Ends = (None, None)
_NONE = b""


class Identities:
    """Whose packets are. For any thread; never waits, never raises."""

    def __init__(self, knowledge: Knowledge, bridges: BridgeDirectory) -> None:
        self._knowledge = knowledge
        self._bridges = bridges
        self.mistaken = False
        """Whether a mistake of this program has cost an answer."""

    def identify(self, drop: Drop, in_port: int) -> Ends:
        """Whose a packet was when it was received; `in_port` is 0 where it is not known.

        The same object for the packets of a flow, as long as nothing changes.
        """
        received = drop.received
        if not received:  # of a capture: nobody knows what held then
            return NOBODY
        for epoch in self._knowledge.epochs:
            if received >= epoch.since:
                break
        else:
            return self._find(drop, in_port, received)
        l3 = drop.l3
        kind = l3.__class__
        if kind is IPv4 or kind is IPv6:
            flow = (drop.location, in_port, drop.smac, drop.dmac, l3.src, l3.dst)  # type: ignore[union-attr]
        elif kind is Arp:
            flow = (drop.location, in_port, drop.smac, drop.dmac, l3.sender_ip, l3.target_ip)  # type: ignore[union-attr]
        else:
            flow = (drop.location, in_port, drop.smac, drop.dmac, _NONE, _NONE)
        found: Ends | None = epoch.answers.get(flow)
        return found if found is not None else self._remember(epoch, flow, drop, in_port)

    def identify_late(self, drop: Drop, in_port: int) -> Ends:
        """The same for who shows a drop later: an end that was not known then may be by now.

        It is what became known first within `LATE` seconds after the packet, and marked `late`;
        it does not change any more, and an end that was known is never another.
        """
        ends = self.identify(drop, in_port)
        if not drop.received or (ends[0] is not None and ends[1] is not None):
            return ends
        source, destination = ends
        changes = self._knowledge.changes(drop.received, drop.received + LATE)
        for moment in changes[:LOOKS]:
            if source is None or destination is None:
                then = self._find(drop, in_port, moment)
                source, destination = source or _late(then[0]), destination or _late(then[1])
        return source, destination

    def _remember(self, epoch: Epoch, flow: object, drop: Drop, in_port: int) -> Ends:
        if len(epoch.answers) >= FLOW_CACHE_SIZE:
            epoch.answers.clear()
        found = epoch.answers[flow] = self._find(drop, in_port, drop.received, epoch)
        return found

    def _find(self, drop: Drop, in_port: int, moment: float, epoch: Epoch | None = None) -> Ends:
        try:
            source = destination = _NONE
            l3 = drop.l3
            if isinstance(l3, Arp):
                source, destination = l3.sender_ip, l3.target_ip
            elif l3 is not None:
                source, destination = l3.src, l3.dst
            packet = Packet(in_port, drop.smac, drop.dmac, source, destination)
            return whose(packet, self._ends_on(drop.location, moment, epoch))
        except Exception:
            if not self.mistaken:
                LOG.exception("it cannot be told whose a packet is")
            self.mistaken = True
            return NOBODY

    def _ends_on(self, location: Location, moment: float, epoch: Epoch | None) -> BridgeEnds:
        """The ends on the bridge of a drop then; those of an epoch are remembered."""
        bridge, datapath_id = location.bridge, self._bridges.datapath_id(location.key[0])
        if epoch is None:
            return BridgeEnds(self._knowledge, moment, bridge, datapath_id)
        key = bridge, datapath_id
        found: BridgeEnds | None = epoch.bridges.get(key)
        if found is None:
            if len(epoch.bridges) >= BRIDGES:
                epoch.bridges.clear()
            found = BridgeEnds(self._knowledge, epoch.since, bridge, datapath_id)
            epoch.bridges[key] = found
        return found


def _late(identity: Identity | None) -> Identity | None:
    return None if identity is None else replace(identity, late=True)
