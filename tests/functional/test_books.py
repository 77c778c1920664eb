"""The books balance, whatever happens to the switch, the program and what it writes to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_ovs import CommandError, PrivateSwitch, run, send_frame

from ryu_droplog.processing.report import ALL

from . import books
from .books import OPEN_METER, File, load, send, settled, state, total, when
from .held_line import HeldLine
from .packets import syn
from .program import BIN, Program, add_flows, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-books"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
SHORT_LEASE = "lease: {duration: 3, renew: 1}"


@pytest.fixture(scope="module", autouse=True)
def guest(switch: PrivateSwitch) -> None:
    """A guest `one`; each test's bridge takes its port."""
    switch.add_bridge("br-first")
    switch.guest("one", "br-first")
    switch.vsctl("del-br", "br-first")


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a guest and without flows."""
    switch.add_bridge(BRIDGE)
    switch.vsctl("add-port", BRIDGE, "one")
    yield BRIDGE
    switch.vsctl("--if-exists", "del-br", BRIDGE)


def ready(switch: PrivateSwitch, bridge: str) -> bool:
    return [0] == eventually([0], lambda: watched(switch, bridge))


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


# Restarts


def test_flow_swept_away_is_counted_over_both_its_lives(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\n{OPEN_METER}") as program:
        assert ready(switch, bridge)
        send(switch, 500, 2000)
        assert 500 == settled(switch, bridge)
        switch.ofctl("del-flows", bridge)
        assert 1 == eventually(1, lambda: program.times("was removed"))
        assert ready(switch, bridge)
        send(switch, 700, 2000)
        assert 700 == settled(switch, bridge)
        book = books.all_in(program, bridge, 1200)
        assert (1200, 1200, 0) == (book["dropped"], book["logged"], book["lost_in_switch"])
        assert 0 == program.end()


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
        settled(switch, bridge)
        assert 0 == eventually(0, lambda: total(program, bridge)["waiting"])
        book = total(program, bridge)
        assert book["logged"] == len(program.lines())
        assert 500 < book["logged"] <= book["dropped"] <= 2500
        assert 0 == program.end()


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
        assert ready(switch, bridge)
        send(switch, 700, 2000)
        assert 700 == settled(switch, bridge)
        book = books.all_in(program, bridge, 1200)
        assert (1200, 1200, 0) == (book["dropped"], book["logged"], book["lost_in_switch"])
        assert 0 == program.end()


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
        settled(switch, bridge)
        assert 0 == eventually(0, lambda: total(program, bridge)["waiting"])
        book = total(program, bridge)
        assert book["logged"] == len(program.lines())
        assert 500 < book["logged"] <= book["dropped"] <= 2500
        assert 0 == program.end()


# The throttle


def test_repeated_syn_becomes_two_lines(switch: PrivateSwitch, bridge: str) -> None:
    config = f"{CONFIG}\n{OPEN_METER}\nthrottle: {{window: 2s}}"
    with Program(switch, config) as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=20)
        assert 20 == eventually(20, lambda: total(program, bridge)["received"])
        book = total(program, bridge)
        assert (1, 19, 0) == (book["logged"], book["waiting"], book["folded"])
        first, last = eventually(2, lambda: len(program.lines())) and program.lines()
        assert "REPEATED" not in first
        assert f"{first} REPEATED=19" == last
        book = books.all_in(program, bridge, 20)
        assert (20, 1, 19, 0) == (
            book["dropped"], book["logged"], book["folded"], book["waiting"],
        )  # fmt: skip
        assert 0 == program.end()


def test_window_still_open_at_the_end_has_its_line(switch: PrivateSwitch, bridge: str) -> None:
    config = f"{CONFIG}\n{OPEN_METER}\nthrottle: {{window: 1h}}"
    with Program(switch, config) as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=20)
        assert 20 == eventually(20, lambda: total(program, bridge)["received"])
        assert 1 == len(program.lines())
        assert 0 == program.end()
        assert [False, True] == [line.endswith(" REPEATED=19") for line in program.lines()]
        assert f"{bridge}: 20 drops: 20 in TABLE_0; 1 logged, 19 deduplicated" in (program.said())


# What the program says of itself


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


# Tables of one name


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


# What it writes to


@pytest.fixture
def disk(switch: PrivateSwitch) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = switch.folder / "disk"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    yield folder
    run("umount", "--lazy", str(folder))


def test_full_disk_costs_the_lines_that_have_no_room_and_no_more(
    switch: PrivateSwitch, bridge: str, disk: Path
) -> None:
    file = File(switch, disk)
    with Program(switch, f"{CONFIG}\n{OPEN_METER}\n{file.config}") as program:
        assert ready(switch, bridge)
        send(switch, 50, 500)
        assert 50 == eventually(50, file.lines)
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 20))
        send(switch, 500, 500)  # some still fit into the last page of the file
        book = books.all_in(program, bridge, 550)
        written = file.lines()
        assert 400 < book["failed"]
        assert (550, written, 550 - written) == (book["dropped"], book["logged"], book["failed"])
        assert 1 == eventually(1, lambda: program.times("cannot write: No space left on device"))
        filler.unlink()
        send(switch, 100, 500)
        book = books.all_in(program, bridge, 650)
        assert (written + 100, 550 - written) == (book["logged"], book["failed"])
        again = f"writing again; {550 - written} drops were not written"
        assert 1 == eventually(1, lambda: program.times(again))
        assert 0 == program.end()
        odd = file.odd()
        assert len(odd) <= 1, "the beginning of the line that had no room"
        assert written + 100 + len(odd) == file.lines()


def memory(pid: int) -> int:
    """Resident memory of a process in KiB (VmRSS in proc(5))."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def test_standard_output_that_nobody_reads_fills_the_queue_and_no_more(
    switch: PrivateSwitch, bridge: str
) -> None:
    queue, sent = 100_000, 130_000
    pipe = switch.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command = ("sh", "-c", 'exec "$0" run --config "$1" >"$2"')
    whole = (*command, str(BIN / "ryu-droplog"), "{config}", str(pipe))
    try:
        with Program(switch, f"{CONFIG}\n{OPEN_METER}", command=whole) as program:
            assert ready(switch, bridge)
            before = memory(program.process.pid)
            send(switch, sent, 30_000)
            dropped = settled(switch, bridge)
            assert queue + 10_000 < dropped <= sent
            assert dropped == eventually(dropped, lambda: total(program, bridge)["dropped"])
            book = total(program, bridge)
            assert queue == book["waiting"]
            assert book["received"] - book["logged"] - queue == book["refused"]
            assert 0 < book["refused"]
            assert 256 * 1024 > memory(program.process.pid) - before
            assert 0 == program.end(signal.SIGTERM, patience=20)
            left = f"standard output: {queue} drops were not written in time"
            assert 1 == program.times(left)
            assert f"{book['refused']} refused by a full queue" in program.said()
    finally:
        os.close(reader)
        pipe.unlink()
