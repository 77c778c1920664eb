"""From a Drop to its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.packet.deep.layers import Arp
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records.context import EncoderContext
from ryu_droplog.records.keys import Keys
from ryu_droplog.records.record import VERSION, End, Frame, Port, Record, Rule, Table
from ryu_droplog.records.switch_context import SwitchContexts
from ryu_droplog.records.times import rfc3339

LOCATION_CACHE_SIZE = 16_384
"""Locations whose parts of a record are remembered at most."""
DIRECTIONS = frozenset(("ingress", "egress"))
_LOCAL_PORT = 0xFFFFFFFE  # OFPP_LOCAL, OpenFlow 1.3.5 section 7.2.1
_ONE_BRIDGE_PORTS = {_LOCAL_PORT: "LOCAL"}


class _Place(NamedTuple):
    """What all records of a location have in common."""

    source: str
    table: Table
    drop_reason: str
    rule: Rule | None


class Made(NamedTuple):
    """A record, and what of the packet an encoder may need as it was on the wire."""

    record: Record
    walk: Walk


class RecordMaker:
    """Makes the records of one encoder; what repeats is made once."""

    def __init__(self, context: EncoderContext) -> None:
        self._context = context
        self._places: dict[Location, _Place] = {}
        self._contexts = SwitchContexts()
        self._keys = Keys()
        self._full = context.payload == "full"
        self._read_at = -1.0
        self._time = self._observed = ""

    def make(self, drop: Drop) -> Made:
        """All that is known of a drop; raises on nothing that a packet or a switch may say."""
        walk, headers_end = decode(drop.frame)
        return Made(self.record(drop, walk, headers_end), walk)

    def record(self, drop: Drop, walk: Walk, headers_end: int) -> Record:
        """The same of a drop whose frame is taken apart already."""
        location, context = drop.location, self._context
        place = self._places.get(location) or self._place(location)
        in_port, switch = self._contexts[drop.metadata]
        owner = dict(context.explain(drop))
        signature, problem, community_id = self._keys.of(location, walk)
        time, observed = self.times(drop.time)
        source, destination = _ends(location, walk)
        if source is not None and destination is not None:
            source.identity, destination.identity = context.identify(drop, in_port)
        record = Record(
            VERSION,
            time,
            observed,
            context.node,
            location.bridge,
            place.table,
            location.reason,
            place.drop_reason,
            signature,
            problem,
            walk.packet,
            Frame(len(drop.frame), self.payload(drop.frame, headers_end)),
            context.bridges.datapath_id(place.source),
            location.pipeline,
            location.cause,
            place.rule,
            self._port(place.source, in_port) if in_port else None,
            _direction(owner),
            source,
            destination,
            community_id,
            switch,
            owner,
        )
        if drop.repeated:
            record.repeated = drop.repeated
            record.first_time = rfc3339(drop.first_time or drop.time)
            record.last_time = time
        record.acknowledged = context.baseline.find(signature, problem, drop.time)
        return record

    def times(self, read_at: float) -> tuple[str, str]:
        """When the packet was read, and observed: what was read at once is observed at once."""
        if read_at != self._read_at:
            self._read_at, self._time = read_at, rfc3339(read_at)
            self._observed = rfc3339(self._context.clock())
        return self._time, self._observed

    def payload(self, frame: bytes, headers_end: int) -> bytes:
        """The bytes of a packet that may leave the program."""
        return frame if self._full else frame[:headers_end]

    def _place(self, location: Location) -> _Place:
        if len(self._places) >= LOCATION_CACHE_SIZE:
            self._places.clear()
        place = self._places[location] = _Place(
            location.key[0],
            Table(location.table_id, location.table),
            location.drop_reason,
            _rule(location),
        )
        return place

    def _port(self, source: str, number: int) -> Port:
        name = self._context.bridges.port_name(source, number)
        return Port(number, name or _ONE_BRIDGE_PORTS.get(number, ""))


def _rule(location: Location) -> Rule | None:
    flow = location.flow
    if flow is None:
        return Rule(location.policy) if location.policy else None
    cookie = f"{flow.cookie:#x}"
    return Rule(location.policy, cookie, flow.priority, flow.match, dict(flow.names))


def _direction(owner: Mapping[str, str | int]) -> str:
    told = owner.get("direction")
    return told if isinstance(told, str) and told in DIRECTIONS else ""


def _ends(location: Location, walk: Walk) -> tuple[End | None, End | None]:
    packet = walk.packet
    ethernet = packet.ethernet
    source, destination = End(), End()
    if ethernet is not None:
        source.mac, destination.mac = ethernet.source, ethernet.destination
    ip = packet.ipv4 or packet.ipv6
    if ip is not None:
        source.ip, destination.ip = ip.source, ip.destination
    elif isinstance(packet.arp, Arp):
        source.ip, destination.ip = packet.arp.sender_ip, packet.arp.target_ip
    if walk.source_port != NONE:
        source.port, destination.port = walk.source_port, walk.destination_port
    source.tenant = location.source_tenant or ""
    destination.tenant = location.destination_tenant or ""
    return (
        source if source.mac or source.ip or source.tenant else None,
        destination if destination.mac or destination.ip or destination.tenant else None,
    )
