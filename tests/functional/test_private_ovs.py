"""The harness itself: does the private switch switch, and does it leave the machine as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_ovs import (
    NETNS_FOLDER,
    CommandError,
    Guest,
    PrivateSwitch,
    in_netns,
    run,
    send_frame,
)

pytestmark = pytest.mark.ovs

TOOLS = Path(__file__).resolve().parents[2] / "tools"
BRIDGE = "br-harness"
FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(46)

# A program of its own, because a process can have one switch at a time. It says where its folder
# is when all stands, and then does what the test asks for.
PROGRAM = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from private_ovs import PrivateSwitch, enter_private_namespaces
enter_private_namespaces()
with PrivateSwitch() as switch:
    switch.add_bridge("br-harness")
    switch.guest("one", "br-harness", "10.9.0.1/24")
    daemons = [(switch.rundir / f"{name}.pid").read_text().strip()
               for name in ("ovsdb-server", "ovs-vswitchd")]
    print(switch.folder, *daemons, flush=True)
    ENDING
"""


@pytest.fixture(scope="module")
def guests(switch: PrivateSwitch) -> tuple[Guest, Guest]:
    """Two guests on one bridge."""
    switch.add_bridge(BRIDGE)
    return (
        switch.guest("one", BRIDGE, "10.9.0.1/24", mac="0a:58:0a:09:00:01"),
        switch.guest("two", BRIDGE, "10.9.0.2/24", "fd00:9::2/64"),
    )


@pytest.fixture
def no_flows(switch: PrivateSwitch, guests: tuple[Guest, Guest]) -> Iterator[None]:
    """The bridge without flows, before and after."""
    switch.ofctl("del-flows", BRIDGE)
    yield
    switch.ofctl("del-flows", BRIDGE)


def eventually(expected: object, look: Callable[[], object], patience: float = 5.0) -> object:
    """Look until it is as expected or `patience` seconds are over; what was seen last."""
    deadline = time.monotonic() + patience
    while (actual := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return actual


def packets(switch: PrivateSwitch) -> int:
    """Packets that the bridge's flows have counted."""
    aggregate = switch.ofctl("dump-aggregate", BRIDGE)
    return int(aggregate.split("packet_count=")[1].split()[0])


def test_guest_made_has_the_mac_asked_for(guests: tuple[Guest, Guest]) -> None:
    expected = "0a:58:0a:09:00:01"
    assert expected == guests[0].mac


def test_guest_made_has_its_own_ofport(switch: PrivateSwitch, guests: tuple[Guest, Guest]) -> None:
    expected = [switch.vsctl("get", "interface", name, "ofport").strip() for name in ("one", "two")]
    assert expected == [str(guest.ofport) for guest in guests]
    assert guests[0].ofport != guests[1].ofport


def test_guest_made_has_checksum_offload_off(guests: tuple[Guest, Guest]) -> None:
    offloads = run(*in_netns("one", "ethtool", "-k", "eth0"))
    assert "tx-checksumming: off" in offloads.splitlines()


@pytest.mark.usefixtures("no_flows")
def test_flows_added_in_any_order_come_by_table_and_priority(switch: PrivateSwitch) -> None:
    for flow in (
        "table=10,priority=1,actions=drop",
        "table=2,priority=7,arp,actions=drop",
        "table=2,priority=900,actions=drop",
        "table=2,cookie=0xd407,priority=8,actions=drop",
    ):
        switch.ofctl("add-flow", BRIDGE, flow)
    expected = [
        "table=2, priority=900 actions=drop",
        "cookie=0xd407, table=2, priority=8 actions=drop",
        "table=2, priority=7,arp actions=drop",
        "table=10, priority=1 actions=drop",
    ]
    assert expected == switch.flows(BRIDGE)
    assert expected[1:2] == switch.flows(BRIDGE, "cookie=0xd407/-1")


@pytest.mark.usefixtures("no_flows")
def test_secure_bridge_without_flows_forwards_nothing(switch: PrivateSwitch) -> None:
    with pytest.raises(CommandError, match="exit status 28: "):  # curl(1): timed out
        http_get(switch, patience=1)


@pytest.mark.usefixtures("no_flows")
def test_guests_with_normal_forwarding_reach_each_other(switch: PrivateSwitch) -> None:
    switch.ofctl("add-flow", BRIDGE, "actions=NORMAL")
    expected = "hello\n"
    assert expected == http_get(switch, patience=5)


def http_get(switch: PrivateSwitch, patience: int) -> str:
    """What guest `one` gets from a web server in guest `two`, within `patience` seconds."""
    site = switch.folder / "site"
    site.mkdir(exist_ok=True)
    (site / "page").write_text("hello\n")
    served = (sys.executable, "-m", "http.server", "80", "--directory", str(site))
    server = switch.start("two", *served)
    try:
        get = ("curl", "-sS", "--retry-connrefused", "--retry", "20", "--retry-delay", "1")
        limit = ("--max-time", str(patience), "--retry-max-time", str(patience))
        return run(*in_netns("one", *get, *limit, "http://10.9.0.2/page"))
    finally:
        server.kill()
        server.wait()


@pytest.mark.usefixtures("no_flows")
def test_frames_sent_by_a_guest_are_all_counted(switch: PrivateSwitch) -> None:
    switch.ofctl("add-flow", BRIDGE, "dl_type=0x88b5,actions=drop")
    sent = 50
    send_frame("one", "eth0", FRAME, count=sent, interval=0.001)
    assert sent == eventually(sent, lambda: packets(switch))


def test_send_frame_on_a_missing_interface_names_it() -> None:
    with pytest.raises(CommandError, match="nonesuch"):
        send_frame(None, "nonesuch", FRAME)


@pytest.mark.usefixtures("no_flows")
def test_vswitchd_restarted_has_its_bridge_without_flows(switch: PrivateSwitch) -> None:
    switch.ofctl("add-flow", BRIDGE, "actions=NORMAL")
    switch.restart_vswitchd()
    assert not switch.flows(BRIDGE)


@pytest.mark.usefixtures("no_flows")
def test_vswitchd_killed_leaves_a_dead_socket_until_it_is_started(switch: PrivateSwitch) -> None:
    switch.kill_vswitchd()
    try:
        assert (switch.rundir / f"{BRIDGE}.mgmt").is_socket()
        with pytest.raises(CommandError, match="Connection refused"):
            switch.flows(BRIDGE)
    finally:
        switch.start_vswitchd()
    assert not switch.flows(BRIDGE)


def test_bridge_with_protocols_refuses_others(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-strict", protocols=["OpenFlow13"])
    with pytest.raises(CommandError, match="version negotiation failed"):
        switch.ofctl("-O", "OpenFlow10", "dump-flows", "br-strict")
    assert not switch.flows("br-strict")
    switch.vsctl("del-br", "br-strict")


def alive(pid: str) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def left_behind(folder: str, *pids: str) -> list[str]:
    """Which of a switch's traces are still there: its processes, its folder."""
    return [pid for pid in pids if alive(pid)] + [folder] * Path(folder).exists()


@pytest.mark.parametrize(
    ("ending", "number", "traces"),
    [
        ("pass", None, []),
        ("raise ValueError", None, []),
        ("time.sleep(60)", signal.SIGINT, []),
        # Nobody is left to remove the folder, but no daemon runs on.
        ("time.sleep(60)", signal.SIGKILL, ["folder"]),
    ],
    ids=["ended", "failed", "interrupted", "killed"],
)
def test_program_over_leaves_no_trace_of_its_switch(
    ending: str, number: signal.Signals | None, traces: list[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM.replace("ENDING", ending), str(TOOLS)]
    before = os.listdir(NETNS_FOLDER)
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        assert program.stdout is not None
        folder, server, vswitchd = program.stdout.readline().split()
        if number is not None:
            program.send_signal(number)
        program.wait(20)
    expected = [folder] if traces else []
    assert expected == eventually(expected, lambda: left_behind(folder, server, vswitchd))
    assert before == os.listdir(NETNS_FOLDER)
    assert not Path("/sys/class/net/one").exists(), "it was made on the machine"


def test_switch_outside_of_private_namespaces_is_refused() -> None:
    code = "from private_ovs import PrivateSwitch; PrivateSwitch().__enter__()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(TOOLS)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    expected = "RuntimeError: a private switch needs enter_private_namespaces() first"
    assert expected == done.stderr.splitlines()[-1]
