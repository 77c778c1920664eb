"""What other runs have on a bridge: what is removed, what is left, what is in the way.

The connection and the meters stand in for a switch's, which functional/test_two_runs.py has.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Effect, Event, Flow, Update, effect_of
from ryu_droplog.openflow.requests import first_meter
from ryu_droplog.reconcile.desired_state import DesiredFlow, FlowKey
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, ExplicitDrop
from ryu_droplog.reconcile.owner_flow_rewrite import OwnerFlowRewrite
from ryu_droplog.reconcile.planner import Plan
from ryu_droplog.reconcile.sweeper import Sweeper, left_by

OWN, OTHER, THIRD = 0x111100, 0x222200, 0x333300
TELLS_US = bytes.fromhex(
    "0004002800000000 ffff0020000023200025000000000000 00010008d4070000 0002000500000000"
)


def told(meter_id: int) -> bytes:
    """Instructions that send to this program, by a meter."""
    return bytes.fromhex(
        "0004003000000000 ffff0028000023200025000000000000 00010008d4070000 0002000500000000"
    ) + bytes.fromhex(f"00050008{meter_id:08x}")


def flow(run: int, table: int = 0, lease: int = 60) -> Flow:
    number = cookie.Cookie(True, run | 1, table).pack()
    return Flow(table, 0, number, b"", 0, 0, effect_of(TELLS_US), TELLS_US, lease)


def changed(run: int | None, table: int = 5) -> Flow:
    """An owner's drop flow that tells a run, by its meter; None: without a meter."""
    instructions = TELLS_US if run is None else told(first_meter(run) + table)
    return Flow(table, 7, 0x77, b"", 0, 0, effect_of(instructions), instructions)


DROP = Flow(5, 6, 0x78, b"", 0, 0, Effect())
EVERYTHING = [flow(OTHER), flow(THIRD, 1), changed(OTHER), changed(THIRD), changed(None), DROP]
METERS = [first_meter(OTHER), first_meter(OTHER) + 5, first_meter(THIRD) + 1]


def test_what_a_run_has_is_told_by_cookies_and_meters() -> None:
    left = left_by({OTHER}, EVERYTHING, METERS, alone=False)
    assert ([flow(OTHER)], METERS[:2], [changed(OTHER)]) == (
        left.flows,
        left.meters,
        left.rewritten_flows,
    )
    assert 4 == len(left)


def test_flow_that_tells_without_a_meter_is_nobodys_only_when_nobody_else_is_there() -> None:
    left = left_by({OTHER}, EVERYTHING, METERS, alone=True)
    assert [changed(OTHER), changed(None)] == left.rewritten_flows


class Meters:
    """Of a switch that has those of EVERYTHING."""

    def on_switch(self) -> list[int]:
        return METERS

    def read_former(self, meters: list[int]) -> None:
        pass


class Connection:
    """Takes everything, and answers nothing."""

    def exchange(self, messages: list[Any], answer_time: float = 0.0) -> list[Any]:
        return []


@pytest.fixture
def sweeper() -> Sweeper:
    connection: Any = Connection()
    meters: Any = Meters()
    made = Sweeper(
        connection, "br0", OWN, (), 60.0, meters, OwnerFlowRewrite(connection), clock=lambda: 100.0
    )
    made.look(EVERYTHING, first=True)
    return made


def test_place_of_another_run_is_left_to_it(sweeper: Sweeper) -> None:
    why = "another ryu_droplog (generation 0x222200) has a flow there"
    assert why == sweeper.in_the_way(DesiredFlow(FlowKey(0, 0), 0, b""))
    assert not sweeper.in_the_way(DesiredFlow(FlowKey(2, 0), 0, b""))


def test_flow_that_tells_another_run_is_not_taken_from_it(sweeper: Sweeper) -> None:
    drops = [ExplicitDrop(one, CaptureMethod.MODIFY, "") for one in (changed(OTHER), DROP)]
    spared = sweeper.spare(Plan(False, [], drops))
    assert [CaptureMethod.COUNT, CaptureMethod.MODIFY] == [drop.method for drop in spared.explicit]
    assert "it tells another ryu_droplog (generation 0x222200)" == spared.explicit[0].why


def test_each_run_is_told_once_in_each_state(
    sweeper: Sweeper, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            number = cookie.Cookie(True, OTHER | 1, 0).pack()
            assert sweeper.note(Update(Event.MODIFIED, 0, 0, number, TELLS_US))
            sweeper.look(EVERYTHING)
    expected = (
        "br0: another ryu_droplog is at work on this bridge (generation 0x222200): its flows are"
        " left alone, and what they take is not logged here"
    )
    assert [(logging.ERROR, expected)] == [(r.levelno, r.message) for r in caplog.records]
    rows = {row["generation"]: row for row in sweeper.describe(100.0)}
    assert {"0x222200": True, "0x333300": False} == {n: row["at_work"] for n, row in rows.items()}
    assert 62.0 == rows["0x333300"]["seconds_to_decide"]
