"""The plan: which table gets which flow, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Effect, Flow, Step, effect_of, is_ours
from ryu_droplog.openflow.note import NOTE_INSTRUCTIONS
from ryu_droplog.pipelines.loader import Pipeline, parse_pipeline
from ryu_droplog.reconcile.planner import Plan, Snapshot, Verdict, plan

NAMED = parse_pipeline("pipeline: n\ntables:\n  2: {name: TWO}\n  3: {name: THREE}\n", "n.yaml")
AUTO = parse_pipeline("pipeline: a\ndiscover: true\n", "a.yaml")
BOTH = parse_pipeline("pipeline: b\ndiscover: true\ntables:\n  2: {name: TWO}\n", "b.yaml")
MANAGED = parse_pipeline(
    "pipeline: m\ndrop_table: 9\ntables:\n  0: {name: A}\n  1: {name: B}\n  9: {name: DROPS}\n",
    "m.yaml",
)
ARP = bytes.fromhex("80000a02 0806")
MISS, SHADOW, LEAVE = Verdict.MISS, Verdict.ABOVE_DROP, Verdict.LEAVE


def flow(
    table: int = 2,
    priority: int = 0,
    match: bytes = b"",
    *steps: int,
    acts: bool = False,
    passing: Sequence[int] = (),
    number: int = 0,
    idle: int = 0,
    ids: Sequence[int] = (),
) -> Flow:
    """A flow; `steps` are the tables where its packets go on, `passing` those they come back from.

    It is a drop unless it has any of these, or acts.
    """
    ways = [Step(where, final=False) for where in passing]
    ways += [Step(where, final=True) for where in steps]
    effect = Effect(acts=acts or bool(ways) or bool(ids), steps=ways, controller_ids=list(ids))
    return Flow(table, priority, number, match, idle, 0, effect)


def decided(made: Plan) -> dict[int, tuple[Verdict, int]]:
    return {table.table_id: (table.verdict, table.priority) for table in made.tables}


def table_2(*flows: Flow, limits: Mapping[int, int] | None = None) -> tuple[Verdict, int, str]:
    made = plan(NAMED, Snapshot(flows, limits=limits or {}))
    [two] = [table for table in made.tables if table.table_id == 2]
    return two.verdict, two.priority, two.why


def test_table_without_flows_gets_a_miss_flow() -> None:
    assert (MISS, 0, "it has no flows") == table_2(flow(3, 0))


def test_table_without_priority_0_gets_a_miss_flow() -> None:
    expected = (MISS, 0, "nothing matches what is left")
    assert expected == table_2(flow(2, 1, ARP, acts=True), flow(2, 65535, ARP))


@pytest.mark.parametrize("priority", [0, 1, 7, 65534])
def test_catch_all_drop_gets_a_flow_just_above(priority: int) -> None:
    why = f"above its owner's catch-all drop at priority {priority}"
    assert (SHADOW, priority + 1, why) == table_2(flow(2, priority))


def test_highest_catch_all_decides() -> None:
    below = flow(2, 0, acts=True)
    expected = (SHADOW, 6, "above its owner's catch-all drop at priority 5")
    assert expected == table_2(below, flow(2, 5), flow(2, 3, ARP, acts=True))
    why = "nothing is missed: its owner's catch-all at priority 5 handles the rest"
    assert (LEAVE, 0, why) == table_2(flow(2, 0), flow(2, 5, acts=True))


@pytest.mark.parametrize(
    ("flows", "why"),
    [
        (
            [flow(2, 0, b"", 3)],
            "nothing is missed: its owner's catch-all at priority 0 handles the rest",
        ),
        (
            [flow(2, 4, acts=True)],
            "nothing is missed: its owner's catch-all at priority 4 handles the rest",
        ),
        ([flow(2, 0, ARP)], "its owner has 1 flow at priority 0"),
        ([flow(2, 0, ARP), flow(2, 0, ARP * 2)], "its owner has 2 flows at priority 0"),
        (
            [flow(2, 0), flow(2, 0, ARP)],
            "its owner has 1 flow at priority 0 beside its catch-all drop",
        ),
        ([flow(2, 0), flow(2, 1, ARP), flow(2, 1, ARP * 2)], "its owner has 2 flows at priority 1"),
        ([flow(2, 65535)], "its owner's catch-all drop has priority 65535"),
        (
            [flow(2, 0, idle=60)],
            "its owner's catch-all drop has an idle timeout, which a flow above would let run out",
        ),
    ],
)
def test_table_where_nothing_fits_is_left_alone(flows: list[Flow], why: str) -> None:
    assert (LEAVE, 0, why) == table_2(*flows)


@pytest.mark.parametrize("limit", [0, 2, 5])
def test_table_with_few_places_is_left_to_its_owner(limit: int) -> None:
    made = table_2(flow(2, 5, ARP), limits={2: limit})
    why = f"it has 1 flow of {limit} allowed, and ours might take the last place"
    assert (LEAVE, 0, why) == made


def test_table_with_places_enough_is_watched() -> None:
    assert MISS is table_2(flow(2, 5, ARP), limits={2: 6})[0]


def test_canary_of_neutron_is_left_alone() -> None:
    """Table 23: no flow leads there, and the agent must find it as it left it."""
    flows = [flow(0, 0, b"", 60), flow(60, 5, ARP), flow(23, 0, b"", acts=False)]
    [canary] = [table for table in plan(AUTO, Snapshot(flows)).tables if table.table_id == 23]
    assert (LEAVE, "no flow leads there") == (canary.verdict, canary.why)


def test_bridge_that_asks_a_controller_on_a_miss_keeps_its_misses() -> None:
    """OpenFlow 1.0 to 1.2: what no flow matches is sent to the controller."""
    flows = [flow(0, 5, ARP, 4), flow(4, 0, b"", acts=False)]
    tables = plan(AUTO, Snapshot(flows, packet_in_on_miss=True)).tables
    assert [LEAVE, SHADOW] == [table.verdict for table in tables]
    assert "a miss goes to the bridge's own controller" == tables[0].why


def test_no_flow_is_above_a_drop_where_no_monitor_reports_changes() -> None:
    tables = plan(AUTO, Snapshot([flow(0, 0, b"", acts=False)], monitored=False)).tables
    assert [LEAVE] == [table.verdict for table in tables]


def test_limit_of_another_table_does_not_count() -> None:
    assert MISS is table_2(limits={3: 0})[0]


def our_flow(table: int, priority: int, match: bytes = b"") -> Flow:
    number = cookie.Cookie(True, 77, table).pack()
    return flow(table, priority, match, number=number, ids=[cookie.SIGNATURE])


@pytest.mark.parametrize("theirs", [[], [flow(2, 0)], [flow(2, 0, ARP)]])
def test_flows_of_ours_are_as_good_as_absent(theirs: list[Flow]) -> None:
    expected = table_2(*theirs)
    assert expected == table_2(our_flow(2, 0), *theirs, our_flow(2, 1, ARP))


def noted(number: int, instructions: bytes) -> Flow:
    """A flow with this cookie that does this."""
    effect = effect_of(instructions)
    return Flow(2, 1, number, b"", 0, 0, effect, instructions)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (our_flow(2, 0), True),
        (flow(2, 0, number=cookie.FAMILY), False),
        (flow(2, 0, ids=[cookie.SIGNATURE]), False),
        (flow(2, 0, number=cookie.FAMILY, ids=[5]), False),
        (flow(2, 0, number=cookie.FAMILY, ids=[5, cookie.SIGNATURE]), True),
        (flow(2, 0, number=cookie.TABLE_DROP, ids=[cookie.SIGNATURE]), False),
        (noted(cookie.FAMILY, NOTE_INSTRUCTIONS), True),
        (noted(cookie.TABLE_DROP, NOTE_INSTRUCTIONS), False),
        (noted(cookie.FAMILY, NOTE_INSTRUCTIONS[:-1] + b"q"), False),
        (noted(cookie.FAMILY, NOTE_INSTRUCTIONS + bytes.fromhex("0001000805000000")), False),
    ],
    ids=[
        "ours", "cookie alone", "id alone", "other id", "both ids", "table-drop cookie",
        "cookie and note", "note alone", "other note", "note and more",
    ],
)  # fmt: skip
def test_flow_is_ours_by_cookie_and_controller_id_or_note_together(
    candidate: Flow, expected: bool
) -> None:
    assert expected == is_ours(candidate)


def test_named_pipeline_plans_its_tables_and_no_others() -> None:
    made = plan(NAMED, Snapshot([flow(0, 5, ARP, 2), flow(7, 0)]))
    assert {2: (MISS, 0), 3: (MISS, 0)} == decided(made)
    assert ["TWO", "THREE"] == [table.name for table in made.tables]
    assert not made.managed


def test_watched_tables_are_those_that_get_a_flow() -> None:
    made = plan(NAMED, Snapshot([flow(3, 0, acts=True)]))
    assert [2] == [table.table_id for table in made.watched]


# Discovery: (flows, the tables where a miss loses the packet, those where it does not).
REACH: dict[str, tuple[list[Flow], set[int], set[int]]] = {
    "empty bridge": ([], {0}, set()),
    "goto": ([flow(0, 5, ARP, 4), flow(4, 5, ARP, 5)], {0, 4, 5}, set()),
    "back and forth": ([flow(0, 5, ARP, 4), flow(4, 5, ARP, 0, 4)], {0, 4}, set()),
    "in passing": ([flow(0, 5, ARP, passing=[20])], {0}, {20}),
    "in passing, and from there": (
        [flow(0, 5, ARP, passing=[20]), flow(20, 5, ARP, 21), flow(21, 5, ARP, passing=[22])],
        {0},
        {20, 21, 22},
    ),
    "both ways": ([flow(0, 5, ARP, 20, passing=[20])], {0, 20}, set()),
    "in passing here, on the way there": (
        [flow(0, 5, ARP, 4, passing=[20]), flow(4, 5, ARP, 20), flow(20, 5, ARP, 21)],
        {0, 4, 20, 21},
        set(),
    ),
    "nobody leads there": ([flow(30, 5, ARP, 31), flow(31, 5, ARP)], {0}, set()),
    "nobody leads there, and from there in passing": (
        [flow(30, 5, ARP, passing=[31]), flow(31, 5, ARP)],
        {0},
        set(),
    ),
    "nobody leads there but from a table in passing": (
        [flow(0, 5, ARP, passing=[20]), flow(20, 5, ARP, 21), flow(21, 5, ARP)],
        {0},
        {20, 21},
    ),
    "last table": ([flow(0, 5, ARP, 254)], {0, 254}, set()),
}


@pytest.mark.parametrize("name", REACH)
def test_discovery_tells_the_way_of_packets_from_look_ups(name: str) -> None:
    flows, used, in_passing = REACH[name]
    tables = plan(AUTO, Snapshot(flows)).tables
    passing = "only looked up in passing, by a resubmit: a miss there loses nothing"
    unknown = "no flow leads there"
    assert used == {t.table_id for t in tables if t.why not in (passing, unknown)}
    assert in_passing == {table.table_id for table in tables if table.why == passing}
    assert all(t.verdict is LEAVE for t in tables if t.why in (passing, unknown))


def test_named_table_is_watched_though_only_looked_up_in_passing() -> None:
    made = plan(BOTH, Snapshot([flow(0, 5, ARP, passing=[2, 3])]))
    assert {0: (MISS, 0), 2: (MISS, 0), 3: (LEAVE, 0)} == decided(made)


def test_way_through_flows_of_ours_is_none() -> None:
    """A controller action of ours leads nowhere; a left-over must not make its table known."""
    made = plan(AUTO, Snapshot([our_flow(40, 0)]))
    assert {0: (MISS, 0)} == decided(made)


def test_table_names_come_from_the_pipeline_then_from_the_switch() -> None:
    made = plan(BOTH, Snapshot([flow(0, 5, ARP, 2, 7)], names={2: "theirs", 7: "acl"}))
    assert ["TABLE_0", "TWO", "acl"] == [table.name for table in made.tables]


def agent_flow(table: int, **changes: object) -> Flow:
    """What the OpFlex agent keeps at the end of its tables."""
    parts: dict[str, object] = {"number": cookie.TABLE_DROP}
    return flow(table, 0, b"", 9, **{**parts, **changes})  # type: ignore[arg-type]


def test_bridge_of_the_agent_gets_one_flow_in_its_drop_table() -> None:
    made = plan(MANAGED, Snapshot([agent_flow(0), agent_flow(1)]))
    assert made.managed
    assert {0: (LEAVE, 0), 1: (LEAVE, 0), 9: (MISS, 0)} == decided(made)
    why = "the OpFlex agent sends its drops to DROPS"
    assert [why, why] == [table.why for table in made.tables[:2]]


def test_drop_of_the_agent_in_its_drop_table_gets_a_flow_above() -> None:
    made = plan(MANAGED, Snapshot([agent_flow(0), flow(9, 0)]))
    assert (SHADOW, 1) == decided(made)[9]


@pytest.mark.parametrize(
    "theirs",
    [
        flow(0, 0, b"", 9),
        flow(0, 1, b"", 9, number=cookie.TABLE_DROP),
        flow(0, 0, ARP, 9, number=cookie.TABLE_DROP),
        flow(0, 0, b"", 8, number=cookie.TABLE_DROP),
        flow(9, 0, b"", 9, number=cookie.TABLE_DROP),
        flow(0, 0, number=cookie.TABLE_DROP),
    ],
    ids=["other cookie", "priority", "match", "elsewhere", "drop table itself", "drop"],
)
def test_bridge_with_a_flow_only_like_the_agents_is_not_managed(theirs: Flow) -> None:
    assert not plan(MANAGED, Snapshot([theirs])).managed


def test_pipeline_without_drop_table_is_never_managed() -> None:
    assert not plan(NAMED, Snapshot([agent_flow(0), agent_flow(1)])).managed


FLOWS = st.lists(
    st.builds(
        flow,
        st.sampled_from([0, 2, 3]),
        st.sampled_from([0, 1, 2, 3, 65534, 65535]),
        st.sampled_from([b"", ARP, ARP * 2]),
        acts=st.booleans(),
        idle=st.sampled_from([0, 0, 0, 60]),
        passing=st.lists(st.integers(0, 254), max_size=1),
    ),
    max_size=8,
    unique_by=lambda flow: (flow.table_id, flow.priority, flow.match),  # as on a switch
)


@given(FLOWS, st.sampled_from([NAMED, AUTO, BOTH, MANAGED]))
def test_no_flow_of_ours_takes_packets_from_anyone_elses(
    flows: list[Flow], pipeline: Pipeline
) -> None:
    made = plan(pipeline, Snapshot(flows))
    for table in made.watched:
        theirs = [flow for flow in flows if flow.table_id == table.table_id]
        assert not [flow for flow in theirs if flow.priority == table.priority]
        below = [flow for flow in theirs if flow.priority < table.priority]
        if table.verdict is MISS:
            assert not below
        else:
            # What is taken would have gone to a drop, and to nothing else.
            [top] = [flow for flow in below if flow.priority == table.priority - 1]
            assert (True, False, 0) == (top.catch_all, top.effect.acts, top.idle_timeout)


@given(FLOWS)
def test_order_of_the_flows_does_not_matter(flows: list[Flow]) -> None:
    assert plan(BOTH, Snapshot(flows)) == plan(BOTH, Snapshot(flows[::-1]))
