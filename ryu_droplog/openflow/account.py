"""What a programmer tells of its work: in words for the log, and row by row for `status`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from ryu_droplog.openflow.explicit import Place
from ryu_droplog.openflow.match import text as match_text
from ryu_droplog.openflow.plan import Plan, Verdict
from ryu_droplog.openflow.standing import Key, Standing
from ryu_droplog.pipelines import Pipeline


def news(
    plan: Plan,
    pipeline: Pipeline,
    standing: Mapping[Key, Standing],
    tellers: Collection[Place],
) -> list[str]:
    """What is watched and what is not, a line each."""
    flows = {key for key, one in standing.items() if one.flow is not None}
    refusals = {key: one.refusal for key, one in standing.items() if one.refusal}
    told = []
    if pipeline.misses:
        watched = [table.name for table in plan.watched if Key(table.table_id, 0) in flows]
        told.append(f"watching {', '.join(watched) or 'no table'}")
        left = [f"{t.name} ({t.why})" for t in plan.tables if t.verdict is Verdict.LEAVE]
        if left:
            told.append(f"left alone: {'; '.join(left)}")
    else:
        told.append("its owner drops by explicit flows alone: no table is watched")
    refused = [
        f"{table.name} ({refusals[Key(table.table_id, 0)]})"
        for table in plan.watched
        if Key(table.table_id, 0) in refusals
    ]
    if refused:
        told.append(f"not watched for now: {'; '.join(refused)}")
    explicit = {drop.place for drop in plan.explicit}
    above = [standing[key] for key in flows if key.slot]  # or one of several that a table has
    logged = sum(one.wanted.below in explicit for one in above) + len(tellers)
    counted = len(plan.explicit) - logged
    if logged:
        told.append(
            f"{logged} explicit drops are logged, {len(tellers)} of them by the owner's own flows;"
            f" {counted} are only counted"
        )
    elif counted:
        told.append(f"{counted} explicit drops of the owner's are counted")
    return told


def describe(
    plan: Plan, standing: Mapping[Key, Standing], tellers: Collection[Place]
) -> dict[str, Any]:
    """The tables and explicit drops of a plan, each with what is done about it."""
    tables = [
        asdict(table)
        | {"verdict": table.verdict.value}
        | _state(standing.get(Key(table.table_id, 0)))
        for table in plan.tables
    ]
    above = {one.wanted.below: one for one in standing.values() if one.wanted.key.slot}
    explicit = []
    for drop in plan.explicit:
        row = {
            "table_id": drop.flow.table_id,
            "priority": drop.flow.priority,
            "match": match_text(drop.flow.match),
            "cookie": f"{drop.flow.cookie:#x}",
            "way": drop.way.value,
            "why": drop.why,
            **_state(above.get(drop.place)),
        }
        row["watched"] = row["watched"] or drop.place in tellers
        explicit.append(row)
    return {"tables": tables, "explicit": explicit}


def _state(standing: Standing | None) -> dict[str, Any]:
    if standing is None:
        return {"watched": False}
    told: dict[str, Any] = {
        "watched": standing.flow is not None,
        "withdrawn": standing.withdrawn,
    }
    if standing.refusal:
        told["refusal"] = standing.refusal
    return told
