"""The encoding `ocsf`: Network Activity (class 4001) of the Open Cybersecurity Schema Framework.

By version 1.8.0, profiles security_control and host; docs/record.md has the table. The whole
record is in `unmapped.openvswitch`.
"""

from __future__ import annotations

from typing import Any

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.deep.layers import Tcp
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records import names
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import End, Record
from ryu_droplog.records.times import milliseconds

SCHEMA_VERSION = "1.8.0"
# activity_id 6 is Traffic; type_uid is the class times 100 and the activity.
_CLASS = {
    "activity_id": 6,
    "activity_name": "Traffic",
    "category_uid": 4,
    "category_name": "Network Activity",
    "class_uid": 4001,
    "class_name": "Network Activity",
    "type_uid": 400106,
    "type_name": "Network Activity: Traffic",
    "severity_id": 1,
    "severity": "Informational",
}
_DROPPED = {"action_id": 2, "action": "Denied", "disposition_id": 6, "disposition": "Dropped"}
_PERMITTED = {"action_id": 1, "action": "Allowed", "disposition_id": 1, "disposition": "Allowed"}
_DIRECTIONS = {"ingress": (1, "Inbound"), "egress": (2, "Outbound")}
_NO_DIRECTION = (0, "Unknown")
_VERSIONS = {"ipv4": (4, "Internet Protocol version 4 (IPv4)")}
_VERSIONS["ipv6"] = (6, "Internet Protocol version 6 (IPv6)")
_FLAG_BITS = {
    name: 1 << bit
    for bit, name in enumerate(("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"))
}


def encoder(context: EncoderContext) -> Encode:
    """Network Activity of the Open Cybersecurity Schema Framework, a JSON object a drop."""
    maker = RecordMaker(context)
    device = {"type_id": 1, "type": "Server", "hostname": context.node}
    product = {"name": names.PRODUCT, "vendor_name": names.VENDOR, "version": __version__}

    def encode(drop: Drop) -> bytes:
        record, walk = maker.make(drop)
        document: dict[str, Any] = {
            **_CLASS,
            **(_PERMITTED if record.reason == names.PERMIT else _DROPPED),
            "time": milliseconds(drop.time),
            "message": names.summary(record, walk),
            "metadata": {
                "version": SCHEMA_VERSION,
                "product": product,
                "profiles": ["security_control", "host"],
                "event_code": record.reason,
                "correlation_uid": record.problem,
                "original_time": record.time,
            },
            "device": device,
            "firewall_rule": _rule(record),
            "connection_info": _connection(record, walk),
            "traffic": _traffic(record),
            "observation_point_id": 3,
            **_endpoints(record),
        }
        if record.repeated:
            document["count"] = record.repeated
            document["start_time"] = milliseconds(drop.first_time or drop.time)
            document["end_time"] = milliseconds(drop.time)
        return b"".join(
            (to_json(document)[:-1], b',"unmapped":{"openvswitch":', to_json(record), b"}}")
        )

    return encode


def _rule(record: Record) -> dict[str, str]:
    rule = record.rule
    told = {"name": record.drop_reason, "category": record.table.name}
    if rule is not None:
        told |= {"name": rule.name or record.drop_reason, "uid": rule.cookie}
        told["condition"] = rule.match
    return {key: value for key, value in told.items() if value}


def _connection(record: Record, walk: Walk) -> dict[str, Any]:
    direction_id, direction = _DIRECTIONS.get(record.direction, _NO_DIRECTION)
    told: dict[str, Any] = {"direction_id": direction_id, "direction": direction}
    if walk.protocol != NONE:
        told["protocol_num"] = walk.protocol
        transport = names.transport(walk)
        if transport:
            told["protocol_name"] = transport
    version = _VERSIONS.get(names.network(walk))
    if version is not None:
        told["protocol_ver_id"], told["protocol_ver"] = version
    tcp = record.packet.tcp
    if isinstance(tcp, Tcp):
        told["tcp_flags"] = sum(_FLAG_BITS[name] for name in tcp.flags)
    if record.community_id:
        told["community_uid"] = record.community_id
    return told


def _traffic(record: Record) -> dict[str, int]:
    told = {"packets": record.repeated or 1}
    if not record.repeated:
        told["bytes"] = record.frame.length
    return told


def _endpoints(record: Record) -> dict[str, Any]:
    """The ends; at least one of them is there, and each says who it is (the class asks for it)."""
    told: dict[str, Any] = {}
    for key, end in (("src_endpoint", record.source), ("dst_endpoint", record.destination)):
        if end is not None and (end.ip or end.mac):
            told[key] = _endpoint(end)
    source = told.setdefault("src_endpoint", {}) if record.port or not told else None
    if source is not None:
        source["interface_uid"] = str(record.port.number) if record.port else "unknown"
        if record.port and record.port.name:
            source["interface_name"] = record.port.name
        if record.packet.vlans:
            source["vlan_uid"] = str(record.packet.vlans[0].id)
    return told


def _endpoint(end: End) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if end.ip:
        told["ip"] = end.ip
    else:
        told["uid"] = end.mac
    if end.port is not None:
        told["port"] = end.port
    if end.mac:
        told["mac"] = end.mac
    if end.identity is not None:
        told |= _identity(end)
    return told


def _identity(end: End) -> dict[str, str]:
    """Name and instance of the virtual machine, or name of the pod."""
    identity = end.identity
    told = {"name": names.host(end), "instance_uid": identity.vm_id if identity else ""}
    return {key: value for key, value in told.items() if value}
