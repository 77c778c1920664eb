"""The room of a management socket: enlarged at the switch's end, or left as it was, and why."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from private_ovs import PrivateSwitch, run

from ryu_droplog.connections import socket_enlarging
from ryu_droplog.connections.socket_enlarging import enlarge
from ryu_droplog.connections.socket_room import ENLARGED, FAILED, MISSING, NOT_HERE, OFF

from . import books
from .books import OPEN_METER, File, overflow, send, settled, status
from .program import BIN, RUN, Program, eventually, watched
from .reloads import reload

pytestmark = pytest.mark.ovs

BRIDGE = "br-room"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
WANTED = 8 * 1024 * 1024
FOLDER = Path(__file__).parent
PTRACE = "CAP_SYS_PTRACE over ovs-vswitchd"
NET_ADMIN = "CAP_NET_ADMIN in the first user namespace"
_SIZE = re.compile(r"skmem:\(.*?\btb(\d+)")


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a guest `one` and without flows."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def sizes(path: Path) -> list[int]:
    """The send buffers of all connections that were accepted at a Unix socket, as ss shows them."""
    shown = run("ss", "-xnmO", "state", "connected", "src", str(path))
    return sorted(map(int, _SIZE.findall(shown)))


@pytest.fixture
def management(switch: PrivateSwitch) -> Path:
    return switch.rundir / f"{BRIDGE}.mgmt"


def connect(path: Path) -> socket.socket:
    """A connection that the switch has accepted: it has said hello."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(path))
    assert sock.recv(64)
    return sock


def usual() -> int:
    """The send buffer that a socket begins with."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def descriptors() -> list[str]:
    """What this process has open, but for the folder that is looked at."""
    found = []
    for entry in os.scandir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(entry.path))
    return sorted(link for link in found if "/proc/" not in link)


# The switch's end


def test_buffer_of_the_switchs_end_is_enlarged_and_nothing_else(management: Path) -> None:
    with connect(management) as sock, connect(management):
        before = descriptors()
        room = enlarge(sock, WANTED)
        assert (ENLARGED, 2 * WANTED) == (room.state, room.size)
        assert [usual(), 2 * WANTED] == sizes(management)
        assert before == descriptors()
        assert os.get_blocking(sock.fileno()) is False, "a timeout is set on our own end"


def test_buffer_is_never_made_smaller(management: Path) -> None:
    with connect(management) as sock:
        enlarge(sock, WANTED)
        assert (ENLARGED, 2 * WANTED) == enlarge(sock, 4096)[:2]
        assert [2 * WANTED] == sizes(management)


def test_nothing_is_done_where_nothing_is_wanted(management: Path) -> None:
    with connect(management) as sock:
        assert OFF == enlarge(sock, 0).state
        assert [usual()] == sizes(management)


def test_connection_by_tcp_is_left_alone() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as sock,
    ):
        assert NOT_HERE == enlarge(sock, WANTED).state


def test_connection_that_has_ended_is_a_reason(management: Path) -> None:
    sock = connect(management)
    sock.close()
    assert FAILED == enlarge(sock, WANTED).state


# What may be missing


@contextmanager
def tried(path: Path, *before: str, more: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """What a process without some right says, while its connection is there."""
    command = (sys.executable, str(FOLDER / "room_of.py"), str(path), str(WANTED), *more)
    process = subprocess.Popen(
        (*before, *command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.communicate()
    assert 0 == process.returncode


WITHOUT = {
    "CAP_SYS_PTRACE": (("setpriv", "--bounding-set", "-sys_ptrace"), [PTRACE]),
    "CAP_NET_ADMIN": (("setpriv", "--bounding-set", "-net_admin"), [NET_ADMIN]),
    "both": (("setpriv", "--bounding-set", "-sys_ptrace,-net_admin"), [PTRACE, NET_ADMIN]),
    "being root": (
        # As the unit runs it, without its drop-in.
        ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps",
         "+dac_override", "--ambient-caps", "+dac_override"),
        [PTRACE, NET_ADMIN],
    ),
    "the PID namespace": (
        ("unshare", "--pid", "--fork", "--mount-proc"),
        ["a PID namespace in common with ovs-vswitchd"],
    ),
    "the user namespace": (("unshare", "--user", "--map-root-user"), [PTRACE, NET_ADMIN]),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT)
def test_what_is_missing_is_named_and_nothing_is_set(management: Path, name: str) -> None:
    before, lacks = WITHOUT[name]
    with tried(management, *before) as room:
        assert (MISSING, lacks) == (room["state"], room["missing"])
        assert [usual()] == sizes(management)


def test_filter_of_system_calls_is_named(management: Path) -> None:
    with tried(management, more=("filtered",)) as room:
        lacks = ["the system call pidfd_getfd (a filter refuses it)"]
        assert (MISSING, lacks) == (room["state"], room["missing"])
        assert [usual()] == sizes(management)


def test_the_two_capabilities_of_the_drop_in_are_enough_for_another_user(management: Path) -> None:
    capabilities = "+dac_override,+sys_ptrace,+net_admin"
    before = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
              "--inh-caps", capabilities, "--ambient-caps", capabilities)  # fmt: skip
    with tried(management, *before) as room:
        assert ENLARGED == room["state"]
        assert [2 * WANTED] == sizes(management)


# A peer that goes, or is not what it seems


@pytest.mark.parametrize("moment", ["_look", "_other_end", "_links", "_getfd"])
def test_switch_that_is_killed_in_the_middle_harms_nobody(
    switch: PrivateSwitch, management: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual_step = getattr(socket_enlarging, moment)
    killed = []

    def step(*arguments: Any) -> Any:
        if not killed:
            killed.append(switch.kill_vswitchd())
        return usual_step(*arguments)

    with connect(management) as sock:
        before = descriptors()
        monkeypatch.setattr(socket_enlarging, moment, step)
        try:
            room = enlarge(sock, WANTED)
        finally:
            monkeypatch.undo()
            switch.start_vswitchd()
        assert (FAILED, None, True) == (room.state, room.size, bool(room.why))
        assert before == descriptors()
        assert b"" == sock.recv(64)


@contextmanager
def peer(path: Path, how: str) -> Iterator[Any]:
    """Lines of a process that listens there."""
    process = subprocess.Popen(
        (sys.executable, "-S", str(FOLDER / "listening_peer.py"), str(path), how),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        yield process.stdout
        process.communicate()


@contextmanager
def pair(path: Path, said: Any) -> Iterator[socket.socket]:
    """Two connections that are accepted; gives the first."""
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for sock in (first, second):
            sock.connect(str(path))
            assert "accepted\n" == said.readline()
        yield first


def test_another_socket_of_the_same_process_and_name_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the peer gave the number of our connection to another one meanwhile."""
    path = tmp_path / "peer.mgmt"
    usual_choose = socket_enlarging.choose
    seen = []

    def choose(links: Iterator[tuple[int, str]], inode: int) -> int | None:
        found = list(links)
        right = usual_choose(found, inode)
        others = [n for n, link in found if link.startswith("socket:") and n != right]
        seen.append((right, others))
        return others[len(seen) - 1]

    with peer(path, "here") as said, pair(path, said) as sock:
        assert ENLARGED == enlarge(sock, 200_000).state  # this very peer is right otherwise
        monkeypatch.setattr(socket_enlarging, "choose", choose)
        before = descriptors()
        rooms = [enlarge(sock, WANTED) for _ in range(2)]
        assert [FAILED, FAILED] == [room.state for room in rooms]
        assert 2 == len(seen[0][1]), "the socket that listens, and the other connection"
        assert "Transport endpoint is not connected" in [room.why for room in rooms]
        assert any("is not our connection's: its inode is" in room.why for room in rooms)
        assert [usual(), 400_000] == sizes(path)
        assert before == descriptors()


def test_connection_that_another_process_has_accepted_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "peer.mgmt"
    with peer(path, "child") as said, pair(path, said) as sock:
        room = enlarge(sock, WANTED)
        assert FAILED == room.state
        assert "has no descriptor of its end" in room.why
        assert [usual(), usual()] == sizes(path)


def test_connection_that_nobody_has_accepted_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "peer.mgmt"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as sock:
        listening.bind(str(path))
        listening.listen(1)
        sock.connect(str(path))
        assert FAILED == enlarge(sock, WANTED).state


# The program


def room_of(program: Program) -> dict[str, Any]:
    room = status(program)["bridges"][BRIDGE]["socket_room"]
    return dict(room or {"state": None})


def doctor_says(switch: PrivateSwitch, program: Program) -> str:
    command = (str(BIN / "ryu-droplog"), "doctor", "--config", str(program.config))
    done = subprocess.run(command, env=program.env, capture_output=True, text=True, timeout=30)
    return done.stdout


def test_drops_while_the_program_stands_still_wait_in_the_room(
    switch: PrivateSwitch, management: Path
) -> None:
    file = File(switch)
    with Program(switch, f"{CONFIG}\n{OPEN_METER}\n{file.config}") as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert ENLARGED == eventually(ENLARGED, lambda: room_of(program)["state"])
        assert 2 * WANTED in sizes(management)
        assert "the room of the management socket is enlarged to 16777216 bytes" in books.ask(
            program
        )
        assert "is enlarged to 16777216 bytes" in doctor_says(switch, program)
        before = overflow(switch)
        program.process.send_signal(signal.SIGSTOP)
        send(switch, 5000, 5000)
        program.process.send_signal(signal.SIGCONT)
        dropped = settled(switch, BRIDGE)
        book = books.all_in(program, BRIDGE, dropped)
        assert 4000 < dropped <= 5000
        assert (dropped, 0, 0) == (book["logged"], book["lost_in_switch"], book["refused"])
        assert before == overflow(switch)
        assert 0 == program.end()


def test_program_without_the_right_works_as_before_and_says_what_is_missing(
    switch: PrivateSwitch, management: Path
) -> None:
    file = File(switch)
    command = ("setpriv", "--bounding-set", "-sys_ptrace", *RUN)
    with Program(switch, f"{CONFIG}\n{OPEN_METER}\n{file.config}", command=command) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert MISSING == eventually(MISSING, lambda: room_of(program)["state"])
        assert [PTRACE] == room_of(program)["missing"]
        text = f"the room of the management socket is not enlarged, for want of {PTRACE}; it holds"
        assert text in books.ask(program)
        assert text in doctor_says(switch, program)
        assert 1 == program.times(f"INFO {BRIDGE}: {text}")
        assert [usual()] == sizes(management)
        send(switch, 2000, 2000)
        dropped = settled(switch, BRIDGE)
        assert dropped == books.all_in(program, BRIDGE, dropped)["logged"]
        assert 0 == program.end()


def test_reload_takes_another_room_at_once_and_never_a_smaller_one(
    switch: PrivateSwitch, management: Path
) -> None:
    with Program(switch, f"{CONFIG}\nsocket_room: 0") as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert OFF == eventually(OFF, lambda: room_of(program)["state"])
        assert [usual()] == sizes(management)
        for wanted, state, size in (
            (1_000_000, ENLARGED, 2_000_000),
            (100_000, ENLARGED, 2_000_000),
            (0, OFF, 2_000_000),
        ):
            reload(program, bridges=[{"name": BRIDGE}], socket_room=wanted)
            assert state == eventually(state, lambda: room_of(program)["state"])
            assert [size] == sizes(management)
        assert 0 == program.end()


def test_doctor_tries_on_its_own_connection_where_no_program_runs(
    switch: PrivateSwitch, management: Path
) -> None:
    program = Program(switch, CONFIG)
    text = "the room of the management socket would be enlarged to 16777216 bytes"
    assert text in doctor_says(switch, program)
    assert [] == sizes(management)


def test_losses_are_named_by_their_cause(switch: PrivateSwitch) -> None:
    file = File(switch)
    config = f"{CONFIG}\n{OPEN_METER}\n{file.config}\nsocket_room: 0"
    with Program(switch, config) as program:
        rundir = str(switch.rundir)
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert eventually(True, lambda: status(program)["switches"][rundir]["lost"] is not None)
        program.process.send_signal(signal.SIGSTOP)
        send(switch, 5000, 5000)
        program.process.send_signal(signal.SIGCONT)
        dropped = settled(switch, BRIDGE)
        lost = books.all_in(program, BRIDGE, dropped)["lost_in_switch"]
        assert 1000 < lost
        expected = {"packet_in_overflow": 0, "rconn_overflow": lost}
        told = eventually(expected, lambda: status(program)["switches"][rundir]["new"])
        assert expected == told
        text = f"{lost} because a connection took them too slowly (rconn_overflow)"
        total = overflow(switch)
        assert (
            f"Open vSwitch in {rundir} has lost PacketIns of all its bridges and controllers"
            in books.ask(program)
        )
        assert f"{total} because a connection" in books.ask(program)
        assert 0 == program.end()
        assert f"lost {lost} PacketIns of all its bridges and controllers: 0 between" in (
            program.said()
        )
        assert text in program.said()
