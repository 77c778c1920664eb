"""Who owns a bridge, as far as its flows tell: a pure function.

What each owner does was seen beside the real programs; see docs/owners.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ryu_droplog import cookie
from ryu_droplog.openflow.flows import Flow
from ryu_droplog.pipelines import AUTO

Sureness = Literal["certain", "likely", "unknown"]

# Neutron's ML2/OVS agent: its canary, and tables of its OVS firewall (neutron-lib,
# plugins/ml2/ovs_constants.py: CANARY_TABLE, BASE_EGRESS_TABLE, BASE_INGRESS_TABLE, DROPPED_...).
_CANARY = 23
_FIREWALL = frozenset((60, 71, 72, 81, 82, 91, 92, 93, 94))
_TRANSIENT = 60

# OVN: logical ingress begins in table 8, logical datapaths are told apart by the metadata field,
# and table 0 sets it (ovn, controller/lflow.h: OFTABLE_PHY_TO_LOG, OFTABLE_LOG_INGRESS_PIPELINE).
_LOGICAL_INGRESS = 8
_METADATA_FIELD = bytes.fromhex("80000408")  # OXM_OF_METADATA, exact
_MANY = 0.9
"""Share of flows that counts as nearly all."""

# The OpFlex agent: where its table-drop flows lead, on its integration and its access bridge.
_DROP_TABLES = {15: "opflex-int", 9: "opflex-access"}


@dataclass(frozen=True)
class Recognition:
    """Whose bridge it seems to be."""

    pipeline: str
    """Name of the owner's pipeline; `auto` where nobody was recognised."""
    sureness: Sureness
    evidence: tuple[str, ...]
    """What speaks for it, for people."""

    def in_words(self) -> str:
        """One line: who, how sure, and why."""
        if self.sureness == "unknown":
            return "not recognised"
        return f"{self.pipeline} ({self.sureness}: {'; '.join(self.evidence)})"


def recognise(flows: Sequence[Flow]) -> Recognition:
    """Look for what only one owner does; flows of this program do not count."""
    by_table: dict[int, list[Flow]] = {}
    for flow in flows:
        if not (cookie.SIGNATURE in flow.effect.controller_ids and cookie.unpack(flow.cookie)):
            by_table.setdefault(flow.table_id, []).append(flow)
    candidates = [_opflex(by_table), _neutron(by_table), _ovn(by_table)]
    found = [one for one in candidates if one is not None]
    found.sort(key=lambda one: one.sureness != "certain")
    return found[0] if found else Recognition(AUTO, "unknown", ())


def _opflex(by_table: dict[int, list[Flow]]) -> Recognition | None:
    """Table-drop flows with the agent's cookie in at least two tables, all to one drop table."""
    leads: Counter[int] = Counter()
    for flows in by_table.values():
        for flow in flows:
            if flow.priority == 0 and flow.catch_all and flow.cookie == cookie.TABLE_DROP:
                leads.update({step.table_id for step in flow.effect.steps})
    for table_id, pipeline in _DROP_TABLES.items():
        count = leads[table_id]
        if count and count == leads.total():
            evidence = f"{count} table-drop flows with its cookie lead to table {table_id}"
            return Recognition(pipeline, "certain" if count > 1 else "likely", (evidence,))
    return None


def _neutron(by_table: dict[int, list[Flow]]) -> Recognition | None:
    canary = by_table.get(_CANARY, [])
    if len(canary) != 1 or canary[0].effect.acts or not canary[0].catch_all:
        return None
    if any(step.table_id == _CANARY for flow in _all(by_table) for step in flow.effect.steps):
        return None
    evidence = [f"table {_CANARY} is its canary: one drop, to which no flow leads"]
    firewall = sorted(_FIREWALL & set(by_table))
    if len(firewall) == len(_FIREWALL):
        evidence.append("the tables of its OVS firewall are in use")
        return Recognition("neutron", "certain", tuple(evidence))
    if _TRANSIENT in by_table:
        evidence.append(f"table {_TRANSIENT} is in use")
        return Recognition("neutron", "likely", tuple(evidence))
    return None


def _ovn(by_table: dict[int, list[Flow]]) -> Recognition | None:
    """Logical flows: from table 8 on, nearly all match the metadata and go one table further."""
    logical = by_table.get(_LOGICAL_INGRESS, [])
    following = by_table.get(_LOGICAL_INGRESS + 1, [])
    flows = logical + following
    if not logical or not following:
        return None
    matching = sum(_METADATA_FIELD in flow.match for flow in flows)
    if matching < _MANY * len(flows):
        return None
    evidence = [f"{matching} of {len(flows)} flows in tables 8 and 9 match a logical datapath"]
    enters = any(
        step.table_id == _LOGICAL_INGRESS
        for flow in by_table.get(0, ())
        for step in flow.effect.steps
    )
    cookies = {flow.cookie for flow in flows}
    if enters and all(0 < number < 1 << 32 for number in cookies):
        evidence.append("table 0 leads to table 8, and cookies are heads of UUIDs")
        return Recognition("ovn", "certain", tuple(evidence))
    return Recognition("ovn", "likely", tuple(evidence))


def _all(by_table: dict[int, list[Flow]]) -> list[Flow]:
    return [flow for flows in by_table.values() for flow in flows]
