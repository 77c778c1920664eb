"""The OpFlex agent: its integration and its access bridge.

What it calls its policies and groups is in `opflex_names`.
"""

from __future__ import annotations

from collections import Counter

from ryu_droplog.model import cookie
from ryu_droplog.model.drop import Drop
from ryu_droplog.owners.base import (
    Explanation,
    FlowsByTable,
    Names,
    Owner,
    Recognition,
    all_flows,
)
from ryu_droplog.packet import headers
from ryu_droplog.packet.packet_in import context

_DROP_TABLES = {15: "opflex-int", 9: "opflex-access"}
"""Where its table-drop flows lead, on its integration and its access bridge."""


class OpFlex(Owner):
    """The OpFlex agent (opflex, agent-ovs)."""

    name = "opflex"
    pipelines = tuple(_DROP_TABLES.values())

    def recognise(self, flows: FlowsByTable) -> Recognition | None:
        """By table-drop flows with the agent's cookie, all to one drop table."""
        leads: Counter[int] = Counter()
        for flow in all_flows(flows):
            if flow.priority == 0 and flow.catch_all and flow.cookie == cookie.TABLE_DROP:
                leads.update({step.table_id for step in flow.effect.steps})
        for table_id, pipeline in _DROP_TABLES.items():
            count = leads[table_id]
            if count and count == leads.total():
                evidence = f"{count} table-drop flows with its cookie lead to table {table_id}"
                return Recognition(pipeline, "certain" if count > 1 else "likely", (evidence,))
        return None

    def explain(self, drop: Drop, names: Names) -> Explanation:
        """The groups that the agent noted, and the port where the packet was to go out.

        In registers 0, 2 and 7 (opflex, agent-ovs/ovs/PacketDecoderLayers.cpp).
        """
        registers = context(drop.metadata).registers
        explanation = {
            "source_group": registers.get(headers.OPFLEX_SOURCE_GROUP),
            "destination_group": registers.get(headers.OPFLEX_DESTINATION_GROUP),
            "out_port": registers.get(headers.OPFLEX_OUTPUT_PORT),
        }
        return {key: value for key, value in explanation.items() if value}
