"""When the reader of a connection rests."""

from __future__ import annotations

from typing import Any

import pytest

from ryu_droplog.openflow.read_pace import REST, STEADY, ReadPace

COMING: dict[str, Any] = {"packet_ins_only": True, "full": False, "asked": False}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, REST),
        ({"packet_ins_only": False}, 0.0),
        ({"full": True}, 0.0),
        ({"asked": True}, 0.0),
    ],
)
def test_it_rests_only_while_packet_ins_and_nothing_else_keep_coming(
    change: dict[str, bool], expected: float
) -> None:
    pace = ReadPace()
    pace.rest(10.0, **COMING)
    assert expected == pace.rest(10.001, **{**COMING, **change})


def test_the_first_one_and_those_far_between_are_read_at_once() -> None:
    pace = ReadPace()
    rests = [pace.rest(at * STEADY * 1.01, **COMING) for at in range(5)]
    assert [0.0] * 5 == rests


def test_it_goes_on_resting_where_each_rest_is_followed_by_a_read() -> None:
    pace = ReadPace()
    rests = [pace.rest(at * (REST + 0.001), **COMING) for at in range(5)]
    assert [0.0, REST, REST, REST, REST] == rests
