"""The program's own log has a bound, whatever others do."""

from __future__ import annotations

import io
import logging

import pytest

from ryu_droplog.text import log_quota, plain_log
from ryu_droplog.text.log_quota import OF_A_PLACE, OF_A_THING, PERIOD, TRACEBACK, Quota


class Log:
    """A logger of the program's, and what it has written."""

    def __init__(self, name: str = "ryu_droplog.connections.connector") -> None:
        self.now = 1000.0
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        plain_log.guard([handler])
        [first] = [one for one in handler.filters if isinstance(one, Quota)]
        handler.removeFilter(first)
        handler.addFilter(Quota(lambda: self.now))
        self._stream = stream
        self._logger = logging.Logger(name)
        self._logger.addHandler(handler)

    def say(self, thing: str, level: int = logging.INFO) -> None:
        self._logger.log(level, "%s: has come", thing)

    def fail(self) -> None:
        try:
            raise ValueError("sent by a peer")
        except ValueError:
            self._logger.exception("%s: has failed", "br-a")

    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()


@pytest.fixture
def log() -> Log:
    return Log()


def test_what_comes_again_and_again_is_told_a_number_of_times_a_minute(log: Log) -> None:
    for _ in range(10 * OF_A_THING):
        log.say("br-a")
    assert OF_A_THING == len(log.lines())
    log.say("br-b")
    assert "br-b: has come" == log.lines()[-1]
    log.now += PERIOD
    log.say("br-a")
    log.say("br-a")
    told = f"br-a: has come ({9 * OF_A_THING} more such lines were suppressed)"
    assert [told, "br-a: has come"] == log.lines()[-2:]


def test_other_places_have_a_share_of_their_own(log: Log) -> None:
    for _ in range(2 * OF_A_THING):
        log.say("br-a")
    log.fail()
    assert "br-a: has failed" in log.lines()


def test_any_number_of_names_is_bounded_in_lines_and_in_memory(log: Log) -> None:
    for number in range(5000):
        log.say(f"br-{number}")
    assert OF_A_PLACE == len(log.lines())


def test_traceback_counts_as_its_lines(log: Log) -> None:
    for _ in range(100):
        log.fail()
    assert OF_A_THING / TRACEBACK == log.lines().count("br-a: has failed")


def test_debugging_and_what_is_not_of_switches_has_no_bound() -> None:
    for log, level in (
        (Log(), logging.DEBUG),
        (Log("ryu_droplog.app"), logging.INFO),
        (Log("other.openflow"), logging.INFO),
    ):
        for _ in range(2 * OF_A_THING):
            log.say("br-a", level)
        assert 2 * OF_A_THING == len(log.lines())


def test_every_module_that_speaks_to_switches_is_bounded() -> None:
    from ryu_droplog.connections import connector
    from ryu_droplog.reconcile import reconciler
    from ryu_droplog.sources import bridge_context

    for module in (bridge_context, connector, reconciler):
        assert module.LOG.name.startswith(log_quota.OURS)
