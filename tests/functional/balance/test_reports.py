"""What the program says of its books: reports, and the answers of `status`."""

from __future__ import annotations

import json
import re
import time

import pytest
from private_ovs import CommandError, PrivateSwitch, send_frame

from ryu_droplog.processing.report import ALL

from .. import books
from ..books import OPEN_METER, load, settled, state, total
from ..packets import syn
from ..program import Program, add_flows, eventually, watched
from .bed import BRIDGE, CONFIG, ready

pytestmark = pytest.mark.ovs


def test_report_says_what_came_and_then_nothing(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\nbooks: {{interval: 1}}") as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=30)
        line = re.compile(rf"{bridge}: (\d+) drops: (\d+) in TABLE_0; (\d+) logged$", re.M)

        def sums() -> list[int]:
            return [sum(map(int, column)) for column in zip(*line.findall(program.said()))]  # noqa: B905

        assert [30, 30, 30] == eventually([30, 30, 30], sums)
        reports = program.times(" drops: ")
        time.sleep(1.5)
        assert reports == program.times(" drops: ")
        assert 0 == program.end()
        assert reports == program.times(" drops: ")


def test_interval_of_0_reports_at_the_end_alone(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\nbooks: {{interval: 0}}") as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=30)
        assert 30 == eventually(30, lambda: len(program.lines()))
        assert 0 == program.times(" drops: ")
        assert 0 == program.end()
        assert 1 == program.times(f"{bridge}: 30 drops: 30 in TABLE_0; 30 logged\n")


def test_status_is_told_while_the_bridge_is_gone(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, CONFIG) as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=5)
        assert 5 == eventually(5, lambda: total(program, bridge)["counted"])
        assert state(program, bridge)["connected"]
        assert "is not connected" not in books.ask(program)
        switch.vsctl("del-br", bridge)
        assert False is eventually(False, lambda: state(program, bridge)["connected"])
        book = total(program, bridge)
        assert (5, 5) == (book["dropped"], book["logged"])
        [told] = json.loads(books.ask(program, "--json"))
        assert books.status(program).keys() | {"problems"} == told.keys()
        assert books.state(program, bridge)["books"] == told["bridges"][bridge]["books"]
        said = books.ask(program)
        assert f"{bridge} is not connected: its counters are of an earlier time" in said
        assert f"ryu_droplog, process {program.process.pid}\n" in said
        assert 0 == program.end()


def test_status_before_the_bridge_is_there_is_told(switch: PrivateSwitch) -> None:
    with Program(switch, CONFIG) as program:
        assert 1 == eventually(1, lambda: program.times("cannot connect"))
        answer = books.status(program)
        assert [BRIDGE] == list(answer["bridges"])
        told = answer["bridges"][BRIDGE]
        assert ("unreachable", False) == (told["state"], told["connected"])
        assert 0 == total(program, BRIDGE)["dropped"]
        assert {"standard output"} == set(answer["sinks"])
        assert 0 == program.end()
        with pytest.raises(CommandError, match="no running ryu_droplog has its socket in"):
            books.ask(program)


def test_status_asked_under_load_balances_every_time(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\n{OPEN_METER}") as program:
        assert ready(switch, bridge)
        with load(switch, 20_000, 10_000) as sender:
            asked = 0
            while sender.poll() is None:
                total(program, bridge)
                asked += 1
        assert 0 < asked
        dropped = settled(switch, bridge)
        book = books.all_in(program, bridge, dropped)
        assert (dropped, 0) == (book["dropped"], book["waiting"])
        assert 0 == program.end()


def test_tables_that_the_bridge_calls_the_same_are_told_apart(
    switch: PrivateSwitch, bridge: str
) -> None:
    names = [("--", f"--id=@t{n}", "create", "Flow_Table", "name=acl") for n in (0, 1)]
    link = ("--", "set", "bridge", bridge, "flow_tables:0=@t0", "flow_tables:1=@t1")
    switch.vsctl(*(word for name in names for word in name), *link)
    add_flows(switch, bridge, "table=0,priority=5,tcp,actions=goto_table:1")
    with Program(switch, CONFIG) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        send_frame("one", "eth0", syn(), count=3)
        send_frame("one", "eth0", b"\xff" * 12 + b"\x88\xb5" + bytes(46), count=2)
        assert 5 == eventually(5, lambda: total(program, bridge)["counted"])
        found = state(program, bridge)["books"]
        assert {"0": ("acl", 2), "1": ("acl", 3), ALL: ("all tables", 5)} == {
            key: (book["table"], book["counted"]) for key, book in found.items()
        }
        assert 0 == program.end()
