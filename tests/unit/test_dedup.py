"""Repeats are folded within their window, and every one of them is in some line's number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from drops import drop, location
from frames import ARP, IPV4, IPV6, arp, ethernet, icmp, ipv4, ipv6, tcp, udp
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.processing.dedup import Deduplicator, flow_key

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
A6, B6, C6 = "fd00::1", "fd00::2", "fd00::3"
ORIGIN = location()
NOON = 1_700_000_000.0
"""A time of day, in seconds since the epoch."""


def segment(number: int, time: float = 0.0, where: Location = ORIGIN) -> Drop:
    """A TCP segment whose source port tells what it repeats."""
    return drop(ethernet(IPV4, ipv4(A, B, 6, tcp(number, 80))), where, time)


def told(drops: Sequence[Drop]) -> list[tuple[int, float, int]]:
    """Source port, time and number of repeats of what is to be written."""
    return [(one.l4.src_port, one.time, one.repeated) for one in drops]


def take(throttle: Deduplicator, drop: Drop) -> list[Drop]:
    """What is to be written now that this drop came, where no clock was ever set."""
    return throttle.take(drop, drop.time)


def test_first_of_its_kind_goes_through_as_it_is() -> None:
    first = segment(1)
    assert [first] == take(Deduplicator(1.0), first)


def test_repeats_become_one_line_with_their_number_and_the_last_of_them() -> None:
    throttle = Deduplicator(1.0)
    take(throttle, segment(1, 10.0))
    assert [] == [kept for n in range(1, 6) for kept in take(throttle, segment(1, 10.0 + n / 10))]
    assert [] == throttle.expire(10.99)
    assert [(1, 10.5, 5)] == told(throttle.expire(11.0))
    assert [] == throttle.expire(12.0), "the window is closed"


def test_window_without_repeats_ends_without_a_line() -> None:
    throttle = Deduplicator(1.0)
    take(throttle, segment(1))
    assert [] == throttle.expire(float("inf"))


def test_window_counts_from_its_first_drop_and_repeats_do_not_prolong_it() -> None:
    throttle = Deduplicator(1.0)
    take(throttle, segment(1, 0.0))
    take(throttle, segment(1, 0.9))
    assert [(1, 0.9, 1), (1, 1.0, 0)] == told(take(throttle, segment(1, 1.0)))
    assert [] == take(throttle, segment(1, 1.9))
    assert [(1, 1.9, 1)] == told(throttle.expire(2.0))


def test_drop_after_a_window_that_nobody_closed_ends_it_first() -> None:
    throttle = Deduplicator(1.0)
    for time in (0.0, 0.1, 0.2):
        take(throttle, segment(1, time))
    assert [(1, 0.2, 2), (1, 50.0, 0)] == told(take(throttle, segment(1, 50.0)))


def test_expire_ends_only_the_windows_that_are_over() -> None:
    throttle = Deduplicator(1.0)
    for number, time in ((1, 0.0), (1, 0.1), (2, 0.5), (2, 0.6), (1, 0.7)):
        take(throttle, segment(number, time))
    assert [(1, 0.7, 2)] == told(throttle.expire(1.2))
    assert [(2, 0.6, 1)] == told(throttle.expire(1.5))


def test_least_recently_used_window_is_ended_with_its_line_when_all_are_taken() -> None:
    throttle = Deduplicator(1.0, entries=2)
    take(throttle, segment(1, 0.0))
    take(throttle, segment(2, 0.1))
    take(throttle, segment(1, 0.2))  # 2 is now the one that was used least recently
    take(throttle, segment(2, 0.3))
    take(throttle, segment(1, 0.4))
    assert [(2, 0.3, 1), (3, 0.5, 0)] == told(take(throttle, segment(3, 0.5)))
    assert [(1, 0.4, 2)] == told(throttle.expire(float("inf")))


def test_window_ended_early_without_repeats_leaves_no_line() -> None:
    throttle = Deduplicator(1.0, entries=1)
    take(throttle, segment(1))
    assert [(2, 0.0, 0)] == told(take(throttle, segment(2)))


def test_window_over_is_begun_anew_at_no_other_windows_cost() -> None:
    throttle = Deduplicator(1.0, entries=2)
    take(throttle, segment(1, 0.0))
    take(throttle, segment(2, 0.5))
    take(throttle, segment(2, 0.6))
    assert [(1, 1.1, 0)] == told(take(throttle, segment(1, 1.1)))
    assert [(2, 0.6, 1)] == told(throttle.expire(1.5))


@pytest.mark.parametrize("step", [-86400.0, -3600.0, -300.0, 0.0, 300.0, 86400.0])
def test_window_is_as_long_as_ever_when_the_time_of_day_is_set(step: float) -> None:
    """What is written is the time of day; what is measured is a clock that nobody sets."""
    throttle = Deduplicator(1.0)
    throttle.take(segment(1, NOON), 10.0)
    assert [] == throttle.take(segment(1, NOON + step + 0.5), 10.5)
    assert [] == throttle.expire(10.9)
    assert [(1, NOON + step + 0.5, 1)] == told(throttle.expire(11.0))
    assert [(1, NOON + step + 1.1, 0)] == told(throttle.take(segment(1, NOON + step + 1.1), 11.1))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 0.7), st.booleans())),
    st.integers(1, 7),
)
def test_every_drop_is_in_one_number(steps: list[tuple[int, float, bool]], entries: int) -> None:
    """Of the flow that it belongs to; and no more windows are open than may be."""
    throttle = Deduplicator(1.0, entries)
    written: list[Drop] = []
    now = 0.0
    for number, pause, look in steps:
        now += pause
        if look:
            written += throttle.expire(now)
        written += take(throttle, segment(number, now))
    rest = throttle.expire(float("inf"))
    assert entries >= len(rest)
    for number in range(6):
        came = sum(1 for step in steps if step[0] == number)
        lines = [one for one in (*written, *rest) if one.l4.src_port == number]
        assert came == sum(one.repeated or 1 for one in lines)
    assert [] == throttle.expire(float("inf"))


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.7))))
def test_flow_has_one_line_and_one_number_a_window(steps: list[tuple[int, float]]) -> None:
    throttle = Deduplicator(1.0)
    written: list[Drop] = []
    now = 0.0
    for number, pause in steps:
        now += pause
        written += take(throttle, segment(number, now))
    for number in range(4):
        begins = [one.time for one in written if one.l4.src_port == number and not one.repeated]
        assert all(after >= before + 1.0 for before, after in pairwise(begins))


# What makes two drops the same


def frame(payload: bytes, protocol: int = 6, src: str = A, dst: str = B) -> bytes:
    return ethernet(IPV4, ipv4(src, dst, protocol, payload))


SEGMENT = tcp(1000, 80)
DIFFERENT = {
    "source address": (frame(SEGMENT), frame(SEGMENT, src=C)),
    "destination address": (frame(SEGMENT), frame(SEGMENT, dst=C)),
    "direction": (frame(SEGMENT), frame(SEGMENT, src=B, dst=A)),
    "source port": (frame(SEGMENT), frame(tcp(1001, 80))),
    "destination port": (frame(SEGMENT), frame(tcp(1000, 81))),
    "ports the other way": (frame(SEGMENT), frame(tcp(80, 1000))),
    "protocol with the same ports": (frame(SEGMENT), frame(udp(1000, 80), 17)),
    "protocol without ports": (frame(b"", 50), frame(b"", 51)),
    "icmp type": (frame(icmp(8), 1), frame(icmp(3), 1)),
    "icmp code": (frame(icmp(3, 0), 1), frame(icmp(3, 1), 1)),
    "ipv6 source address": (
        ethernet(IPV6, ipv6(A6, B6, 6, SEGMENT)),
        ethernet(IPV6, ipv6(C6, B6, 6, SEGMENT)),
    ),
    "ipv6 destination address": (
        ethernet(IPV6, ipv6(A6, B6, 6, SEGMENT)),
        ethernet(IPV6, ipv6(A6, C6, 6, SEGMENT)),
    ),
    "ipv6 port": (
        ethernet(IPV6, ipv6(A6, B6, 17, udp(1, 2))),
        ethernet(IPV6, ipv6(A6, B6, 17, udp(1, 3))),
    ),
    "arp target": (ethernet(ARP, arp(A, B)), ethernet(ARP, arp(A, C))),
    "arp sender": (ethernet(ARP, arp(A, B)), ethernet(ARP, arp(C, B))),
    "ethertype": (ethernet(0x88B5, bytes(46)), ethernet(0x88B6, bytes(46))),
    "source mac without an address": (
        ethernet(0x88B5, bytes(46), smac="02:00:00:00:00:01"),
        ethernet(0x88B5, bytes(46), smac="02:00:00:00:00:02"),
    ),
    "destination mac without an address": (
        ethernet(0x88B5, bytes(46), dmac="02:00:00:00:00:01"),
        ethernet(0x88B5, bytes(46), dmac="02:00:00:00:00:02"),
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_drops_that_differ_in_whose_they_are_are_two(what: str) -> None:
    one, other = DIFFERENT[what]
    assert flow_key(drop(one)) != flow_key(drop(other))


@pytest.mark.parametrize(
    "where",
    [
        location(bridge="br-ex"),
        location(5),
        location(reason="DENY"),
        location(reason="PERMIT"),
        location(5, name="TABLE_4"),
    ],
    ids=["bridge", "table", "deny", "permit", "table of the same name"],
)
def test_drops_of_different_places_are_two(where: Location) -> None:
    assert flow_key(drop(where=location())) != flow_key(drop(where=where))


SAME = {
    "sequence": frame(tcp(1000, 80, sequence=5)),
    "acknowledgment": frame(tcp(1000, 80, acknowledgment=5)),
    "flags": frame(tcp(1000, 80, flags=0x11)),
    "window": frame(tcp(1000, 80, window=9)),
    "tcp options": frame(tcp(1000, 80, options=bytes(8))),
    "ttl": ethernet(IPV4, ipv4(A, B, 6, SEGMENT, ttl=3)),
    "identification": ethernet(IPV4, ipv4(A, B, 6, SEGMENT, identification=77)),
    "dscp": ethernet(IPV4, ipv4(A, B, 6, SEGMENT, tos=184)),
    "payload": ethernet(IPV4, ipv4(A, B, 6, SEGMENT, bytes(100))),
}


@pytest.mark.parametrize("what", SAME)
def test_drops_that_differ_in_what_a_repeat_changes_are_one(what: str) -> None:
    assert flow_key(drop(frame(SEGMENT))) == flow_key(drop(SAME[what], time=5.0))


def test_icmp_echoes_that_differ_in_identifier_and_sequence_are_one() -> None:
    one, other = frame(icmp(8, 0, 7, 1), 1), frame(icmp(8, 0, 9, 2), 1)
    assert flow_key(drop(one)) == flow_key(drop(other))


@pytest.mark.parametrize("length", range(55))
def test_frame_cut_anywhere_has_a_key(length: int) -> None:
    cut = frame(SEGMENT)[:length]
    throttle = Deduplicator(1.0)
    take(throttle, drop(cut))
    assert [] == take(throttle, drop(cut))
    assert [1] == [one.repeated for one in throttle.expire(1.0)]
