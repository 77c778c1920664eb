"""Switches that hang, owners that meddle, readers that go: each hurts nobody but itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from private_ovs import PrivateSwitch, send_frame

from ryu_droplog.runtime.status_socket import ask

from .held_line import HeldLine, opens_bundle
from .packets import syn
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

BRIDGE = "br-trouble"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"


@pytest.fixture(scope="module", autouse=True)
def guest(switch: PrivateSwitch) -> None:
    """A guest `one`; each test's bridge takes its port."""
    switch.add_bridge("br-first")
    switch.guest("one", "br-first")
    switch.vsctl("del-br", "br-first")


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a guest, whose tables 0 and 1 lose packets."""
    switch.add_bridge(BRIDGE)
    switch.vsctl("add-port", BRIDGE, "one")
    add_flows(switch, BRIDGE, "table=0,priority=5,arp,actions=goto_table:1")
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def told(program: Program) -> dict[str, Any]:
    """What it tells of itself."""
    [answer] = ask(program.run_directory)
    return answer


def vswitchd(switch: PrivateSwitch) -> int:
    return int((switch.rundir / "ovs-vswitchd.pid").read_text())


@pytest.mark.datapath
def test_switch_that_hangs_while_the_program_ends_is_cleaned_up_when_it_goes_on(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        os.kill(vswitchd(switch), signal.SIGSTOP)
        try:
            program.end(patience=15)
        finally:
            os.kill(vswitchd(switch), signal.SIGCONT)
        assert f"{bridge}: " in program.said().splitlines()[-1]
        assert "no answer from the switch" in program.said()
        left = eventually([], lambda: watched(switch, bridge) + our_meters(switch, bridge), 5)
        assert not left


def test_switch_that_never_greets_is_named_and_left(switch: PrivateSwitch) -> None:
    path = switch.folder / "mute"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(path))
        mute.listen()
        config = f"bridges: [{{name: mute, connect: 'unix:{path}'}}]"
        with Program(switch, config) as program:
            connected, _ = mute.accept()
            assert connected.recv(8)
            assert 0 == program.end()
            connected.close()
    path.unlink()


@pytest.mark.parametrize("protocols", [["OpenFlow10"], ["OpenFlow10", "OpenFlow14"]])
def test_bridge_that_refuses_openflow_13_is_named_once(
    switch: PrivateSwitch, protocols: list[str]
) -> None:
    switch.add_bridge("br-old", protocols=protocols)
    with Program(switch, "bridges: [{name: br-old}]") as program:
        assert True is eventually(True, lambda: "trying again" in program.said())
        time.sleep(1.2)  # it tries again after 0.5 s
        _, line = program.said().splitlines()
        assert " br-old: " in line
        assert "OpenFlow 1.3" in line
        switch.vsctl("set", "bridge", "br-old", "protocols=OpenFlow10,OpenFlow13")
        assert [0] == eventually([0], lambda: watched(switch, "br-old"))
        assert 0 == program.end()
    switch.vsctl("del-br", "br-old")


def test_reader_of_standard_output_gone_ends_the_program_in_good_order(
    switch: PrivateSwitch, bridge: str
) -> None:
    into_nothing = 'exec 3>&1; { "$0" run --config "$1"; echo $? >&3; } | true'
    command = ("sh", "-c", into_nothing, str(BIN / "ryu-droplog"), "{config}")
    with Program(switch, CONFIG, command=command) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        send_frame("one", "eth0", syn())
        assert 0 == program.process.wait(10)
        assert "0\n" == program.output.read_text(), "the exit status"
        assert 1 == program.times("standard output: nobody reads it any more: stopping")
    assert not our_flows(switch, bridge)
    assert not our_meters(switch, bridge)


@pytest.mark.parametrize("hub", ["native", "eventlet"])
def test_reader_of_the_log_that_takes_nothing_keeps_nobody_waiting(
    switch: PrivateSwitch, bridge: str, hub: str
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    command = ("sh", "-c", f'exec "$0" run -v --config "$1" 2>/proc/{os.getpid()}/fd/{writing}')
    command = (*command, str(BIN / "ryu-droplog"), "{config}")
    try:
        with Program(
            switch, CONFIG, command=command, env={**os.environ, "OSKEN_HUB_TYPE": hub}
        ) as program:
            assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
            send_frame("one", "eth0", syn())
            assert 1 == eventually(1, lambda: len(program.lines()))
            assert 0 == program.end(patience=15)
    finally:
        os.close(reading)
        os.close(writing)
    assert not our_flows(switch, bridge)
    assert not our_meters(switch, bridge)


@pytest.mark.parametrize("hub", ["native", "eventlet"])
def test_signal_to_a_program_that_is_stopped_ends_it_when_it_goes_on(
    switch: PrivateSwitch, bridge: str, hub: str
) -> None:
    """As systemd ends a service, which is frozen: SIGTERM, then SIGCONT. Any thread may get it."""
    for _ in range(4):
        with Program(switch, CONFIG, env={**os.environ, "OSKEN_HUB_TYPE": hub}) as program:
            assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
            program.process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            program.process.send_signal(signal.SIGTERM)
            program.process.send_signal(signal.SIGCONT)
            assert 0 == program.process.wait(20)
        assert not our_flows(switch, bridge)
        assert not our_meters(switch, bridge)


@pytest.mark.parametrize("hub", ["native", "eventlet"])
def test_standard_files_that_are_closed_leave_the_switch_and_the_clean_up_alone(
    switch: PrivateSwitch, bridge: str, hub: str
) -> None:
    """Else lines go into whatever was opened next, and the clean-up process cannot be started."""
    command = ("sh", "-c", 'exec "$0" run --config "$1" <&- >&- 2>&-')
    command = (*command, str(BIN / "ryu-droplog"), "{config}")
    with Program(
        switch, CONFIG, command=command, env={**os.environ, "OSKEN_HUB_TYPE": hub}
    ) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        for _ in range(3):
            send_frame("one", "eth0", syn())
        assert 3 == eventually(3, lambda: told(program)["sinks"]["standard output"]["failed"])
        assert [0, 1] == watched(switch, bridge)
        assert 0 == told(program)["clean_up"]["restarts"]
        program.end(signal.SIGKILL)
    left = eventually([], lambda: watched(switch, bridge) + our_meters(switch, bridge))
    assert not left


def test_flow_of_ours_changed_by_its_neighbour_is_taken_away_and_comes_back(
    switch: PrivateSwitch, bridge: str
) -> None:
    """`mod-flows` without a match changes every flow of the table, ours too."""
    add_flows(switch, bridge, "table=1,priority=5,arp,actions=drop")
    with Program(switch, CONFIG) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        before = our_flows(switch, bridge)
        switch.ofctl("mod-flows", bridge, "table=1,actions=NORMAL")
        said = "our flow in TABLE_1 was changed; next try in 1 s"
        assert 1 == eventually(1, lambda: program.times(said), 2)
        assert [0] == watched(switch, bridge)
        assert before == eventually(before, lambda: our_flows(switch, bridge))
        expected = ["priority=5,arp actions=goto_table:1", "table=1, priority=5,arp actions=NORMAL"]
        assert expected == foreign_flows(switch, bridge)
        assert 0 == program.end()


def test_flow_swept_away_again_and_again_comes_back_ever_later(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, CONFIG) as program:
        for pause in (1, 2, 4):
            assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
            switch.ofctl("del-flows", bridge, "table=1")
            said = partial(program.times, f"our flow in TABLE_1 was removed; next try in {pause} s")
            assert 1 == eventually(1, said, 2)
        assert 0 == program.end()


def test_changes_that_the_flow_monitor_had_to_sum_up_are_not_missed(
    switch: PrivateSwitch, bridge: str
) -> None:
    """Open vSwitch pauses the monitor of a connection that has not read 128 KiB of updates."""
    many = switch.folder / "many"
    many.write_text("".join(f"table=9,priority={n + 5},actions=drop\n" for n in range(20000)))
    with Program(switch, CONFIG) as program:
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        program.process.send_signal(signal.SIGSTOP)
        switch.ofctl("add-flows", bridge, str(many))
        add_flows(switch, bridge, "table=1,priority=0,arp,actions=NORMAL")
        program.process.send_signal(signal.SIGCONT)
        assert [0] == eventually([0], lambda: watched(switch, bridge), 4)
        assert 0 == program.end()


def test_flow_added_while_the_monitor_was_paused_is_not_taken_for_someone_elses(
    switch: PrivateSwitch, bridge: str
) -> None:
    """What Open vSwitch sums up afterwards names our own flow in full, not abbreviated."""
    many = switch.folder / "many"
    many.write_text("".join(f"table=9,priority={n + 5},actions=drop\n" for n in range(20000)))
    path = switch.folder / "line"
    armed, open_gate = threading.Event(), threading.Event()
    open_gate.set()

    def hold(message: bytes) -> bool:
        return armed.is_set() and opens_bundle(message)

    def gate(message: bytes) -> bytes:
        open_gate.wait(20)
        return message

    config = f"bridges: [{{name: {BRIDGE}, connect: 'unix:{path}'}}]"
    with (
        HeldLine(path, switch.rundir / f"{BRIDGE}.mgmt", hold, gate) as line,
        Program(switch, config) as program,
    ):
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        switch.ofctl("del-flows", bridge, "table=1")
        assert 1 == eventually(1, lambda: program.times("TABLE_1 was removed; next try in 1 s"))
        armed.set()
        assert line.held.wait(10)
        open_gate.clear()
        switch.ofctl("add-flows", bridge, str(many))
        line.release()
        assert [0, 1] == eventually([0, 1], lambda: watched(switch, bridge))
        open_gate.set()
        eventually(1, lambda: program.times("was changed"), 2)
        assert 0 == program.times("was changed")
        assert 0 == program.end()


METER_FEATURES = 11  # OFPMP_METER_FEATURES, OpenFlow 1.3.5 section 7.3.5.13


def without_meters(message: bytes) -> bytes:
    """What a switch without meters would have answered: max_meter 0."""
    if message[1] == 19 and int.from_bytes(message[8:10], "big") == METER_FEATURES:
        return message[:16] + bytes(4) + message[20:]
    return message


@pytest.mark.parametrize("required", ["true", "false"])
def test_switch_without_meters_gets_flows_only_where_the_user_accepts_it(
    switch: PrivateSwitch, bridge: str, required: str
) -> None:
    path = switch.folder / "line"
    config = (
        f"bridges: [{{name: {BRIDGE}, connect: 'unix:{path}'}}]\nmeter: {{required: {required}}}"
    )
    management = switch.rundir / f"{BRIDGE}.mgmt"
    with (
        HeldLine(path, management, answer=without_meters),
        Program(switch, config) as program,
    ):
        if required == "true":
            refusal = "the switch has no meters, and meter.required is true"
            refused = f"not watched for now: TABLE_0 ({refusal}); TABLE_1 ({refusal})"
            assert 1 == eventually(1, lambda: program.times(refused))
            assert not our_flows(switch, bridge)
        else:
            expected = [
                "cookie=0x4000d407......00, hard_timeout=60, send_flow_rem priority=0 "
                "actions=controller(reason=no_match,id=54279)",
                "cookie=0x4000d407......01, table=1, hard_timeout=60, send_flow_rem priority=0 "
                "actions=controller(reason=no_match,id=54279)",
            ]
            assert expected == eventually(expected, lambda: our_flows(switch, bridge))
            warning = "the switch has no meters: a flood of drops will keep ovs-vswitchd busy"
            assert 1 == program.times(warning)
        assert not our_meters(switch, bridge)
        assert 0 == program.end()
    assert not our_flows(switch, bridge)


def test_switch_that_connects_again_and_again_is_said_once(
    switch: PrivateSwitch, bridge: str
) -> None:
    config = "listen: 16720\nbridges: [{name: br-other, connect: listen}]"
    with Program(switch, config) as program:
        assert 1 == eventually(1, lambda: program.times("listening on"))
        switch.vsctl("set-controller", bridge, "tcp:127.0.0.1:16720")
        refusal = f"the bridge there is called '{bridge}', and is not asked for"
        assert 1 == eventually(1, lambda: program.times(refusal))
        time.sleep(4)  # Open vSwitch tries again after 1 and 2 s
        assert 1 == program.times(refusal)
        assert 0 == program.end()
    switch.vsctl("del-controller", bridge)
