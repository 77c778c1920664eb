"""`ryu-droplog plan` and `ryu-droplog clean` on a bridge, in every environment."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from conftest import Runtime
from private_ovs import PrivateSwitch

from .program import Program, add_flows, eventually, our_meters, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-command"
FOREIGN = [
    "cookie=0x4000000000000000, priority=5,arp actions=goto_table:1",
    "cookie=0xd40700000100, table=1, priority=0 actions=drop",
    "cookie=0x4000d40700000102, table=2, priority=0 actions=CONTROLLER:65535",
]
"""The last two carry a cookie like ours, and are not ours: their actions do not name us."""

PLAN = """\
br-command: pipeline auto, 3 flows
    0  TABLE_0  table-miss at priority 0  nothing matches what is left
    1  TABLE_1  flow above at priority 1  above its owner's catch-all drop at priority 0
    2  TABLE_2  left alone                no flow leads there
  2 of 3 tables would be watched
"""


@pytest.fixture(scope="module")
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with its owner's flows."""
    switch.add_bridge(BRIDGE)
    add_flows(
        switch,
        BRIDGE,
        *(flow.replace(" actions", ",actions").replace(", ", ",") for flow in FOREIGN),
    )
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def command(switch: PrivateSwitch, runtime: Runtime, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `ryu-droplog`."""
    # eventlet warns that it is deprecated.
    env = {**runtime.env, "OVS_RUNDIR": str(switch.rundir), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [runtime.bin / "ryu-droplog", *arguments],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_plan_shows_the_decisions_and_changes_nothing(
    switch: PrivateSwitch, bridge: str, runtime: Runtime
) -> None:
    before = switch.flows(bridge)
    assert (0, PLAN, "") == command(switch, runtime, "plan", "--bridge", bridge)
    assert before == switch.flows(bridge)
    assert not our_meters(switch, bridge)


def test_plan_while_the_program_runs_is_the_same(
    switch: PrivateSwitch, bridge: str, runtime: Runtime
) -> None:
    with Program(switch, f"bridges: [{{name: {bridge}}}]", env=runtime.env) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge)[:2])
        status, output, errors = command(switch, runtime, "plan", "--bridge", bridge)
        assert (0, "") == (status, errors)
        assert PLAN.splitlines()[1:] == output.splitlines()[1:]
        assert 0 == program.end()


def test_clean_removes_what_a_killed_run_left_and_nothing_else(
    switch: PrivateSwitch, bridge: str, runtime: Runtime
) -> None:
    before = switch.flows(bridge)
    with Program(switch, f"bridges: [{{name: {bridge}}}]", env=runtime.env) as program:
        assert 1 == eventually(1, lambda: program.times("watching"))
        program.kill_with_its_will()
    assert len(before) + 2 == len(switch.flows(bridge))
    expected = f"{bridge}: removed 2 flows and 2 meters\n"
    cleaning = ("clean", "--config", str(program.config))
    assert (0, expected, "") == command(switch, runtime, *cleaning)
    assert before == switch.flows(bridge)
    assert not our_meters(switch, bridge)
    expected = f"{bridge}: removed 0 flows and 0 meters\n"
    assert (0, expected, "") == command(switch, runtime, *cleaning)
