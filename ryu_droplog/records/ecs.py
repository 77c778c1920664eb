"""The encoding `ecs`: Elastic Common Schema, and the whole record in `openvswitch.record`.

Names and types by the schema's published field list (ECS 8.17); docs/record.md has the table.
"""

from __future__ import annotations

from typing import Any

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records import names
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import LOCATION_CACHE_SIZE, RecordMaker
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


def encoder(context: EncoderContext) -> Encode:
    """Elastic Common Schema, a JSON object a drop."""
    maker = RecordMaker(context)
    host = {"name": context.node}
    observer: dict[str, Any] = {
        "vendor": names.VENDOR,
        "product": names.PRODUCT,
        "type": "switch",
        "version": __version__,
        "hostname": context.node,
    }
    flows: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}

    def parts(record: Record, walk: Walk) -> tuple[bytes, bytes]:
        """What stands before the times of the event and behind them, in JSON."""
        event = to_json(_event(record))
        document: dict[str, Any] = {
            "ecs": _ECS,
            "message": names.summary(record, walk),
            "host": host,
            "observer": _observer(observer, record),
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
        behind = (to_json(document)[1:-1], b',"openvswitch":', to_json(_openvswitch(record))[:-1])
        return event[:-1], b"".join((*behind, b',"record":'))

    def encode(drop: Drop) -> bytes:
        record, walk = maker.make(drop)
        flow = _flow(drop.location, record, walk)
        made = flows.get(flow) if flow is not None else None
        if made is None:
            made = parts(record, walk)
            if flow is not None:
                if len(flows) >= FLOW_CACHE_SIZE:
                    flows.clear()
                flows[flow] = made
        event, behind = made
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
