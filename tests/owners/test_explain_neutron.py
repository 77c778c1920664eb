"""Beside Neutron's own agent: the rule that `explain` names is created, and the packet passes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from functional.program import Program, eventually
from private_ovs import send_frame

from .explaining import arrives, dropped, explained
from .neutron_bed import IN, IP_A, IP_B, MAC_A, MAC_B, SPEC, B, NeutronBed
from .wire import ICMP, IP, TCP, UDP, Ether, Packet, Raw

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

CONFIG = """\
bridges: [{name: br-int}]
prune: {defaults: false}
sinks: [{type: file, name: records, path: "%s/records", encode: native}]
"""
A_TO_B = Ether(src=MAC_A, dst=MAC_B) / IP(src=IP_A, dst=IP_B)
PACKETS: dict[str, Packet] = {
    "TCP": A_TO_B / TCP(sport=42001, dport=80),
    "UDP": A_TO_B / UDP(sport=42002, dport=53) / Raw(b"data" * 12),
    "ICMP": A_TO_B / ICMP() / Raw(b"data" * 12),
}


@pytest.fixture(scope="module")
def program(neutron: NeutronBed) -> Iterator[Program]:
    neutron.settle()
    with Program(neutron.switch, CONFIG % neutron.switch.folder) as started:
        assert True is eventually(True, lambda: "watching" in started.said())
        yield started


def rule_of(command: str) -> dict[str, Any]:
    """What `openstack security group rule create` would have the server tell the agent."""
    words = shlex.split(command)
    assert ["openstack", "security", "group", "rule", "create"] == words[:5]
    assert "SECURITY_GROUP" == words[-1]
    direction, *options = words[5:-1]
    told = dict(zip(options[::2], options[1::2], strict=True))
    rule: dict[str, Any] = {
        "direction": direction.removeprefix("--"),
        "ethertype": told["--ethertype"],
        "protocol": told["--protocol"],
        "source_ip_prefix": told["--remote-ip"],
        "security_group_id": IN,
    }
    low = told.get("--dst-port") or told.get("--icmp-type")
    high = told.get("--dst-port") or told.get("--icmp-code")
    return {**rule, "port_range_min": int(str(low)), "port_range_max": int(str(high))}


@pytest.mark.parametrize("kind", PACKETS)
def test_packet_passes_with_the_rule_that_is_named(
    neutron: NeutronBed, program: Program, kind: str
) -> None:
    records = neutron.switch.folder / "records"
    frame = bytes(PACKETS[kind])
    line = dropped(records, lambda: send_frame("vma", "eth0", frame))
    said = explained(program, line)
    assert (93, "same", False) == (
        said["drop"]["table"]["id"],
        said["way"]["agreement"],
        said["way"]["lets_through"],
    )
    assert f"openstack port show -c security_group_ids {B}" in said["remedy"]["text"]
    if kind == "TCP":
        assert 82 == said["nearest_table"]
        assert [["destination port is 80"]] == [
            [one["text"] for one in near["differences"]]
            for near in said["nearest"]
            if "tp_dst=22" in near["match"] and "nw_src=10.0.0.10" in near["match"]
        ][:1]
    assert not arrives("vma", "vmb", PACKETS[kind], 1.0)
    rules = SPEC["rules"][IN]
    neutron.set_rules(IN, [*rules, rule_of(said["remedy"]["command"])])
    neutron.switch.appctl("dpctl/flush-conntrack")
    try:
        assert explained(program, line)["way"]["lets_through"]
        assert arrives("vma", "vmb", PACKETS[kind])
    finally:
        neutron.set_rules(IN, rules)
        neutron.switch.appctl("dpctl/flush-conntrack")


def test_no_rule_helps_against_a_false_address(neutron: NeutronBed, program: Program) -> None:
    records = neutron.switch.folder / "records"
    frame = bytes(Ether(src=MAC_A, dst=MAC_B) / IP(src="10.0.0.77", dst=IP_B) / TCP(dport=22))
    said = explained(program, dropped(records, lambda: send_frame("vma", "eth0", frame)))
    assert "" == said["remedy"]["command"]
    assert "anti-spoofing" in said["remedy"]["text"]
