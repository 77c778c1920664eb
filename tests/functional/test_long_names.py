"""Bridges whose names are longer than the 15 bytes that OpenFlow tells of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, send_frame

from ryu_droplog.processing.report import ALL

from .books import state
from .false_switch import FalseSwitch
from .packets import syn
from .program import BIN, Program, add_flows, eventually, our_flows, our_meters, watched
from .reloads import config, reload

pytestmark = pytest.mark.ovs

LONG, TWIN = "br-with-a-name-of-its-own", "br-with-a-name-of-25-and+"
SHORT = "br-with-a-name-"
"""What OpenFlow tells of both names."""
SIXTEEN = "br-of-16-bytes-x"
PORT = 16890


@pytest.fixture(scope="module", autouse=True)
def bridges(switch: PrivateSwitch) -> Iterator[None]:
    """Two bridges that begin alike, of which the second has no LOCAL port, and a third."""
    for bridge, guest in ((LONG, "one"), (TWIN, "two"), (SIXTEEN, "three")):
        switch.add_bridge(bridge)
        switch.guest(guest, bridge)
        add_flows(switch, bridge, "priority=5,arp,actions=drop")
    assert f"LOCAL({SHORT})" in switch.ofctl("dump-ports-desc", LONG)
    assert "LOCAL" not in switch.ofctl("dump-ports-desc", TWIN)
    yield
    for bridge in (LONG, TWIN, SIXTEEN):
        switch.vsctl("del-br", bridge)


def nothing_left(switch: PrivateSwitch) -> bool:
    return not any(
        our_flows(switch, bridge) + our_meters(switch, bridge) for bridge in (LONG, TWIN, SIXTEEN)
    )


def drop_line(program: Program, guest: str) -> str:
    """The line of a frame of the guest's that is dropped."""
    before = len(program.lines())
    send_frame(guest, "eth0", syn())
    assert before + 1 == eventually(before + 1, lambda: len(program.lines())), program.said()
    return program.lines()[-1]


def test_bridges_that_begin_alike_are_two_and_each_takes_its_own_settings(
    switch: PrivateSwitch,
) -> None:
    def entries(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": LONG, "prefix": prefix},
            {"name": TWIN, "prefix": "Twin-"},
            {"name": SIXTEEN, "prefix": "Sixteen-"},
            {"name": "*", "prefix": "Any-"},
        ]

    with Program(switch, config(bridges=entries("Long-"), listen=PORT)) as program:
        for bridge, guest, prefix in (
            (LONG, "one", "Long-"),
            (TWIN, "two", "Twin-"),
            (SIXTEEN, "three", "Sixteen-"),
        ):
            assert [0] == eventually([0], lambda: watched(switch, bridge))  # noqa: B023
            assert f" {prefix}TABLE_0 MISS" in drop_line(program, guest)
            assert 1 == state(program, bridge)["books"][ALL]["received"]
        reload(program, bridges=entries("New-"), listen=PORT)
        assert " New-TABLE_0 MISS" in drop_line(program, "one")
        assert " Twin-TABLE_0 MISS" in drop_line(program, "two")
        assert 0 == program.end()
    assert nothing_left(switch)


@pytest.mark.parametrize(("bridge", "guest"), [(LONG, "one"), (TWIN, "two")])
def test_service_connection_leads_to_a_bridge_with_a_long_name(
    switch: PrivateSwitch, bridge: str, guest: str
) -> None:
    with Program(switch, config(bridges=[{"name": bridge, "connect": "service"}])) as program:
        said = f"{bridge}: connected through our Controller row tcp:127.0.0.1:"
        assert 1 == eventually(1, lambda: program.times(said)), program.said()
        assert [0] == eventually([0], lambda: watched(switch, bridge))
        assert "TABLE_0 MISS" in drop_line(program, guest)
        assert 0 == program.end()
    assert "" == switch.vsctl("get-controller", bridge)
    assert nothing_left(switch)


def test_leftovers_on_a_bridge_with_a_long_name_are_removed_from_it_alone(
    switch: PrivateSwitch,
) -> None:
    with Program(switch, config(bridges=[{"name": LONG}, {"name": TWIN}])) as program:
        for bridge in (LONG, TWIN):
            assert [0] == eventually([0], lambda: watched(switch, bridge))  # noqa: B023
        program.kill_with_its_will()
    command = (BIN / "ryu-droplog", "clean", "--config", program.config, "--bridge")
    env = {**os.environ, **program.env}
    for bridge in (LONG, TWIN):
        assert [0] == watched(switch, bridge)
        done = subprocess.run((*command, bridge), env=env, capture_output=True, text=True)
        assert (0, f"{bridge}: removed 1 flow and 1 meter\n") == (done.returncode, done.stdout), (
            done
        )
        assert [] == watched(switch, bridge)
    assert nothing_left(switch)


def test_switches_that_tell_the_same_15_bytes_are_not_taken_for_one(
    switch: PrivateSwitch,
) -> None:
    with Program(switch, config(bridges=[{"name": "*"}], listen=PORT)) as program:
        assert 1 == eventually(1, lambda: program.times("listening on"))
        with FalseSwitch(PORT, SHORT, 77) as first:
            assert first.watched.wait(30)
            with FalseSwitch(PORT, SHORT, 78, source="127.0.0.2") as second:
                assert second.closed.wait(30)
                assert not second.watched.is_set()
            assert not first.closed.is_set()
        assert 1 == eventually(1, lambda: program.times("cannot be told apart")), program.said()
        refusal = f"{SHORT} is connected already, through tcp:127.0.0.1; a switch tells 15 bytes"
        assert 1 == program.times(refusal)
        assert 0 == program.end()
