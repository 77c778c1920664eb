"""`ryu-droplog observe` beside a running program and a real switch."""

from __future__ import annotations

import grp
import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import ARP, arp, ethernet, syn
from .program import BIN, Program, add_flows, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-seen"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]\nmeter: {{rate: 100000}}\n"
GROUP = "nogroup"


def observe(program: Program, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command says, asked once."""
    command = (str(BIN / "ryu-droplog"), "observe", "--config", str(program.config), *words)
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=program.env, check=False
    )


@pytest.fixture(scope="module")
def program(switch: PrivateSwitch) -> Iterator[Program]:
    """At work on a bridge with the guests `one` and `two`, whose table 4 drops what it misses."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    switch.guest("two", BRIDGE)
    add_flows(switch, BRIDGE, "table=0,priority=1,actions=goto_table:4")
    with Program(switch, f"{CONFIG}socket_group: {GROUP}\n", name="observed") as made:
        assert [4] == eventually([4], lambda: watched(switch, BRIDGE))
        yield made
    switch.vsctl("del-br", BRIDGE)


def test_drops_are_shown_from_memory(switch: PrivateSwitch, program: Program) -> None:
    for _ in range(3):
        send_frame("one", "eth0", syn())
    assert eventually(True, lambda: len(observe(program).stdout.splitlines()) >= 3)
    line = observe(program, "--last", "1").stdout
    assert f" {BRIDGE}: " in line
    assert " table 4 TABLE_4 MISS (TCP Flags: SYN) in " in line


def test_a_drop_is_shown_within_a_tenth_of_a_second(
    switch: PrivateSwitch, program: Program
) -> None:
    command = (str(BIN / "ryu-droplog"), "observe", "--config", str(program.config))
    with subprocess.Popen(
        (*command, "--follow", "--protocol", "arp", "-o", "json"),
        stdout=subprocess.PIPE,
        text=True,
        env=program.env,
    ) as follower:
        assert follower.stdout is not None
        assert eventually(1, lambda: program.status()["observers"]["observers"]) >= 1
        spans = []
        for _ in range(10):
            send_frame("one", "eth0", ethernet(ARP, arp("10.2.0.1", "10.2.0.2")))
            record = json.loads(follower.stdout.readline())
            seconds = time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S")
            received = time.mktime(seconds) - time.timezone + float(f"0{record['time'][19:-1]}")
            spans.append(time.time() - received)
        follower.terminate()
    print(f"observe --follow: {sorted(spans)[5] * 1000:.0f} ms, at most {max(spans) * 1000:.0f} ms")
    assert sorted(spans)[5] < 0.1, spans
    assert record["packet"]["ethernet"]["type"] == ARP


def test_exit_status_says_whether_there_was_any(program: Program) -> None:
    none = observe(program, "--all", "--ip", "203.0.113.1", "--fail-if-none")
    assert (1, "") == (none.returncode, none.stdout)
    assert 0 == observe(program, "--all", "--ip", "203.0.113.1").returncode
    wrong = observe(program, "--port", "http")
    assert 2 == wrong.returncode
    assert '--port: got "http"; expected a number from 0 to 65535' in wrong.stderr


def test_the_group_may_observe_and_nobody_else(program: Program) -> None:
    [path] = Path(program.run_directory).glob("*.observe")
    status = path.stat()
    assert 0o660 == stat.S_IMODE(status.st_mode)
    assert grp.getgrnam(GROUP).gr_gid == status.st_gid
    assert os.geteuid() == status.st_uid
