"""The feature from end to end: a request that a real switch drops, and all that comes of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import access_bridge
import pytest
from access_bridge import ADMIT_WEB, ADMIT_WEB_MATCH, BRIDGE, CLIENT, DROP_LINE, SERVER
from functional.program import Program as DropLog
from functional.program import our_flows
from private_ovs import PrivateSwitch

from .cluster import Cluster
from .conftest import Program as Listener
from .conftest import eventually
from .test_events_on_cluster import config, line, shows

pytestmark = [pytest.mark.kube, pytest.mark.ovs]

SECOND = "10.2.0.230"
"""Another address of the client's."""
MESSAGE = "IPv4 packet from {} to default/web was dropped"
CONFIG = """\
bridges: [{{name: br-access, prefix: "Acc-", pipeline: opflex-access}}]
drop_log_config: {{disable_events: {off}, opflex_redirect_drop_logs: {file}}}
log_directory: {folder}
events: {{socket: {socket}}}
"""


def request(switch: PrivateSwitch, source: str = CLIENT.ip) -> str:
    """What a client gets for a request; empty when there is no answer."""
    done = subprocess.run(
        ["ip", "netns", "exec", CLIENT.name, "curl", "--silent", "--max-time", "0.5",
         "--interface", source, f"http://{SERVER.ip}/"],
        env=switch.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10,
    )  # fmt: skip
    return done.stdout.strip()


def test_dropped_request_becomes_a_line_an_event_and_an_event_of_the_pod(
    switch: PrivateSwitch, cluster: Cluster, start: Callable[[str], Listener], tmp_path: Path
) -> None:
    access_bridge.build(switch)
    client_ip = ("ip", "netns", "exec", CLIENT.name, "ip", "address", "add")
    subprocess.run([*client_ip, f"{SECOND}/16", "dev", "eth0"], env=switch.env, check=True)
    before = switch.flows(BRIDGE)
    # The cluster is other tests', too, and addresses have one pod each.
    cluster.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
    cluster.run_pod("web", SERVER.ip)
    listener = start(config("1s"))
    listener.says(f"Listening for packet events on unix socket {listener.socket}\n")

    def text(off: str, file: str) -> str:
        return CONFIG.format(off=off, file=file, folder=tmp_path, socket=listener.socket)

    def lines(file: str = "drops.log", source: str = CLIENT.ip) -> int:
        path = tmp_path / file
        return path.read_text().count(f"SRC={source} ") if path.exists() else 0

    def drop(source: str = CLIENT.ip, file: str = "drops.log") -> None:
        """A request without an answer, and its line."""
        had = lines(file, source)
        assert "" == request(switch, source)
        eventually(lambda: lines(file, source) > had, program.said)

    with DropLog(switch, text("false", "drops.log")) as program:
        eventually(lambda: len(our_flows(switch, BRIDGE)) == 5, program.said)
        eventually(lambda: SERVER.page == request(switch), program.said)
        switch.ofctl("--strict", "del-flows", BRIDGE, ADMIT_WEB_MATCH)

        drop()
        first = (tmp_path / "drops.log").read_text().splitlines()[0]
        assert DROP_LINE.search(first), first
        shows(cluster, "web", line("_", MESSAGE.format(CLIENT.ip)))

        time.sleep(2.5)  # the interval between two events of a pair, whose times are whole seconds
        drop()
        twice = line("_ (x2 over _)", MESSAGE.format(CLIENT.ip))
        shows(cluster, "web", twice)

        drop(SECOND)
        shows(cluster, "web", twice, line("_", MESSAGE.format(SECOND)))

        # Events off, lines into another file: at run time.
        program.config.write_text(
            f"run_directory: {switch.folder}/locks\n{text('true', 'others.log')}"
        )
        eventually(lambda: program.times(": read again") == 1, program.said)
        had = lines()
        time.sleep(1.2)
        drop(file="others.log")
        drop(SECOND, "others.log")
        assert had == lines()

        switch.ofctl("add-flow", BRIDGE, ADMIT_WEB)
        assert SERVER.page == request(switch)
        assert 0 == program.end()
    assert sorted(before) == sorted(switch.flows(BRIDGE))
    time.sleep(1.0)
    shows(cluster, "web", twice, line("_", MESSAGE.format(SECOND)))
    assert 0 == listener.stop()
    assert not listener.socket.exists()
