"""Tables that come into use while the program runs: watched at once, whatever the bridge's size."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from private_ovs import SLOWNESS, PrivateSwitch, run, send_frame

from .books import ask, state, total
from .packets import syn
from .program import RUN, Program, add_flows, eventually, our_flows, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-new"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
"""With the leases that are the default: the next renewal is 20 s away."""
PLANNED = f"{BRIDGE}: planned with"
SOON = 5.0
"""Seconds for what takes less than one; the next renewal comes much later."""


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a flow of its owner's."""
    switch.add_bridge(BRIDGE)
    add_flows(switch, BRIDGE, "table=0,priority=5,arp,actions=NORMAL")
    yield BRIDGE
    switch.vsctl("--if-exists", "del-br", BRIDGE)


@pytest.mark.datapath
def test_drop_in_a_table_that_has_just_come_into_use_is_logged_and_counted(
    switch: PrivateSwitch, bridge: str
) -> None:
    switch.guest("fresh", bridge)
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        for logged, table in enumerate((20, 30, 40), start=1):
            begin = time.monotonic()
            add_flows(switch, bridge, f"table=0,priority={table},ip,actions=resubmit(,{table})")
            there = [0, table]
            assert there == eventually(there, lambda: watched(switch, bridge), SOON)
            assert SOON * SLOWNESS > time.monotonic() - begin
            send_frame("fresh", "eth0", syn())
            assert logged == eventually(logged, lambda: len(program.lines()))
            assert f" TABLE_{table} MISS " in program.lines()[-1]
            add_flows(switch, bridge, f"table=0,priority={table},ip,actions=drop")
            assert [0] == eventually([0], lambda: watched(switch, bridge), SOON)
            run("ovs-ofctl", "del-flows", bridge, "ip", env=switch.env)
        book = total(program, bridge)
        assert (3, 3) == (book["dropped"], book["logged"])
        assert 0 == program.end()
    assert not our_flows(switch, bridge)


def test_tables_that_come_a_moment_after_a_restart_of_the_switch_are_watched(
    switch: PrivateSwitch, bridge: str
) -> None:
    flows = [
        "table=0,priority=50,ip,actions=resubmit(,20)",
        "table=20,priority=5,tcp,actions=goto_table:21",
    ]
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        switch.restart_vswitchd()
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        add_flows(switch, bridge, *flows)
        assert [0, 20, 21] == eventually([0, 20, 21], lambda: watched(switch, bridge), SOON)
        assert 0 == program.end()


def test_owner_that_never_rests_does_not_put_the_plan_off(
    switch: PrivateSwitch, bridge: str
) -> None:
    """It changes flows without a pause from before the table comes into use to after it."""
    busy = [
        f"{what}_strict table=5,priority=7,udp,tp_dst={port}"
        for what in ("add", "delete")
        for port in range(1, 200)
    ]
    path = switch.folder / "busy"
    path.write_text("".join(f"{one.replace('add_strict', 'add')},actions=drop\n" for one in busy))
    stream = f"while :; do ovs-ofctl --bundle add-flows {bridge} {path}; done"
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        owner = switch.start(None, "bash", "-c", stream)
        try:
            time.sleep(0.5)
            add_flows(switch, bridge, "table=0,priority=50,ip,actions=resubmit(,20)")
            assert [0, 20] == eventually([0, 20], lambda: watched(switch, bridge), SOON)
        finally:
            owner.kill()
            owner.wait()
        assert 0 == program.end()


def test_flow_that_gave_way_keeps_its_pause_and_status_says_so(
    switch: PrivateSwitch, bridge: str
) -> None:
    """Whatever else changes meanwhile."""
    add_flows(switch, bridge, "table=0,priority=50,ip,actions=resubmit(,20)")
    with Program(switch, CONFIG) as program:
        assert [0, 20] == eventually([0, 20], lambda: watched(switch, bridge))
        for number in range(3):  # pauses of 1, 2 and 4 seconds
            add_flows(switch, bridge, "table=20,priority=0,arp,actions=drop")
            assert [0] == eventually([0], lambda: watched(switch, bridge))
            run("ovs-ofctl", "del-flows", bridge, "table=20", env=switch.env)
            if number < 2:
                assert [0, 20] == eventually([0, 20], lambda: watched(switch, bridge))
        begin = time.monotonic()
        add_flows(switch, bridge, "table=0,priority=51,udp,actions=resubmit(,21)")
        assert [0, 21] == eventually([0, 21], lambda: watched(switch, bridge), SOON)
        [row] = [row for row in state(program, bridge)["tables"] if row["table_id"] == 20]
        assert not row["watched"]
        assert "was contended with at priority 0" == row["refusal"]
        assert 4 >= row["retry_seconds"] > 0
        assert f"{bridge}: TABLE_20 is not watched (since " in ask(program)
        assert "not watched for now: TABLE_20 (was contended with" in program.said()
        assert [0, 20, 21] == eventually([0, 20, 21], lambda: watched(switch, bridge))
        assert 1.5 < time.monotonic() - begin
        assert "is not watched" not in ask(program)
        assert 0 == program.end()
    assert not our_flows(switch, bridge)


def test_own_flows_and_renewals_ask_for_no_plan(switch: PrivateSwitch, bridge: str) -> None:
    config = f"{CONFIG}\nlease: {{duration: 3, renew: 1}}"
    with Program(switch, config, command=(*RUN, "--verbose")) as program:
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        add_flows(switch, bridge, "table=0,priority=50,ip,actions=resubmit(,20)")
        assert [0, 20] == eventually([0, 20], lambda: watched(switch, bridge), SOON)
        assert 2 == eventually(2, lambda: program.times(PLANNED))
        time.sleep(3.5)
        assert 2 == program.times(PLANNED)
        assert 0 == program.end()
