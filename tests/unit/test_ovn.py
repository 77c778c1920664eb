"""What OVN noted of a packet, by its logical names, and which of its drops lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from drops import drop

from ryu_droplog.model.drop import Drop
from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.ovsdb.southbound import Southbound
from ryu_droplog.ovsdb.southbound_rows import Directory
from ryu_droplog.owners.base import NO_DATABASE, Names
from ryu_droplog.owners.detection import owner_named
from ryu_droplog.owners.ovn import in_logical_terms

OVN = owner_named("ovn")


def oxm(oxm_class: int, field: int, value: int, length: int = 4) -> bytes:
    header = oxm_class.to_bytes(2, "big") + bytes((field << 1, length))
    return header + value.to_bytes(length, "big")


def with_metadata(metadata: bytes) -> Drop:
    made = drop()
    made.metadata = metadata
    return made


def logical(datapath: int, inport: int = 0, outport: int = 0) -> bytes:
    """The OXM fields of OVN."""
    fields = [(0x8000, 2, datapath, 8), (1, 14, inport, 4), (1, 15, outport, 4)]
    return b"".join(oxm(*field) for field in fields if field[2])


DIRECTORY = Directory(
    {2: ("ls0", "switch"), 5: ("lr0", "router")},
    {(2, 1): "vm1", (2, 2): "vm2", (5, 1): "lr0-ls0"},
)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (
            logical(2, 1, 2),
            {"datapath": "ls0", "datapath_type": "switch", "inport": "vm1", "outport": "vm2"},
        ),
        (logical(5, 1), {"datapath": "lr0", "datapath_type": "router", "inport": "lr0-ls0"}),
        (
            logical(2, 1, 0x8000),
            {"datapath": "ls0", "datapath_type": "switch", "inport": "vm1", "outport_key": 0x8000},
        ),
        (logical(9, 1, 2), {"datapath_key": 9, "inport_key": 1, "outport_key": 2}),
        (logical(0, 1, 2), {}),
        (b"", {}),
    ],
)
def test_logical_names_stand_for_keys(metadata: bytes, expected: dict[str, Any]) -> None:
    told = in_logical_terms(with_metadata(metadata), DIRECTORY)
    assert list(expected.items()) == list(told.items())


def test_bridge_whose_database_is_elsewhere_is_not_explained() -> None:
    packet = with_metadata(logical(2, 1, 2))
    assert {} == OVN.explain(packet, Names(database=NO_DATABASE))
    assert {"datapath_key": 2, "inport_key": 1, "outport_key": 2} == OVN.explain(
        packet, Names(database=OVN.open_database("/nowhere", once=True))
    )


def test_its_database_is_the_southbound_one_and_not_connected_yet() -> None:
    database = OVN.open_database("/nowhere", once=False)
    assert isinstance(database, Southbound)
    assert not database.trouble
    database.close()


@pytest.mark.parametrize(
    ("match", "nothing"),
    [
        (oxm(1, 14, 3) + oxm(1, 15, 3), True),
        (oxm(1, 14, 3) + oxm(1, 15, 4), False),
        (oxm(1, 15, 3), False),
        (b"", False),
    ],
)
def test_packet_that_would_go_back_to_its_port_is_no_loss(match: bytes, nothing: bool) -> None:
    flow = Flow(41, 100, 7, match, 0, 0, Effect())
    assert nothing is OVN.loses_nothing(flow)
