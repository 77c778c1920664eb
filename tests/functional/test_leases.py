"""A program that crashes, hangs or comes early, and a switch that restarts."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from .program import (
    Program,
    add_flows,
    eventually,
    foreign_flows,
    meter_numbers,
    our_flows,
    our_meters,
    watched,
)

pytestmark = [pytest.mark.ovs, pytest.mark.datapath]

BRIDGE = "br-lease"
CONFIG = f"""
bridges: [{{name: {BRIDGE}}}]
lease: {{duration: 3, renew: 1}}
"""
LONG_LEASE = f"bridges: [{{name: {BRIDGE}}}]"
FOREIGN = [
    "priority=5,arp actions=goto_table:1",
    "table=1, priority=0 actions=drop",
    "table=2, priority=0 actions=NORMAL",
]
WATCHED = [0, 1]


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with its owner's flows, of which tables 0 and 1 lose packets."""
    switch.add_bridge(BRIDGE)
    add_flows(switch, BRIDGE, *(flow.replace(" actions", ",actions") for flow in FOREIGN))
    yield BRIDGE
    switch.vsctl("--if-exists", "del-br", BRIDGE)


def test_program_killed_leaves_nothing_at_once(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, LONG_LEASE) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        assert -signal.SIGKILL == program.end(signal.SIGKILL)
        left = eventually([], lambda: watched(switch, bridge) + our_meters(switch, bridge), 3)
        assert not left
    assert FOREIGN == switch.flows(bridge)


def test_program_killed_with_its_last_will_leaves_no_flow_after_the_lease(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        begin = time.monotonic()
        program.kill_with_its_will()
        assert WATCHED == watched(switch, bridge)
        assert [] == eventually([], lambda: our_flows(switch, bridge), 5)
        assert 5 > time.monotonic() - begin
    assert FOREIGN == switch.flows(bridge)
    assert WATCHED == our_meters(switch, bridge), "meters have no lease"
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        assert WATCHED == our_meters(switch, bridge), "those of the killed run are gone"
        assert 0 == program.end()
    assert not our_meters(switch, bridge)


def test_program_started_right_after_kill_takes_over_at_once(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, LONG_LEASE) as killed:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        before = meter_numbers(switch, bridge)
        assert -signal.SIGKILL == killed.end(signal.SIGKILL)
    with Program(switch, LONG_LEASE) as program:
        assert True is eventually(True, lambda: "watching TABLE_0, TABLE_1" in program.said(), 3)
        assert WATCHED == watched(switch, bridge)
        assert 2 == len(meter_numbers(switch, bridge))
        assert before != meter_numbers(switch, bridge)
        assert 0 == program.end()
    assert FOREIGN == switch.flows(bridge)
    assert not our_meters(switch, bridge)


def test_program_stopped_longer_than_its_lease_comes_back(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        program.process.send_signal(signal.SIGSTOP)
        assert [] == eventually([], lambda: watched(switch, bridge), 6)
        program.process.send_signal(signal.SIGCONT)
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge), 6)
        assert FOREIGN == foreign_flows(switch, bridge)
        assert 0 == program.end()


def test_program_running_longer_than_its_lease_keeps_its_flows(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        end = time.monotonic() + 5
        seen = set()
        while time.monotonic() < end:
            seen.add(tuple(watched(switch, bridge)))
            time.sleep(0.1)
        assert {tuple(WATCHED)} == seen
        assert 1 == program.times("watching")
        assert 0 == program.end()


def test_switch_restarted_gets_the_flows_again(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        switch.restart_vswitchd()
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        assert 2 == eventually(2, lambda: program.times("watching"))
        assert 2 == program.times("connected to")
        assert 1 == program.times("has ended; trying again")
        assert 0 == program.end()


def test_switch_killed_and_back_gets_the_flows_again(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        switch.kill_vswitchd()
        try:
            assert 1 == eventually(1, lambda: program.times("cannot connect"))
            time.sleep(2)
        finally:
            switch.start_vswitchd()
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        assert 1 == program.times("cannot connect")
        assert 0 == program.end()


def test_bridge_not_there_yet_is_said_once_and_watched_when_it_comes(
    switch: PrivateSwitch,
) -> None:
    with Program(switch, CONFIG) as program:
        assert 1 == eventually(1, lambda: program.times("cannot connect"))
        time.sleep(1.2)
        assert 1 == program.times("cannot connect")
        switch.add_bridge(BRIDGE)
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        switch.vsctl("del-br", BRIDGE)
        assert 2 == eventually(2, lambda: program.times("cannot connect"))
        switch.add_bridge(BRIDGE)
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert 0 == program.end()
    switch.vsctl("del-br", BRIDGE)
