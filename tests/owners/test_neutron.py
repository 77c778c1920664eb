"""Beside Neutron's own agent: what is seen of its drops, and that it does not notice us."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from functional.program import Program, eventually, foreign_flows, our_flows, our_meters, watched
from private_ovs import PrivateSwitch, send_frame

from .documented import documented
from .neutron_bed import (
    IN,
    IP_A,
    IP_B,
    IP_X,
    LL_A,
    LL_B,
    MAC_A,
    MAC_B,
    MAC_X,
    SPEC,
    SSH_FROM_A,
    NeutronBed,
)
from .reach import reach
from .wire import ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6ND_RA, IPv6, Packet, Raw

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

BRIDGE = "br-int"
CONFIG = """\
format: json
bridges: [{name: br-int}]
lease: {duration: 30, renew: 3}
prune: {defaults: false}
"""
DATA = Raw(b"data" * 12)

A_TO_B = Ether(src=MAC_A, dst=MAC_B)
B_TO_A = Ether(src=MAC_B, dst=MAC_A)
X_TO_B = Ether(src=MAC_X, dst=MAC_B)
FROM_A, FROM_B, FROM_X = IP(src=IP_A, dst=IP_B), IP(src=IP_B, dst=IP_A), IP(src=IP_X, dst=IP_B)

PACKETS: dict[str, tuple[str, Packet]] = {
    "a to b, TCP port that no rule names": ("vma", A_TO_B / FROM_A / TCP(sport=41001, dport=80)),
    "a to b, UDP": ("vma", A_TO_B / FROM_A / UDP(sport=41002, dport=53) / DATA),
    "a to b, ICMP echo": ("vma", A_TO_B / FROM_A / ICMP() / DATA),
    "a to b, TCP segment of no connection": (
        "vma",
        A_TO_B / FROM_A / TCP(sport=41003, dport=80, flags="A", ack=9),
    ),
    "b to a, new": ("vmb", B_TO_A / FROM_B / TCP(sport=41004, dport=5000)),
    "b to a, IPv6 without an egress rule": (
        "vmb",
        B_TO_A / IPv6(src=LL_B, dst=LL_A) / UDP(sport=41005, dport=53) / DATA,
    ),
    "a, false IPv4 source": ("vma", A_TO_B / IP(src="10.0.0.77", dst=IP_B) / TCP(dport=22)),
    "a, false MAC": ("vma", Ether(src="fa:16:3e:00:00:77", dst=MAC_B) / FROM_A / TCP(dport=22)),
    "a, ARP for another's address": (
        "vma",
        Ether(src=MAC_A, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=MAC_A, psrc="10.0.0.77", pdst=IP_B),
    ),
    "a, strange EtherType": ("vma", Ether(src=MAC_A, dst=MAC_B, type=0x88B5) / DATA),
    "a as DHCP server": ("vma", A_TO_B / FROM_A / UDP(sport=67, dport=68) / DATA),
    "a, router advertisement": (
        "vma",
        Ether(src=MAC_A, dst="33:33:00:00:00:01")
        / IPv6(src=LL_A, dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(),
    ),
    "a, TCP answer to nothing": (
        "vma",
        A_TO_B / FROM_A / TCP(sport=41006, dport=22, flags="SA", ack=9),
    ),
    "a, TCP with a false checksum": (
        "vma",
        A_TO_B / FROM_A / TCP(sport=41007, dport=22, chksum=0xDEAD),
    ),
    "uplink to b, not allowed": (
        "ext",
        X_TO_B / Dot1Q(vlan=101) / FROM_X / TCP(sport=41008, dport=22),
    ),
    "uplink to b, strange EtherType": ("ext", X_TO_B / Dot1Q(vlan=101, type=0x88B5) / DATA),
}
"""What is sent, and from which guest."""

TOLD = ("table", "direction", "port", "why")


def seen(drop: dict[str, Any]) -> tuple[str, ...]:
    """Of a JSON line, what docs/owners.md shows."""
    return tuple(str(({**drop, **drop.get("owner", {})}).get(key, "")) for key in TOLD)


@pytest.fixture(scope="module")
def program(neutron: NeutronBed) -> Iterator[Program]:
    """The program, watching br-int with the pipeline that it recognises itself."""
    neutron.settle()
    with Program(neutron.switch, CONFIG) as started:
        assert True is eventually(True, lambda: "watching" in started.said())
        yield started


def drops(program: Program) -> list[dict[str, Any]]:
    """All that it has logged so far."""
    return [json.loads(line) for line in program.output.read_text().splitlines()]


def logged(program: Program, send: Callable[[], None], patience: float = 4.0) -> tuple[str, ...]:
    """What is said of the first drop that comes of it; nothing: none came."""
    before = len(drops(program))
    send()
    eventually(True, lambda: len(drops(program)) > before, patience)
    new = drops(program)[before:]
    return seen(new[0]) if new else ()


def reached_beside(bed: NeutronBed) -> dict[str, bool]:
    """Who reaches whom of the VMs."""
    pairs = [("vma", "vmb"), ("vmb", "vma")]
    return reach(bed.switch, {"vma": IP_A, "vmb": IP_B}, pairs)


def without_cookie(flows: list[str]) -> list[str]:
    """Flows without their cookies: each run of the agent has one of its own."""
    return sorted(flow.partition(", ")[2] if flow.startswith("cookie") else flow for flow in flows)


def test_owner_is_recognised(program: Program) -> None:
    assert 1 == program.times("owner: neutron (certain")


@pytest.mark.parametrize("what", PACKETS)
def test_drop_is_logged_in_the_owners_words(
    neutron: NeutronBed, program: Program, what: str
) -> None:
    guest, packet = PACKETS[what]
    expected = documented("Neutron (ML2/OVS)")[what]
    assert expected == logged(program, lambda: send_frame(guest, "eth0", bytes(packet)))


def test_documented_drops_are_those_that_are_tried() -> None:
    tried = {*PACKETS, "a rule taken away in mid-connection"}
    assert tried == set(documented("Neutron (ML2/OVS)"))


def test_rule_taken_away_in_mid_connection_is_told(neutron: NeutronBed, program: Program) -> None:
    server = neutron.switch.start("vmb", "python3", "-m", "http.server", "22")
    time.sleep(1.0)
    talker = """
import socket, sys, time
with socket.create_connection(sys.argv[1:], 3) as sock:
    sock.settimeout(1)
    for _ in range(60):
        sock.sendall(b"x")
        time.sleep(0.2)
"""
    client = neutron.switch.start("vma", "python3", "-c", talker, IP_B, "22")
    time.sleep(1.0)
    try:
        expected = documented("Neutron (ML2/OVS)")["a rule taken away in mid-connection"]
        taken = lambda: neutron.set_rules(IN, SPEC["rules"][IN][:1])  # noqa: E731
        assert expected == logged(program, taken, patience=8)
    finally:
        client.kill()
        server.kill()
        neutron.set_rules(IN, SPEC["rules"][IN])


def test_flows_and_reachability_are_the_same_with_us_and_without(
    neutron: NeutronBed, program: Program
) -> None:
    switch = neutron.switch
    during, reached = sorted(foreign_flows(switch, BRIDGE)), reached_beside(neutron)
    assert our_flows(switch, BRIDGE)
    assert 0 == program.end()
    assert not our_flows(switch, BRIDGE)
    assert not our_meters(switch, BRIDGE)
    assert during == sorted(switch.flows(BRIDGE))
    assert reached == reached_beside(neutron)
    assert reached["vma to vmb:22"]
    assert not reached["vma to vmb:80"]


def test_flows_swept_by_the_restarted_agent_come_back(neutron: NeutronBed) -> None:
    switch = neutron.switch
    neutron.settle()
    without_us = without_cookie(switch.flows(BRIDGE))
    with Program(switch, CONFIG, name="swept") as program:
        assert True is eventually(True, lambda: "watching" in program.said())
        before = watched(switch, BRIDGE)
        neutron.restart_agent()
        neutron.set_rules(IN, [*SPEC["rules"][IN], {**SSH_FROM_A, "port_range_min": 23,
                                                    "port_range_max": 23}])  # fmt: skip
        assert eventually(True, lambda: program.times("next try in") > 0)
        assert before == eventually(before, lambda: watched(switch, BRIDGE), patience=20)
        neutron.set_rules(IN, SPEC["rules"][IN])
        assert before == eventually(before, lambda: watched(switch, BRIDGE), patience=20)
        assert 23 not in watched(switch, BRIDGE)
        assert 0 == program.end()
    neutron.settle()
    assert without_us == without_cookie(switch.flows(BRIDGE))


def test_switch_restarted_is_programmed_by_the_agent_and_watched_again(
    neutron: NeutronBed,
) -> None:
    switch = neutron.switch
    switch.restart_vswitchd()
    neutron.settle()
    without_us = without_cookie(switch.flows(BRIDGE))
    with Program(switch, CONFIG, name="restarted") as program:
        assert True is eventually(True, lambda: "watching" in program.said())
        before = watched(switch, BRIDGE)
        switch.restart_vswitchd()
        neutron_is_back = lambda: without_cookie(foreign_flows(switch, BRIDGE))  # noqa: E731
        assert without_us == eventually(without_us, neutron_is_back, patience=40)
        assert before == eventually(before, lambda: watched(switch, BRIDGE), patience=40)
        assert 23 not in watched(switch, BRIDGE)
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
        assert [] == eventually([], lambda: our_flows(switch, BRIDGE), patience=5)
        assert [] == eventually([], lambda: our_meters(switch, BRIDGE), patience=5)
    assert without_us == without_cookie(switch.flows(BRIDGE))


def test_port_unplugged_and_plugged_again_changes_nothing(
    neutron: NeutronBed, switch: PrivateSwitch
) -> None:
    neutron.settle()
    with Program(switch, CONFIG, name="ports") as program:
        assert True is eventually(True, lambda: "watching" in program.said())
        before, flows = watched(switch, BRIDGE), len(foreign_flows(switch, BRIDGE))
        switch.vsctl("del-port", BRIDGE, "vmb")
        assert True is eventually(True, lambda: len(foreign_flows(switch, BRIDGE)) < flows, 40)
        neutron.plug_again("vmb")
        assert flows == eventually(flows, lambda: len(foreign_flows(switch, BRIDGE)), patience=40)
        assert before == eventually(before, lambda: watched(switch, BRIDGE), patience=40)
        frame = PACKETS["a to b, UDP"][1]
        assert "DROPPED_TRAFFIC_TABLE" in logged(
            program, lambda: send_frame("vma", "eth0", bytes(frame))
        )
        assert 0 == program.end()
