"""The schemas' judges: what keeps to ECS, OCSF and Hubble's API passes, what does not is named."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from .schemas import ecs, hubble, ocsf

ECS: dict[str, Any] = {
    "@timestamp": "2026-11-25T01:02:03.456789012Z",
    "ecs": {"version": "9.4.0"},
    "event": {
        "kind": "event",
        "category": ["network"],
        "type": ["connection", "denied"],
        "action": "dropped",
        "outcome": "success",
    },
    "source": {"ip": "192.0.2.1", "port": 40000, "mac": "00-00-5E-00-53-23"},
    "network": {"type": "ipv4", "transport": "tcp", "iana_number": "6"},
    "related": {"ip": ["192.0.2.1"]},
    "openvswitch": {"bridge": "br-int", "record": {"anything": 1}},
}
OCSF: dict[str, Any] = {
    "class_uid": 4001,
    "category_uid": 4,
    "activity_id": 6,
    "type_uid": 400106,
    "severity_id": 1,
    "time": 1_700_000_000_000,
    "action_id": 2,
    "disposition_id": 6,
    "metadata": {
        "version": "1.8.0",
        "product": {"name": "ryu-droplog", "vendor_name": "ryu-droplog"},
        "profiles": ["host", "security_control"],
    },
    "src_endpoint": {"ip": "192.0.2.1", "port": 40000},
    "dst_endpoint": {"ip": "198.51.100.2", "port": 443},
    "connection_info": {"direction_id": 1, "protocol_num": 6},
}
HUBBLE: dict[str, Any] = {
    "flow": {
        "time": "2026-11-25T01:02:03.456789012Z",
        "verdict": "DROPPED",
        "IP": {"source": "192.0.2.1", "destination": "198.51.100.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 443, "flags": {"SYN": True}}},
        "Type": "L3_L4",
        "drop_reason_desc": "POLICY_DENIED",
        "traffic_direction": "INGRESS",
        "is_reply": False,
    },
    "node_name": "node.test",
    "time": "2026-11-25T01:02:03.456789012Z",
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set, by its dotted path."""
    copied = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = copied
    for parent in parents:
        place = place[parent]
    place[last] = value
    return copied


def test_ecs_takes_a_drop() -> None:
    assert ecs.problems(ECS) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source.adress", "192.0.2.1"),
        ("source.ip", "192.0.2.300"),
        ("source.port", "40000"),
        ("source.mac", "00:00:5e:00:53:23"),
        ("event.category", "network"),
        ("event.kind", "drop"),
        ("event.type", ["user"]),
        ("network.iana_number", 6),
        ("related.ip", "192.0.2.1"),
    ],
)
def test_ecs_refuses(path: str, value: Any) -> None:
    found = ecs.problems(changed(ECS, path, value))
    assert len(found) == 1
    assert found[0].startswith(f"{path}: ")


def test_ocsf_takes_a_drop() -> None:
    assert ocsf.problems(OCSF) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("severity_id", "low"),
        ("activity_id", 77),
        ("connection_info", {"protocol_num": 6}),
        ("metadata", {"version": "1.8.0"}),
        ("src_endpoint.adress", "192.0.2.1"),
    ],
)
def test_ocsf_refuses(path: str, value: Any) -> None:
    assert ocsf.problems(changed(OCSF, path, value)) != []


def test_hubble_reads_a_drop() -> None:
    said = hubble.read_line(json.dumps(HUBBLE))
    assert said["flow"]["verdict"] == "DROPPED"
    assert said["flow"]["l4"] == HUBBLE["flow"]["l4"]
    assert said["time"] == HUBBLE["time"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("flow.verdict", "DENIED"),
        ("flow.drop_reason_desc", "TABLE_MISS"),
        ("flow.bridge", "br-int"),
        ("flow.l4.UDP", {"source_port": 1}),
        ("time", "yesterday"),
        ("node_name", "n" * 70_000),
    ],
)
def test_hubble_passes_over(path: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        hubble.read_line(json.dumps(changed(HUBBLE, path, value)))
