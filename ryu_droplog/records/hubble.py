"""The encoding `hubble`: a GetFlowsResponse of Hubble's observer, as protocol buffers' JSON.

Keys are those of Hubble's flow.proto, as `hubble observe --output jsonpb` prints them and
`hubble observe --input-file` reads them; docs/record.md has the table.
"""

from __future__ import annotations

from typing import Any

from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.deep.layers import Packet
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Identity, Record

# Reasons of Hubble's enumeration DropReason: no rule allows it, and a rule denies it.
_REASONS = {"MISS": (133, "POLICY_DENIED"), "DENY": (181, "POLICY_DENY")}
_DROP_NOTIFICATION, _POLICY_VERDICT = 1, 5
"""Types of Cilium's monitor events."""
_DIRECTIONS = {"ingress": "INGRESS", "egress": "EGRESS"}
_ICMP_NAMES = {0: "EchoReply", 3: "DestinationUnreachable", 8: "EchoRequest", 11: "TimeExceeded"}
_ICMPV6_NAMES = {
    1: "DestinationUnreachable",
    2: "PacketTooBig",
    3: "TimeExceeded",
    128: "EchoRequest",
    129: "EchoReply",
    133: "RouterSolicitation",
    134: "RouterAdvertisement",
    135: "NeighborSolicitation",
    136: "NeighborAdvertisement",
    137: "Redirect",
}


def encoder(context: EncoderContext) -> Encode:
    """Flows of Cilium's Hubble, a JSON object a drop."""
    maker = RecordMaker(context)

    def encode(drop: Drop) -> bytes:
        return of_record(maker.make(drop).record)

    return encode


def of_record(record: Record) -> bytes:
    """The same of a record that was made before."""
    return to_json({"flow": _flow(record), "node_name": record.node, "time": record.time})


def _flow(record: Record) -> dict[str, Any]:
    packet = record.packet
    flow: dict[str, Any] = {
        "time": record.time,
        "verdict": "DROPPED",
        "Type": "L3_L4",
        "node_name": record.node,
        "traffic_direction": _DIRECTIONS.get(record.direction, "TRAFFIC_DIRECTION_UNKNOWN"),
    }
    reason = _REASONS.get(record.reason)
    if reason is not None:
        number, name = reason
        flow["drop_reason"], flow["drop_reason_desc"] = number, name
        flow["event_type"] = {"type": _DROP_NOTIFICATION, "sub_type": number}
        flow |= _denied_by(record)
    else:
        flow["verdict"] = "FORWARDED"  # the OpFlex agent reports what it permits, too
        flow["event_type"] = {"type": _POLICY_VERDICT}
    if packet.ethernet is not None:
        flow["ethernet"] = _present(
            source=packet.ethernet.source, destination=packet.ethernet.destination
        )
    flow |= _network(packet)
    for key, end in (("source", record.source), ("destination", record.destination)):
        if end is not None and end.identity is not None:
            flow[key] = _endpoint(end.identity)
    layer, summary = _transport(packet)
    if layer is not None:
        flow["l4"] = layer
    if record.port is not None:
        flow["interface"] = _present(index=record.port.number, name=record.port.name)
    conntrack = record.context.conntrack if record.context is not None else None
    if conntrack is not None and "trk" in conntrack.state:
        flow["is_reply"] = "rpl" in conntrack.state
    flow["Summary"] = summary
    return flow


def _denied_by(record: Record) -> dict[str, Any]:
    """The policy, where its name and the direction are known: without it, it has no place."""
    if record.rule is None or not record.rule.name or not record.direction:
        return {}
    return {f"{record.direction}_denied_by": [{"name": record.rule.name}]}


def _network(packet: Packet) -> dict[str, Any]:
    if packet.ipv4 is not None:
        ends, version = (packet.ipv4.source, packet.ipv4.destination), "IPv4"
    elif packet.ipv6 is not None:
        ends, version = (packet.ipv6.source, packet.ipv6.destination), "IPv6"
    else:
        return {}
    return {"IP": {"source": ends[0], "destination": ends[1], "ipVersion": version}}


def _transport(packet: Packet) -> tuple[dict[str, Any] | None, str]:
    """The layer 4, and what Hubble calls the summary of a flow."""
    if packet.tcp is not None:
        tcp = packet.tcp
        told = _ports(tcp.source_port, tcp.destination_port)
        told["flags"] = dict.fromkeys(tcp.flags, True)
        return {"TCP": told}, f"TCP Flags: {', '.join(tcp.flags)}"
    if packet.udp is not None:
        return {"UDP": _ports(packet.udp.source_port, packet.udp.destination_port)}, "UDP"
    if packet.sctp is not None:
        return {"SCTP": _ports(packet.sctp.source_port, packet.sctp.destination_port)}, "SCTP"
    if packet.icmp is not None:
        icmp = packet.icmp
        name = _ICMP_NAMES.get(icmp.type, f"type {icmp.type}")
        return {"ICMPv4": {"type": icmp.type, "code": icmp.code}}, f"ICMPv4 {name}"
    if packet.icmpv6 is not None:
        message = packet.icmpv6
        name = _ICMPV6_NAMES.get(message.type, f"type {message.type}")
        return {"ICMPv6": {"type": message.type, "code": message.code}}, f"ICMPv6 {name}"
    if packet.arp is not None:
        return None, "ARP"
    ip = packet.ipv4 or packet.ipv6
    return None, f"IP protocol {ip.protocol}" if ip is not None else "not IP"


def _endpoint(identity: Identity) -> dict[str, Any]:
    """An Endpoint, which has a place for pods; of all else it has labels, `source:key=value`."""
    labels = [
        f"ovs:{key}={value}"
        for key, value in (
            ("port", identity.port),
            ("logical-port", identity.logical_port),
            ("vm", identity.vm),
            ("vm-id", identity.vm_id),
            ("network", identity.network),
            ("router", identity.router),
        )
        if value
    ]
    told: dict[str, Any] = {**_present(namespace=identity.namespace, pod_name=identity.pod)}
    return {**told, "labels": labels} if labels else told


def _ports(source: int, destination: int) -> dict[str, Any]:
    return {"source_port": source, "destination_port": destination}


def _present(**told: str | int) -> dict[str, str | int]:
    return {key: value for key, value in told.items() if value}
