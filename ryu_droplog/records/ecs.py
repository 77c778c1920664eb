"""The encoding `ecs`: Elastic Common Schema, and the whole record in `openvswitch.record`.

Names and types by the schema's published field list (ECS 8.17); docs/record.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records import names
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import LOCATION_CACHE_SIZE, RecordMaker
from ryu_droplog.records.msgpack_map import map_head, pack, pack_record, pairs
from ryu_droplog.records.record import End, Record

ECS_VERSION = "8.17.0"
DATASET = "ryu_droplog.drop"
FLOW_CACHE_SIZE = 4_096
"""Flows whose part of a document is remembered at most: some kilobytes each."""
_ECS = {"version": ECS_VERSION}
_EVENT = {
    "kind": "event",
    "category": ["network"],
    "outcome": "success",
    "module": names.PRODUCT,
    "dataset": DATASET,
    "provider": names.PRODUCT,
}
_DENIED = {"type": ["connection", "denied"], "action": "dropped"}
_ALLOWED = {"type": ["connection", "allowed"], "action": "permitted"}

_T = TypeVar("_T")


class _Parts(NamedTuple):
    """What a document is made of, beside its times and the record."""

    event: dict[str, Any]
    document: dict[str, Any]
    openvswitch: dict[str, Any]


class _Documents:
    """Makes the parts of documents on one node."""

    def __init__(self, context: EncoderContext) -> None:
        self._host = {"name": context.node}
        self._observer: dict[str, Any] = {
            "vendor": names.VENDOR,
            "product": names.PRODUCT,
            "type": "switch",
            "version": __version__,
            "hostname": context.node,
        }

    def parts(self, record: Record, walk: Walk) -> _Parts:
        document: dict[str, Any] = {
            "ecs": _ECS,
            "message": names.summary(record, walk),
            "host": self._host,
            "observer": _observer(self._observer, record),
            "rule": _rule(record),
            "network": _network(record, walk),
        }
        addresses = []
        for key, end in (("source", record.source), ("destination", record.destination)):
            if end is not None:
                document[key] = _end(end)
                if end.ip and end.ip not in addresses:
                    addresses.append(end.ip)
        if addresses:
            document["related"] = {"ip": addresses}
        return _Parts(_event(record), document, _openvswitch(record))


class _Remembered(Generic[_T]):
    """The parts of the documents of flows, made once for each; emptied when it is full."""

    def __init__(self, context: EncoderContext, write: Callable[[_Parts], _T]) -> None:
        self._documents = _Documents(context)
        self._write = write
        self._flows: dict[tuple[Any, ...], _T] = {}

    def of(self, location: Location, record: Record, walk: Walk) -> _T:
        """The parts as `write` has them."""
        flow = _flow(location, record, walk)
        made = self._flows.get(flow) if flow is not None else None
        if made is None:
            made = self._write(self._documents.parts(record, walk))
            if flow is not None:
                if len(self._flows) >= FLOW_CACHE_SIZE:
                    self._flows.clear()
                self._flows[flow] = made
        return made


def encoder(context: EncoderContext) -> Encode:
    """Elastic Common Schema, a JSON object a drop."""
    maker = RecordMaker(context)

    def write(parts: _Parts) -> tuple[bytes, bytes]:
        """What stands before the times of the event and behind them."""
        between = b',"openvswitch":'
        behind = (to_json(parts.document)[1:-1], between, to_json(parts.openvswitch)[:-1])
        return to_json(parts.event)[:-1], b"".join((*behind, b',"record":'))

    remembered = _Remembered(context, write)

    def encode(drop: Drop) -> bytes:
        record, walk = maker.make(drop)
        event, behind = remembered.of(drop.location, record, walk)
        times = f',"created":"{record.observed_time}"'
        if record.repeated:
            times += f',"start":"{record.first_time}","end":"{record.last_time}"'
        return b"".join(
            (
                f'{{"@timestamp":"{record.time}","event":'.encode(),
                event,
                f"{times}}},".encode(),
                behind,
                to_json(record),
                b"}}",
            )
        )

    return encode


def packer(context: EncoderContext) -> Encode:
    """The same object in msgpack. Raises UnicodeEncodeError for what UTF-8 cannot have."""
    maker = RecordMaker(context)

    def write(parts: _Parts) -> tuple[bytes, bytes, bytes, bytes]:
        """What stands before the time, behind it (of a repeated drop, too), and behind the event.

        Of the event the time of its creation comes last, or the times of its start and end.
        """
        before = map_head(len(parts.document) + 3) + pack("@timestamp")
        event = pairs(parts.event)
        alone, repeated = (
            b"".join((pack("event"), map_head(len(parts.event) + times), event, pack("created")))
            for times in (1, 3)
        )
        behind = (
            pairs(parts.document),
            pack("openvswitch"),
            map_head(len(parts.openvswitch) + 1),
            pairs(parts.openvswitch),
            pack("record"),
        )
        return before, alone, repeated, b"".join(behind)

    remembered = _Remembered(context, write)

    def encode(drop: Drop) -> bytes:
        record, walk = maker.make(drop)
        before, alone, repeated, behind = remembered.of(drop.location, record, walk)
        created = pack(record.observed_time)
        if record.repeated:
            created += pairs({"start": record.first_time, "end": record.last_time})
            alone = repeated
        return b"".join((before, pack(record.time), alone, created, behind, pack_record(record)))

    return encode


def _flow(location: Location, record: Record, walk: Walk) -> tuple[Any, ...] | None:
    """All that the parts of a document are made of; None where they are not worth remembering."""
    source, destination = record.source, record.destination
    if record.repeated or record.packet.vlans or source is None or destination is None:
        return None
    port = record.port
    return (
        location,
        walk.ethertype,
        walk.protocol,
        source.mac,
        source.ip,
        source.port,
        destination.mac,
        destination.ip,
        destination.port,
        record.signature,
        record.community_id,
        record.frame.length,
        record.direction,
        record.datapath_id,
        None if port is None else (port.number, port.name),
    )


def _event(record: Record) -> dict[str, Any]:
    decided = _ALLOWED if record.reason == names.PERMIT else _DENIED
    return {**_EVENT, **decided, "reason": record.drop_reason, "code": record.reason}


def _rule(record: Record) -> dict[str, str]:
    told = {"ruleset": record.table.name}
    rule = record.rule
    if rule is not None:
        told |= {"id": rule.cookie, "name": rule.name, "description": rule.match}
    return {key: value for key, value in told.items() if value}


def _observer(observer: dict[str, Any], record: Record) -> dict[str, Any]:
    port = record.port
    if port is None:
        return observer
    interface = {"id": str(port.number)}
    if port.name:
        interface["name"] = port.name
    return {**observer, "ingress": {"interface": interface}}


def _network(record: Record, walk: Walk) -> dict[str, Any]:
    told: dict[str, Any] = {"packets": record.repeated or 1}
    if not record.repeated:
        told["bytes"] = record.frame.length
    network, transport = names.network(walk), names.transport(walk)
    if network:
        told["type"] = network
    if walk.protocol != NONE:
        told["iana_number"] = str(walk.protocol)
        if transport:
            told["transport"] = transport
    if record.direction:
        told["direction"] = record.direction
    if record.community_id:
        told["community_id"] = record.community_id
    vlans = record.packet.vlans
    if vlans:
        told["vlan"] = {"id": str(vlans[0].id)}
        if len(vlans) > 1:
            told["inner"] = {"vlan": {"id": str(vlans[1].id)}}
    return told


def _end(end: End) -> dict[str, Any]:
    """MACs are upper case with hyphens there, as RFC 7042 section 2.1 writes them."""
    told: dict[str, Any] = {"address": end.ip or end.mac}
    if end.ip:
        told["ip"] = end.ip
    if end.port is not None:
        told["port"] = end.port
    if end.mac:
        told["mac"] = _MACS[end.mac]
    return told


class _Macs(dict[str, str]):
    """MACs as ECS writes them, each spelt once; when it is full, it is emptied."""

    def __missing__(self, mac: str) -> str:
        if len(self) >= LOCATION_CACHE_SIZE:
            self.clear()
        text = self[mac] = mac.upper().replace(":", "-")
        return text


_MACS = _Macs()


def _openvswitch(record: Record) -> dict[str, Any]:
    told: dict[str, Any] = {
        "bridge": record.bridge,
        "table": record.table,
        "signature": record.signature,
        "problem": record.problem,
    }
    if record.datapath_id:
        told["datapath_id"] = record.datapath_id
    if record.rule is not None and record.rule.cookie:
        told["cookie"] = record.rule.cookie
    if record.port is not None:
        told["in_port"] = record.port.number
    return told
