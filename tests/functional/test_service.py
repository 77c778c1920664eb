"""`connect: service`: one row of ours in OVSDB and nothing else, while the program runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from private_ovs import PrivateSwitch, run, send_frame

from ryu_droplog.cleanup import cleanup_process
from ryu_droplog.openflow import messages

from . import books
from .packets import syn
from .peer import Peer, ours
from .program import (
    BIN,
    Program,
    add_flows,
    eventually,
    foreign_flows,
    our_flows,
    our_meters,
    watched,
)

pytestmark = pytest.mark.ovs

BRIDGE, OTHER = "br-service", "br-other"
CONFIG = f"bridges: [{{name: {BRIDGE}, connect: service}}]"
FALLS_BACK = "taking the management socket for 10 s"
FOREIGN = ["priority=5,arp actions=goto_table:1", "table=1, priority=0 actions=NORMAL"]

_TOLD_BY_THE_SWITCH = {
    "Open_vSwitch": ("cur_cfg", "next_cfg", "statistics"),
    "Controller": ("is_connected", "role", "status"),
    "Interface": ("link_resets", "statistics", "status"),
    "Bridge": ("status",),
    "Port": ("statistics", "status"),
}
"""Columns that ovs-vswitchd writes by itself (ovs-vswitchd.conf.db(5))."""

Database = dict[str, dict[str, dict[str, Any]]]
"""Table -> row's UUID -> its columns."""


@pytest.fixture(scope="module", autouse=True)
def bridges(switch: PrivateSwitch) -> Iterator[None]:
    """The bridge, with a guest `one` and its owner's flows, and another one beside it."""
    for name in (BRIDGE, OTHER):
        switch.add_bridge(name)
    switch.guest("one", BRIDGE)
    yield
    for name in (BRIDGE, OTHER):
        switch.vsctl("del-br", name)


@pytest.fixture(autouse=True)
def clean(switch: PrivateSwitch) -> Iterator[None]:
    """Both bridges with their owners' flows alone, and without Controller rows."""
    for name in (BRIDGE, OTHER):
        switch.ofctl("del-flows", name)
        add_flows(switch, name, *(flow.replace(" actions", ",actions") for flow in FOREIGN))
    yield
    for name in (BRIDGE, OTHER):
        switch.vsctl("clear", "bridge", name, "controller")


def database(switch: PrivateSwitch) -> Database:
    """All that is in OVSDB but what the switch writes there itself."""
    remote = f"unix:{switch.rundir}/db.sock"
    text = run("ovsdb-client", "--format=json", "dump", remote, "Open_vSwitch", env=switch.env)
    tables: Database = {}
    for line in text.splitlines():
        table = json.loads(line)
        name = table["caption"].split()[0]
        left_out = ("_uuid", *_TOLD_BY_THE_SWITCH.get(name, ()))
        rows = [dict(zip(table["headings"], row, strict=True)) for row in table["data"]]
        tables[name] = {
            row["_uuid"][1]: {key: row[key] for key in row if key not in left_out} for row in rows
        }
    return tables


def controllers(switch: PrivateSwitch, bridge: str) -> list[str]:
    """The targets of a bridge's Controller rows, without the port of ours."""
    targets = switch.vsctl("get-controller", bridge).split()
    return sorted(re.sub(r"^(tcp:127\.0\.0\.1:)[34567]\d{4}$", r"\1PORT", t) for t in targets)


OURS = "tcp:127.0.0.1:PORT"


def ready(switch: PrivateSwitch) -> bool:
    return [0] == eventually([0], lambda: watched(switch, BRIDGE))


def age(switch: PrivateSwitch, bridge: str) -> list[float]:
    """How long the owner's flows have been there, in seconds."""
    dump = switch.ofctl("dump-flows", bridge, "cookie=0/-1")
    return [float(seconds) for seconds in re.findall(r"duration=([0-9.]+)s", dump)]


def add_controller(switch: PrivateSwitch, bridge: str, *settings: str) -> None:
    """Add a Controller row beside those that are there, as its owner does."""
    create = ("--id=@new", "create", "Controller", *settings)
    switch.vsctl("--", *create, "--", "add", "bridge", bridge, "controller", "@new")


# What is written


def test_one_row_is_all_that_changes_and_goes_at_the_end(switch: PrivateSwitch) -> None:
    add_controller(switch, OTHER, 'target="tcp:127.0.0.1:29999"')
    add_controller(switch, BRIDGE, 'target="ptcp:28888:127.0.0.1"', "type=service",
                   "external_ids:owner=somebody")  # fmt: skip
    time.sleep(1.1)
    ages, before = age(switch, BRIDGE) + age(switch, OTHER), database(switch)
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        assert FOREIGN == foreign_flows(switch, BRIDGE)
        during = database(switch)
        added = set(during["Controller"]) - set(before["Controller"])
        [uuid] = added
        row = during["Controller"].pop(uuid)
        assert ["map", [["ryu-droplog", BRIDGE]]] == row["external_ids"]
        assert "service" == row["type"]
        assert re.fullmatch(r"tcp:127\.0\.0\.1:\d+", row["target"])
        [changed] = [one for one in during["Bridge"].values() if one["name"] == BRIDGE]
        kind, references = changed["controller"]
        assert "set" == kind
        references.remove(["uuid", uuid])
        changed["controller"] = references[0]
        assert before == during
        assert 0 == program.end()
    assert before == database(switch)
    assert FOREIGN == switch.flows(BRIDGE)
    assert all(now > then for now, then in zip(
        age(switch, BRIDGE) + age(switch, OTHER), ages, strict=True
    ))  # fmt: skip
    assert not our_meters(switch, BRIDGE)


def test_drops_come_over_the_service_connection(switch: PrivateSwitch) -> None:
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        assert 1 == program.times("connected through our Controller row")
        send_frame("one", "eth0", syn(), count=3)
        assert 3 == eventually(3, lambda: len(program.lines()))
        assert {"logged": 3, "dropped": 3}.items() <= books.all_in(program, BRIDGE, 3).items()
        assert 0 == program.end()


def test_owner_with_a_controller_of_its_own_keeps_its_connection_and_its_flows(
    switch: PrivateSwitch,
) -> None:
    switch.vsctl("set-controller", BRIDGE, "ptcp:28889:127.0.0.1")
    before = switch.flows(BRIDGE)
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        assert sorted([OURS, "ptcp:28889:127.0.0.1"]) == controllers(switch, BRIDGE)
        assert before == foreign_flows(switch, BRIDGE)
        assert 0 == program.end()
    assert ["ptcp:28889:127.0.0.1"] == controllers(switch, BRIDGE)
    assert before == switch.flows(BRIDGE)


# How it goes


def test_program_killed_leaves_no_row_and_no_flow(switch: PrivateSwitch) -> None:
    add_controller(switch, BRIDGE, 'target="ptcp:28888:127.0.0.1"', "type=service")
    before = database(switch)
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        assert -signal.SIGKILL == program.end(signal.SIGKILL)
        left = ["ptcp:28888:127.0.0.1"]
        assert left == eventually(left, lambda: controllers(switch, BRIDGE))
        assert [] == eventually([], lambda: our_flows(switch, BRIDGE))
        assert [] == eventually([], lambda: our_meters(switch, BRIDGE))
    assert before == database(switch)
    assert FOREIGN == switch.flows(BRIDGE)


def test_row_that_a_killed_program_left_is_replaced_by_the_next(switch: PrivateSwitch) -> None:
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        program.kill_with_its_will()
    assert [OURS] == controllers(switch, BRIDGE)
    left = switch.vsctl("get-controller", BRIDGE)
    with Program(switch, CONFIG) as program:
        assert True is eventually(True, lambda: "watching TABLE_0" in program.said())
        assert [OURS] == controllers(switch, BRIDGE)
        assert left != switch.vsctl("get-controller", BRIDGE)
        assert 0 == program.end()
    assert [] == controllers(switch, BRIDGE)
    assert not our_flows(switch, BRIDGE)


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (("clear", "bridge", BRIDGE, "controller"), []),
        (("set-controller", BRIDGE, "tcp:127.0.0.1:29998"), ["tcp:127.0.0.1:29998"]),
    ],
    ids=["clear", "set-controller"],
)
def test_row_removed_by_its_owner_falls_back_to_the_management_socket(
    switch: PrivateSwitch, command: tuple[str, ...], left: list[str]
) -> None:
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        switch.vsctl(*command)
        begin = time.monotonic()
        assert 1 == eventually(1, lambda: program.times(FALLS_BACK))
        management = f"connected to unix:{switch.rundir}/{BRIDGE}.mgmt"
        assert 1 == eventually(1, lambda: program.times(management))
        assert 5 > time.monotonic() - begin
        assert left == controllers(switch, BRIDGE)
        assert ready(switch)
        lines = len(program.lines())
        send_frame("one", "eth0", syn(), count=3)
        assert lines + 3 == eventually(lines + 3, lambda: len(program.lines()))
        assert 0 == program.end()
    assert left == controllers(switch, BRIDGE)
    assert not our_flows(switch, BRIDGE)
    assert not our_meters(switch, BRIDGE)


def test_row_removed_by_its_owner_comes_back_after_the_pause(switch: PrivateSwitch) -> None:
    hurry = (
        "from ryu_droplog import cli\n"
        "from ryu_droplog.runtime import manager\n"
        "from ryu_droplog.connections import service_connector as service\n"
        "service.FIRST_PAUSE = 1.0\n"
        "cli.main()\n"
    )
    command = (sys.executable, "-W", "ignore", "-c", hurry, "run", "--config", "{config}")
    with Program(switch, CONFIG, command=command) as program:
        assert ready(switch)
        switch.vsctl("clear", "bridge", BRIDGE, "controller")
        assert 1 == eventually(1, lambda: program.times("taking the management socket for 1 s"))
        assert [] == controllers(switch, BRIDGE)
        assert 2 == eventually(2, lambda: program.times("connected through our Controller row"))
        assert [OURS] == controllers(switch, BRIDGE)
        assert ready(switch)
        send_frame("one", "eth0", syn(), count=3)
        assert 3 == eventually(3, lambda: len(program.lines()))
        assert 0 == program.end()
    assert [] == controllers(switch, BRIDGE)


def test_bridge_not_there_falls_back_and_leaves_no_row(switch: PrivateSwitch) -> None:
    before = database(switch)
    with Program(switch, "bridges: [{name: br-never, connect: service}]") as program:
        assert 1 == eventually(1, lambda: program.times("br-never: there is no such bridge in "))
        assert before == database(switch)
        assert 0 == program.end()
    assert before == database(switch)


def test_database_not_there_is_said_and_the_management_socket_taken(
    switch: PrivateSwitch,
) -> None:
    socket, away = switch.rundir / "db.sock", switch.rundir / "away.sock"
    socket.rename(away)
    try:
        with Program(switch, CONFIG) as program:
            trouble = f"unix:{socket}: No such file or directory; {FALLS_BACK}"
            assert 1 == eventually(1, lambda: program.times(trouble))
            assert ready(switch)
            assert 0 == program.end()
    finally:
        away.rename(socket)
    assert not our_flows(switch, BRIDGE)


def test_database_that_hangs_does_not_keep_the_program_from_ending(
    switch: PrivateSwitch,
) -> None:
    server = int((switch.rundir / "ovsdb-server.pid").read_text())
    with Program(switch, CONFIG) as program:
        assert ready(switch)
        os.kill(server, signal.SIGSTOP)
        try:
            assert 1 == program.end(patience=20), "the row is still there"
            assert "Controller: not yet cleaned up" in program.said()
        finally:
            os.kill(server, signal.SIGCONT)
    assert [] == eventually([], lambda: controllers(switch, BRIDGE))
    assert not our_flows(switch, BRIDGE)


def test_rate_that_others_set_on_all_rows_is_said(switch: PrivateSwitch) -> None:
    """Neutron's log driver does so, at any time."""
    with Program(switch, f"{CONFIG}\nlease: {{duration: 3, renew: 1}}") as program:
        assert ready(switch)
        [row] = switch.vsctl("--bare", "--columns=_uuid", "list", "Controller").split()
        switch.vsctl("set", "Controller", row, "controller_rate_limit=100",
                     "controller_burst_limit=25")  # fmt: skip
        said = "limits our Controller row to 100 packet-ins a second"
        assert 1 == eventually(1, lambda: program.times(said), 5)
        assert 0 == program.end()


def test_plan_says_what_would_be_written_and_writes_nothing(switch: PrivateSwitch) -> None:
    before = database(switch)
    path = switch.folder / "plan.yaml"
    path.write_text(CONFIG)
    said = run(str(BIN / "ryu-droplog"), "plan", "--config", str(path), env=switch.env)
    assert 1 == said.count("written to OVSDB: one row of type=service in Controller")
    assert before == database(switch)


# The clean-up process on a real switch and a real database


def test_clean_up_process_takes_back_flows_meters_and_row(switch: PrivateSwitch) -> None:
    add_controller(switch, BRIDGE, 'target="ptcp:28888:127.0.0.1"', "type=service")
    before = database(switch)
    mark = f"external_ids:ryu-droplog={BRIDGE}"
    add_controller(switch, BRIDGE, 'target="ptcp:28887:127.0.0.1"', "type=service", mark)
    [row] = switch.vsctl("--bare", "--columns=_uuid", "find", "Controller", mark).split()
    request = {
        "method": "transact",
        "params": [
            "Open_vSwitch",
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["name", "==", BRIDGE]],
                "mutations": [["controller", "delete", ["set", [["uuid", row]]]]],
            },
        ],
        "id": 0,
    }
    meter = 4_000_000_007
    with Peer(switch, BRIDGE) as peer:
        assert [] == peer.meters(meter)
        assert [] == peer.add(ours(0, meter=meter))
        removals = [ours(0).delete(peer.connection), messages.delete_meter(peer.connection, meter)]
        script = messages.script(peer.connection, removals)
    assert [0] == watched(switch, BRIDGE)
    told = [
        (BRIDGE, f"{BRIDGE}.mgmt", script),
        (f"{BRIDGE} Controller", "db.sock", json.dumps(request).encode()),
    ]
    lines = [
        json.dumps({"name": name, "address": str(switch.rundir / place), "messages": said.hex()})
        for name, place, said in told
    ]
    command = (sys.executable, "-I", "-S", cleanup_process.__file__)
    process = subprocess.run(
        command,
        input="".join(f"{line}\n" for line in lines).encode(),
        timeout=20,
        check=True,
        capture_output=True,
    )
    outcomes = [json.loads(line)["outcome"] for line in process.stdout.splitlines()]
    assert (["done", "done"], b"") == (outcomes, process.stderr)
    assert [] == our_flows(switch, BRIDGE)
    assert FOREIGN == switch.flows(BRIDGE)
    assert "meter=4000000007" not in switch.ofctl("dump-meters", BRIDGE)
    assert before == eventually(before, lambda: database(switch), 3)
