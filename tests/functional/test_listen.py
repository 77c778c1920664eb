"""Who connects to `listen`: any number, under any name, and in nobody's way."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest
from private_ovs import PrivateSwitch, send_frame

from .false_switch import FalseSwitch
from .packets import syn
from .program import BIN, Program, add_flows, eventually, our_flows, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-listen"
DATAPATH = 0xFEED_0000_0001
PORT = 16730
CONFIG = f"""
listen: {{address: {PORT}, connections: 16, bridges: 8, forget: 2}}
bridges: [{{name: {BRIDGE}}}, {{name: "*"}}]
"""
HUBS = ("native", "eventlet")


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    switch.add_bridge(BRIDGE)
    switch.vsctl("set", "bridge", BRIDGE, f"other_config:datapath-id={DATAPATH:016x}")
    switch.guest("one", BRIDGE)
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def listening(program: Program) -> None:
    assert 1 == eventually(1, lambda: program.times("listening on"))


def tasks(program: Program) -> int:
    return len(os.listdir(f"/proc/{program.process.pid}/task"))


def descriptors(program: Program) -> int:
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


def lock_files(program: Program) -> list[str]:
    return sorted(path.name for path in Path(program.run_directory).glob("*.lock"))


class Away:
    """Without ovs-vswitchd, which was killed, until `back` or the end of a `with` block."""

    def __init__(self, switch: PrivateSwitch) -> None:
        self._switch = switch
        self._away = False

    def __enter__(self) -> Away:
        self._switch.kill_vswitchd()
        self._away = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.back()

    def back(self) -> None:
        if self._away:
            self._away = False
            self._switch.start_vswitchd()


# A bridge that we reach ourselves


@pytest.mark.parametrize("hub", HUBS)
def test_bridge_is_watched_although_others_came_with_its_name_and_its_datapath_id(
    switch: PrivateSwitch, hub: str
) -> None:
    """They come while ovs-vswitchd is away, and stay."""
    env = {**os.environ, "OSKEN_HUB_TYPE": hub}
    with Program(switch, CONFIG, env=env) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        with Away(switch) as away, ExitStack() as peers:
            assert 1 == eventually(1, lambda: program.times(".mgmt has ended"))
            namesake = peers.enter_context(FalseSwitch(PORT, BRIDGE, 77))
            twin = peers.enter_context(FalseSwitch(PORT, "br-twin", DATAPATH, source="127.0.0.2"))
            assert namesake.closed.wait(30)
            assert not namesake.watched.is_set()
            refused = f"the bridge there is called '{BRIDGE}', and that one is not to connect"
            assert 1 == eventually(1, lambda: program.times(refused))
            assert twin.watched.wait(30)
            away.back()
            assert [0] == eventually([0], lambda: watched(switch, BRIDGE), 20)
            assert twin.closed.wait(30), "it has given way"
            winner = f"{BRIDGE}, reached through unix:"
            lost = f"tcp:127.0.0.2: br-twin is disconnected in favour of {winner}"
            assert 1 == eventually(1, lambda: program.times(lost))
            send_frame("one", "eth0", syn())
            assert True is eventually(True, lambda: bool(program.lines()))
        assert [f"{DATAPATH:016x}.lock"] == lock_files(program)
        assert 0 == program.end()
        assert [] == lock_files(program)
    assert not our_flows(switch, BRIDGE)


def test_who_came_to_one_program_keeps_another_from_no_bridge(switch: PrivateSwitch) -> None:
    anyone = f'listen: {PORT + 1}\nbridges: [{{name: "*"}}]'
    with Program(switch, anyone, name="first") as first:
        listening(first)
        with FalseSwitch(PORT + 1, "br-twin", DATAPATH) as twin:
            assert twin.watched.wait(30)
            assert [f"{DATAPATH:016x}.accepted.lock"] == lock_files(first)
            config = f"bridges: [{{name: {BRIDGE}}}]"
            with Program(switch, config, name="second") as second:
                assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
                assert twin.closed.wait(30)
                reason = f"another ryu_droplog is at work there (process {second.process.pid})"
                assert 1 == eventually(1, lambda: first.times(reason))
                assert 0 == second.end()
        assert 0 == first.end()


# Names


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc/x",
        "a b",
        "*",
        "a\nb",
        "\x1b[2J",
        "br\u202egn",
        "x\0y",
        "\ud7ff" * 6,
    ],
    ids=repr,
)
def test_name_that_no_bridge_can_have_is_refused_in_one_line_of_plain_text(
    switch: PrivateSwitch, name: str
) -> None:
    with Program(switch, CONFIG) as program:
        listening(program)
        with FalseSwitch(PORT, name, 77) as peer:
            told = "x" if name == "x\0y" else name
            if told == "x":
                assert peer.watched.wait(30), "a name ends with its first zero"
            else:
                assert peer.closed.wait(30)
                assert not peer.watched.is_set()
        assert 0 == program.end()
        said = program.said()
        assert all(character.isprintable() for character in said.replace("\n", ""))
        assert all(re.match(r"\d{4}-\d{2}-\d{2} ", line) for line in said.splitlines())
        assert [] == lock_files(program)


def test_datapath_id_0_is_refused(switch: PrivateSwitch) -> None:
    with Program(switch, CONFIG) as program:
        listening(program)
        with FalseSwitch(PORT, "br-null", 0) as peer:
            assert peer.closed.wait(30)
        assert 1 == eventually(1, lambda: program.times("br-null has the datapath id 0"))
        assert 0 == program.end()


# How many


@pytest.mark.parametrize("hub", HUBS)
def test_names_that_are_made_up_are_bounded_and_forgotten_with_their_locks(
    switch: PrivateSwitch, hub: str
) -> None:
    env = {**os.environ, "OSKEN_HUB_TYPE": hub}
    with Program(switch, CONFIG, env=env) as program, ExitStack() as peers:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        before = tasks(program)
        for number in range(150):
            source = f"127.0.{number // 100 + 1}.{number % 100 + 1}"
            peers.enter_context(
                FalseSwitch(PORT, f"made-up-{number}", 1000 + number, source=source)
            )
        taken = 8
        assert taken + 1 == eventually(taken + 1, lambda: len(program.status()["bridges"]))
        assert taken + 1 == eventually(taken + 1, lambda: len(lock_files(program)))
        assert before + taken * 4 >= tasks(program)
        told = program.status()["listen"][f"tcp:127.0.0.1:{PORT}"]
        assert {"handshakes": 0, "connections": taken, "refused": 150 - taken} == told
        assert 60 > len(program.said().splitlines()), "20 of all hosts, and 2 of each bridge"
        peers.close()
        own = [f"{DATAPATH:016x}.lock"]
        assert own == eventually(own, lambda: lock_files(program))
        assert [BRIDGE] == eventually([BRIDGE], lambda: list(program.status()["bridges"]))
        assert before + 1 >= eventually(before, lambda: tasks(program))
        with FalseSwitch(PORT, "made-up-9", 7) as late:
            assert late.watched.wait(30), "there is room again"
        assert 0 == program.end()
        assert [] == lock_files(program)


@pytest.mark.parametrize("hub", HUBS)
def test_idle_connections_cost_no_thread_and_keep_no_switch_out(
    switch: PrivateSwitch, hub: str
) -> None:
    env = {**os.environ, "OSKEN_HUB_TYPE": hub}
    with Program(switch, CONFIG, env=env) as program, ExitStack() as idle:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        threads, files = tasks(program), descriptors(program)
        connections = [
            idle.enter_context(socket.create_connection(("127.0.0.1", PORT), 10))
            for _ in range(508)
        ]
        with FalseSwitch(PORT, "br-late", 77, source="127.0.0.2") as late:
            assert late.watched.wait(30)
            assert threads + 4 >= tasks(program)
            assert files + 16 + 4 >= descriptors(program)
            send_frame("one", "eth0", syn())
            assert True is eventually(True, lambda: bool(program.lines()))
        connections[-1].settimeout(20)
        while connections[-1].recv(64):  # its hello, and the end after HANDSHAKE_TIME
            pass
        said = program.said()
        assert 1 == said.count("more than 16 connections without a handshake")
        assert 0 == program.end()


def test_switch_that_returns_again_and_again_is_held_back(switch: PrivateSwitch) -> None:
    with Program(switch, CONFIG) as program:
        listening(program)
        begun = 0
        for _ in range(60):
            with FalseSwitch(PORT, "br-storm", 77) as peer:
                while not peer.watched.wait(0.02) and not peer.closed.is_set():
                    pass
                begun += peer.watched.is_set()
        assert 8 <= begun < 40
        assert 12 > len(program.said().splitlines())
        # One refusal is told a while: of the rate, or that the session before has not ended yet.
        told = ("begins more than 0.5 sessions", "br-storm is connected already")
        assert 1 == sum(program.times(refusal) for refusal in told)
        assert 0 == program.end()


# A service connection


_STRANGER = """
import encodings.idna, os, socket, sys, time  # nobody may not read what is to be imported later
os.setgroups([]), os.setgid(65534), os.setuid(65534)
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
print("connected", flush=True)
time.sleep(60)
"""


def service_port(switch: PrivateSwitch) -> int:
    found = re.search(r"tcp:127\.0\.0\.1:(\d+)", switch.vsctl("get-controller", BRIDGE))
    return int(found[1]) if found else 0


def test_connections_of_another_user_to_the_service_port_cost_nothing(
    switch: PrivateSwitch,
) -> None:
    """They are there before the switch comes back after a restart of ovs-vswitchd."""
    config = f"bridges: [{{name: {BRIDGE}, connect: service}}]"
    said = "a connection to our service port was closed: it is of nobody, and not of the"
    with Program(switch, config) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        port = service_port(switch)
        command = ("setpriv", "--pdeathsig", "KILL", BIN / "python", "-c", _STRANGER, str(port))
        with (
            Away(switch) as away,
            subprocess.Popen((*command, "20"), stdout=subprocess.PIPE, text=True) as strangers,
        ):
            try:
                assert strangers.stdout is not None
                assert "connected\n" == strangers.stdout.readline()
                away.back()
                came_back = time.monotonic()
                assert [0] == eventually([0], lambda: watched(switch, BRIDGE), 10)
                assert 8 > time.monotonic() - came_back
                # While they live: the bridge may be watched through its management socket first.
                assert 1 == eventually(1, lambda: program.times(said))
            finally:
                strangers.kill()
        assert program.times("connected through our Controller row") >= 1
        assert 0 == program.end()
    assert not our_flows(switch, BRIDGE)


# The run directory


@pytest.mark.parametrize(
    ("mode", "owner", "reason"),
    [
        (0o777, 0, "others may write to the run directory, its mode is 0777"),
        (0o1777, 0, "others may write to the run directory, its mode is 1777"),
        (0o775, 0, "others may write to the run directory, its mode is 0775"),
        (0o755, 65534, "the run directory belongs to nobody; expected one of root"),
    ],
)
def test_run_directory_of_others_is_refused_before_anything_is_added(
    switch: PrivateSwitch, mode: int, owner: int, reason: str
) -> None:
    add_flows(switch, BRIDGE, "table=0,priority=5,arp,actions=drop")
    directory = switch.folder / "hostile"
    directory.mkdir()
    try:
        os.chown(directory, owner, owner)
        directory.chmod(mode)
        target = switch.folder / "target"
        target.write_text("precious")
        (directory / f"{DATAPATH:016x}.lock").symlink_to(target)
        program = Program(switch, f"bridges: [{{name: {BRIDGE}}}]")
        text = program.config.read_text().replace(program.run_directory, str(directory))
        program.config.write_text(text)
        with program:
            assert 1 == program.process.wait(15)
            _, line = program.said().splitlines()
            assert line.startswith(f"ryu_droplog: {directory}: {reason}")
        assert not our_flows(switch, BRIDGE)
        assert "precious" == target.read_text()
        assert 1 == len(os.listdir(directory))
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
