"""The record: all that is known of a drop, as its schema and its page of documentation say."""

from __future__ import annotations

import base64
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from frames import syn
from record_drops import FLOW, HOSTILE, METADATA, OBSERVED, TIME, context, dropped, place
from test_deep import FRAMES

from ryu_droplog.cli.commands import main
from ryu_droplog.model.drop import Drop
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.records import native
from ryu_droplog.records.record import schema
from ryu_droplog.records.switch_context import CACHE_SIZE, SwitchContexts, read_context
from ryu_droplog.records.times import rfc3339

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "record.md"
SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def record(drop: Drop, **more: object) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(native.encoder(context(**more))(drop))
    return made


def paths(value: dict[str, Any], before: str = "") -> set[str]:
    """Dotted paths of all that stands in a record."""
    found = set()
    for key, inner in value.items():
        found.add(f"{before}{key}")
        for part in inner if isinstance(inner, list) else [inner]:
            if isinstance(part, dict):
                found |= paths(part, f"{before}{key}.")
    return found


def test_record_holds_all_that_is_known_of_a_drop() -> None:
    explain = {"direction": "ingress", "port": "tap3"}
    made = record(dropped(location=place("DENY", FLOW, "no-http")), explain=lambda drop: explain)
    frame = syn()
    expected = {
        "version": 1,
        "time": "2025-11-24T16:00:00.250000000Z",
        "observed_time": "2025-11-24T16:00:01.500000000Z",
        "node": "node-1",
        "bridge": "br-int",
        "table": {"id": 4, "name": "SEC_GROUP_IN_TABLE"},
        "reason": "DENY",
        "drop_reason": "Acc-SEC_GROUP_IN_TABLE DENY no-http",
        "signature": made["signature"],
        "problem": made["problem"],
        "packet": {
            "ethernet": {
                "source": "00:22:bd:f8:19:ff",
                "destination": "0a:58:0a:02:00:c3",
                "type": 0x0800,
            },
            "ipv4": {
                "source": "10.2.0.229",
                "destination": "10.2.0.195",
                "protocol": 6,
                "length": 60,
                "ttl": 62,
                "id": 58352,
                "dont_fragment": True,
            },
            "tcp": {
                "source_port": 42934,
                "destination_port": 80,
                "sequence": 2794802783,
                "acknowledgment": 0,
                "flags": ["SYN"],
                "window": 62020,
            },
        },
        "frame": {"length": 74, "data": base64.b64encode(frame).decode()},
        "datapath_id": "000000000000cafe",
        "pipeline": "opflex-access",
        "cause": "no rule allows it",
        "rule": {
            "name": "no-http",
            "cookie": "0xda8bef6a",
            "priority": 2000,
            "match": "tcp,tp_dst=80",
            "names": {"stage": "ls_out_acl", "acl": "no-http"},
        },
        "port": {"number": 3, "name": "tap3"},
        "direction": "ingress",
        "source": {"mac": "00:22:bd:f8:19:ff", "ip": "10.2.0.229", "port": 42934},
        "destination": {"mac": "0a:58:0a:02:00:c3", "ip": "10.2.0.195", "port": 80},
        "community_id": made["community_id"],
        "context": {
            "metadata": "0x1122",
            "registers": {"reg5": 7},
            "tunnel": {
                "id": "0x2a",
                "source": "192.0.2.1",
                "destination": "192.0.2.2",
                "metadata": {"tun_metadata0": "0x102"},
            },
            "conntrack": {"state": ["new", "trk"], "zone": 9, "mark": 1, "label": "0xab"},
        },
        "owner": explain,
    }
    assert expected == made


def test_record_of_a_frame_without_anything_says_where_and_when() -> None:
    made = record(dropped(b"", metadata=b""))
    assert {"truncated": True, "ethernet": {}} == made["packet"]
    assert {"length": 0} == made["frame"]
    assert not {"source", "destination", "port", "context", "community_id"} & made.keys()


@pytest.mark.parametrize("name", FRAMES)
def test_record_fits_its_schema_at_every_length_of_its_frame(name: str) -> None:
    frame = bytes(FRAMES[name])
    for length in range(0, len(frame) + 1, 3):
        VALIDATOR.validate(record(dropped(frame[:length])))
    VALIDATOR.validate(record(dropped(frame, place("DENY", FLOW, "no-http"))))


def test_schema_in_the_package_is_that_of_the_code() -> None:
    text = resources.files("ryu_droplog.records").joinpath("record.schema.json").read_text()
    assert json.loads(json.dumps(SCHEMA)) == json.loads(text)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["record-schema"])
    assert 0 == printed.exit_code
    assert json.loads(json.dumps(SCHEMA)) == json.loads(printed.output)


def test_schema_refuses_what_is_no_record() -> None:
    made = record(dropped())
    for key, value in (("time", 5), ("table", {}), ("packet", None), ("reason", "LOST")):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate({**made, key: value})


def fields(name: str = "Record", before: str = "") -> list[tuple[str, str]]:
    """Each field of the schema by its dotted path, with its description."""
    found = []
    for key, value in SCHEMA["$defs"][name]["properties"].items():
        found.append((f"{before}{key}", value["description"]))
        inner = json.dumps(value).partition("#/$defs/")[2].partition('"')[0]
        if inner and key != "inner":
            found += fields(inner, f"{before}{key}.")
    return found


def test_every_field_is_documented_in_its_place() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    for path, description in fields():
        row = next((row for row in text.splitlines() if row.startswith(f"| `{path}` |")), None)
        assert row is not None, f"{path} is not in docs/record.md"
        assert description.replace("|", "\\|") in row, row


def test_nothing_is_documented_that_is_not_there() -> None:
    rows = [
        row for row in DOCUMENTATION.read_text(encoding="utf-8").splitlines() if row[:3] == "| `"
    ]
    section = [row.split("`")[1] for row in rows if row.count("|") == 6]
    assert {path for path, _ in fields()} == set(section)


def test_payload_ends_with_the_headers_unless_all_is_asked_for() -> None:
    frame = bytes(FRAMES["dhcp"])
    short, whole = record(dropped(frame)), record(dropped(frame), payload="full")
    assert base64.b64encode(frame[:42]).decode() == short["frame"]["data"]
    assert base64.b64encode(frame).decode() == whole["frame"]["data"]
    assert len(frame) == short["frame"]["length"] == whole["frame"]["length"]


def test_repeats_have_their_number_and_the_times_of_the_first_and_last() -> None:
    throttle = Deduplicator(10.0)
    location = place()
    for seconds in range(4):
        drop = dropped(location=location)
        drop.time = TIME + seconds
        first = throttle.take(drop, float(seconds))
        assert bool(first) is (seconds == 0)
    (ended,) = throttle.expire(100.0)
    made = record(ended)
    assert 3 == made["repeated"]
    assert rfc3339(TIME + 1) == made["first_time"]
    assert rfc3339(TIME + 3) == made["last_time"] == made["time"]
    assert "repeated" not in record(dropped(location=location))


def test_names_of_others_stay_on_one_line_of_ascii() -> None:
    location = place("DENY", FLOW._replace(names={HOSTILE: HOSTILE}), HOSTILE, HOSTILE, HOSTILE)
    line = native.encoder(context(node=HOSTILE, explain=lambda drop: {HOSTILE: HOSTILE}))(
        dropped(location=location)
    )
    assert line.isascii()
    assert b"\n" not in line
    made = json.loads(line)
    expected = HOSTILE.replace("\ud800", "\ufffd")
    assert expected == made["bridge"] == made["owner"][expected] == made["rule"]["name"]
    VALIDATOR.validate(made)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000000000Z"),
        (TIME, "2025-11-24T16:00:00.250000000Z"),
        (-5.0, "1970-01-01T00:00:00.000000000Z"),
        (1e15, "9999-12-31T23:59:59.000000000Z"),
    ],
)
def test_time_is_rfc_3339_whatever_a_capture_claims(seconds: float, expected: str) -> None:
    assert expected == rfc3339(seconds)


def test_contexts_that_are_remembered_have_a_bound() -> None:
    contexts = SwitchContexts()
    for number in range(CACHE_SIZE + 10):
        metadata = METADATA + number.to_bytes(4, "big")
        assert read_context(metadata) == contexts[metadata]
    assert len(contexts) <= CACHE_SIZE


def test_local_port_has_its_name_without_a_directory() -> None:
    metadata = b"\x80\x00\x00\x04\xff\xff\xff\xfe"
    assert {"number": 0xFFFFFFFE, "name": "LOCAL"} == record(dropped(metadata=metadata))["port"]


def test_direction_is_one_of_two_words() -> None:
    for told, expected in (("egress", "egress"), ("up", None), (5, None)):
        made = record(dropped(), explain=lambda drop, told=told: {"direction": told})
        assert expected == made.get("direction")
    assert OBSERVED > TIME
