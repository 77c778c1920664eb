"""Killed at any moment, as often as you like: nothing of ours stays, nothing of theirs changes."""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest
from private_ovs import PrivateSwitch

from .program import (
    BIN,
    Program,
    add_flows,
    eventually,
    foreign_flows,
    our_flows,
    our_meters,
)

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

KILLS = 50
LIFE = 1.4
"""Seconds that a run lives at most; it is at work after about one."""
EVERY = 5
"""Of so many kills, one takes the clean-up process, too."""
LEASE = 3
CONFIG = f"""
bridges: [{{name: br-kill, explicit_drops: log}}]
lease: {{duration: {LEASE}, renew: 1}}
"""
FLOWS = (
    "table=0,priority=9,arp,actions=NORMAL",
    "table=0,priority=5,ip,actions=goto_table:1",
    "table=1,priority=8,udp,actions=drop",
    "table=1,priority=4,tcp,actions=goto_table:2",
    "table=2,priority=0,actions=drop",
)


def kill_with_the_will(program: Program) -> bool:
    """Kill both, where the second is there already."""
    try:
        program.kill_with_its_will()
    except ValueError:  # it has no child yet
        program.end(signal.SIGKILL)
        return False
    return True


def test_nothing_outlives_its_lease_and_nobody_elses_flow_changes(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-kill")
    add_flows(switch, "br-kill", *FLOWS)
    theirs = foreign_flows(switch, "br-kill")
    lives = random.Random(7)
    with_will = at_work = 0
    for number in range(KILLS):
        with Program(switch, CONFIG, name="killed") as program:
            time.sleep(lives.uniform(0.2, LIFE))
            at_work += bool(our_flows(switch, "br-kill"))
            if number % EVERY:
                program.end(signal.SIGKILL)
            else:
                with_will += kill_with_the_will(program)
        assert theirs == foreign_flows(switch, "br-kill")
    assert at_work > KILLS / 10
    assert with_will
    assert [] == eventually([], lambda: our_flows(switch, "br-kill"), patience=LEASE + 2)
    command = (str(BIN / "ryu-droplog"), "clean", "--config", str(program.config))
    subprocess.run(command, env=switch.env, check=True, capture_output=True)
    assert [] == our_meters(switch, "br-kill")
    assert theirs == switch.flows("br-kill")
