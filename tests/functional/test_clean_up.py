"""What the program cannot take back itself, or not at once, is taken back, or named."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Runtime
from private_ovs import PrivateSwitch

from .program import (
    BIN,
    Program,
    add_flows,
    eventually,
    foreign_flows,
    our_flows,
    our_meters,
    watched,
)

pytestmark = pytest.mark.ovs

BRIDGE = "br-clean"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
LEASE = 3
SHORT_LEASE = f"{CONFIG}\nlease: {{duration: {LEASE}, renew: 1}}"
FOREIGN = ["priority=5,arp actions=goto_table:1", "table=2, priority=0 actions=NORMAL"]
WATCHED = [0, 1]
BOTH = "2 flows, 2 meters"
METERS_STAY = "2 meters stay until the next start, ryu-droplog clean, or a restart of ovs-vswitchd"
STOP_TIME = 15
"""Seconds that a stop takes at most, whatever the switch does."""


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with its owner's flows, of which tables 0 and 1 lose packets."""
    switch.add_bridge(BRIDGE)
    add_flows(switch, BRIDGE, *(flow.replace(" actions", ",actions") for flow in FOREIGN))
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


@contextmanager
def hanging(switch: PrivateSwitch) -> Iterator[None]:
    """An ovs-vswitchd that does nothing until the end of the block."""
    pid = int((switch.rundir / "ovs-vswitchd.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def speaks(switch: PrivateSwitch, bridge: str, *versions: str) -> None:
    switch.vsctl("set", "bridge", bridge, f"protocols={','.join(versions)}")


def left(switch: PrivateSwitch, bridge: str) -> list[object]:
    return [our_flows(switch, bridge), our_meters(switch, bridge)]


def status_sockets(program: Program) -> list[Path]:
    return list(Path(program.run_directory).glob(f"{program.process.pid}.sock"))


def test_switch_that_hangs_while_the_program_ends_is_cleaned_up_for_longer_than_a_lease(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, SHORT_LEASE) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        with hanging(switch):
            assert 1 == program.end(patience=STOP_TIME), "the exit status says that some is left"
            told = f"not yet cleaned up: {BOTH} (no answer yet); the clean-up process keeps trying"
            assert f"WARNING {bridge}: {told} for 60 s" in program.said()
            assert METERS_STAY in program.said()
            assert not status_sockets(program)
            time.sleep(2 * LEASE)
        assert [[], []] == eventually([[], []], lambda: left(switch, bridge))
        done = f"INFO {bridge}: the clean-up process cleaned up {BOTH}"
        assert 1 == eventually(1, lambda: program.times(done))
    assert FOREIGN == switch.flows(bridge)


@pytest.mark.datapath
def test_switch_that_hangs_while_the_program_is_killed_is_cleaned_up_when_it_goes_on(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        with hanging(switch):
            program.end(signal.SIGKILL)
            given_up = f"not yet cleaned up: {BOTH} (no answer within 10 s)"
            assert 1 == eventually(1, lambda: program.times(given_up))
        assert [[], []] == eventually([[], []], lambda: left(switch, bridge))
    assert FOREIGN == switch.flows(bridge)


def test_second_signal_ends_at_once_and_leaves_the_rest_to_the_clean_up_process(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        assert status_sockets(program)
        with hanging(switch):
            program.process.send_signal(signal.SIGTERM)
            time.sleep(1.5)
            assert program.process.poll() is None
            began = time.monotonic()
            assert -signal.SIGTERM == program.end()
            assert 1 > time.monotonic() - began
            assert "SIGTERM once more: ending at once" in program.said()
            assert not status_sockets(program)
        assert [[], []] == eventually([[], []], lambda: left(switch, bridge))


@pytest.mark.datapath
def test_clean_up_process_killed_alone_is_noticed_and_replaced(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        first = program.clean_up_process
        expected = {"pid": first, "needed": True, "restarts": 0}
        assert expected == eventually(expected, lambda: program.status()["clean_up"])
        os.kill(first, signal.SIGKILL)
        lost = f"WARNING the clean-up process ({first}) has ended: another is started now"
        assert 1 == eventually(1, lambda: program.times(lost), patience=3)
        second = program.clean_up_process
        expected = {"pid": second, "needed": True, "restarts": 1}
        assert expected == eventually(expected, lambda: program.status()["clean_up"])
        assert -signal.SIGKILL == program.end(signal.SIGKILL)
        assert [[], []] == eventually([[], []], lambda: left(switch, bridge), patience=3)
    assert FOREIGN == switch.flows(bridge)


def test_bridge_that_goes_over_to_openflow_10_leaves_what_is_said_in_numbers(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        speaks(switch, bridge, "OpenFlow10")
        assert 1 == eventually(1, lambda: program.times("does not speak OpenFlow 1.3, but 1.0"))
        assert 1 == program.end()
        line = program.said().splitlines()[-1]
        why = "(the bridge does not speak OpenFlow 1.3)"
        assert f"WARNING {bridge}: not yet cleaned up: {BOTH} {why}; " in line
        assert re.search(r"2 flows end by themselves within [3-6]\d s, " + METERS_STAY, line)
        speaks(switch, bridge, "OpenFlow10", "OpenFlow13")
        assert [[], []] == eventually([[], []], lambda: left(switch, bridge))


def test_bridge_that_stays_at_openflow_10_is_named_once_more_at_the_end(
    switch: PrivateSwitch, bridge: str, tmp_path: Path
) -> None:
    """With the clean-up process's own time, of which a test waits a part only."""
    with Program(switch, SHORT_LEASE) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        speaks(switch, bridge, "OpenFlow10")
        assert 1 == eventually(1, lambda: program.times("does not speak OpenFlow 1.3, but 1.0"))
        assert -signal.SIGKILL == program.end(signal.SIGKILL)
        last = f"WARNING {bridge}: the clean-up process could not clean up {BOTH}"
        assert 1 == eventually(1, lambda: program.times(last), patience=75)
        assert f"2 flows end with their lease, {METERS_STAY}" in program.said()
    speaks(switch, bridge, "OpenFlow10", "OpenFlow13")
    assert [[], WATCHED] == left(switch, bridge), "as it was said"
    command = (str(BIN / "ryu-droplog"), "clean", "--config", str(program.config))
    subprocess.run(command, env=switch.env, check=True, capture_output=True)
    assert [[], []] == left(switch, bridge)


def test_stop_between_two_connections_takes_back_over_one_of_its_own(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        speaks(switch, bridge, "OpenFlow10")
        assert 1 == eventually(1, lambda: program.times("does not speak OpenFlow 1.3, but 1.0"))
        time.sleep(2)  # the next pauses are of 2 s and more
        speaks(switch, bridge, "OpenFlow10", "OpenFlow13")
        assert 0 == program.end()
        assert f"INFO {bridge}: the clean-up process cleaned up {BOTH}" in program.said()
        assert [[], []] == left(switch, bridge)
    assert FOREIGN == switch.flows(bridge)


def test_bridge_removed_from_the_configuration_while_it_is_away_is_cleaned_when_it_is_back(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        speaks(switch, bridge, "OpenFlow10")
        assert 1 == eventually(1, lambda: program.times("does not speak OpenFlow 1.3, but 1.0"))
        text = program.config.read_text().replace(f"name: {bridge}", "name: br-other")
        program.config.write_text(text)
        assert 1 == eventually(1, lambda: program.times("read again"))
        speaks(switch, bridge, "OpenFlow10", "OpenFlow13")
        done = f"INFO {bridge}: the clean-up process cleaned up {BOTH}"
        assert 1 == eventually(1, lambda: program.times(done))
        assert [[], []] == left(switch, bridge)
        assert 0 == program.end()


def test_switch_that_is_gone_with_all_that_was_added_is_no_failure(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        switch.kill_vswitchd()
        try:
            assert 1 == eventually(1, lambda: program.times("cannot connect"))
            assert 0 == program.end()
            assert f"INFO {bridge}: the bridge is not there (cannot connect: " in program.said()
        finally:
            switch.start_vswitchd()
    assert [[], []] == left(switch, bridge)


def test_switch_that_connects_to_the_program_and_hangs_is_named_as_out_of_reach(
    switch: PrivateSwitch, bridge: str
) -> None:
    config = f"listen: 16733\nbridges: [{{name: {BRIDGE}, connect: listen}}]"
    with Program(switch, f"{config}\nlease: {{duration: 3, renew: 1}}") as program:
        switch.vsctl("set-controller", bridge, "tcp:127.0.0.1:16733")
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        with hanging(switch):
            assert 1 == program.end(patience=STOP_TIME)
        why = "it cannot be reached: it connects to the program"
        said = f"the clean-up process could not clean up 1 flow, 1 meter ({why})"
        assert f"WARNING {bridge}: {said}: 1 flow ends " in program.said()
    switch.vsctl("del-controller", bridge)
    assert [[], []] == eventually([[], []], lambda: [our_flows(switch, bridge), []])
    with Program(switch, CONFIG) as program:
        assert 1 == eventually(1, lambda: program.times("watching"))
        assert 0 == program.end()
    assert [[], []] == left(switch, bridge), "the next start has removed the meter"


_NEVER_STOPS = """
import sys
from ryu_droplog.runtime import manager
from ryu_droplog import app
from ryu_droplog.runtime.supervisor import Supervisor
def stop(self):
    while True:
        pass
Supervisor.stop = stop
app.STOP_TIME = 2.0
manager.run_droplog(sys.argv[1])
"""


def test_stop_that_does_not_come_to_its_end_is_cut_short(
    switch: PrivateSwitch, bridge: str, runtime: Runtime
) -> None:
    """The loop stands for anything that does not give way: with eventlet, everything waits."""
    command = (str(runtime.python), "-c", _NEVER_STOPS, "{config}")
    with Program(switch, CONFIG, command=command, env=runtime.env) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        assert 1 == program.end(patience=10)
        assert "not stopped within 2 s: ending at once" in program.said()
        assert not status_sockets(program)
        assert [[], []] == eventually([[], []], lambda: left(switch, bridge))
    assert FOREIGN == switch.flows(bridge)


@pytest.mark.datapath
def test_signals_in_quick_succession_are_one(
    switch: PrivateSwitch, bridge: str, runtime: Runtime
) -> None:
    command = (str(runtime.bin / "osken-manager"), "ryu_droplog.app")
    env = {**runtime.env, "RYU_DROPLOG_CONFIG": "{config}"}
    with Program(switch, CONFIG, command=command, env=env) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        program.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert 0 == program.end()
        assert f"{bridge}: removed what was added: 2 flows" in program.said()
        assert not status_sockets(program)
    assert [[], []] == left(switch, bridge)


def test_pair_of_signals_from_timeout_is_one(
    switch: PrivateSwitch, bridge: str, runtime: Runtime
) -> None:
    """timeout(1) sends its signal to the process, and to the group that the process is in."""
    command = ("timeout", "-s", "TERM", "5", str(runtime.bin / "osken-manager"), "ryu_droplog.app")
    env = {**runtime.env, "RYU_DROPLOG_CONFIG": "{config}"}
    with Program(switch, CONFIG, command=command, env=env) as program:
        assert WATCHED == eventually(WATCHED, lambda: watched(switch, bridge))
        sockets = list(Path(program.run_directory).glob("*.sock"))
        assert 1 == len(sockets)
        assert 124 == program.process.wait(20)
        assert f"{bridge}: removed what was added: 2 flows" in program.said()
        assert "once more" not in program.said()
        assert not sockets[0].exists()
    assert [[], []] == left(switch, bridge)
    assert FOREIGN == foreign_flows(switch, bridge)
