"""The documents of a fleet fit the record, and the simulated fleet is the same each time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import jsonschema
import pytest
from fleet.documents import FOLDER, QUESTIONS, question, statements
from fleet.simulation import Simulation, Size

from ryu_droplog.records.record import schema

SCHEMA = schema()
SIZE = Size(nodes=45, rate=2, seconds=90, history=5)
BEGIN = 1_764_000_000
# Column types by the JSON types that they may be filled from; an object is kept as its JSON.
TYPES = {"String": ("string", "object"), "UInt": ("integer",), "DateTime64": ("string",)}
_COLUMN = re.compile(r"^ +(\w+) ((?:Tuple\((?P<members>[^()]*)\))|\w+)", re.MULTILINE)


@pytest.mark.parametrize("encoding", ["native", "ecs"])
def test_columns_of_the_intake_are_keys_of_the_record(encoding: str) -> None:
    columns = intake_columns(encoding)
    assert len(columns) > 20
    record = resolved({"$ref": "#/$defs/Record"})
    for name, (kind, members) in columns.items():
        key = resolved(record["properties"][name])
        for member, member_kind in members.items():
            assert fits(member_kind, resolved(key["properties"][member])), (name, member)
        assert members or fits(kind, key), name


def test_both_encodings_fill_the_same_columns() -> None:
    assert intake_columns("native") == intake_columns("ecs")


def test_every_question_is_a_document_and_one_query() -> None:
    assert set(QUESTIONS) == {
        path.stem
        for path in FOLDER.glob("*.sql")
        if not path.stem.startswith(("tables", "intake-", "sizes"))
    }
    truth = Simulation(SIZE, BEGIN).truth
    for name in QUESTIONS:
        *parameters, query = question(name, truth)
        assert query.startswith(("SELECT", "WITH")), name
        assert len(parameters) == len(set(re.findall(r"\{(\w+):", query))), name
        page = (FOLDER.parent / "fleet.md").read_text()
        assert f"(fleet/{name}.sql)" in page, name


def test_simulation_is_the_same_for_the_same_seed() -> None:
    first, second, other = (
        [event.data for event in islice(Simulation(SIZE, BEGIN, "native", seed).events(), 500)]
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_records_of_the_simulation_fit_the_schema_and_what_is_counted() -> None:
    simulation = Simulation(SIZE, BEGIN, "native")
    validator = jsonschema.Draft202012Validator(SCHEMA)
    packets, count = 0, 0
    for event in simulation.events():
        record = json.loads(event.data)
        if count < 200:
            validator.validate(record)
        count += 1
        packets += record.get("repeated") or 1
        assert record["signature"].encode() == event.key
        assert record["source"]["ip"] == event.source
        assert record["table"]["name"] == event.problem.table
    assert (count, packets) == (SIZE.records, simulation.truth.packets)


def test_what_begins_at_once_is_what_was_planned() -> None:
    simulation = Simulation(Size(nodes=90, rate=10, seconds=90, history=2), BEGIN, "native")
    for _ in simulation.events():
        pass
    kinds: dict[str, list[int]] = {}
    for problem in simulation.truth.told()["problems"]:
        kinds.setdefault(problem["kind"], []).append(problem["began_on_nodes_at_once"])
    assert min(kinds["at once"] + kinds["again at once"]) > 10
    assert max(kinds["few"]) <= 10
    assert max(kinds["gradual"]) <= 10
    assert max(kinds["old"]) == 0


def intake_columns(encoding: str) -> dict[str, tuple[str, dict[str, str]]]:
    """The columns that are filled from a record: name, type, and the members of a tuple."""
    kafka = statements(f"intake-{encoding}")[0]
    body = kafka[kafka.index("version") - 8 : kafka.index("ENGINE")]
    columns = {}
    for found in _COLUMN.finditer(body):
        members = (found["members"] or "").split(", ") if found["members"] else []
        columns[found[1]] = found[2], dict(member.split(" ") for member in members)
    return columns


def resolved(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part of the schema, behind its references, without null."""
    options = [option for option in part.get("anyOf", [part]) if option.get("type") != "null"]
    (option,) = options
    if "$ref" in option:
        return resolved(SCHEMA["$defs"][option["$ref"].rpartition("/")[2]])
    return dict(option)


def fits(column: str, key: Mapping[str, Any]) -> bool:
    """Whether a column's type takes what a key holds."""
    (kinds,) = [kinds for prefix, kinds in TYPES.items() if column.startswith(prefix)]
    return key["type"] in kinds
