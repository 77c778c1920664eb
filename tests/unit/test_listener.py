"""Whose a connection is, and what is said of those who come."""

from __future__ import annotations

import logging
import os
import socket

import pytest

from ryu_droplog.connections.peer_log import PeerLog
from ryu_droplog.connections.peer_owner import owner_of_peer

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
