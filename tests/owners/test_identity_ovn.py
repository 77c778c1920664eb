"""Beside a real OVN: whose the packets are that it drops, by its southbound database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functional.program import Program, eventually, our_flows
from private_ovs import PrivateSwitch, send_frame

from .ovn_bed import GATEWAYS, IPS, MACS, OvnBed
from .wire import IP, UDP, Ether, Packet, Raw

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

CONFIG = """
bridges: [{name: br-int, explicit_drops: {log: all, modify: true}}]
prune: {defaults: false}
sinks:
  - {type: file, name: records, path: "%(folder)s/records", encode: native}
"""


class Scene:
    """OVN and the program, and what it says of each packet that is sent."""

    def __init__(self, bed: OvnBed, program: Program, records: Path) -> None:
        self.bed = bed
        self.program = program
        self._records = records
        self._port = 20000

    def records(self) -> list[dict[str, Any]]:
        if not self._records.exists():
            return []
        whole = self._records.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def ends(self, source: str, packet: Packet) -> list[dict[str, Any]]:
        """Whose the ends of a packet are that a VM sends to a port of its own."""
        self._port += 1
        packet[UDP].sport = self._port
        send_frame(source, "eth0", bytes(packet))

        def found() -> list[dict[str, Any]]:
            return [
                record
                for record in self.records()
                if record["source"].get("port") == self._port and record["bridge"] == "br-int"
            ]

        assert eventually(True, lambda: bool(found()))
        return [found()[0][end].get("identity", {}) for end in ("source", "destination")]


def udp(source: str, target: str, port: int, **other: str) -> Packet:
    """A datagram from one VM to another, with other addresses where they are given."""
    ether = Ether(src=MACS[source], dst=other.get("dmac", MACS[target]))
    ip = IP(src=other.get("sip", IPS[source]), dst=other.get("dip", IPS[target]))
    return ether / ip / UDP(sport=1, dport=port) / Raw(b"data" * 12)


@pytest.fixture(scope="module")
def scene(switch: PrivateSwitch) -> Iterator[Scene]:
    folder = switch.folder / "identity"
    folder.mkdir()
    with OvnBed(switch) as bed, Program(switch, CONFIG % {"folder": folder}) as program:
        for name in ("vm1", "vm2", "vm3"):
            bed.nbctl(f"lsp-set-addresses {name} '{MACS[name]} {IPS[name]}'")
        bed.nbctl("set logical_switch_port vm2 external_ids:namespace=shop external_ids:pod=true")
        made = Scene(bed, program, folder / "records")
        assert eventually(True, lambda: bool(our_flows(switch, "br-int")))
        assert eventually(True, lambda: program.status()["identity"]["southbound"]["ends"] >= 4)
        assert eventually(True, lambda: "pod" in made.ends("vm1", udp("vm1", "vm2", 7000))[1])
        yield made


def test_ends_are_named_as_the_southbound_database_has_them(scene: Scene) -> None:
    source, destination = scene.ends("vm1", udp("vm1", "vm2", 7000))
    known = {"network": "ls0", "known_from": ["southbound", "ovsdb"]}
    assert {**known, "port": "vm1", "logical_port": "vm1", "found_by": "port"} == source
    pod = {"port": "vm2", "logical_port": "vm2", "pod": "vm2", "namespace": "shop"}
    assert {**known, **pod, "found_by": "mac"} == destination


def test_packet_of_a_false_sender_is_that_of_its_port(scene: Scene) -> None:
    source, _ = scene.ends("vm1", udp("vm1", "vm2", 53, sip=IPS["vm2"]))
    assert ("vm1", "port") == (source["logical_port"], source["found_by"])


def test_end_behind_a_router_is_found_by_its_address_and_the_router_by_its_own(
    scene: Scene,
) -> None:
    gateway = GATEWAYS["ls0"]
    _, destination = scene.ends("vm1", udp("vm1", "vm3", 53, dmac=gateway, sip="10.0.0.77"))
    assert ("vm3", "ls1", "ip") == tuple(
        destination[key] for key in ("logical_port", "network", "found_by")
    )
    _, destination = scene.ends(
        "vm1", udp("vm1", "vm3", 53, dmac=gateway, sip="10.0.0.77", dip="10.0.0.1")
    )
    assert ("lr0", "mac") == (destination["router"], destination["found_by"])
    _, destination = scene.ends(
        "vm1", udp("vm1", "vm3", 53, dmac=gateway, sip="10.0.0.77", dip="8.8.8.8")
    )
    assert {} == destination


def test_port_that_is_added_is_known(scene: Scene) -> None:
    before = scene.program.status()["identity"]["southbound"]["ends"]
    scene.bed.nbctl("lsp-add ls0 new -- lsp-set-addresses new '00:00:00:00:00:33 10.0.0.33'")
    assert eventually(
        before + 1, lambda: scene.program.status()["identity"]["southbound"]["ends"]
    ) == (before + 1)
    packet = udp("vm1", "vm2", 53, dmac="00:00:00:00:00:33", sip="10.0.0.77", dip="10.0.0.33")
    destination = scene.ends("vm1", packet)[1]
    assert ("new", "ls0") == (destination["logical_port"], destination["network"])
