"""Beside a real OVN: what is seen of its drops, and that it does not notice us."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from functional.program import BIN, Program, eventually, our_flows, our_meters
from private_ovs import run, send_frame

from .documented import documented
from .ovn_bed import GATEWAYS, IPS, MACS, OvnBed
from .reach import reach
from .wire import ARP, IP, TCP, UDP, Dot1Q, Ether, Packet, Raw

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

BRIDGE = "br-int"
CONFIG = """
format: json
bridges: [{name: br-int, explicit_drops: {log: all, modify: true}}]
lease: {duration: 30, renew: 2}
"""
DATA = Raw(b"data" * 12)
SECTION = "OVN"
_TELLING = re.compile(r",?controller\(reason=no_match,id=54279,meter_id=\d+\)$")


def udp(source: str, target: str, port: int, sport: int = 4000, **other: str) -> Packet:
    """A datagram from one VM to another, with other addresses where they are given."""
    ether = Ether(src=other.get("smac", MACS[source]), dst=other.get("dmac", MACS.get(target, "")))
    ip = IP(src=other.get("sip", IPS[source]), dst=other.get("dip", IPS.get(target, "")))
    return ether / ip / UDP(sport=sport, dport=port) / DATA


def routed(source: str, target: str, **other: str) -> Packet:
    """The same through the router of the source's switch."""
    gateway = GATEWAYS["ls1" if source == "vm3" else "ls0"]
    return udp(source, target, 53, dmac=gateway, **other)


def http(source: str, target: str, sport: int) -> Packet:
    return (
        Ether(src=MACS[source], dst=MACS[target])
        / IP(src=IPS[source], dst=IPS[target])
        / TCP(sport=sport, dport=80)
    )


PACKETS: dict[str, tuple[str, Packet]] = {
    "to a VM, dropped by a named ACL": ("vm1", http("vm1", "vm2", 41001)),
    "to a VM, dropped by an ACL without a name": ("vm1", udp("vm1", "vm2", 7000)),
    "false source MAC": ("vm1", udp("vm1", "vm2", 53, smac="00:00:00:00:00:77")),
    "false source IP": ("vm1", udp("vm1", "vm2", 53, sip="10.0.0.77")),
    "ARP for another's address": (
        "vm1",
        Ether(src=MACS["vm1"], dst="ff:ff:ff:ff:ff:ff")
        / ARP(hwsrc=MACS["vm1"], psrc=IPS["vm2"], pdst="10.0.0.1"),
    ),
    "to a VM, not its address": ("vm1", udp("vm1", "vm2", 53, dip="10.0.0.98")),
    "multicast source MAC": ("vm1", udp("vm1", "vm2", 53, smac="01:00:00:00:00:01")),
    "VLAN tag from a VM": (
        "vm1",
        Ether(src=MACS["vm1"], dst=MACS["vm2"]) / Dot1Q(vlan=5) / IP(src=IPS["vm1"]) / UDP(),
    ),
    "unknown destination MAC": (
        "vm1",
        udp("vm1", "", 53, dmac="00:00:00:00:00:99", dip="10.0.0.9"),
    ),
    "no route": ("vm1", routed("vm1", "", dip="192.168.9.9")),
    "source 127.0.0.0/8 at the router": ("vm3", routed("vm3", "vm1", sip="127.0.0.5")),
    "the router's own address as source": ("vm3", routed("vm3", "vm1", sip="10.1.0.1")),
    "to a port that is bound nowhere": (
        "vm1",
        udp("vm1", "", 53, dmac="00:00:00:00:00:04", dip="10.0.0.14"),
    ),
    "from an interface that is no logical port": ("vmx", udp("vm1", "vm2", 53)),
}


@pytest.fixture(scope="module")
def without_us(ovn: OvnBed) -> list[str]:
    """OVN's flows before we came."""
    return ovn.switch.flows(BRIDGE)


def theirs(flows: list[str]) -> list[str]:
    """OVN's flows, without ours and without the action that has some of them tell us."""
    kept = [flow for flow in flows if "d407" not in flow.partition(",")[0]]
    told = [_TELLING.sub("", flow) for flow in kept]
    return [flow if not flow.endswith("actions=") else f"{flow}drop" for flow in told]


@pytest.fixture(scope="module")
def program(ovn: OvnBed, without_us: list[str]) -> Iterator[Program]:
    """The program, watching br-int with the pipeline that it recognises itself."""
    with Program(ovn.switch, CONFIG) as started:
        assert eventually(True, lambda: "named from OVN" in started.said())
        ours = lambda: len(our_flows(ovn.switch, BRIDGE))  # noqa: E731
        assert eventually(True, lambda: ours() > 40)
        time.sleep(1.0)
        yield started


def logged(program: Program, guest: str, packet: Packet) -> tuple[str, ...]:
    """What docs/owners.md shows of the first drop that comes of a packet; nothing: none came."""
    before = len(program.output.read_text().splitlines())
    send_frame(guest, "eth0", bytes(packet))
    lines = lambda: program.output.read_text().splitlines()[before:]  # noqa: E731
    eventually(True, lambda: bool(lines()), patience=4)
    return seen(json.loads(lines()[0])) if lines() else ()


def seen(drop: dict[str, Any]) -> tuple[str, ...]:
    owner, flow = drop.get("owner", {}), drop.get("flow", {})
    where = (drop["table"], drop["table_id"], flow.get("priority", ""), flow.get("acl", ""))
    return tuple(
        str(x) for x in (*where, *(owner.get(k, "") for k in ("datapath", "inport", "outport")))
    )


def reached_beside(ovn: OvnBed) -> dict[str, bool]:
    """Who reaches whom, on one switch and through the router."""
    return reach(ovn.switch, IPS, [("vm1", "vm2"), ("vm1", "vm3"), ("vm3", "vm2")])


def test_owner_is_recognised(program: Program) -> None:
    assert 1 == program.times("owner: ovn (certain")


def test_plan_shows_what_would_be_changed_of_the_owners(ovn: OvnBed, without_us: list[str]) -> None:
    file = ovn.switch.folder / "plan.yaml"
    file.write_text(CONFIG)
    told = run(str(BIN / "ryu-droplog"), "plan", "--config", str(file), env=ovn.switch.env)
    assert "owner: ovn (certain" in told
    assert re.search(r"CHANGED: \d+ drop flows of the owner's would get an action", told)
    assert "0 of " in told
    assert without_us == theirs(ovn.switch.flows(BRIDGE))


@pytest.mark.parametrize("what", PACKETS)
def test_drop_is_logged_in_the_owners_words(program: Program, what: str) -> None:
    assert documented(SECTION)[what] == logged(program, *PACKETS[what])


def test_documented_drops_are_those_that_are_tried() -> None:
    assert set(PACKETS) == set(documented(SECTION))


def test_flows_and_reachability_are_the_same_with_us_and_without(
    ovn: OvnBed, program: Program, without_us: list[str]
) -> None:
    reached = reached_beside(ovn)
    assert without_us == theirs(ovn.switch.flows(BRIDGE))
    assert 0 == program.end()
    assert not our_meters(ovn.switch, BRIDGE)
    assert without_us == ovn.switch.flows(BRIDGE)
    ovn.sync()
    assert reached == reached_beside(ovn)
    assert reached["vm1 to vm2:81"]
    assert not reached["vm1 to vm2:80"]


def test_owners_flows_are_the_same_after_a_run_a_kill_and_its_leftovers(ovn: OvnBed) -> None:
    """Also where the process that would clean up was killed, too: the next start restores."""
    switch = ovn.switch
    before = switch.flows(BRIDGE)
    telling = lambda: [f for f in switch.flows(BRIDGE) if "id=54279" in f]  # noqa: E731
    with Program(switch, CONFIG, name="killed") as program:
        assert eventually(True, lambda: len(telling()) > 50)
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
        assert before == eventually(before, lambda: switch.flows(BRIDGE), patience=6)
    with Program(switch, CONFIG, name="killed-whole") as program:
        assert eventually(True, lambda: len(telling()) > 50)
        program.kill_with_its_will()
    assert telling()
    with Program(switch, CONFIG, name="next") as program:
        assert eventually(True, lambda: "leftovers" in program.said())
        assert eventually(True, lambda: len(telling()) > 50)
        assert 0 == program.end()
    assert before == switch.flows(BRIDGE)


def test_controller_restarted_has_the_drops_logged_again(ovn: OvnBed) -> None:
    switch = ovn.switch
    ours = lambda: len([f for f in switch.flows(BRIDGE) if "id=54279" in f])  # noqa: E731
    with Program(switch, CONFIG, name="controller") as program:
        assert eventually(True, lambda: ours() > 50)
        standing = eventually(0, ours, patience=2)
        ovn.restart_controller()
        assert standing == eventually(standing, ours, patience=40)
        before = theirs(switch.flows(BRIDGE))
        acl = "acl-add ls0 to-lport 1003 'outport == \"vm2\" && udp.dst == 7001' drop"
        ovn.nbctl(acl)
        ovn.sync()
        assert eventually(True, lambda: ours() > standing, patience=20)
        packet = udp("vm1", "vm2", 7001)
        # The database is asked at most every few seconds; until then the table has its own name.
        assert eventually(True, lambda: "ls_out_acl" in logged(program, "vm1", packet))
        ovn.nbctl("acl-del ls0 to-lport 1003 'outport == \"vm2\" && udp.dst == 7001'")
        ovn.sync()
        assert standing == eventually(standing, ours, patience=20)
        assert 0 == program.end()
    assert before == switch.flows(BRIDGE)


def test_drops_are_only_counted_by_default(ovn: OvnBed) -> None:
    switch = ovn.switch
    before = switch.flows(BRIDGE)
    with Program(
        switch, "bridges: [{name: br-int}]\nbooks: {interval: 1}", name="count"
    ) as program:
        assert eventually(
            True, lambda: "explicit drops of the owner's, logging none" in program.said()
        )
        assert before == switch.flows(BRIDGE)
        send_frame("vm1", "eth0", bytes(PACKETS["false source IP"][1]), count=3)
        told = "3 more by explicit drops, counted only"
        assert eventually(True, lambda: told in program.said(), patience=8)
        assert 0 == program.end()
    assert before == switch.flows(BRIDGE)
