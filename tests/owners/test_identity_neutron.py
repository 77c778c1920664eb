"""Beside Neutron's own agent: whose the packets are that its firewall drops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from functional.program import Program, eventually
from private_ovs import send_frame

from .explaining import dropped
from .neutron_bed import IP_A, IP_B, IP_X, MAC_A, MAC_B, MAC_X, A, B, NeutronBed
from .wire import IP, TCP, Ether, Packet

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

CONFIG = """\
bridges: [{name: br-int}]
prune: {defaults: false}
sinks: [{type: file, name: records, path: "%s/records", encode: native}]
"""
NETWORK = "0d4a7c1e-6b1f-4f59-9d3c-5c1f3f6d2b10"
"""As tests/owners/neutron_agent.py has it."""


@pytest.fixture(scope="module")
def program(neutron: NeutronBed) -> Iterator[Program]:
    neutron.settle()
    with Program(neutron.switch, CONFIG % neutron.switch.folder) as started:
        assert True is eventually(True, lambda: "watching" in started.said())
        known = lambda: started.status()["identity"]["ovsdb"]["ends"] > 4  # noqa: E731
        assert True is eventually(True, known)
        yield started


def ends(neutron: NeutronBed, guest: str, packet: Packet) -> list[dict[str, Any]]:
    """Whose the ends of a packet are that a guest sends, and that is dropped."""
    records = neutron.switch.folder / "records"
    line = dropped(records, lambda: send_frame(guest, "eth0", bytes(packet)))
    record = json.loads(line)
    return [record[end].get("identity", {}) for end in ("source", "destination")]


def end(port: str, logical_port: str, found_by: str) -> dict[str, Any]:
    known = {"network": NETWORK, "known_from": ["ovsdb"]}
    return {**known, "port": port, "logical_port": logical_port, "found_by": found_by}


def test_ends_are_the_ports_and_the_network_that_the_agent_knows(
    neutron: NeutronBed, program: Program
) -> None:
    packet = Ether(src=MAC_A, dst=MAC_B) / IP(src=IP_A, dst=IP_B) / TCP(sport=42001, dport=80)
    assert [end("vma", A, "port"), end("vmb", B, "mac")] == ends(neutron, "vma", packet)


def test_vm_that_takes_anothers_addresses_is_still_itself(
    neutron: NeutronBed, program: Program
) -> None:
    packet = Ether(src=MAC_B, dst=MAC_B) / IP(src=IP_B, dst=IP_B) / TCP(sport=42002, dport=80)
    assert end("vma", A, "port") == ends(neutron, "vma", packet)[0]


def test_who_comes_by_the_uplink_is_not_the_uplink(neutron: NeutronBed, program: Program) -> None:
    packet = Ether(src=MAC_X, dst=MAC_B) / IP(src=IP_X, dst=IP_B) / TCP(sport=42003, dport=80)
    assert [{}, end("vmb", B, "mac")] == ends(neutron, "ext", packet)
