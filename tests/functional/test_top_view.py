"""The terminal view of `ryu-droplog top` in a real pseudo-terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pexpect
import pyte
import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn
from .program import BIN, Program, add_flows, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-top"


@pytest.fixture(scope="module")
def program(switch: PrivateSwitch) -> Iterator[Program]:
    """At work on a bridge whose table 4 drops what the guest `top-one` sends."""
    switch.add_bridge(BRIDGE)
    switch.guest("top-one", BRIDGE)
    add_flows(switch, BRIDGE, "table=0,priority=1,actions=goto_table:4")
    config = f"bridges: [{{name: {BRIDGE}}}]\nmeter: {{rate: 100000}}\n"
    with Program(switch, config, name="topped") as made:
        assert [4] == eventually([4], lambda: watched(switch, BRIDGE))
        yield made
    switch.vsctl("del-br", BRIDGE)


def screen_of(child: pexpect.spawn[bytes], width: int, height: int) -> Callable[[], str]:
    """What the terminal shows, each time that it is called."""
    screen = pyte.Screen(width, height)
    stream = pyte.ByteStream(screen)

    def look() -> str:
        try:
            while True:
                stream.feed(child.read_nonblocking(65536, timeout=0.1))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return "\n".join(screen.display)

    return look


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50)])
def test_the_view_counts_explains_and_ends(
    switch: PrivateSwitch, program: Program, width: int, height: int
) -> None:
    for _ in range(3):
        send_frame("top-one", "eth0", syn())
    child = pexpect.spawn(
        str(BIN / "ryu-droplog"),
        ["top", "--config", str(program.config)],
        env={**program.env, "TERM": "xterm-256color"},
        dimensions=(height, width),
    )
    look = screen_of(child, width, height)

    def shows(*texts: str) -> bool:
        screen = look()
        return all(text in screen for text in texts)

    try:
        assert eventually(True, lambda: shows("by signature", ":80 SYN", f"{BRIDGE}: ")), look()
        child.send("v")
        assert eventually(True, lambda: shows("by table", f"{BRIDGE} 4 TABLE_4 MISS")), look()
        child.send("s")
        assert eventually(True, lambda: shows("sorted by packets")), look()
        child.send("p")
        assert eventually(True, lambda: shows("PAUSED")), look()
        child.send("p")
        child.send("e")
        assert eventually(True, lambda: shows("packet   TCP SYN", "dropped ")), look()
        child.send("\x1b")
        assert eventually(True, lambda: shows("by table")), look()
        child.send("/")
        assert eventually(True, lambda: shows("rows with this text")), look()
        child.send("nowhere")
        assert eventually(True, lambda: shows("nowhere")), look()
        child.send("\r")
        assert eventually(True, lambda: shows('rows with "nowhere"')), look()
        child.send("q")
        child.expect(pexpect.EOF, timeout=30)
        child.wait()
        assert 0 == child.exitstatus
    finally:
        child.close(force=True)


def test_explain_says_who_waits(switch: PrivateSwitch, program: Program) -> None:
    """A real client, whose SYNs the switch drops, repeats them, and is told of as one who waits."""
    address = ("ip", "-n", "top-one", "address", "replace", "10.9.0.1/24", "dev", "eth0")
    neighbour = ("ip", "-n", "top-one", "neighbour", "replace", "10.9.0.2")
    neighbour += ("lladdr", "02:00:00:00:09:02", "dev", "eth0")
    for command in (address, neighbour):
        subprocess.run(command, check=True)
    asks = ("ip", "netns", "exec", "top-one", "curl", "--max-time", "60", "http://10.9.0.2:8081/")
    explain = (str(BIN / "ryu-droplog"), "explain", "--config", str(program.config))
    with subprocess.Popen(asks, stderr=subprocess.DEVNULL) as client:
        try:

            def said() -> bool:
                done = subprocess.run(
                    (*explain, "--to-port", "8081"),
                    capture_output=True,
                    text=True,
                    env=program.env,
                    check=False,
                )
                return "impact   at least 1 client waits, for " in done.stdout

            assert eventually(True, said)
        finally:
            client.kill()
