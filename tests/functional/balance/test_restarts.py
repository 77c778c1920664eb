"""The books balance over the lives of a flow, of its meter and of the switch."""

from __future__ import annotations

import socket
import subprocess
import time

import pytest
from private_ovs import PrivateSwitch, send_frame

from .. import books
from ..books import OPEN_METER, load, send, settled, state, total, when
from ..held_line import HeldLine
from ..packets import syn
from ..program import BIN, Program, eventually, watched
from .bed import BRIDGE, CONFIG, SHORT_LEASE, ready

pytestmark = pytest.mark.ovs


def second_life_is_counted(switch: PrivateSwitch, bridge: str, program: Program) -> None:
    """After 500 drops of the first life: each drop of both is counted, and logged."""
    assert ready(switch, bridge)
    send(switch, 700, 2000)
    assert 700 == settled(switch, bridge)
    book = books.all_in(program, bridge, 1200)
    assert (1200, 1200, 0) == (book["dropped"], book["logged"], book["lost_in_switch"])
    assert 0 == program.end()


def load_is_logged(switch: PrivateSwitch, bridge: str, program: Program) -> None:
    """After a load over two lives: all lines are in the books, and no more than was sent."""
    settled(switch, bridge)
    assert 0 == eventually(0, lambda: total(program, bridge)["waiting"])
    book = total(program, bridge)
    assert book["logged"] == len(program.lines())
    assert 500 < book["logged"] <= book["dropped"] <= 2500
    assert 0 == program.end()


def test_visitor_of_the_bridge_while_it_is_planned_keeps_no_table_from_being_watched(
    switch: PrivateSwitch, bridge: str
) -> None:
    """A connection whose handshake is not over asks for unmatched packets, for Open vSwitch.

    Every ovs-ofctl is such a one for a moment.
    """
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor,
        Program(switch, f"{CONFIG}\n{SHORT_LEASE}") as program,
    ):
        visitor.connect(str(switch.rundir / f"{bridge}.mgmt"))
        assert 1 == eventually(1, lambda: program.times("watching "))
        visitor.close()
        assert ready(switch, bridge)
        assert 0 == program.end()


def test_flow_swept_away_is_counted_over_both_its_lives(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\n{OPEN_METER}") as program:
        assert ready(switch, bridge)
        send(switch, 500, 2000)
        assert 500 == settled(switch, bridge)
        switch.ofctl("del-flows", bridge)
        assert 1 == eventually(1, lambda: program.times("was removed"))
        second_life_is_counted(switch, bridge, program)


def test_meter_removed_with_its_flow_is_counted_over_both_its_lives(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, f"{CONFIG}\nmeter: {{rate: 10, burst: 10}}\n{SHORT_LEASE}") as program:
        for sent, count in ((300, 300), (500, 200)):
            assert ready(switch, bridge)
            send(switch, count, 2000)
            assert count == settled(switch, bridge)
            assert sent == books.all_in(program, bridge, sent)["dropped"]
            switch.ofctl("del-meters", bridge)
            assert [] == eventually([], lambda: watched(switch, bridge))
        book = books.all_in(program, bridge, 500)
        assert (500, 0) == (book["dropped"], book["lost_in_switch"])
        assert 500 == book["metered"] + len(program.lines())
        assert 400 < book["metered"]
        assert 0 == program.end()


def test_flow_swept_away_in_the_middle_of_a_load_loses_no_drop_that_came(
    switch: PrivateSwitch, bridge: str
) -> None:
    """While a load goes on, Open vSwitch is half a second behind with whose packets it counts.

    So the two lives' counters add up to what came, and to what only seems to have been lost.
    """
    with Program(switch, f"{CONFIG}\n{OPEN_METER}") as program:
        assert ready(switch, bridge)
        with load(switch, 2500, 1000):
            assert when(lambda: len(program.lines()) > 300)
            switch.ofctl("del-flows", bridge)
            first = total(program, bridge)["received"]
            assert when(lambda: len(program.lines()) > first + 200)
        load_is_logged(switch, bridge, program)


def test_flow_removed_between_an_answer_and_its_barrier_is_counted_once(
    switch: PrivateSwitch, bridge: str
) -> None:
    """The last count of a flow overtakes the one that was asked for."""
    path = switch.folder / "line"
    asked: list[bytes] = []

    def behind_the_flows(message: bytes) -> bool:
        """Whether it is the barrier behind a question for our flows."""
        asked.append(message)
        dump = len(asked) > 1 and asked[-2][1] == 18 and asked[-2][8:10] == b"\x00\x01"
        return armed and dump and message[1] == 20

    armed = False
    config = f"bridges: [{{name: {BRIDGE}, connect: 'unix:{path}'}}]"
    with (
        HeldLine(path, switch.rundir / f"{BRIDGE}.mgmt", behind_the_flows) as line,
        Program(switch, config) as program,
    ):
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=7)
        assert 7 == eventually(7, lambda: total(program, bridge)["counted"])
        armed = True
        asking = subprocess.Popen(
            [str(BIN / "ryu-droplog"), "status", "--json", "--config", str(program.config)],
            stdout=subprocess.DEVNULL,
        )
        assert line.held.wait(10)
        switch.ofctl("del-flows", bridge)
        time.sleep(0.3)  # the news of it is on its way to the program
        line.release()
        assert 0 == asking.wait(20)
        assert ready(switch, bridge)
        assert 7 == eventually(7, lambda: total(program, bridge)["counted"], 2)
        assert 0 == program.end()


def test_switch_restarted_is_counted_over_both_its_lives(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, f"{CONFIG}\n{OPEN_METER}") as program:
        assert ready(switch, bridge)
        send(switch, 500, 2000)
        assert 500 == eventually(500, lambda: total(program, bridge)["counted"])
        switch.restart_vswitchd()
        second_life_is_counted(switch, bridge, program)


def test_switch_restarted_in_the_middle_of_a_load_loses_no_drop_that_came(
    switch: PrivateSwitch, bridge: str
) -> None:
    """What the flow counted after the program's last look at it goes down with the switch."""
    with Program(switch, f"{CONFIG}\n{OPEN_METER}") as program:
        assert ready(switch, bridge)
        with load(switch, 2500, 1000):
            assert when(lambda: len(program.lines()) > 300)
            switch.stop_vswitchd()
            assert when(lambda: not state(program, bridge)["connected"])
            first = total(program, bridge)["received"]
            switch.start_vswitchd()
            assert when(lambda: len(program.lines()) > first + 200)
        load_is_logged(switch, bridge, program)
