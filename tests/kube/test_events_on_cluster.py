"""Packet events become Events of a real API server; `kubectl describe pod` is the judge."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from .cluster import Cluster
from .conftest import Program, eventually

pytestmark = pytest.mark.kube

Start = Callable[[str], Program]
ON = """\
drop_log_config: {{disable_events: false}}
events: {{socket: {socket}, kubeconfig: {kubeconfig}, interval: {interval}}}
"""
REASON = "Acc-SEC_GROUP_IN_TABLE MISS"


def config(interval: str = "2m") -> str:
    return ON.replace("{interval}", interval)


def packet(source: str, destination: str, ago: float = 0.0, reason: str = REASON) -> dict[str, str]:
    """A packet event as the exporter writes it."""
    stamp = time.strftime("%a %b %d %H:%M:%S %Z %Y", time.localtime(time.time() - ago))
    return {
        "TimeStamp": stamp,
        "DropReason": reason,
        "SourceMac": "00:22:bd:f8:19:ff",
        "DestinationMac": "0a:58:0a:02:00:c3",
        "EtherType": "IPv6" if ":" in source else "IPv4",
        "SourceIP": source,
        "DestinationIP": destination,
        "IPProto": "TCP",
        "SourcePort": "42934",
        "DestinationPort": "80",
    }


def events_of(cluster: Cluster, pod: str, namespace: str = "default") -> list[str]:
    """The lines of a pod's events in `kubectl describe pod`, spaces folded, ages as `_`."""
    page = cluster.kubectl("describe", "pod", "-n", namespace, pod)
    _, found, table = page.partition("\nEvents:")
    assert found, page
    lines = [" ".join(line.split()) for line in table.splitlines()[3:]]
    return [re.sub(r"\b(\d+[smh])+\b|<invalid>", "_", line) for line in lines]


def shows(cluster: Cluster, pod: str, *lines: str, namespace: str = "default") -> None:
    """Wait until the pod has these events."""
    eventually(
        lambda: sorted(lines) == sorted(events_of(cluster, pod, namespace)),
        lambda: f"{pod} has {events_of(cluster, pod, namespace)}, expected {lines}",
    )


def line(times: str, message: str, reason: str = f"{REASON}(Security Drop)") -> str:
    return f"Warning {reason} {times} ryu-droplog {message}"


def test_drop_of_a_pod_is_described_and_its_repeats_are_counted_up(
    cluster: Cluster, start: Start
) -> None:
    cluster.run_pod("web", "10.2.0.195")
    program = start(config("0s"))
    program.says(f"Listening for packet events on unix socket {program.socket}\n")
    message = "IPv4 packet from 10.2.0.229 to default/web was dropped"
    program.send(packet("10.2.0.229", "10.2.0.195", ago=540))
    shows(cluster, "web", line("_", message))
    program.stop()
    # A new run remembers no pair, and counts up what it finds.
    program = start(config())
    program.says("Listening")
    program.send(packet("10.2.0.229", "10.2.0.195", ago=120))
    shows(cluster, "web", line("_ (x2 over _)", message))
    program.send(packet("10.2.0.229", "10.2.0.195", ago=120))
    program.send(packet("10.2.0.230", "10.2.0.195", reason="Acc-POL_TABLE DENY p"))
    other = line(
        "_",
        "IPv4 packet from 10.2.0.230 to default/web was dropped",
        "Acc-POL_TABLE DENY p(Policy Drop)",
    )
    shows(cluster, "web", line("_ (x2 over _)", message), other)
    assert 0 == program.stop()
    assert (
        "packet events: 3 received, 1 posted, 1 counted up, 1 discarded (repeated: 1), 0 waiting"
        in program.log()
    )


def until_known(cluster: Cluster, program: Program, pod: str, address: str) -> None:
    """Wait until the program knows the pod, and so all that happened to pods before it."""
    others = iter(range(1, 65_536))

    def known() -> bool:
        number = next(others)
        program.send(packet(address, f"198.18.{number >> 8}.{number & 255}"))
        time.sleep(0.2)
        return events_of(cluster, pod) != []

    eventually(known, lambda: f"{pod} has no event")


def test_pods_come_and_go_and_their_addresses_go_on_to_others(
    cluster: Cluster, start: Start
) -> None:
    program = start(config())
    program.says("node n1 has")
    cluster.run_pod("first", "10.2.1.1", "fd00::1:1")
    cluster.run_pod("elsewhere", "10.2.1.2", node="n2")
    cluster.run_pod("on-host", "192.0.2.1", host_network=True)
    cluster.run_pod("marker", "10.2.1.9")
    until_known(cluster, program, "marker", "10.2.1.9")
    program.send(
        packet("fd00:0:0::1:1", "2001:db8::1"),
        packet("10.2.1.2", "192.0.2.1"),
        packet("192.0.2.1", "10.2.1.1"),
    )
    six = line("_", "IPv6 packet from default/first to 2001:db8::1 was dropped")
    four = line("_", "IPv4 packet from default/on-host to default/first was dropped")
    shows(cluster, "first", six, four)
    assert [] == events_of(cluster, "elsewhere")
    assert [] == events_of(cluster, "on-host")

    cluster.set_status("first", "Succeeded", "10.2.1.1", "fd00::1:1")
    cluster.run_pod("second", "10.2.1.1")
    cluster.delete_pod("first")
    cluster.run_pod("marker-2", "10.2.1.10")
    until_known(cluster, program, "marker-2", "10.2.1.10")
    program.send(packet("203.0.113.1", "10.2.1.1"), packet("203.0.113.1", "fd00::1:1"))
    shows(
        cluster, "second", line("_", "IPv4 packet from 203.0.113.1 to default/second was dropped")
    )
    assert 0 == program.stop()


def test_rights_are_no_more_than_what_is_used(cluster: Cluster) -> None:
    who = "--as=system:serviceaccount:ryu-droplog:ryu-droplog-events"
    listed = cluster.kubectl("auth", "can-i", "--list", who, "-n", "default")
    rights = [" ".join(text.split()) for text in listed.splitlines()]
    assert "pods [] [] [list watch]" in rights
    assert "events [] [] [create get patch]" in rights
    # All others are what every account has: reviews of its own rights, and discovery.
    rest = [right for right in rights[1:] if right.split()[0] not in ("pods", "events")]
    assert not [right for right in rest if "selfsubject" not in right and not right.startswith("[")]


def test_switched_off_says_so_once_and_ends_when_it_is_told(start: Start) -> None:
    program = start("drop_log_config: {{disable_events: true}}\n")
    program.says("Packet event recording is disabled\n")
    assert 0 == program.stop()
    assert 1 == program.log().count("Packet event recording is disabled")
    assert not program.socket.exists()


def test_namespace_that_is_going_does_not_keep_others_from_their_events(
    cluster: Cluster, start: Start
) -> None:
    cluster.kubectl("create", "namespace", "going")
    cluster.run_pod("stays", "10.2.2.1", namespace="going")
    cluster.run_pod("fine", "10.2.2.2")
    # Without a controller it stays in Terminating for ever.
    cluster.core.delete_namespace("going")
    program = start(config())
    program.says("node n1 has")
    program.send(packet("10.2.2.1", "192.0.2.7"), packet("10.2.2.2", "192.0.2.7"))
    shows(cluster, "fine", line("_", "IPv4 packet from default/fine to 192.0.2.7 was dropped"))
    assert 0 == program.stop()
    assert "1 discarded (namespace gone: 1)" in program.log()
