"""Which packet event becomes whose event, and what it says."""

from __future__ import annotations

import pytest
from packet_events import NOW, REASON, packet, pod

from ryu_droplog.k8s_events.pods import PodMap
from ryu_droplog.k8s_events.rules import (
    MAX_REASON,
    Discard,
    PodEvent,
    Rules,
    is_permit,
    message_of,
    reason_of,
)
from ryu_droplog.k8s_events.stream import PacketEvent

SOURCE, DESTINATION = "10.2.0.229", "10.2.0.195"


def pods(*known: object) -> PodMap:
    made = PodMap()
    made.replace(known)  # type: ignore[arg-type]
    return made


WEB = pods(pod("web", DESTINATION))


def judge(
    event: PacketEvent,
    known: PodMap = WEB,
    now: float = NOW,
    rules: Rules | None = None,
    clock: float | None = None,
) -> PodEvent | Discard:
    """The verdict; what is to be posted is posted. Without a `clock`, nobody sets the time."""
    rules = Rules(600.0, 120.0) if rules is None else rules
    clock = now if clock is None else clock
    verdict = rules.judge(event, known, now, clock)
    if isinstance(verdict, PodEvent):
        rules.posted(verdict, clock)
    return verdict


def told(verdict: PodEvent | Discard) -> tuple[str, str, str]:
    assert isinstance(verdict, PodEvent)
    return verdict.pod.name, verdict.reason, verdict.message


def test_drop_on_the_way_to_a_pod_reads_as_documented() -> None:
    expected = (
        "web",
        "Acc-SEC_GROUP_IN_TABLE MISS(Security Drop)",
        "IPv4 packet from 10.2.0.229 to default/web was dropped",
    )
    assert expected == told(judge(packet()))


def test_source_gets_it_when_both_ends_are_pods() -> None:
    known = pods(pod("web", DESTINATION), pod("client", SOURCE, namespace="test"))
    who, _, message = told(judge(packet(), known))
    assert ("client", "IPv4 packet from test/client to default/web was dropped") == (who, message)


@pytest.mark.parametrize(
    "source",
    [
        pod("source", SOURCE, host_network=True),
        pod("source", SOURCE, phase="Pending"),
        pod("source", SOURCE, phase="Unknown"),
    ],
)
def test_destination_gets_it_when_the_source_cannot_and_both_are_named(source: object) -> None:
    who, _, message = told(judge(packet(), pods(source, pod("web", DESTINATION))))
    assert ("web", "IPv4 packet from default/source to default/web was dropped") == (who, message)


@pytest.mark.parametrize(
    "known",
    [
        pods(),
        pods(pod("web", DESTINATION, host_network=True)),
        pods(pod("web", DESTINATION, phase="Pending")),
        pods(pod("web", DESTINATION, phase="Succeeded")),
        pods(pod("other", "10.2.0.1")),
    ],
)
def test_nobody_gets_it_when_neither_end_can(known: PodMap) -> None:
    assert Discard.NO_POD is judge(packet(), known)


@pytest.mark.parametrize(
    ("age", "expected"), [(600, None), (601, Discard.TOO_OLD), (-5, None), (-86400, None)]
)
def test_age_decides(age: float, expected: Discard | None) -> None:
    verdict = judge(packet(at=NOW - age))
    assert expected == (verdict if isinstance(verdict, Discard) else None)


def test_time_in_the_future_is_now() -> None:
    verdict = judge(packet(at=NOW + 3600))
    assert isinstance(verdict, PodEvent)
    assert NOW == verdict.time


def test_unknown_time_is_discarded() -> None:
    event = PacketEvent(time_stamp="yesterday", source_ip=SOURCE, destination_ip=DESTINATION)
    assert Discard.NO_TIME is judge(event)


def test_pair_is_told_again_after_the_interval() -> None:
    """An interval begins when an event is posted, and an event counts by its own time."""
    rules = Rules(600.0, 120.0)
    verdicts = [
        judge(packet(at=NOW + at), now=NOW + now, rules=rules)
        for at, now in ((0, 1), (1, 1), (120, 121), (121, 121), (122, 122), (123, 200), (300, 300))
    ]
    repeated = [verdict is Discard.REPEATED for verdict in verdicts]
    assert [False, True, True, True, False, True, False] == repeated


def test_pair_is_not_told_again_by_times_in_the_future() -> None:
    rules = Rules(600.0, 120.0)
    verdicts = [judge(packet(at=NOW + 9000 * at), rules=rules) for at in range(3)]
    assert [False, True, True] == [verdict is Discard.REPEATED for verdict in verdicts]


@pytest.mark.parametrize("step", [-86400.0, -3600.0, -300.0, 300.0, 86400.0])
def test_interval_is_as_long_as_ever_when_the_time_of_day_is_set(step: float) -> None:
    rules = Rules(600.0, 120.0)
    verdicts = [
        judge(packet(at=NOW + step * bool(clock) + clock), now=NOW + step * bool(clock) + clock,
              rules=rules, clock=clock)
        for clock in (0.0, 1.0, 119.0, 121.0, 240.0, 242.0)
    ]  # fmt: skip
    repeated = [verdict is Discard.REPEATED for verdict in verdicts]
    assert [False, True, True, False, True, False] == repeated


def test_way_back_and_other_pairs_are_told_at_once() -> None:
    rules = Rules(600.0, 120.0)
    events = (packet(), packet(DESTINATION, SOURCE), packet("10.2.0.230"))
    assert [PodEvent] * 3 == [type(judge(event, rules=rules)) for event in events]


def test_pair_is_the_same_in_another_notation() -> None:
    known = pods(pod("six", "fd00::1"))
    rules = Rules(600.0, 120.0)
    first = judge(packet("fd00:0::1", "2001:DB8::1"), known, rules=rules)
    assert "IPv4 packet from default/six to 2001:db8::1 was dropped" == told(first)[2]
    assert Discard.REPEATED is judge(packet("fd00::1", "2001:db8::1"), known, rules=rules)


def test_what_nobody_took_leaves_no_interval() -> None:
    rules = Rules(600.0, 120.0)
    assert Discard.NO_POD is judge(packet(), pods(), rules=rules)
    assert isinstance(rules.judge(packet(), WEB, NOW, NOW), PodEvent)
    assert isinstance(judge(packet(), rules=rules), PodEvent)


def test_memory_of_pairs_is_bounded_and_the_oldest_goes_first() -> None:
    rules = Rules(600.0, 120.0, pairs=3)
    sources = [f"10.3.0.{number}" for number in range(5)]
    for source in sources:
        judge(packet(source), rules=rules)
    assert 3 == len(rules)
    verdicts = [rules.judge(packet(source), WEB, NOW, NOW) for source in sources]
    repeated = [verdict is Discard.REPEATED for verdict in verdicts]
    assert [False, False, True, True, True] == repeated


@pytest.mark.parametrize(
    ("source", "destination"),
    [("", ""), ("", DESTINATION), (SOURCE, ""), ("x", DESTINATION), ("10.2.0.0229", DESTINATION)],
)
def test_event_without_two_addresses_is_discarded(source: str, destination: str) -> None:
    assert Discard.NO_ADDRESS is judge(packet(source, destination))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Int-SEC_GROUP_OUT_TABLE PERMIT", True),
        ("POL_TABLE PERMIT allow-web", True),
        ("POL_TABLE DENY PERMIT", False),
        ("POL_TABLE PERMIT DENY", True),
        ("PERMIT_TABLE MISS", False),
        ("", False),
    ],
)
def test_permit_is_told_from_a_policy_of_that_name(reason: str, expected: bool) -> None:
    assert expected == is_permit(reason)
    assert expected == (judge(packet(reason=reason)) is Discard.PERMITTED)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Int-POL_TABLE DENY web", "Int-POL_TABLE DENY web(Policy Drop)"),
        ("Int-PORT_SECURITY_TABLE MISS", "Int-PORT_SECURITY_TABLE MISS(Security Drop)"),
        (REASON, f"{REASON}(Security Drop)"),
        ("Acc-SEC_GROUP_OUT_TABLE MISS", "Acc-SEC_GROUP_OUT_TABLE MISS(Security Drop)"),
        ("Int-ROUTE_TABLE MISS", "Int-ROUTE_TABLE MISS(Networking Drop)"),
        ("", "Unspecified"),
        ("A\x1b[31m\nB MISS", "A\\x1b[31m\\nB MISS(Networking Drop)"),
    ],
)
def test_reason_tells_the_kind_of_drop(reason: str, expected: str) -> None:
    assert expected == reason_of(reason)


def test_reason_is_cut_before_its_suffix() -> None:
    reason = reason_of("Int-POL_TABLE DENY " + "x" * 500)
    assert MAX_REASON == len(reason)
    assert reason.endswith("x(Policy Drop)")


def test_message_holds_nothing_that_a_terminal_obeys() -> None:
    assert "\\x1b[2J packet from a to b was dropped" == message_of("\x1b[2J", "a", "b")
    assert "Packet from a to b was dropped" == message_of("", "a", "b")
