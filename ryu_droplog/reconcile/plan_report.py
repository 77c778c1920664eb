"""What a reconciler reports of its work: sentences for the log, and rows for `status`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any

from ryu_droplog.openflow.oxm_match import text as match_text
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.reconcile.desired_state import FlowKey, FlowState
from ryu_droplog.reconcile.explicit_drops import Place
from ryu_droplog.reconcile.planner import NO_FLOW_LEADS_THERE, TABLE_MAX, Plan, Verdict
from ryu_droplog.text.phrases import count


def summarise(
    plan: Plan,
    pipeline: Pipeline,
    states: Mapping[FlowKey, FlowState],
    rewritten: Collection[Place],
) -> list[str]:
    """What is watched and what is not, a line each."""
    flows = {key for key, state in states.items() if state.flow is not None}
    refusals = {key: state.refusal for key, state in states.items() if state.refusal}
    lines = []
    if pipeline.misses:
        watched = [table.name for table in plan.watched if FlowKey(table.table_id, 0) in flows]
        lines.append(f"watching {', '.join(watched) or 'no table'}")
        left = [f"{t.name} ({t.why})" for t in plan.tables if t.verdict is Verdict.LEAVE]
        if left:
            lines.append(f"left alone: {'; '.join(left)}")
    else:
        lines.append("its owner drops by explicit flows alone: no table is watched")
    refused = [
        f"{table.name} ({refusals[FlowKey(table.table_id, 0)]})"
        for table in plan.watched
        if FlowKey(table.table_id, 0) in refusals
    ]
    if refused:
        lines.append(f"not watched for now: {'; '.join(refused)}")
    explicit = {drop.place for drop in plan.explicit}
    above = [states[key] for key in flows if key.slot]  # or one of several that a table has
    logged = sum(state.desired.below in explicit for state in above) + len(rewritten)
    counted = len(plan.explicit) - logged
    if logged:
        by_owner = f", {len(rewritten)} of them by the owner's own flows" if rewritten else ""
        others = f"; {counted} only counted" if counted else ""
        lines.append(f"logging {count(logged, 'explicit drop')} of the owner's{by_owner}{others}")
    elif counted:
        lines.append(f"counting {count(counted, 'explicit drop')} of the owner's, logging none")
    return lines


def describe(
    plan: Plan, states: Mapping[FlowKey, FlowState], rewritten: Collection[Place], now: float
) -> dict[str, Any]:
    """The tables and explicit drops of a plan, each with what is done about it.

    `now` is of the same clock as the times in `states`.
    """
    tables = [
        asdict(table)
        | {"verdict": table.verdict.value}
        | _state(states.get(FlowKey(table.table_id, 0)), now)
        for table in plan.tables
    ]
    above = {state.desired.below: state for state in states.values() if state.desired.key.slot}
    explicit = []
    for drop in plan.explicit:
        row = {
            "table_id": drop.flow.table_id,
            "priority": drop.flow.priority,
            "match": match_text(drop.flow.match),
            "cookie": f"{drop.flow.cookie:#x}",
            "way": drop.method.value,
            "why": drop.why,
            **_state(above.get(drop.place), now),
        }
        row["watched"] = row["watched"] or drop.place in rewritten
        explicit.append(row)
    return {"tables": tables, "explicit": explicit}


def coming(
    plan: Plan,
    pipeline: Pipeline,
    tables: Mapping[int, float],
    name: Callable[[int], str],
    now: float,
) -> list[dict[str, Any]]:
    """Which of these tables have come into use since the plan was made: nothing is done there yet.

    `tables` says since when; `now` is of the same clock.
    """
    decided = {table.table_id for table in plan.tables if table.why != NO_FLOW_LEADS_THERE}
    return [
        {"table_id": table_id, "name": name(table_id), "missing_seconds": round(now - since, 1)}
        for table_id, since in sorted(tables.items())
        if table_id not in decided
        and table_id <= TABLE_MAX
        and (pipeline.discover or table_id in pipeline.tables)
    ]


def _state(state: FlowState | None, now: float) -> dict[str, Any]:
    if state is None:
        return {"watched": False}
    row: dict[str, Any] = {
        "watched": state.flow is not None,
        "withdrawn": state.withdrawn,
    }
    if state.refusal and state.is_desired:
        row["refusal"] = state.refusal
    if state.flow is None and state.missing_since:
        row["missing_seconds"] = round(now - state.missing_since, 1)
    if state.retry is not None:
        row["retry_seconds"] = round(max(state.retry - now, 0.0), 1)
    return row
