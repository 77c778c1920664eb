"""OVN: the integration bridge of ovn-controller.

Logical names are read from the southbound database (`ovsdb/southbound.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.model.drop import Drop
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.oxm_match import fields
from ryu_droplog.ovsdb.southbound import Southbound
from ryu_droplog.ovsdb.southbound_rows import Directory
from ryu_droplog.owners.base import (
    Explanation,
    FlowsByTable,
    Names,
    Owner,
    Recognition,
    Remedy,
)
from ryu_droplog.owners.ovn_acl import acl_command
from ryu_droplog.packet.packet_in import context
from ryu_droplog.records.record import Record

# Logical ingress begins in table 8, logical datapaths are told apart by the metadata field, and
# table 0 sets it, table 65 sends to the ports (ovn, controller/lflow.h: OFTABLE_PHY_TO_LOG,
# OFTABLE_LOG_INGRESS_PIPELINE, OFTABLE_LOG_TO_PHY).
_LOGICAL_INGRESS = 8
_LOG_TO_PHY = 65
_METADATA_FIELD = bytes.fromhex("80000408")  # OXM_OF_METADATA, exact
_MANY = 0.9
"""Share of flows that counts as nearly all."""
# The OpenFlow metadata holds the tunnel key of the logical datapath, registers 14 and 15 the keys
# of the logical ports where the packet came in and goes out (ovn, include/ovn/logical-fields.h).
_INPORT_REGISTER, _OUTPORT_REGISTER = 14, 15
_REGISTERS = 1
"""OXM class of the registers (NXM_1)."""


class Ovn(Owner):
    """ovn-controller."""

    name = "ovn"
    pipelines = ("ovn",)

    def recognise(self, flows: FlowsByTable) -> Recognition | None:
        """By logical flows: from table 8 on, nearly all match the metadata."""
        ingress = flows.get(_LOGICAL_INGRESS, ())
        following = flows.get(_LOGICAL_INGRESS + 1, ())
        logical = [*ingress, *following]
        if not ingress or not following:
            return None
        matching = sum(_METADATA_FIELD in flow.match for flow in logical)
        if matching < _MANY * len(logical):
            return None
        evidence = [
            f"{matching} of {len(logical)} flows in tables 8 and 9 match a logical datapath"
        ]
        enters = any(
            step.table_id == _LOGICAL_INGRESS
            for flow in flows.get(0, ())
            for step in flow.effect.steps
        )
        cookies = {flow.cookie for flow in logical}
        if _LOG_TO_PHY in flows:
            evidence.append(f"table {_LOG_TO_PHY} is in use")
        if enters and all(0 < number < 1 << 32 for number in cookies):
            evidence.append("table 0 leads to table 8, and cookies are heads of UUIDs")
            return Recognition("ovn", "certain", tuple(evidence))
        return Recognition("ovn", "likely", tuple(evidence))

    def explain(self, drop: Drop, names: Names) -> Explanation:
        """The logical switch or router that dropped a packet, and between which of its ports.

        Nothing where the bridge is not on this host, and so not its database.
        """
        if not isinstance(names.database, Southbound):
            return {}
        return in_logical_terms(drop, names.database.directory())

    def remedy(self, record: Record, port_ids: Mapping[str, str]) -> Remedy | None:
        """The ACL just above the one that dropped the packet."""
        return acl_command(record)

    def loses_nothing(self, flow: Flow) -> bool:
        """Whether the flow takes what would leave by the logical port that it came from."""
        match = fields(flow.match)
        keys = [match.get((_REGISTERS, key)) for key in (_INPORT_REGISTER, _OUTPORT_REGISTER)]
        return keys[0] is not None and keys[0] == keys[1]

    def open_database(self, rundir: str, *, once: bool) -> Southbound:
        """The southbound database that Open vSwitch names."""
        return Southbound(rundir, quiet=once, follow=not once)


def in_logical_terms(drop: Drop, directory: Directory) -> dict[str, str | int]:
    """Datapath, in port and out port of a drop, by what the directory calls them.

    Keys that have no name there are given by number, as `datapath_key`, `inport_key` and
    `outport_key`.
    """
    packet = context(drop.metadata)
    datapath = packet.metadata
    if not datapath:
        return {}
    explanation: dict[str, str | int] = {}
    if datapath in directory.datapaths:
        name, kind = directory.datapaths[datapath]
        explanation |= {"datapath": name, "datapath_type": kind}
    else:
        explanation["datapath_key"] = datapath
    for end, register in (("inport", _INPORT_REGISTER), ("outport", _OUTPORT_REGISTER)):
        key = packet.registers.get(register, 0)
        if (datapath, key) in directory.ports:
            explanation[end] = directory.ports[datapath, key]
        elif key:
            explanation[f"{end}_key"] = key
    return explanation
