"""What is said where a bridge's management socket takes no connection.

Real sockets stand for those of ovs-vswitchd: whether it runs is told by whether they take
connections, and a private switch would be root's alone. tests/functional has the real one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ryu_droplog.config.endpoint import TcpEndpoint, UnixEndpoint
from ryu_droplog.connections.connector import connect
from ryu_droplog.connections.presence import NAMED, cannot_connect

NOBODY = 65534
Listen = Callable[[str], Path]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Makes sockets that take connections, by name."""
    made: list[socket.socket] = []

    def make(name: str) -> Path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.append(sock)
        sock.bind(str(tmp_path / name))
        sock.listen(8)
        return tmp_path / name

    yield make
    for sock in made:
        sock.close()


def left(path: Path) -> None:
    """A socket that a killed process left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(path))


def said(path: Path | str) -> tuple[str, str]:
    """The reason, and what is said of Open vSwitch."""
    endpoint = UnixEndpoint(str(path))
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        connect(endpoint)
    beginning, _, around = cannot_connect(endpoint, caught.value).partition("; ")
    prefix = f"cannot connect to {endpoint}: "
    assert beginning.startswith(prefix)
    return beginning.removeprefix(prefix), around


MISSING = "No such file or directory"


def test_wrong_name_is_told_beside_the_bridges_that_there_are(
    tmp_path: Path, listen: Listen
) -> None:
    for name in ("ovs-vswitchd.7.ctl", "br-int.mgmt", "br-ex.mgmt"):
        listen(name)
    (tmp_path / "br-int.snoop").touch()
    expected = "Open vSwitch runs, and has the bridges br-ex, br-int, nearest is br-int"
    assert (MISSING, expected) == said(tmp_path / "br-itn.mgmt")


def test_one_bridge_is_one(tmp_path: Path, listen: Listen) -> None:
    for name in ("ovs-vswitchd.7.ctl", "br0.mgmt"):
        listen(name)
    expected = "Open vSwitch runs, and has the bridge br0"
    assert (MISSING, expected) == said(tmp_path / "somewhere.mgmt")


def test_many_bridges_are_counted(tmp_path: Path, listen: Listen) -> None:
    listen("ovs-vswitchd.7.ctl")
    for number in range(NAMED + 3):
        (tmp_path / f"br{number:02}.mgmt").touch()
    assert said(tmp_path / "x.mgmt")[1].endswith("br08, br09 and 3 more")


def test_switch_without_bridges_is_told(tmp_path: Path, listen: Listen) -> None:
    listen("ovs-vswitchd.7.ctl")
    assert (MISSING, "Open vSwitch runs, and has no bridge") == said(tmp_path / "br0.mgmt")


def test_switch_that_was_killed_does_not_run(tmp_path: Path) -> None:
    for name in ("ovs-vswitchd.7.ctl", "br0.mgmt"):
        left(tmp_path / name)
    (tmp_path / "ovs-vswitchd.pid").write_text("7\n")
    expected = f"Open vSwitch does not run there: no ovs-vswitchd answers in {tmp_path}"
    assert ("Connection refused", expected) == said(tmp_path / "br0.mgmt")


def test_database_alone_is_no_switch(tmp_path: Path, listen: Listen) -> None:
    listen("db.sock")
    listen("ovsdb-server.7.ctl")
    expected = f"Open vSwitch does not run there: no ovs-vswitchd answers in {tmp_path}"
    assert (MISSING, expected) == said(tmp_path / "br0.mgmt")


def test_switch_with_its_control_socket_elsewhere_is_found_by_its_process(tmp_path: Path) -> None:
    program = tmp_path / "ovs-vswitchd"  # the name of the process is that of its file
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        try:
            (tmp_path / "ovs-vswitchd.pid").write_text(f"{process.pid}\n")
            while Path("/proc", str(process.pid), "comm").read_text().strip() != program.name:
                assert process.poll() is None  # the kernel names it a moment after it has begun
            assert "Open vSwitch runs, and has no bridge" == said(tmp_path / "br0.mgmt")[1]
        finally:
            process.kill()


def test_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    where = tmp_path / "none"
    expected = f"Open vSwitch does not run there: there is no directory {where}"
    assert (MISSING, expected) == said(where / "br0.mgmt")


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path: Path, listen: Listen) -> None:
    listen("ovs-vswitchd.7.ctl")
    (tmp_path / "br\x1b[2J\n.mgmt").touch()
    around = said(tmp_path / "x.mgmt")[1]
    assert "Open vSwitch runs, and has the bridge br\\x1b[2J\\n" == around


def test_other_endpoints_have_their_reason_alone(tmp_path: Path) -> None:
    error = ConnectionRefusedError(111, "Connection refused")
    expected = "cannot connect to tcp:127.0.0.1:9: Connection refused"
    assert expected == cannot_connect(TcpEndpoint("127.0.0.1", 9), error)
    assert "" == said(tmp_path / "a-socket")[1]


_AS_NOBODY = f"""
import os, sys
from ryu_droplog.config.endpoint import UnixEndpoint
from ryu_droplog.connections.connector import connect
from ryu_droplog.connections.presence import cannot_connect
endpoint = UnixEndpoint(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
try:
    connect(endpoint)
except OSError as error:
    print(cannot_connect(endpoint, error), os.geteuid(), sep="|")
"""


def test_permission_denied_is_told_apart(tmp_path: Path, listen: Listen) -> None:
    """By a process that is not root."""
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    listen("ovs-vswitchd.7.ctl")
    listen("br0.mgmt").chmod(0)
    command = [sys.executable, "-W", "ignore", "-c", _AS_NOBODY, str(tmp_path / "br0.mgmt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    text, _, user = done.stdout.strip().partition("|")
    expected = f"user {user} may not use Open vSwitch's sockets, as root can"
    assert text.endswith(f": Permission denied; {expected}")
