"""What the OpFlex agent noted of a packet."""

from __future__ import annotations

from drops import drop

from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import owner_named


def register(number: int, value: int) -> bytes:
    return bytes((0, 1, number << 1, 4)) + value.to_bytes(4, "big")


def test_groups_and_out_port_are_told_as_far_as_they_are_known() -> None:
    packet = drop()
    packet.metadata = register(0, 10) + register(2, 11) + register(3, 5)
    told = owner_named("opflex").explain(packet, Names())
    assert {"source_group": 10, "destination_group": 11} == told
    packet.metadata += register(7, 4)
    assert 4 == owner_named("opflex").explain(packet, Names())["out_port"]
