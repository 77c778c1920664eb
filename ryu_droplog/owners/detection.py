"""Who owns a bridge, as far as its flows tell: a pure function.

What each owner does was seen beside the real programs; see docs/owners.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.pipelines.loader import AUTO

Sureness = Literal["certain", "likely", "unknown"]
OWNERS = ("neutron", "ovn", "opflex-int", "opflex-access")
"""Pipelines of owners that are recognised."""

# Neutron's ML2/OVS agent: its canary, where all packets come by, and the tables of its OVS firewall
# that it has had in every release (neutron-lib, plugins/ml2/ovs_constants.py: CANARY_TABLE,
# TRANSIENT_TABLE, BASE_EGRESS_TABLE, RULES_EGRESS_TABLE, BASE_INGRESS_TABLE, RULES_INGRESS_TABLE).
_CANARY = 23
_TRANSIENT = 60
_FIREWALL = frozenset((71, 72, 81, 82))

# OVN: logical ingress begins in table 8, logical datapaths are told apart by the metadata field,
# and table 0 sets it, table 65 sends to the ports (ovn, controller/lflow.h: OFTABLE_PHY_TO_LOG,
# OFTABLE_LOG_INGRESS_PIPELINE, OFTABLE_LOG_TO_PHY).
_LOGICAL_INGRESS = 8
_LOG_TO_PHY = 65
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
        if not is_ours(flow):
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
    if _TRANSIENT not in by_table:
        return None
    numbers = Counter(flow.cookie for flow in _all(by_table))
    same, total = max(numbers.values()), numbers.total()
    if same >= _MANY * total:
        evidence.append(f"{same} of {total} flows have one cookie")
    if set(by_table) >= _FIREWALL:
        evidence.append("the tables of its OVS firewall are in use")
        return Recognition("neutron", "certain", tuple(evidence))
    evidence.append(f"table {_TRANSIENT} is in use, and no table of its OVS firewall")
    return Recognition("neutron", "likely", tuple(evidence))


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
    if _LOG_TO_PHY in by_table:
        evidence.append(f"table {_LOG_TO_PHY} is in use")
    if enters and all(0 < number < 1 << 32 for number in cookies):
        evidence.append("table 0 leads to table 8, and cookies are heads of UUIDs")
        return Recognition("ovn", "certain", tuple(evidence))
    return Recognition("ovn", "likely", tuple(evidence))


def _all(by_table: dict[int, list[Flow]]) -> Iterator[Flow]:
    return (flow for flows in by_table.values() for flow in flows)
