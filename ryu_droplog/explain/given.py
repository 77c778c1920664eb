"""The drop that is to be explained: a record, or what a line of the log still tells of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ryu_droplog.explain.lines import LineError, facts_of_json, facts_of_line
from ryu_droplog.explain.rebuild import frame_of
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.records.record import VERSION, End, Frame, Port, Record, Rule, Table


class GivenError(DropLogError):
    """What was given is no drop."""


class Given(NamedTuple):
    """A drop, and how much of it is known."""

    record: Record
    """Where a line was given, with nothing in what a line does not tell, and a frame that was made
    from what it does."""
    inferred: tuple[str, ...]
    """What is not measured, for people; empty: everything in the record was."""

    @property
    def measured(self) -> bool:
        """Whether the packet and what the switch had noted of it are those of the drop."""
        return not self.inferred


class _OpenvSwitch(Struct):
    record: Record


class _Ecs(Struct):
    """Of a document of the encoding `ecs`, what matters: it has the whole record in it."""

    openvswitch: _OpenvSwitch


_RECORD = msgspec.json.Decoder(Record)
_ECS = msgspec.json.Decoder(_Ecs)
_OBJECT = msgspec.json.Decoder(dict[str, object])


def read_given(text: bytes, pipelines: Mapping[str, Pipeline], bridge: str = "") -> Given:
    """One drop: a record as `native` or `ecs` has it, or a line as a format of the log has it.

    `bridge` is for lines that do not say theirs. Raises GivenError.
    """
    text = text.strip()
    if not text.startswith(b"{"):
        return _of_facts(_facts(text), pipelines, bridge)
    reason = ""
    try:
        return Given(_RECORD.decode(text), ())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        reason = str(error)
    try:
        return Given(_ECS.decode(text).openvswitch.record, ())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return _of_facts(facts_of_json(_OBJECT.decode(text)), pipelines, bridge)
    except (msgspec.DecodeError, UnicodeError, RecursionError, LineError) as error:
        raise GivenError(f"no record ({reason}) and no drop of the format json ({error})") from None


def _facts(text: bytes) -> dict[str, str]:
    try:
        return facts_of_line(text.decode("utf-8", "replace"))
    except LineError as error:
        raise GivenError(f"no drop line: {error}") from None


def _of_facts(facts: dict[str, str], pipelines: Mapping[str, Pipeline], bridge: str) -> Given:
    name = facts.get("bridge") or bridge
    table, pipeline = _table(facts, pipelines)
    frame = frame_of(facts)
    walk, _ = decode(frame)
    packet = walk.packet
    source = End(mac=facts.get("smac", ""), ip=facts.get("src", ""))
    destination = End(mac=facts.get("dmac", ""), ip=facts.get("dst", ""))
    if "sport" in facts:
        source.port, destination.port = int(facts["sport"]), int(facts["dport"])
    owner: dict[str, str | int] = {
        key.removeprefix("owner."): int(value) if value.isdigit() else value
        for key, value in facts.items()
        if key.startswith("owner.")
    }
    direction = str(owner.get("direction", ""))
    record = Record(
        VERSION,
        facts.get("time", ""),
        "",
        "",
        name,
        table,
        facts["reason"],
        facts["drop_reason"],
        "",
        "",
        packet,
        Frame(len(frame), frame),
        pipeline=pipeline.name if pipeline else "",
        cause=pipeline.tables[table.id].cause if pipeline and table.id in pipeline.tables else "",
        rule=_rule(facts),
        port=Port(int(facts["in_port"])) if facts.get("in_port", "").isdigit() else None,
        direction=direction if direction in ("ingress", "egress") else "",
        source=source,
        destination=destination,
        owner=owner,
    )
    inferred = ["the packet is rebuilt from the line: what a line does not show of it is 0"]
    inferred.append("registers, metadata and connection tracking are not in a line")
    if "table_id" not in facts:
        inferred.append(f"table {table.id} is the one that a pipeline calls {table.name}")
    return Given(record, tuple(inferred))


def _table(
    facts: dict[str, str], pipelines: Mapping[str, Pipeline]
) -> tuple[Table, Pipeline | None]:
    """The table, and the pipeline that names it so: of several the one where the prefix fits."""
    name = facts["table"]
    wanted = int(facts["table_id"]) if "table_id" in facts else None
    found: list[tuple[int, Table, Pipeline]] = []
    for pipeline in pipelines.values():
        for table in pipeline.tables.values():
            if wanted in (None, table.id) and name.endswith(table.name):
                found.append((-len(table.name), Table(table.id, table.name), pipeline))
    if found:
        _, table_found, pipeline = min(found, key=lambda one: one[0])
        return table_found, pipeline
    if wanted is None and name.rpartition("TABLE_")[2].isdigit():
        wanted = int(name.rpartition("TABLE_")[2])
    if wanted is None:
        raise GivenError(f"no pipeline has a table {name}, and the line does not say its number")
    return Table(wanted, name), None


def _rule(facts: dict[str, str]) -> Rule | None:
    names = {
        key: facts[f"flow.{key}"]
        for key in ("stage", "acl", "hint", "logical")
        if f"flow.{key}" in facts
    }
    priority = facts.get("flow.priority", "")
    if not (names or priority):
        return Rule(facts["policy"]) if facts.get("policy") else None
    return Rule(
        facts.get("policy") or names.get("acl", ""),
        facts.get("flow.cookie", ""),
        int(priority) if priority.isdigit() else None,
        facts.get("flow.match", ""),
        names,
    )
