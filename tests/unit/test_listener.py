"""Who may connect under which name, whose a connection is, and what is said of those who come."""

from __future__ import annotations

import logging
import os
import socket

import pytest

from ryu_droplog.config.endpoint import Accepted, UnixEndpoint
from ryu_droplog.config.settings import Bridge
from ryu_droplog.connections.listener import entry_of
from ryu_droplog.connections.peer_log import PeerLog
from ryu_droplog.connections.peer_owner import owner_of_peer
from ryu_droplog.model.errors import SwitchError

INT = Bridge("br-int", None, "auto", UnixEndpoint("/run/br-int.mgmt"))
LONG = Bridge("br-with-a-long-name", None, "auto", UnixEndpoint("/run/br-long.mgmt"))
WAITS = Bridge("br-that-waits-for-us", None, "auto", Accepted())
ANY = Bridge("*", None, "auto", Accepted())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("br-that-waits-f", WAITS), ("br-that-waits-for-us", WAITS), ("br-ex", ANY), ("b\u00fc", ANY)],
)
def test_name_is_served_by_the_entry_that_waits_for_it_or_that_takes_any(
    name: str, expected: Bridge
) -> None:
    assert expected is entry_of([ANY, INT, LONG, WAITS], name)


@pytest.mark.parametrize("name", ["br-int", "br-with-a-long-", "br-with-a-long-name"])
def test_name_of_an_entry_that_does_not_wait_is_refused(name: str) -> None:
    with pytest.raises(SwitchError) as caught:
        entry_of([ANY, INT, LONG, WAITS], name)
    assert f"called {name!r}, and that one is not to connect to us (unix:/run/" in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "..", "*", "a/b", "a b", "a\n", "\x1b[2J", "\ufffd"])
def test_name_that_is_none_is_refused_in_plain_text(name: str) -> None:
    with pytest.raises(SwitchError, match="which is no name of a bridge") as caught:
        entry_of([ANY, INT], name)
    assert str(caught.value).isprintable()


def test_name_that_no_entry_takes_is_refused() -> None:
    with pytest.raises(SwitchError) as caught:
        entry_of([INT, WAITS], "br-ex")
    assert "the bridge there is called 'br-ex', and is not asked for" == str(caught.value)


# Whose the other end is


def test_owner_of_a_connection_is_who_made_it_and_nobody_once_it_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            assert os.geteuid() == owner_of_peer(accepted)
            peer.shutdown(socket.SHUT_WR)
            assert owner_of_peer(accepted) is None
            peer.close()
            assert owner_of_peer(accepted) is None


# What is said


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_refusals_are_said_once_a_minute_a_host_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = PeerLog(clock)
    with caplog.at_level(logging.INFO):
        for number in range(100):
            log.refuse("192.0.2.1", f"reason {number}")
        log.refuse("192.0.2.2", "reason")
        clock.now += 61
        log.refuse("192.0.2.1", "another reason")
    assert caplog.messages == [
        "tcp:192.0.2.1: reason 0",
        "tcp:192.0.2.2: reason",
        "tcp:192.0.2.1: another reason (99 more refusals since the last line)",
    ]
    assert 102 == log.refused


def test_all_hosts_together_are_said_twenty_times_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = PeerLog(clock)
    with caplog.at_level(logging.INFO):
        for number in range(1000):
            log.refuse(f"192.0.2.{number}", "reason")
            log.say(f"192.0.2.{number}", "it has connected")
        assert 20 == len(caplog.messages)
        clock.now += 61
        log.say("192.0.2.1", "it has connected")
    assert 21 == len(caplog.messages)


def test_same_line_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = PeerLog(clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            log.say("192.0.2.1", "br-a has connected")
            log.say("192.0.2.1", "br-b has connected")
        clock.now += 61
        log.say("192.0.2.1", "br-a has connected")
    assert 3 == len(caplog.messages)
