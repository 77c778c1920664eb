"""How packets go from table to table, by the flows of a bridge and what they have counted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.pipelines.loader import Pipeline


def flow_graph(
    bridge: str, pipeline: Pipeline, flows: Iterable[Flow], names: Mapping[int, str]
) -> dict[str, Any]:
    """Tables with what they drop, and the ways between them, each with packets.

    `names` are the switch's own names of tables. A table drops what its flows of ours see and what
    its owner's flows drop; it ends what leaves the tables there, such as by an output.
    """
    tables: dict[int, dict[str, Any]] = {}
    ways: dict[tuple[int, int], int] = {}

    def table(table_id: int) -> dict[str, Any]:
        if table_id not in tables:
            known = pipeline.tables.get(table_id)
            tables[table_id] = {
                "id": table_id,
                "name": pipeline.table_name(table_id, names),
                "cause": known.cause if known else "",
                "flows": 0,
                "packets": 0,
                "dropped": 0,
                "ended": 0,
            }
        return tables[table_id]

    for flow in flows:
        here = table(flow.table_id)
        here["packets"] += flow.packets
        if is_ours(flow):
            here["dropped"] += flow.packets
            continue
        here["flows"] += 1
        steps = {step.table_id for step in flow.effect.steps}
        for target in steps:
            table(target)
            ways[flow.table_id, target] = ways.get((flow.table_id, target), 0) + flow.packets
        if not flow.effect.leaves and not flow.effect.tells:
            here["dropped"] += flow.packets
        elif not steps:
            here["ended"] += flow.packets
    return {
        "bridge": bridge,
        "pipeline": pipeline.name,
        "tables": [tables[number] for number in sorted(tables)],
        "ways": [
            {"from": source, "to": target, "packets": packets}
            for (source, target), packets in sorted(ways.items())
        ],
    }
