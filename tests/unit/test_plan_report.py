"""What a reconciler tells of tables and flows that are not watched."""

from __future__ import annotations

from dataclasses import replace

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.pipelines.loader import AUTO, load_pipelines
from ryu_droplog.reconcile.desired_state import DesiredFlow, FlowKey, FlowState
from ryu_droplog.reconcile.plan_report import coming, describe, summarise
from ryu_droplog.reconcile.planner import NO_FLOW_LEADS_THERE, Plan, TablePlan, Verdict

PIPELINE = load_pipelines(None)[AUTO]
LEFT = "nothing is missed"
PLAN = Plan(
    False,
    [
        TablePlan(0, "TABLE_0", Verdict.MISS, 0, ""),
        TablePlan(1, "TABLE_1", Verdict.LEAVE, 0, LEFT),
        TablePlan(2, "TABLE_2", Verdict.LEAVE, 0, NO_FLOW_LEADS_THERE),
    ],
)


def name(table_id: int) -> str:
    return f"TABLE_{table_id}"


def paused() -> FlowState:
    state = FlowState(DesiredFlow(FlowKey(0, 0), 0, b""), backoff=Backoff(jitter=lambda: 1.0))
    state.added(5.0)
    state.put_off(10.0, "was removed")
    return state


def test_table_that_no_plan_has_decided_on_is_told_with_its_age() -> None:
    tables = {0: 10.0, 1: 10.0, 2: 10.5, 20: 11.0, 255: 11.0}
    assert coming(PLAN, PIPELINE, tables, name, 12.0) == [
        {"table_id": 2, "name": "TABLE_2", "missing_seconds": 1.5},
        {"table_id": 20, "name": "TABLE_20", "missing_seconds": 1.0},
    ]


def test_table_that_the_pipeline_does_not_name_never_comes() -> None:
    named = replace(PIPELINE, discover=False)
    assert not coming(PLAN, named, {20: 11.0}, name, 12.0)


def test_flow_that_gave_way_is_told_with_reason_age_and_next_try() -> None:
    state = {FlowKey(0, 0): paused()}
    [row, *others] = describe(PLAN, state, (), 10.4)["tables"]
    assert ("was removed", 0.4, 0.6) == (
        row["refusal"],
        row["missing_seconds"],
        row["retry_seconds"],
    )
    assert not any("missing_seconds" in other for other in others)
    assert "not watched for now: TABLE_0 (was removed)" in summarise(PLAN, PIPELINE, state, ())


def test_flow_that_is_wanted_again_keeps_its_pause_and_its_reason() -> None:
    state = paused()
    state.stop_desiring()
    assert state.retry is None
    assert "refusal" not in describe(PLAN, {FlowKey(0, 0): state}, (), 10.2)["tables"][0]
    state.desire(state.desired, 10.3)
    assert 11.0 == state.retry
    [row, *_] = describe(PLAN, {FlowKey(0, 0): state}, (), 10.4)["tables"]
    assert ("was removed", 0.1) == (row["refusal"], row["missing_seconds"])
    state.wait(10.5, "another ryu_droplog has a flow there")
    assert state.retry is None
