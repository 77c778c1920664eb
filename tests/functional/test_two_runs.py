"""Two programs with different run directories on one bridge, as in two containers."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, send_frame

from .books import ask, state
from .packets import syn
from .program import (
    BIN,
    OURS,
    Program,
    add_flows,
    eventually,
    foreign_flows,
    meter_numbers,
    our_flows,
    our_meters,
    watched,
)

pytestmark = pytest.mark.ovs

BRIDGE = "br-two"
CONFIG = f"""
bridges: [{{name: {BRIDGE}}}]
lease: {{duration: 6, renew: 1}}
"""
FOREIGN = ["priority=5,arp actions=goto_table:1", "table=1, priority=0 actions=drop"]
AT_WORK = "ERROR br-two: another ryu_droplog is at work on this bridge (generation 0x"
ELSEWHERE = "elsewhere"
"""The other run directory."""
BOTH = 12.0
"""Seconds: longer than a lease and the time in which it is seen that a run is dead."""


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with its owner's flows, of which tables 0 and 1 lose packets."""
    switch.add_bridge(BRIDGE)
    add_flows(switch, BRIDGE, *(flow.replace(" actions", ",actions") for flow in FOREIGN))
    yield BRIDGE
    switch.vsctl("--if-exists", "del-br", BRIDGE)


def cookies(switch: PrivateSwitch, bridge: str) -> set[str]:
    """The cookies of the flows of all runs."""
    return set(re.findall(r"cookie=(0x[0-9a-f]+)", "\n".join(switch.flows(bridge, OURS))))


def command(program: Program, *arguments: str) -> tuple[int, str, str]:
    """Exit status and outputs of `ryu-droplog` with the configuration of a program."""
    done = subprocess.run(
        [BIN / "ryu-droplog", *arguments, "--config", program.config],
        env=program.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_flow_monitor_of_the_switch_tells_of_every_renewal(
    switch: PrivateSwitch, bridge: str
) -> None:
    """Open vSwitch tells of none that leaves the actions as they are."""
    path = switch.folder / "monitored"
    command = ("ovs-ofctl", "-O", "OpenFlow13", "monitor", bridge, "watch:!initial")
    with path.open("wb") as output:
        watcher = switch.start(None, *command, output=output.fileno())

    def renewals(max_len: str) -> int:
        lines = path.read_text().splitlines()
        return sum("event=MODIFIED" in line and max_len in line for line in lines)

    try:
        with Program(switch, CONFIG) as program:
            assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
            assert True is eventually(True, lambda: renewals("max_len=65534") > 2)
            assert True is eventually(True, lambda: renewals("reason=no_match,id=") > 2)
            assert 0 == program.end()
    finally:
        watcher.kill()
        watcher.wait()


def test_second_program_leaves_the_first_one_alone_and_says_so(
    switch: PrivateSwitch, bridge: str
) -> None:
    switch.guest("two", bridge)
    with Program(switch, CONFIG) as first:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        flows, meters = cookies(switch, bridge), meter_numbers(switch, bridge)
        with Program(switch, CONFIG, run_directory=ELSEWHERE) as second:
            assert 1 == eventually(1, lambda: second.times(AT_WORK))
            end = time.monotonic() + BOTH
            while time.monotonic() < end:
                assert flows == cookies(switch, bridge)
                assert meters == meter_numbers(switch, bridge)
                time.sleep(0.3)
            send_frame("two", "eth0", syn())
            assert 1 == eventually(1, lambda: len(first.lines()))
            assert not second.lines()
            assert 1 == second.times(AT_WORK)
            assert "not watched for now: TABLE_0 (another ryu_droplog (gen" in second.said()
            [other] = state(second, bridge)["other_runs"]
            assert (True, 2, 2) == (other["at_work"], other["flows"], other["meters"])
            assert f"{bridge}: another ryu_droplog is at work on this bridge (gen" in ask(second)
            status, page, _ = command(second, "doctor")
            assert 1 == status
            assert "another run" in page
            assert "another ryu_droplog with another run_directory" in page
            # A table that comes into use while both are there: one of them has it.
            add_flows(switch, bridge, "priority=9,udp,actions=resubmit(,7)")
            assert [0, 1, 7] == eventually([0, 1, 7], lambda: watched(switch, bridge))
            assert 0 == first.end()
            assert [0, 1, 7] == eventually([0, 1, 7], lambda: watched(switch, bridge))
            assert not flows & cookies(switch, bridge)
            assert 1 == eventually(1, lambda: second.times("nothing is left of the other run"))
            send_frame("two", "eth0", syn())
            assert 1 == eventually(1, lambda: len(second.lines()))
            assert 0 == second.end()
    assert not our_flows(switch, bridge)
    assert not our_meters(switch, bridge)


def test_leftovers_of_another_run_directory_are_swept_when_their_lease_is_over(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as killed:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        killed.kill_with_its_will()
    meters = meter_numbers(switch, bridge)
    with Program(switch, CONFIG, run_directory=ELSEWHERE) as program:
        assert 1 == eventually(1, lambda: program.times("flows or meters of another run are there"))
        assert set(meters) <= set(meter_numbers(switch, bridge))
        ours = eventually(2, lambda: len(set(meter_numbers(switch, bridge)) - set(meters)))
        assert 2 == ours
        assert not eventually(
            set(), lambda: set(meters) & set(meter_numbers(switch, bridge)), patience=20
        )
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        assert not program.times(AT_WORK)
        assert 0 == program.end()
    assert foreign_flows(switch, bridge) == switch.flows(bridge)
    assert not our_meters(switch, bridge)


def test_same_run_directory_makes_leftovers_of_the_last_run_at_once(
    switch: PrivateSwitch, bridge: str
) -> None:
    long = f"bridges: [{{name: {BRIDGE}}}]"
    with Program(switch, long) as killed:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        killed.kill_with_its_will()
    flows = cookies(switch, bridge)
    with Program(switch, long) as program:
        assert 1 == eventually(1, lambda: program.times("removing 4 leftovers"))
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        assert not flows & cookies(switch, bridge)
        assert 0 == program.end()


def test_clean_leaves_a_live_program_with_another_run_directory_alone(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as first:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        flows, meters = cookies(switch, bridge), meter_numbers(switch, bridge)
        elsewhere = Program(switch, CONFIG, run_directory=ELSEWHERE)
        status, told, said = command(elsewhere, "clean")
        assert (1, f"{bridge}: removed 0 flows and 0 meters\n") == (status, told)
        assert f"{bridge}: 2 flows of generation 0x" in said
        assert "looking for up to 8 s whether a program renews them" in said
        assert f"{bridge}: another ryu_droplog is at work on this bridge (generation 0x" in said
        assert flows == cookies(switch, bridge)
        assert meters == meter_numbers(switch, bridge)
        status, told, said = command(elsewhere, "clean", "--force")
        assert (0, f"{bridge}: removed 2 flows and 2 meters\n", "") == (status, told, said)
        assert 0 == first.end()


def test_clean_with_another_run_directory_removes_what_nobody_renews(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as killed:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        killed.kill_with_its_will()
    elsewhere = Program(switch, CONFIG, run_directory=ELSEWHERE)
    begin = time.monotonic()
    status, told, said = command(elsewhere, "clean")
    assert 6 < time.monotonic() - begin
    # The flows ended by themselves meanwhile.
    assert (0, f"{bridge}: removed 0 flows and 2 meters\n") == (status, told)
    assert "looking for up to" in said
    assert not our_flows(switch, bridge)
    assert not our_meters(switch, bridge)


def test_program_that_was_stopped_for_a_while_is_not_swept_by_the_other(
    switch: PrivateSwitch, bridge: str
) -> None:
    """Shorter than its lease: it goes on as if nothing had been."""
    with Program(switch, CONFIG) as first:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        flows = cookies(switch, bridge)
        with Program(switch, CONFIG, run_directory=ELSEWHERE) as second:
            assert 1 == eventually(1, lambda: second.times(AT_WORK))
            first.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            first.process.send_signal(signal.SIGCONT)
            time.sleep(7)
            assert flows == cookies(switch, bridge)
            assert 0 == second.end()
        assert flows == cookies(switch, bridge)
        assert 0 == first.end()
    assert not our_flows(switch, bridge)
