"""A bridge whose owner changes its flows as fast as it can: no flow of ours is in its way."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from private_ovs import PrivateSwitch, run

from .held_line import HeldLine, opens_bundle
from .program import (
    Program,
    eventually,
    foreign_flows,
    is_ours,
    our_flows,
    our_meters,
    watched,
)

pytestmark = pytest.mark.ovs

BRIDGE = "br-race"
TABLES = range(60)
PRIORITIES = range(4)
MATCHES = ("", "arp", "tcp,tp_dst=80", "in_port=1")
ACTIONS = ("drop", "drop", "NORMAL", "goto_table:100", "resubmit(,100)")
ROUNDS = 3
RACE = 4.0
"""Seconds that the owner races in a round."""
REST = 2.0
"""Seconds that it rests behind it, after which nothing of ours may be in its way."""
CONFIG = """
bridges:
  - {{name: {bridge}, pipeline: race}}
pipeline_directory: {folder}
lease: {{duration: 4, renew: 1}}
meter: {{required: false}}
"""

_FLOW = re.compile(r"(?:table=(\d+), )?.*?priority=(\d+)(?:,(\S+))? actions=(\S+)")


class Place(NamedTuple):
    """Where a flow stands: what strict commands of OpenFlow go by."""

    table: int
    priority: int
    match: str


class DesiredState(NamedTuple):
    """A flow on the switch."""

    table: int
    priority: int
    match: str
    actions: str


class Owner:
    """Adds and deletes flows at random, and knows what should be on the bridge."""

    def __init__(self, switch: PrivateSwitch, seed: int) -> None:
        self._switch = switch
        self._random = random.Random(seed)
        self._cookie = 0
        self.flows: dict[Place, str] = {}
        self.commands = 0

    def race(self, seconds: float) -> None:
        """Change flows until the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            commands = [self._command() for _ in range(self._random.randint(1, 40))]
            batch = "".join(f"{command}\n" for command in commands).encode()
            add = ("ovs-ofctl", "-O", "OpenFlow13", "add-flows", BRIDGE, "-")
            run(*add, env=self._switch.env, stdin=batch)
            self.commands += len(commands)

    def _command(self) -> str:
        choose = self._random.choice
        if self.flows and self._random.random() < min(0.7, len(self.flows) / 150):
            place = choose(list(self.flows))
            del self.flows[place]
            return f"delete_strict {_text(place)}"
        place = Place(choose(TABLES), choose(PRIORITIES), choose(MATCHES))
        self._cookie += 1
        actions = choose(ACTIONS)
        self.flows[place] = f"cookie={self._cookie:#x}, {_shown(place)} actions={actions}"
        return f"add cookie={self._cookie:#x},{_text(place)},actions={actions}"


def _text(place: Place) -> str:
    match = f",{place.match}" if place.match else ""
    return f"table={place.table},priority={place.priority}{match}"


def _shown(place: Place) -> str:
    table = f"table={place.table}, " if place.table else ""
    match = f",{place.match}" if place.match else ""
    return f"{table}priority={place.priority}{match}"


def standing(flows: list[str]) -> list[DesiredState]:
    """Take flows apart that `ovs-ofctl dump-flows` printed."""
    found = []
    for flow in flows:
        table = re.search(r"\btable=(\d+)", flow)
        rest = re.search(r"\bpriority=(\d+)(?:,(\S+))? actions=(\S+)", flow)
        assert rest is not None, flow
        number = int(table[1]) if table else 0
        found.append(DesiredState(number, int(rest[1]), rest[2] or "", rest[3]))
    return found


def in_the_way(
    ours: list[DesiredState], theirs: list[DesiredState]
) -> list[tuple[DesiredState, DesiredState]]:
    """Flows of ours that overlap with one of theirs at the same priority, or take its packets.

    What is below a catch-all of theirs gets no packets, with or without us.
    """
    found = []
    for our in ours:
        table = [flow for flow in theirs if flow.table == our.table]
        floor = max((f.priority for f in table if not f.match and f.priority < our.priority),
                    default=-1)  # fmt: skip
        found += [(our, flow) for flow in table if flow.priority == our.priority]
        found += [
            (our, flow)
            for flow in table
            if floor <= flow.priority < our.priority and flow.actions != "drop"
        ]
    return found


@pytest.fixture(scope="module")
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge, and a pipeline file that names all of its tables."""
    switch.add_bridge(BRIDGE)
    names = "".join(f"  {table}: {{name: T{table}}}\n" for table in TABLES)
    (switch.folder / "race.yaml").write_text(f"pipeline: race\ntables:\n{names}")
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def test_owner_that_races_finds_nothing_in_its_way(switch: PrivateSwitch, bridge: str) -> None:
    owner = Owner(switch, seed=4)
    config = CONFIG.format(bridge=bridge, folder=switch.folder)
    with Program(switch, config) as program:
        everywhere = list(TABLES)
        assert everywhere == eventually(everywhere, lambda: watched(switch, bridge))
        for _ in range(ROUNDS):
            owner.race(RACE)
            time.sleep(REST)
            flows = switch.flows(bridge)
            ours = [flow for flow in flows if is_ours(flow)]
            theirs = [flow for flow in flows if not is_ours(flow)]
            assert ours
            assert not in_the_way(standing(ours), standing(theirs))
            assert sorted(owner.flows.values()) == sorted(theirs)
        assert 0 == program.end()
    assert not our_flows(switch, bridge)
    assert not our_meters(switch, bridge)
    assert sorted(owner.flows.values()) == sorted(foreign_flows(switch, bridge))


def test_catch_all_drop_deleted_while_flows_are_added_gets_no_flow_above(
    switch: PrivateSwitch,
) -> None:
    """The program has seen the catch-all drop of table 2, and is about to add a flow above it."""
    switch.add_bridge("br-late")
    switch.ofctl("add-flow", "br-late", "table=1,priority=5,arp,actions=NORMAL")
    switch.ofctl("add-flow", "br-late", "table=2,priority=0,ip,actions=NORMAL")
    switch.ofctl("add-flow", "br-late", "table=2,priority=1,actions=drop")
    (switch.folder / "late.yaml").write_text(
        "pipeline: late\ntables:\n  1: {name: T1}\n  2: {name: T2}\n"
    )
    path = switch.folder / "line"
    config = (
        f"bridges: [{{name: br-late, pipeline: late, connect: 'unix:{path}'}}]\n"
        f"pipeline_directory: {switch.folder}"
    )
    with (
        HeldLine(path, switch.rundir / "br-late.mgmt", opens_bundle) as line,
        Program(switch, config) as program,
    ):
        assert line.held.wait(10)
        switch.ofctl("del-flows", "--strict", "br-late", "table=2,priority=1")
        line.release()
        assert True is eventually(True, lambda: "watching" in program.said())
        assert [1] == eventually([1], lambda: watched(switch, "br-late"), patience=2)
        assert 0 == program.end()
    switch.vsctl("del-br", "br-late")
