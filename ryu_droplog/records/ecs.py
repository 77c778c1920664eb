"""The encoding `ecs`: Elastic Common Schema, and the whole record in `openvswitch.record`.

Names and types by the schema's published field list (ECS 8.17); docs/record.md has the table.
"""

from __future__ import annotations

from typing import Any

from ryu_droplog import __version__
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records import names
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.maker import LOCATION_CACHE_SIZE
from ryu_droplog.records.record import End, Record
from ryu_droplog.records.templates import in_json, in_msgpack

ECS_VERSION = "8.17.0"
DATASET = "ryu_droplog.drop"
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
    return in_json(context, _Documents(context).document)


def packer(context: EncoderContext) -> Encode:
    """The same object in msgpack. Raises UnicodeEncodeError for what UTF-8 cannot have."""
    return in_msgpack(context, _Documents(context).document)


class _Documents:
    """Makes documents on one node."""

    def __init__(self, context: EncoderContext) -> None:
        self._host = {"name": context.node}
        self._observer: dict[str, Any] = {
            "vendor": names.VENDOR,
            "product": names.PRODUCT,
            "type": "switch",
            "version": __version__,
            "hostname": context.node,
        }

    def document(self, record: Record, walk: Walk) -> dict[str, Any]:
        document: dict[str, Any] = {
            "@timestamp": record.time,
            "event": _event(record),
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
        document["openvswitch"] = _openvswitch(record)
        return document


def _event(record: Record) -> dict[str, Any]:
    decided = _ALLOWED if record.reason == names.PERMIT else _DENIED
    told = {**_EVENT, **decided, "reason": record.drop_reason, "code": record.reason}
    told["created"] = record.observed_time
    if record.repeated:
        told |= {"start": record.first_time, "end": record.last_time}
    return told


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
    told["record"] = record
    return told
