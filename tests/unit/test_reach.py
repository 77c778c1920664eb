"""A configured bridge: connected or not, since when and why, and when that is worth a warning."""

from __future__ import annotations

from ryu_droplog.connections.reach import CONNECTING, REFUSED, UNREACHABLE, Reach, Trouble

START = 1_700_000_000.0
NOWHERE = Trouble(UNREACHABLE, "cannot connect")
OCCUPIED = Trouble(REFUSED, "another is at work there")


class Clocks:
    """A monotonic clock and one of wall time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.set_back = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return START + self.now - 100 - self.set_back


def made(*, waits: bool = False) -> tuple[Reach, Clocks]:
    clocks = Clocks()
    return Reach(waits=waits, clock=clocks.monotonic, wall=clocks.wall), clocks


def test_bridge_that_was_never_tried_is_connecting() -> None:
    reach, clocks = made()
    clocks.now += 3
    reach.note(False, None)
    expected = {
        "state": "connecting",
        "since": "2023-11-14T22:13:20+00:00",
        "seconds": 3.0,
        "error": None,
    }
    assert expected == reach.state()


def test_bridge_that_connects_to_us_is_waited_for() -> None:
    reach, _ = made(waits=True)
    reach.note(False, None)
    assert "waiting" == reach.state()["state"]


def test_bridge_that_cannot_be_reached_says_why_and_since_when() -> None:
    reach, clocks = made()
    for _ in range(4):
        clocks.now += 15
        reach.note(False, NOWHERE)
    state = reach.state()
    assert ("unreachable", 60.0, "cannot connect") == (
        state["state"],
        state["seconds"],
        state["error"],
    )


def test_connected_bridge_has_no_error_of_earlier() -> None:
    reach, clocks = made()
    reach.note(False, NOWHERE)
    clocks.now += 7
    reach.note(True, NOWHERE)
    clocks.now += 2
    expected = {
        "state": "connected",
        "since": "2023-11-14T22:13:27+00:00",
        "seconds": 2.0,
        "error": None,
    }
    assert expected == reach.state()


def test_span_does_not_follow_a_clock_that_is_set_back() -> None:
    reach, clocks = made()
    clocks.now += 30
    clocks.set_back = 3600
    reach.note(False, NOWHERE)
    assert 30.0 == reach.state()["seconds"]


def test_connection_that_does_not_last_is_none() -> None:
    """A bridge that is refused each time after some milliseconds has not been connected."""
    reach, clocks = made()
    for _ in range(5):
        clocks.now += 15
        reach.note(True, OCCUPIED)
        clocks.now += 1
        reach.note(False, OCCUPIED)
    state = reach.state()
    assert ("refused", 80.0) == (state["state"], state["seconds"])
    assert "not connected for 1 min: another is at work there" == reach.warning()


def test_warning_comes_after_a_minute_and_then_every_ten() -> None:
    reach, clocks = made()
    told = []
    for second in range(1400):
        clocks.now = 100.0 + second
        reach.note(False, NOWHERE)
        text = reach.warning()
        if text:
            told.append((second, text))
    assert [
        (60, "not connected for 1 min: cannot connect"),
        (660, "not connected for 11 min: cannot connect"),
        (1260, "not connected for 21 min: cannot connect"),
    ] == told


def test_warning_begins_anew_with_each_time_without_a_connection() -> None:
    reach, clocks = made()
    reach.note(True, None)
    clocks.now += 1000
    reach.note(True, None)
    assert reach.warning() is None
    ended = Trouble(CONNECTING, "the connection has ended")
    reach.note(False, ended)
    clocks.now += 59
    assert reach.warning() is None
    clocks.now += 2
    assert "not connected for 1 min: the connection has ended" == reach.warning()


def test_bridge_that_is_waited_for_in_vain_is_worth_a_warning() -> None:
    reach, clocks = made(waits=True)
    clocks.now += 61
    reach.note(False, None)
    assert "not connected for 1 min: it has not connected" == reach.warning()
