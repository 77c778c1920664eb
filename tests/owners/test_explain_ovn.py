"""Beside a real OVN: the ACL that `explain` names is created, and the packet passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from functional.program import Program, eventually, our_flows
from private_ovs import run, send_frame

from .explaining import arrives, dropped, explained
from .ovn_bed import IPS, MACS, OvnBed
from .wire import IP, TCP, UDP, Ether, Packet, Raw

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

CONFIG = """\
bridges: [{name: br-int, explicit_drops: {log: all, modify: true}}]
prune: {defaults: false}
sinks: [{type: file, name: records, path: "%s/records", encode: native}]
"""
TO_VM2 = Ether(src=MACS["vm1"], dst=MACS["vm2"]) / IP(src=IPS["vm1"], dst=IPS["vm2"])
PACKETS: dict[str, Packet] = {
    "named ACL": TO_VM2 / TCP(sport=43001, dport=80),
    "ACL without a name": TO_VM2 / UDP(sport=43002, dport=7000) / Raw(b"data" * 12),
}


@pytest.fixture(scope="module")
def program(ovn: OvnBed) -> Iterator[Program]:
    with Program(ovn.switch, CONFIG % ovn.switch.folder) as started:
        assert eventually(True, lambda: "named from OVN" in started.said())
        assert eventually(True, lambda: len(our_flows(ovn.switch, "br-int")) > 40)
        yield started


@pytest.mark.parametrize("kind", PACKETS)
def test_packet_passes_with_the_acl_that_is_named(ovn: OvnBed, program: Program, kind: str) -> None:
    records = ovn.switch.folder / "records"
    frame = bytes(PACKETS[kind])
    line = dropped(records, lambda: send_frame("vm1", "eth0", frame))
    said = explained(program, line)
    assert ("DENY", "same", True, False) == (
        said["drop"]["reason"],
        said["way"]["agreement"],
        said["taken_by"]["drops"],
        said["way"]["lets_through"],
    )
    assert not arrives("vm1", "vm2", PACKETS[kind], 1.0)
    command = said["remedy"]["command"]
    assert command.startswith("ovn-nbctl acl-add ls0 to-lport 100")
    run("sh", "-c", command, env=ovn.env)
    ovn.sync()
    try:
        assert explained(program, line)["way"]["lets_through"]
        assert arrives("vm1", "vm2", PACKETS[kind])
    finally:
        direction, priority = command.split()[3:5]
        match = command.partition("'")[2].partition("'")[0]
        ovn.nbctl(f"acl-del ls0 {direction} {priority} '{match}'")
        ovn.sync()
