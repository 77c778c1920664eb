"""What is planned about explicit drops, flow by flow."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from ryu_droplog.config.settings import ExplicitDrops
from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.reconcile.explicit_drops import (
    CAPTURES,
    CaptureMethod,
    ExplicitDrop,
    is_drop,
    plan_explicit,
)

IP = bytes.fromhex("80000a020800")
ARP = bytes.fromhex("80000a020806")
LOG, MODIFY = ExplicitDrops(log=True), ExplicitDrops(log=True, modify=True)
FORWARD = Effect(acts=True, leaves=True)


def flow(
    priority: int,
    match: bytes = IP,
    *,
    effect: Effect | None = None,
    cookie: int = 1,
    table: int = 5,
    idle: int = 0,
) -> Flow:
    return Flow(table, priority, cookie, match, idle, 0, effect or Effect())


def planned(
    *flows: Flow,
    wish: ExplicitDrops = LOG,
    monitored: bool = True,
    own_cookies: bool = True,
    known: Sequence[int] = (),
) -> list[ExplicitDrop]:
    tables: dict[int, list[Flow]] = {}
    for one in flows:
        tables.setdefault(one.table_id, []).append(one)
    return plan_explicit(
        tables, wish, known.__contains__, monitored=monitored, own_cookies=own_cookies
    )


def ways(drops: Sequence[ExplicitDrop]) -> list[tuple[CaptureMethod, int]]:
    return [(drop.method, drop.priority) for drop in drops]


def test_drop_is_counted_where_nothing_is_asked() -> None:
    assert [(CaptureMethod.COUNT, 0)] == ways(planned(flow(10), wish=ExplicitDrops()))


def test_drop_with_room_above_gets_a_flow_there() -> None:
    assert [(CaptureMethod.ABOVE, 11)] == ways(planned(flow(10), flow(11, ARP, effect=FORWARD)))


def test_flow_that_forwards_is_no_drop() -> None:
    assert [] == planned(flow(10, effect=FORWARD))


def test_flow_that_tells_its_controller_is_a_drop_where_its_owner_says_so() -> None:
    logs = flow(10, effect=Effect(acts=True, tells=True), cookie=7)
    assert [] == planned(logs)
    assert [(CaptureMethod.ABOVE, 11)] == ways(planned(logs, known=[7]))
    assert is_drop(logs, lambda cookie: cookie == 7)


def test_drops_in_other_tables_than_those_asked_for_are_counted() -> None:
    wish = ExplicitDrops(log=frozenset({6}))
    expected = [(CaptureMethod.COUNT, 0), (CaptureMethod.ABOVE, 11)]
    assert expected == ways(planned(flow(10), flow(10, table=6), wish=wish))


@pytest.mark.parametrize(
    ("flows", "why"),
    [
        ((flow(10), flow(11, effect=FORWARD)), "another flow overlaps at priority 11"),
        ((flow(10), flow(10, b"", effect=FORWARD)), "another flow at its priority overlaps"),
        ((flow(65535),), "nothing can be above priority 65535"),
        ((flow(10, idle=5),), "it has an idle timeout, which a flow above would let run out"),
    ],
)
def test_drop_without_room_above_is_counted_and_says_why(flows: Sequence[Flow], why: str) -> None:
    assert [(CaptureMethod.COUNT, why)] == [(drop.method, drop.why) for drop in planned(*flows)]


def test_drops_that_overlap_at_a_priority_get_flows_one_above_the_other() -> None:
    assert [(CaptureMethod.ABOVE, 11), (CaptureMethod.ABOVE, 12)] == ways(
        planned(flow(10), flow(10, b"", cookie=2))
    )


def test_drop_without_room_is_modified_only_where_asked_and_its_cookie_is_its_own() -> None:
    flows = (flow(10, cookie=9), flow(11, effect=FORWARD))
    assert [(CaptureMethod.COUNT, 0)] == ways(planned(*flows))
    assert [(CaptureMethod.MODIFY, 0)] == ways(planned(*flows, wish=MODIFY))
    assert [(CaptureMethod.COUNT, 0)] == ways(planned(*flows, wish=MODIFY, own_cookies=False))
    shared = (flow(10, cookie=9), flow(11, effect=FORWARD, cookie=9))
    assert [(CaptureMethod.COUNT, 0)] == ways(planned(*shared, wish=MODIFY))
    nameless = (flow(10, cookie=0), flow(11, effect=FORWARD))
    assert [(CaptureMethod.COUNT, 0)] == ways(planned(*nameless, wish=MODIFY))


def test_nothing_is_captured_without_a_flow_monitor() -> None:
    assert [(CaptureMethod.COUNT, 0)] == ways(planned(flow(10), wish=MODIFY, monitored=False))


def test_drops_past_the_bound_are_counted() -> None:
    flows = [
        flow(10, bytes.fromhex("80000a020800 80001804") + n.to_bytes(4, "big"), cookie=n)
        for n in range(CAPTURES + 2)
    ]
    assert 2 == sum(drop.method is CaptureMethod.COUNT for drop in planned(*flows))


def to_address(number: int, mask: int = 0xFFFFFFFF) -> bytes:
    """Packets to one address, or under a mask."""
    return IP + struct.pack("!HBBII", 0x8000, 12 << 1 | 1, 8, number & mask, mask)


@pytest.mark.timeout(60)
def test_long_list_of_drops_is_planned_in_time_linear_in_it() -> None:
    """20,000 addresses, where comparing each with each other takes minutes."""
    drops = [flow(10, to_address(number)) for number in range(20_000)]
    made = planned(*drops)
    assert CAPTURES == sum(drop.method is CaptureMethod.ABOVE for drop in made)
    beside = flow(10, b"", effect=FORWARD)
    assert {"another flow at its priority overlaps"} == {d.why for d in planned(beside, *drops)}


@pytest.mark.timeout(60)
def test_drops_that_all_ask_other_bits_are_compared_within_a_bound() -> None:
    top = 1 << 31
    drops = [flow(10, to_address(0, top | number)) for number in range(20_000)]
    above = [flow(11, to_address(top, top | number), effect=FORWARD) for number in range(20_000)]
    made = planned(*drops, *above)
    assert 20_000 == len(made)
    assert "there are too many kinds of matches to compare" in {drop.why for drop in made}
