"""Several bridges at once, and every way to reach one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn
from .program import Program, add_flows, eventually, our_flows, our_meters, watched

pytestmark = pytest.mark.ovs

INT, ACCESS = "br-int", "br-access"
PORT = 16653
LABEL = re.compile(r"\] ([^] ]+ MISS)  SMAC=")


@pytest.fixture(scope="module", autouse=True)
def bridges(switch: PrivateSwitch) -> Iterator[None]:
    """Two bridges with a guest each: `one` on the first, `two` on the second."""
    for bridge, guest in ((INT, "one"), (ACCESS, "two")):
        switch.add_bridge(bridge)
        switch.guest(guest, bridge)
    yield
    for bridge in (INT, ACCESS):
        switch.vsctl("del-br", bridge)


@pytest.fixture
def no_controllers(switch: PrivateSwitch) -> Iterator[None]:
    """Both bridges without controllers afterwards, and without flows before."""
    for bridge in (INT, ACCESS):
        switch.ofctl("del-flows", bridge)
    yield
    for bridge in (INT, ACCESS):
        switch.vsctl("del-controller", bridge)
        switch.ofctl("del-flows", bridge)


def labels(program: Program) -> list[str]:
    """The drop reasons of its lines, sorted."""
    return sorted(LABEL.findall(program.output.read_text()))


def send_both() -> None:
    """One SYN into each bridge."""
    send_frame("one", "eth0", syn())
    send_frame("two", "eth0", syn())


def all_gone(switch: PrivateSwitch) -> bool:
    return not any(
        our_flows(switch, bridge) or our_meters(switch, bridge) for bridge in (INT, ACCESS)
    )


def test_two_bridges_have_their_own_pipelines_and_prefixes(
    switch: PrivateSwitch, no_controllers: None
) -> None:
    add_flows(switch, ACCESS, "table=0,actions=goto_table:6")
    config = f"""
bridges:
  - {{name: {INT}, pipeline: opflex-int}}
  - {{name: {ACCESS}, prefix: "Edge-", pipeline: opflex-access}}
"""
    with Program(switch, config) as program:
        assert list(range(16)) == eventually(list(range(16)), lambda: watched(switch, INT))
        most = list(range(1, 10))
        assert most == eventually(most, lambda: watched(switch, ACCESS))
        send_both()
        expected = ["Edge-SEC_GROUP_OUT_TABLE MISS", "Int-DROP_LOG_TABLE MISS"]
        assert expected == eventually(expected, lambda: labels(program))
        assert 0 == program.end()
    assert all_gone(switch)


def test_bridge_that_listens_is_reached_by_tcp(switch: PrivateSwitch, no_controllers: None) -> None:
    switch.vsctl("set-controller", INT, f"ptcp:{PORT}:127.0.0.1")
    add_flows(switch, INT, "table=0,priority=3,arp,actions=drop")
    config = f'bridges: [{{name: {INT}, connect: "tcp:127.0.0.1:{PORT}"}}]'
    with Program(switch, config) as program:
        assert [0] == eventually([0], lambda: watched(switch, INT))
        send_frame("one", "eth0", syn())
        assert ["TABLE_0 MISS"] == eventually(["TABLE_0 MISS"], lambda: labels(program))
        assert 0 == program.end()
    assert ["priority=3,arp actions=drop"] == switch.flows(INT)
    assert all_gone(switch)


def test_bridges_that_connect_are_accepted_under_their_names(
    switch: PrivateSwitch, no_controllers: None
) -> None:
    config = f"""
listen: {PORT + 1}
bridges:
  - {{name: "*", prefix: "Any-"}}
  - {{name: {ACCESS}, pipeline: opflex-access, connect: listen}}
"""
    with Program(switch, config) as program:
        assert 1 == eventually(1, lambda: program.times("listening on tcp:127.0.0.1:16654"))
        for bridge in (INT, ACCESS):
            switch.vsctl("set-controller", bridge, f"tcp:127.0.0.1:{PORT + 1}")
        assert [0] == eventually([0], lambda: watched(switch, INT))
        assert list(range(10)) == eventually(list(range(10)), lambda: watched(switch, ACCESS))
        send_both()
        expected = ["Acc-DROP_LOG_TABLE MISS", "Any-TABLE_0 MISS"]
        assert expected == eventually(expected, lambda: labels(program))
        assert 0 == program.end()
    assert all_gone(switch)


def test_bridge_that_connects_but_is_not_asked_for_gets_nothing(
    switch: PrivateSwitch, no_controllers: None
) -> None:
    config = f"""
listen: {PORT + 2}
bridges: [{{name: {ACCESS}, connect: listen}}]
"""
    with Program(switch, config) as program:
        assert 1 == eventually(1, lambda: program.times("listening on"))
        for bridge in (INT, ACCESS):
            switch.vsctl("set-controller", bridge, f"tcp:127.0.0.1:{PORT + 2}")
        assert [0] == eventually([0], lambda: watched(switch, ACCESS))
        refusal = "the bridge there is called 'br-int', and is not asked for"
        assert True is eventually(True, lambda: refusal in program.said())
        assert not switch.flows(INT)
        assert 0 == program.end()


def test_bridge_reached_twice_is_watched_once(switch: PrivateSwitch, no_controllers: None) -> None:
    config = f"""
listen: {PORT + 3}
bridges:
  - {{name: {INT}}}
  - {{name: "*"}}
"""
    with Program(switch, config) as program:
        assert [0] == eventually([0], lambda: watched(switch, INT))
        switch.vsctl("set-controller", INT, f"tcp:127.0.0.1:{PORT + 3}")
        refusal = (
            f"the bridge there is called '{INT}', and that one is not to connect to us"
            f" (unix:{switch.rundir}/{INT}.mgmt)"
        )
        assert True is eventually(True, lambda: refusal in program.said())
        assert [0] == eventually([0], lambda: watched(switch, INT))
        send_frame("one", "eth0", syn())
        assert ["TABLE_0 MISS"] == eventually(["TABLE_0 MISS"], lambda: labels(program))
        assert 0 == program.end()
    assert all_gone(switch)


def test_second_run_on_the_same_bridge_is_refused(
    switch: PrivateSwitch, no_controllers: None
) -> None:
    config = f"bridges: [{{name: {INT}}}]"
    with (
        Program(switch, config, name="first") as first,
        Program(switch, config, name="second") as second,
    ):
        refusal = "another ryu_droplog is at work there"
        assert 1 == eventually(1, lambda: first.times(refusal) + second.times(refusal))
        loser, winner = (first, second) if first.times(refusal) else (second, first)
        assert f"(process {winner.process.pid})" in loser.said()
        assert 0 == winner.end()
        assert [0] == eventually([0], lambda: watched(switch, INT))
        assert 1 == loser.times("watching")
        assert 1 == loser.times(refusal)
        assert 0 == loser.end()
    assert all_gone(switch)


def test_port_taken_is_one_line_and_no_traceback(
    switch: PrivateSwitch, no_controllers: None
) -> None:
    config = f'listen: {PORT + 4}\nbridges: [{{name: "*"}}]'
    with Program(switch, config, name="first") as first:
        assert 1 == eventually(1, lambda: first.times("listening on"))
        with Program(switch, config, name="second") as second:
            assert 1 == second.process.wait(10)
            assert "Traceback" not in second.said()
            expected = (
                f"ryu_droplog: cannot listen on tcp:127.0.0.1:{PORT + 4}: Address already in use"
            )
            assert expected in second.said()
        assert 0 == first.end()
