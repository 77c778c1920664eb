"""All that is found out about one drop, put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ryu_droplog.config.endpoint import rundir_of
from ryu_droplog.config.settings import Bridge
from ryu_droplog.explain.bridge_look import BridgeLook, look_at, port_ids
from ryu_droplog.explain.given import Given
from ryu_droplog.explain.nearest import Near, matching, nearest
from ryu_droplog.explain.packet_fields import NOTED, PacketFields, noted_of_text, packet_fields
from ryu_droplog.explain.trace import Tracer
from ryu_droplog.explain.way import Agreement, Way, find_way
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.oxm_match import FieldId
from ryu_droplog.owners.base import Remedy
from ryu_droplog.owners.detection import owner_of
from ryu_droplog.pipelines.loader import AUTO, Pipeline
from ryu_droplog.records.record import Record
from ryu_droplog.runtime.one_shot import reach_bridge

TABLES_BEFORE = 3
"""Tables before the one that drops that are looked at, where all of its own flows drop."""


class Explanation(NamedTuple):
    """Why a packet was dropped, as far as it can be known now."""

    given: Given
    look: BridgeLook | None
    """None: the bridge could not be read."""
    way: Way | None
    """None: the packet could not be traced."""
    taken: Flow | None
    """The owner's flow that takes the packet in that table; None: none does, or it is not known."""
    near: list[Near]
    near_table: int
    """The table of those: the one that dropped the packet, or where all flows of that one drop, the
    last before it on the way that has others."""
    remedy: Remedy | None
    pipelines: dict[str, Pipeline]
    troubles: tuple[str, ...]
    """What could not be found out, and why."""

    def table_name(self, table_id: int) -> str:
        """The pipeline's name of a table; empty: it has none."""
        pipeline = self.pipelines.get(self.given.record.pipeline)
        table = pipeline.tables.get(table_id) if pipeline else None
        return table.name if table else ""


def explain(given: Given, bridge: Bridge, pipelines: dict[str, Pipeline]) -> Explanation:
    """Find out why; raises nothing where something cannot be asked: that is among `troubles`."""
    record = given.record
    troubles: list[str] = []
    look = _tried(troubles, "the bridge", partial(_look, bridge, record.table.id))
    rundir = rundir_of(bridge.endpoint)
    way = None
    if rundir:
        first = look.first_matches if look else []
        way = _tried(troubles, "the way", lambda: find_way(given, Tracer(rundir), first))
    else:
        troubles.append("the way: the bridge is not on this host")
    packet, unknown = _fields_there(given, way)
    taken, near = None, []
    if look is not None:
        taken = matching(look.flows, packet, unknown)
        near = nearest(look.flows, packet, unknown)
    near_table = record.table.id
    for table_id in _tables_before(way, record) if look is not None and not near else ():
        earlier = _tried(troubles, f"table {table_id}", partial(_look, bridge, table_id))
        near = nearest(earlier.flows, packet, unknown) if earlier is not None else []
        if near:
            near_table = table_id
            break
    pipeline = pipelines.get(record.pipeline) or pipelines[AUTO]
    name = str(record.owner.get("port", ""))
    ids = port_ids(rundir, [name] if name else [])
    remedy = owner_of(pipeline).remedy(record, ids)
    return Explanation(
        given,
        look,
        way,
        taken,
        near,
        near_table,
        remedy,
        pipelines,
        tuple(troubles),
    )


def _tables_before(way: Way | None, record: Record) -> list[int]:
    """Tables that the packet came through just before, the last first."""
    if way is None or way.agreement is Agreement.ELSEWHERE:
        return []
    there = way.trace.pass_with(record.bridge, record.table.id)
    tables = (
        [step.table_id for step in there.steps if step.bridge == record.bridge] if there else []
    )
    before = dict.fromkeys(table for table in reversed(tables) if table != record.table.id)
    return list(before)[:TABLES_BEFORE]


def _fields_there(given: Given, way: Way | None) -> tuple[PacketFields, frozenset[FieldId]]:
    """The packet's fields in the table, and those of which nothing is known."""
    packet = packet_fields(given.record)
    if given.measured:
        return packet, frozenset()
    found = None
    if way is not None and way.agreement is not Agreement.ELSEWHERE:
        found = way.trace.pass_with(given.record.bridge, given.record.table.id)
    if found is None:
        return packet, NOTED
    return {**packet, **noted_of_text(found.final)}, frozenset()


def _look(bridge: Bridge, table_id: int) -> BridgeLook:
    return reach_bridge(bridge, partial(look_at, table_id=table_id))


def _tried(troubles: list[str], what: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except SwitchError as error:
        troubles.append(f"{what}: {error}")
        return None


def whose(record: Record) -> list[str]:
    """Whose packet it was, as far as the record says."""
    owner = record.owner
    told = []
    if record.port is not None:
        told.append(f"in port {record.port.number} {record.port.name}".rstrip())
    told += [f"{key} {value}" for key, value in owner.items() if key != "why"]
    return told
