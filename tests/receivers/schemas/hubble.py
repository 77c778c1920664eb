"""Hubble's flows as JSON: what `hubble observe --input-file` makes of a line.

The `hubble` command is no package of a registry's that the project uses, so its reader is had by
the same rules: a line is a GetFlowsResponse in protobuf's JSON form, parsed by the published
`protobuf`, at most 64 KiB long (bufio.Scanner's bound). The messages are declared here from the
names, numbers and types of Cilium's API (api/v1/flow/flow.proto, api/v1/observer/observer.proto),
as far as a dropped packet has to do with them; a name that is not declared is refused.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)

LONGEST_LINE = 64 * 1024 - 1

_ENUMS: dict[str, dict[str, int]] = {
    "FlowType": {"UNKNOWN_TYPE": 0, "L3_L4": 1, "L7": 2, "SOCK": 3},
    "IPVersion": {"IP_NOT_USED": 0, "IPv4": 1, "IPv6": 2},
    "Verdict": {
        "VERDICT_UNKNOWN": 0,
        "FORWARDED": 1,
        "DROPPED": 2,
        "ERROR": 3,
        "AUDIT": 4,
        "REDIRECTED": 5,
        "TRACED": 6,
        "TRANSLATED": 7,
    },
    "TrafficDirection": {"TRAFFIC_DIRECTION_UNKNOWN": 0, "INGRESS": 1, "EGRESS": 2},
    "DropReason": {
        "DROP_REASON_UNKNOWN": 0,
        "INVALID_SOURCE_MAC": 130,
        "INVALID_DESTINATION_MAC": 131,
        "INVALID_SOURCE_IP": 132,
        "POLICY_DENIED": 133,
        "INVALID_PACKET_DROPPED": 134,
        "UNSUPPORTED_L3_PROTOCOL": 139,
        "UNKNOWN_L4_PROTOCOL": 142,
        "UNKNOWN_L3_TARGET_ADDRESS": 150,
        "STALE_OR_UNROUTABLE_IP": 151,
        "IP_FRAGMENTATION_NOT_SUPPORTED": 157,
        "UNKNOWN_CONNECTION_TRACKING_STATE": 163,
        "UNSUPPORTED_L2_PROTOCOL": 166,
        "POLICY_DENY": 181,
        "VLAN_FILTERED": 182,
        "TTL_EXCEEDED": 196,
    },
}
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "TCPFlags": {
        name: (number, "bool")
        for number, name in enumerate(
            ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"), start=1
        )
    },
    "TCP": {
        "source_port": (1, "uint32"),
        "destination_port": (2, "uint32"),
        "flags": (3, "TCPFlags"),
    },
    "UDP": {"source_port": (1, "uint32"), "destination_port": (2, "uint32")},
    "SCTP": {"source_port": (1, "uint32"), "destination_port": (2, "uint32")},
    "ICMPv4": {"type": (1, "uint32"), "code": (2, "uint32")},
    "ICMPv6": {"type": (1, "uint32"), "code": (2, "uint32")},
    "Layer4": {  # one of them
        "TCP": (1, "TCP"),
        "UDP": (2, "UDP"),
        "ICMPv4": (3, "ICMPv4"),
        "ICMPv6": (4, "ICMPv6"),
        "SCTP": (5, "SCTP"),
    },
    "Ethernet": {"source": (1, "string"), "destination": (2, "string")},
    "IP": {
        "source": (1, "string"),
        "destination": (2, "string"),
        "ipVersion": (3, "IPVersion"),
        "encrypted": (4, "bool"),
    },
    "Workload": {"name": (1, "string"), "kind": (2, "string")},
    "Endpoint": {
        "ID": (1, "uint32"),
        "identity": (2, "uint32"),
        "namespace": (3, "string"),
        "labels": (4, "string*"),
        "pod_name": (5, "string"),
        "workloads": (6, "Workload*"),
        "cluster_name": (7, "string"),
    },
    "CiliumEventType": {"type": (1, "int32"), "sub_type": (2, "int32")},
    "NetworkInterface": {"index": (1, "uint32"), "name": (2, "string")},
    "Policy": {
        "name": (1, "string"),
        "namespace": (2, "string"),
        "labels": (3, "string*"),
        "revision": (4, "uint64"),
        "kind": (5, "string"),
    },
    "Flow": {
        "time": (1, "google.protobuf.Timestamp"),
        "uuid": (34, "string"),
        "verdict": (2, "Verdict"),
        "drop_reason": (3, "uint32"),
        "ethernet": (4, "Ethernet"),
        "IP": (5, "IP"),
        "l4": (6, "Layer4"),
        "source": (8, "Endpoint"),
        "destination": (9, "Endpoint"),
        "Type": (10, "FlowType"),
        "node_name": (11, "string"),
        "node_labels": (36, "string*"),
        "source_names": (13, "string*"),
        "destination_names": (14, "string*"),
        "event_type": (19, "CiliumEventType"),
        "traffic_direction": (22, "TrafficDirection"),
        "drop_reason_desc": (25, "DropReason"),
        "is_reply": (26, "google.protobuf.BoolValue"),
        "interface": (28, "NetworkInterface"),
        "egress_denied_by": (21004, "Policy*"),
        "ingress_denied_by": (21005, "Policy*"),
        "Summary": (100000, "string"),
    },
}


def read_line(line: str | bytes) -> dict[str, Any]:
    """The flow of a line, with every name as Cilium's API writes it and enumerations by name.

    Raises ValueError where Hubble's reader would pass it over or warn: no JSON, a name or a value
    that the API does not have, a line that is too long, no flow.
    """
    text = line.encode() if isinstance(line, str) else line
    if len(text) > LONGEST_LINE:
        raise ValueError(f"a line of {len(text)} bytes, expected at most {LONGEST_LINE}")
    try:
        response = json_format.Parse(text, _response_class()())
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    said = json.loads(json_format.MessageToJson(response, preserving_proto_field_name=True))
    if "flow" not in said:
        raise ValueError("no flow in the line")
    return said  # type: ignore[no-any-return]


@functools.cache
def _response_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for module in (timestamp_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    flow = descriptor_pb2.FileDescriptorProto(name="flow.proto", package="flow", syntax="proto3")
    flow.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    for name, values in _ENUMS.items():
        enum = flow.enum_type.add(name=name)
        for value_name, number in values.items():
            enum.value.add(name=value_name, number=number)
    for name, fields in _MESSAGES.items():
        _declare(flow.message_type.add(name=name), fields, is_one_of=name == "Layer4")
    response = flow.message_type.add(name="GetFlowsResponse")
    of_response = {
        "flow": (1, "Flow"),
        "node_name": (1000, "string"),
        "time": (1001, "google.protobuf.Timestamp"),
    }
    _declare(response, of_response)
    pool.Add(flow)
    found = pool.FindMessageTypeByName("flow.GetFlowsResponse")
    return message_factory.GetMessageClass(found)


def _declare(
    message: descriptor_pb2.DescriptorProto,
    fields: dict[str, tuple[int, str]],
    is_one_of: bool = False,
) -> None:
    kinds = descriptor_pb2.FieldDescriptorProto
    if is_one_of:
        message.oneof_decl.add(name="protocol")
    for name, (number, kind) in fields.items():
        field = message.field.add(name=name, number=number)
        field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
        kind = kind.rstrip("*")
        if is_one_of:
            field.oneof_index = 0
        if kind in _ENUMS:
            field.type, field.type_name = kinds.TYPE_ENUM, f".flow.{kind}"
        elif kind in _MESSAGES:
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".flow.{kind}"
        elif kind.startswith("google."):
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".{kind}"
        else:
            field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
