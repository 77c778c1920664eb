"""Another configuration while the program runs: all of it, or none of it."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, send_frame

from ryu_droplog.processing.report import ALL

from .books import all_in, settled, state, status, total
from .packets import syn
from .program import Program, add_flows, eventually, our_meters, watched
from .reloads import (
    KEPT,
    config,
    configuration,
    flows,
    meter_rates,
    numbered_load,
    numbers,
    reload,
    untouched,
    write,
)

pytestmark = pytest.mark.ovs

ONE, TWO = "br-one", "br-two"
JUST_ONE = {"bridges": [{"name": ONE}]}
OPEN = {"meter": {"rate": 100_000, "burst": 10_000}}
PORT = 16880


@pytest.fixture(scope="module", autouse=True)
def guests(switch: PrivateSwitch) -> None:
    """A bridge `br-one` with a guest `one`, and the same of two; both bridges lose in tables 0, 1.

    What the owner's flow in table 1 drops is a catch-all drop, with a flow of ours above.
    """
    for bridge, guest in ((ONE, "one"), (TWO, "two")):
        switch.add_bridge(bridge)
        switch.guest(guest, bridge)
        own(switch, bridge)


def own(switch: PrivateSwitch, bridge: str) -> None:
    """Add the owner's flows; Open vSwitch takes all away when a first controller comes or goes."""
    add_flows(switch, bridge, "priority=5,arp,actions=goto_table:1")
    add_flows(switch, bridge, "table=1,priority=0,actions=drop")


@pytest.fixture
def started(switch: PrivateSwitch) -> Iterator[Program]:
    """The program at work on `br-one`."""
    with Program(switch, config(**JUST_ONE, **OPEN)) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, ONE))
        yield program
        assert 0 == program.end()
    assert not watched(switch, ONE) + watched(switch, TWO)
    assert not our_meters(switch, ONE) + our_meters(switch, TWO)
    assert "Traceback" not in program.said()


def drop_one(program: Program, count: int = 1) -> list[str]:
    """Have the guest's frame dropped; the new lines on standard output."""
    before = len(program.lines())
    send_frame("one", "eth0", syn(), count=count)
    after = before + count
    assert after == eventually(after, lambda: len(program.lines())), program.said()
    return program.lines()[before:]


# Reloaded


def test_hangup_reads_a_file_again_that_has_not_changed(
    switch: PrivateSwitch, started: Program
) -> None:
    before = flows(switch, ONE)
    for count in (1, 2):
        started.process.send_signal(signal.SIGHUP)
        assert count == eventually(count, lambda: started.times("read again"))
    assert untouched(switch, ONE, before)
    assert 1 == len(drop_one(started))


def test_output_changed_while_drops_come_loses_none_and_writes_none_twice(
    switch: PrivateSwitch, started: Program
) -> None:
    folder = switch.folder / "redirected"
    paths = [folder / name for name in "abc"]
    before = flows(switch, ONE)

    def wanted(name: str) -> dict[str, object]:
        redirected = {"opflex_redirect_drop_logs": name}
        return {**JUST_ONE, **OPEN, "log_directory": str(folder), "drop_log_config": redirected}

    with numbered_load(switch, 1600, 400):
        for path in paths:
            reload(started, **wanted(path.name))
            assert True is eventually(True, lambda: len(numbers(path)) > 50)  # noqa: B023
    assert list(range(1, 1601)) == eventually(
        list(range(1, 1601)), lambda: numbers(started.lines(), *paths)
    )
    assert all(
        numbers(path) == list(range(numbers(path)[0], numbers(path)[-1] + 1)) for path in paths
    )
    assert 1600 == settled(switch, ONE)
    book = all_in(started, ONE, 1600)
    assert (1600, 1600, 0) == (book["dropped"], book["logged"], book["lost_in_switch"])
    assert untouched(switch, ONE, before)


def test_format_prefix_prune_and_throttle_changed_hold_from_then_on(
    switch: PrivateSwitch, started: Program
) -> None:
    before = flows(switch, ONE)
    reload(started, **JUST_ONE, **OPEN, format="json")
    [line] = drop_one(started)
    assert "TABLE_0" == json.loads(line)["table"]
    edge = [{"name": ONE, "prefix": "Edge-"}]
    reload(started, bridges=edge, **OPEN)
    [line] = drop_one(started)
    assert "Edge-TABLE_0 MISS" in line
    prune = {"filters": [{"name": "web", "dport": 80, "ip_proto": "tcp"}]}
    reload(started, bridges=edge, **OPEN, prune=prune)
    send_frame("one", "eth0", syn(), count=3)
    assert {"web": 3} == eventually({"web": 3}, lambda: state(started, ONE)["pruned_by"])
    assert 2 == len(started.lines())
    reload(started, bridges=edge, **OPEN, throttle={"window": "300ms"})
    send_frame("one", "eth0", syn(), count=5)
    assert 4 == eventually(4, lambda: len(started.lines()))
    assert started.lines()[-1].endswith(" REPEATED=4")
    reload(started, bridges=edge, **OPEN, throttle={"window": "1h"})
    send_frame("one", "eth0", syn(), count=5)
    assert (7, 4) == eventually(
        (7, 4), lambda: (total(started, ONE)["folded"] + 3, total(started, ONE)["waiting"])
    )
    reload(started, **JUST_ONE, **OPEN)
    assert 6 == eventually(6, lambda: len(started.lines()))
    assert started.lines()[-1].endswith(" REPEATED=4"), "the window that was open has ended"
    assert "TABLE_0 MISS  SMAC" in drop_one(started)[0]
    assert "Edge-" not in started.lines()[-1]
    assert untouched(switch, ONE, before)
    assert 16 == all_in(started, ONE, 16)["received"]


def test_meter_rate_changed_modifies_the_meters_alone(
    switch: PrivateSwitch, started: Program
) -> None:
    before = flows(switch, ONE)
    meters = our_meters(switch, ONE)
    reload(started, **JUST_ONE, meter={"rate": 10, "burst": 10})
    assert {10} == eventually({10}, lambda: meter_rates(switch, ONE))
    assert meters == our_meters(switch, ONE)
    with numbered_load(switch, 500, 1000):
        pass
    assert 500 == settled(switch, ONE)
    book = all_in(started, ONE, 500)
    assert 400 < book["metered"]
    assert (500, 0) == (book["metered"] + book["logged"], book["lost_in_switch"])
    assert untouched(switch, ONE, before)


def test_lease_changed_replaces_the_flows_and_loses_no_drop(
    switch: PrivateSwitch, started: Program
) -> None:
    before = flows(switch, ONE)
    assert {60} == {flow.lease for flow in before.values()}
    with numbered_load(switch, 1200, 400):
        assert True is eventually(True, lambda: len(numbers(started.lines())) > 50)
        reload(started, **JUST_ONE, **OPEN, lease={"duration": 30, "renew": 5})
        assert [30, 30] == eventually(
            [30, 30], lambda: [flow.lease for flow in flows(switch, ONE).values()]
        )
    assert not before.keys() & flows(switch, ONE).keys()
    every = list(range(1, 1201))
    assert every == eventually(every, lambda: numbers(started.lines()))
    settled(switch, ONE)
    assert 1200 == all_in(started, ONE, 1200)["logged"]


def test_bridge_added_and_removed_leaves_the_other_alone(
    switch: PrivateSwitch, started: Program
) -> None:
    before = flows(switch, ONE)
    both = [{"name": ONE}, {"name": TWO}]
    for _ in range(2):
        reload(started, bridges=both, **OPEN)
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, TWO))
        lines = len(started.lines())
        send_frame("two", "eth0", syn())
        assert lines + 1 == eventually(lines + 1, lambda: len(started.lines()))
        assert untouched(switch, ONE, before)
        reload(started, **JUST_ONE, **OPEN)
        assert [] == eventually([], lambda: watched(switch, TWO))
        assert [] == eventually([], lambda: our_meters(switch, TWO))
        assert False is eventually(False, lambda: state(started, TWO)["connected"])
    assert untouched(switch, ONE, before)
    assert 2 == state(started, TWO)["books"][ALL]["logged"]
    reload(started, bridges=[{"name": TWO}], **OPEN)
    assert ([], [0, 1]) == eventually(
        ([], [0, 1]), lambda: (watched(switch, ONE), watched(switch, TWO))
    )


def test_listen_and_receive_come_and_go(switch: PrivateSwitch, started: Program) -> None:
    before = flows(switch, ONE)
    wider = [{"name": ONE}, {"name": TWO, "connect": "listen"}]
    more = {"bridges": wider, "listen": PORT, "receive": {"geneve": PORT}, **OPEN}
    switch.vsctl("set-controller", TWO, f"tcp:127.0.0.1:{PORT}")
    own(switch, TWO)
    try:
        for _ in range(2):
            reload(started, **more)
            assert [0, 1] == eventually([0, 1], lambda: watched(switch, TWO))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
                outside.sendto(b"x", ("127.0.0.1", PORT))
            assert 1 == eventually(1, lambda: _malformed(started))
            reload(started, **JUST_ONE, **OPEN)
            assert [] == eventually([], lambda: watched(switch, TWO))
            assert {} == status(started)["receive"]
            assert untouched(switch, ONE, before)
    finally:
        switch.vsctl("del-controller", TWO)
        own(switch, TWO)


def test_address_changes_on_the_same_port_and_switches_stay_connected(
    switch: PrivateSwitch, started: Program
) -> None:
    port = PORT + 4
    wider = [{"name": ONE}, {"name": TWO, "connect": "listen"}]
    switch.vsctl("set-controller", TWO, f"tcp:127.0.0.1:{port}")
    own(switch, TWO)

    def listens_at(address: str) -> None:
        place = f"{address}:{port}"
        reload(started, bridges=wider, listen=place, receive={"geneve": place}, **OPEN)
        assert [f"tcp:{place}"] == list(status(started)["listen"])
        assert [f"geneve {place}"] == list(status(started)["receive"])

    try:
        listens_at("127.0.0.1")
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, TWO))
        before, since = flows(switch, TWO), state(started, TWO)["since"]
        for address in ("0.0.0.0", "127.0.0.1"):
            listens_at(address)
            assert untouched(switch, TWO, before)
            with socket.create_connection(("127.0.0.1", port), 20) as visitor:
                visitor.settimeout(20)
                assert visitor.recv(8), "somebody says hello"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
                outside.sendto(b"x", ("127.0.0.1", port))
            assert 1 == eventually(1, lambda: _malformed(started))
        assert since == state(started, TWO)["since"], "it is the same connection"
        assert 1 == started.times(f"{TWO} has connected")
        reload(started, **JUST_ONE, **OPEN)
        assert [] == eventually([], lambda: watched(switch, TWO))
    finally:
        switch.vsctl("del-controller", TWO)
        own(switch, TWO)


def _malformed(program: Program) -> int:
    return sum(one["malformed"] for one in status(program)["receive"].values())


def test_switched_off_and_on_again_leaves_nothing_meanwhile(
    switch: PrivateSwitch, started: Program
) -> None:
    more = {"listen": PORT + 1, "receive": {"geneve": PORT + 1}, **OPEN}
    reload(started, **JUST_ONE, **more)
    for count in (1, 2):
        reload(started, **JUST_ONE, **more, drop_log_config={"enable": False})
        assert [] == eventually([], lambda: watched(switch, ONE))
        assert [] == eventually([], lambda: our_meters(switch, ONE))
        assert count == started.times("nothing is added to any switch")
        assert {} == status(started)["receive"]
        reload(started, **JUST_ONE, **more)
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, ONE))
        assert 1 == len(drop_one(started))
    assert 2 == all_in(started, ONE, 2)["logged"]


# Refused

WRONG = {
    "bad YAML": ("bridges: [{name: br-one", "expected"),
    "unknown key": (config(**JUST_ONE, colour="red"), "colour"),
    "unknown pipeline": (config(bridges=[{"name": ONE, "pipeline": "opflax"}]), '"opflax"'),
    "directory as log file": (
        config(
            **JUST_ONE,
            log_directory="/",
            drop_log_config={"opflex_redirect_drop_logs": "usr"},
        ),
        "/usr: cannot be written: Is a directory",
    ),
    "receive port in use": (
        config(**JUST_ONE, receive={"geneve": PORT + 2}),
        f"receive.geneve: cannot listen at 127.0.0.1:{PORT + 2}: Address already in use",
    ),
    "listen port in use": (
        config(
            bridges=[{"name": "*"}], listen=PORT + 2, receive={"geneve": PORT + 3}, format="json"
        ),
        f"cannot listen on tcp:127.0.0.1:{PORT + 2}: Address already in use",
    ),
}


@pytest.fixture(scope="module")
def running(switch: PrivateSwitch) -> Iterator[Program]:
    """One program for all that is refused; the ports `PORT + 2` are taken."""
    with (
        socket.create_server(("127.0.0.1", PORT + 2)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
        Program(switch, config(**JUST_ONE, **OPEN)) as program,
    ):
        taken.bind(("127.0.0.1", PORT + 2))
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, ONE))
        yield program
        assert 0 == program.end()


def refused(program: Program, before: int) -> str:
    """The one line that says why, of those that are new."""
    assert True is eventually(True, lambda: program.times(KEPT) > before)
    [line] = [line for line in program.said().splitlines() if KEPT in line][before:]
    assert line.endswith(f": {KEPT}")
    return line


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file_is_refused_as_a_whole(
    switch: PrivateSwitch, running: Program, name: str
) -> None:
    text, reason = WRONG[name]
    before, told = flows(switch, ONE), running.times(KEPT)
    write(running, text)
    line = refused(running, told)
    assert reason in line
    trouble = configuration(running)["refused"]
    assert reason in trouble
    assert line.endswith(f"{trouble}: {KEPT}")
    assert untouched(switch, ONE, before)
    assert {} == status(running)["receive"]
    assert drop_one(running)[0].startswith("[info] [ryu_droplog] TABLE_0 MISS  SMAC="), (
        "the format is what it was"
    )
    reload(running, **JUST_ONE, **OPEN)
    assert configuration(running)["refused"] is None
    assert told + 1 == running.times(KEPT), "it is said once"
    assert untouched(switch, ONE, before)


def test_other_run_directory_is_refused(switch: PrivateSwitch, running: Program) -> None:
    before, told = flows(switch, ONE), running.times(KEPT)
    write(running, config(**JUST_ONE), run_directory="/run/elsewhere")
    line = refused(running, told)
    assert re.search(r"run_directory: got /run/elsewhere; expected \S+/locks, where", line)
    write(running, config(**JUST_ONE, **OPEN))
    assert None is eventually(None, lambda: status(running)["configuration"]["refused"])
    assert untouched(switch, ONE, before)


def test_file_removed_is_refused_and_taken_when_it_comes_back(
    switch: PrivateSwitch, running: Program
) -> None:
    before, told = flows(switch, ONE), running.times(KEPT)
    running.config.rename(running.config.with_name("away"))
    assert "No such file or directory" in refused(running, told)
    assert "No such file" in status(running)["configuration"]["refused"]
    running.config.with_name("away").rename(running.config)
    assert None is eventually(None, lambda: status(running)["configuration"]["refused"])
    assert untouched(switch, ONE, before)
    assert 1 == len(drop_one(running))
