"""Drops under the names of others: held to what these publish of their fields.

The tables here say in our own words what was read in the field list of ECS (9.5, main branch),
in OCSF's schema (main branch after 1.8.0) and in Hubble's flow.proto.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import jsonschema
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf import timestamp_pb2 as timestamp
from google.protobuf.json_format import Parse
from msgspec.structs import replace
from record_drops import FLOW, HOSTILE, TIME, context, dropped, place
from test_deep import FRAMES

from ryu_droplog.model.drop import Drop
from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.records.context import EncoderContext
from ryu_droplog.sinks.formats import text_format

OURS = ("native", "ecs", "ocsf", "hubble", "cef", "opflex", "extended", "json")
OBJECTS = ("native", "ecs", "ocsf", "hubble", "json")


def encoded(name: str, drop: Drop, **more: object) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(ENCODERS.get(name)(context(**more))(drop))
    return made


def drops() -> Iterator[Drop]:
    """Of every kind of frame, whole and cut, and of every reason."""
    for name in FRAMES:
        frame = bytes(FRAMES[name])
        for length in {0, 5, 13, 14, 20, 33, 34, 38, 42, 54, 60, len(frame)}:
            yield dropped(frame[:length])
    yield dropped(metadata=b"")
    yield dropped(b"", metadata=b"")
    yield dropped(location=place("DENY", FLOW, "no-http"))
    yield dropped(location=place("PERMIT", policy="web"))
    yield replace(dropped(), repeated=19, first_time=TIME - 9)


def test_encodings_are_found_by_name() -> None:
    assert [*OURS] == ENCODERS.names()
    with pytest.raises(LookupError, match="no encoding is called 'xml'"):
        ENCODERS.get("xml")


@pytest.mark.parametrize("name", OURS)
def test_hostile_names_are_one_harmless_line(name: str) -> None:
    location = place("DENY", FLOW._replace(names={HOSTILE: HOSTILE}), HOSTILE, HOSTILE, HOSTILE)
    hostile = context(node=HOSTILE, explain=lambda drop: {"direction": "ingress", "x": HOSTILE})
    line = ENCODERS.get(name)(hostile)(dropped(location=location))
    assert line.isascii()
    if name in OBJECTS:
        assert not set(line) & {*range(0x20)}
        assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("name", ["opflex", "extended", "json"])
@pytest.mark.parametrize("style", ["full", "redirected", "bare"])
def test_lines_are_those_of_the_formats(name: Any, style: Any) -> None:
    told: EncoderContext = context(line_style=style)
    form = getattr(text_format(name, told.explain), style)
    for drop in drops():
        assert form(drop).encode() == ENCODERS.get(name)(told)(drop)


# ECS

ECS: dict[str, str] = {
    "@timestamp": "date",
    "message": "text",
    "ecs.version": "keyword",
    **dict.fromkeys(("event.kind", "event.action", "event.outcome", "event.reason"), "keyword"),
    **dict.fromkeys(("event.code", "event.module", "event.dataset"), "keyword"),
    "event.provider": "keyword",
    **dict.fromkeys(("event.category", "event.type"), "keywords"),
    **dict.fromkeys(("event.created", "event.start", "event.end"), "date"),
    **{
        f"{end}.{key}": kind
        for end in ("source", "destination")
        for key, kind in (
            ("ip", "ip"),
            ("port", "long"),
            ("mac", "keyword"),
            ("address", "keyword"),
        )
    },
    **dict.fromkeys(("network.type", "network.transport", "network.iana_number"), "keyword"),
    **dict.fromkeys(("network.direction", "network.community_id"), "keyword"),
    **dict.fromkeys(("network.vlan.id", "network.inner.vlan.id"), "keyword"),
    **dict.fromkeys(("network.packets", "network.bytes"), "long"),
    **{
        f"observer.{key}": "keyword" for key in ("vendor", "product", "type", "version", "hostname")
    },
    **{f"observer.ingress.interface.{key}": "keyword" for key in ("id", "name")},
    **{f"rule.{key}": "keyword" for key in ("id", "name", "description", "ruleset")},
    "host.name": "keyword",
    "related.ip": "ips",
}


def leaves(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}", inner


def fits(kind: str, value: Any) -> bool:
    """Whether a value is of a type of Elasticsearch, without its leniency."""
    if kind == "long":
        return type(value) is int
    if kind in ("keywords", "ips"):
        return isinstance(value, list) and all(fits(kind[:-1], one) for one in value)
    if kind == "ip":
        return str(value) in (str(ip_address(value)), value)
    if kind == "date":
        return isinstance(value, str) and value.endswith("Z") and len(value) == 30
    return isinstance(value, str) and bool(value)


def test_ecs_has_published_fields_of_their_types_and_the_whole_record() -> None:
    seen = set()
    for drop in drops():
        made = encoded("ecs", drop, explain=lambda drop: {"direction": "ingress"})
        own = made.pop("openvswitch")
        assert (
            encoded("native", drop, explain=lambda drop: {"direction": "ingress"}) == own["record"]
        )
        for key, value in leaves(made):
            assert fits(ECS[key], value), (key, value)
            seen.add(key)
    assert ECS.keys() == seen


def test_ecs_is_found_as_a_denied_connection() -> None:
    made = encoded("ecs", dropped(location=place("DENY", FLOW, "no-http")))
    event = made["event"]
    assert ("event", ["network"], ["connection", "denied"], "dropped", "success") == (
        event["kind"],
        event["category"],
        event["type"],
        event["action"],
        event["outcome"],
    )
    assert "Acc-SEC_GROUP_IN_TABLE DENY no-http" == event["reason"]
    assert {
        "address": "10.2.0.229",
        "ip": "10.2.0.229",
        "port": 42934,
        "mac": "00-22-BD-F8-19-FF",
    } == made["source"]
    assert {
        "ruleset": "SEC_GROUP_IN_TABLE",
        "id": "0xda8bef6a",
        "name": "no-http",
        "description": "tcp,tp_dst=80",
    } == made["rule"]
    assert ("0xda8bef6a", 3, "000000000000cafe") == tuple(
        made["openvswitch"][key] for key in ("cookie", "in_port", "datapath_id")
    )


def test_ecs_of_tags_names_both() -> None:
    network = encoded("ecs", dropped(bytes(FRAMES["802.1ad"])))["network"]
    assert ({"id": "100"}, {"vlan": {"id": "200"}}) == (network["vlan"], network["inner"])
    assert ("icmp", "1") == (network["transport"], network["iana_number"])


def test_what_was_permitted_is_not_called_dropped() -> None:
    drop = dropped(location=place("PERMIT", policy="web"))
    ecs, ocsf = encoded("ecs", drop)["event"], encoded("ocsf", drop)
    assert (["connection", "allowed"], "permitted") == (ecs["type"], ecs["action"])
    assert (1, 1) == (ocsf["action_id"], ocsf["disposition_id"])
    flow = encoded("hubble", drop)["flow"]
    assert ("FORWARDED", False) == (flow["verdict"], "drop_reason_desc" in flow)


# OCSF: what class 4001 of version 1.8.0 asks for, as far as it is used here; nothing else may be
# there. Captions stand beside numbers.

INTEGER, STRING = {"type": "integer"}, {"type": "string", "minLength": 1}
MAC = {"type": "string", "pattern": "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"}
PORT = {"type": "integer", "minimum": 0, "maximum": 65535}


def ocsf_object(required: str, *, at_least_one: str = "", **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "additionalProperties": False}
    made |= {"required": required.split(), "properties": properties}
    if at_least_one:
        made["anyOf"] = [{"required": [key]} for key in at_least_one.split()]
    return made


ENDPOINT = ocsf_object(
    "",
    at_least_one="ip uid name hostname svc_name instance_uid interface_uid interface_name domain",
    ip=STRING,
    uid=STRING,
    port=PORT,
    mac=MAC,
    interface_uid=STRING,
    interface_name=STRING,
    vlan_uid=STRING,
)
OCSF = ocsf_object(
    "activity_id category_uid class_uid metadata severity_id time type_uid",
    at_least_one="dst_endpoint src_endpoint",
    activity_id={"const": 6},
    activity_name={"const": "Traffic"},
    category_uid={"const": 4},
    category_name={"const": "Network Activity"},
    class_uid={"const": 4001},
    class_name={"const": "Network Activity"},
    type_uid={"const": 400106},
    type_name={"const": "Network Activity: Traffic"},
    severity_id={"enum": [0, 1, 2, 3, 4, 5, 6, 99]},
    severity={"const": "Informational"},
    time=INTEGER,
    start_time=INTEGER,
    end_time=INTEGER,
    count=INTEGER,
    message=STRING,
    action_id={"enum": [0, 1, 2, 99]},
    action={"enum": ["Allowed", "Denied"]},
    disposition_id={"enum": [*range(28), 99]},
    disposition={"enum": ["Allowed", "Dropped"]},
    observation_point_id={"enum": [0, 1, 2, 3, 4, 99]},
    metadata=ocsf_object(
        "product version",
        version={"const": "1.8.0"},
        product=ocsf_object(
            "", at_least_one="name uid", name=STRING, vendor_name=STRING, version=STRING
        ),
        profiles={"const": ["security_control", "host"]},
        event_code=STRING,
        correlation_uid=STRING,
        original_time=STRING,
    ),
    device=ocsf_object("type_id", type_id=INTEGER, type=STRING, hostname=STRING),
    firewall_rule=ocsf_object(
        "", at_least_one="name uid", name=STRING, uid=STRING, category=STRING, condition=STRING
    ),
    connection_info=ocsf_object(
        "direction_id",
        direction_id={"enum": [0, 1, 2, 3, 4, 99]},
        direction={"enum": ["Unknown", "Inbound", "Outbound"]},
        protocol_num=INTEGER,
        protocol_name=STRING,
        protocol_ver_id={"enum": [0, 4, 6, 99]},
        protocol_ver=STRING,
        tcp_flags=INTEGER,
        community_uid=STRING,
    ),
    traffic=ocsf_object("", packets=INTEGER, bytes=INTEGER),
    src_endpoint=ENDPOINT,
    dst_endpoint=ENDPOINT,
    unmapped={"type": "object"},
)


def test_ocsf_meets_the_requirements_of_its_class() -> None:
    validator = jsonschema.Draft202012Validator(OCSF)
    for drop in drops():
        made = encoded("ocsf", drop)
        validator.validate(made)
        assert encoded("native", drop) == made["unmapped"]["openvswitch"]


def test_ocsf_of_repeats_has_their_number_and_times() -> None:
    made = encoded("ocsf", replace(dropped(), repeated=19, first_time=TIME - 9))
    assert (19, 19) == (made["count"], made["traffic"]["packets"])
    assert (9000, int(TIME * 1000)) == (made["end_time"] - made["start_time"], made["time"])
    assert 2 == made["connection_info"]["tcp_flags"]


# Hubble

OPTIONAL, REPEATED = 1, 3
TYPES = {"string": 9, "uint32": 13, "int32": 5, "bool": 8}
MESSAGES: dict[str, str] = {
    "GetFlowsResponse": "flow:Flow=1 node_name:string=1000 time:Timestamp=1001",
    "Flow": "time:Timestamp=1 verdict:Verdict=2 drop_reason:uint32=3 ethernet:Ethernet=4 IP:IP=5"
    " l4:Layer4=6 Type:FlowType=10 node_name:string=11 event_type:CiliumEventType=19"
    " traffic_direction:TrafficDirection=22 drop_reason_desc:DropReason=25 is_reply:BoolValue=26"
    " interface:NetworkInterface=28 ingress_denied_by:Policy=21005* egress_denied_by:Policy=21004*"
    " Summary:string=100000",
    "Ethernet": "source:string=1 destination:string=2",
    "IP": "source:string=1 destination:string=2 ipVersion:IPVersion=3",
    "Layer4": "TCP:TCP=1 UDP:UDP=2 ICMPv4:ICMPv4=3 ICMPv6:ICMPv6=4 SCTP:SCTP=5",
    "TCP": "source_port:uint32=1 destination_port:uint32=2 flags:TCPFlags=3",
    "TCPFlags": "FIN:bool=1 SYN:bool=2 RST:bool=3 PSH:bool=4 ACK:bool=5 URG:bool=6 ECE:bool=7"
    " CWR:bool=8 NS:bool=9",
    "UDP": "source_port:uint32=1 destination_port:uint32=2",
    "SCTP": "source_port:uint32=1 destination_port:uint32=2",
    "ICMPv4": "type:uint32=1 code:uint32=2",
    "ICMPv6": "type:uint32=1 code:uint32=2",
    "CiliumEventType": "type:int32=1 sub_type:int32=2",
    "NetworkInterface": "index:uint32=1 name:string=2",
    "Policy": "name:string=1",
}
ENUMS: dict[str, dict[str, int]] = {
    "Verdict": {"VERDICT_UNKNOWN": 0, "FORWARDED": 1, "DROPPED": 2},
    "FlowType": {"UNKNOWN_TYPE": 0, "L3_L4": 1},
    "TrafficDirection": {"TRAFFIC_DIRECTION_UNKNOWN": 0, "INGRESS": 1, "EGRESS": 2},
    "DropReason": {"DROP_REASON_UNKNOWN": 0, "POLICY_DENIED": 133, "POLICY_DENY": 181},
    "IPVersion": {"IP_NOT_USED": 0, "IPv4": 1, "IPv6": 2},
}


def flows_response() -> Any:
    """The class of Hubble's message, with the fields that are used here."""
    file = descriptor_pb2.FileDescriptorProto(name="hubble.proto", package="h", syntax="proto3")
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for words in fields.split():
            key, kind = words.rstrip("*").split("=")[0].split(":")
            field = message.field.add(name=key, number=int(words.rstrip("*").split("=")[1]))
            field.label = REPEATED if words.endswith("*") else OPTIONAL  # type: ignore[assignment]
            if kind in TYPES:
                field.type = TYPES[kind]  # type: ignore[assignment]
            elif kind in ("Timestamp", "BoolValue"):
                field.type_name = f".google.protobuf.{kind}"
            else:
                field.type_name = f".h.{kind}"
    pool = descriptor_pool.DescriptorPool()
    for known in (timestamp, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("h.GetFlowsResponse"))


def test_hubble_is_read_by_protocol_buffers_own_json() -> None:
    kind = flows_response()
    encode = ENCODERS.get("hubble")(context(explain=lambda drop: {"direction": "egress"}))
    for drop in drops():
        read = Parse(encode(drop), kind())
        assert "node-1" == read.node_name == read.flow.node_name
        assert int(TIME) == read.time.seconds
        assert 250_000_000 == read.flow.time.nanos
        assert 2 == read.flow.traffic_direction


def test_hubble_says_what_was_dropped_by_whom() -> None:
    drop = dropped(location=place("DENY", FLOW, "no-http"))
    flow = encoded("hubble", drop, explain=lambda drop: {"direction": "ingress"})["flow"]
    assert {
        "time": "2025-11-24T16:00:00.250000000Z",
        "verdict": "DROPPED",
        "Type": "L3_L4",
        "node_name": "node-1",
        "traffic_direction": "INGRESS",
        "drop_reason": 181,
        "drop_reason_desc": "POLICY_DENY",
        "event_type": {"type": 1, "sub_type": 181},
        "ingress_denied_by": [{"name": "no-http"}],
        "ethernet": {"source": "00:22:bd:f8:19:ff", "destination": "0a:58:0a:02:00:c3"},
        "IP": {"source": "10.2.0.229", "destination": "10.2.0.195", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 42934, "destination_port": 80, "flags": {"SYN": True}}},
        "interface": {"index": 3, "name": "tap3"},
        "is_reply": False,
        "Summary": "TCP Flags: SYN",
    } == flow
