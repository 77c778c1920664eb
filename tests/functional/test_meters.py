"""Floods: what the meters hold back, and that every packet is counted somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn
from .program import (
    OURS,
    Program,
    eventually,
    meter_numbers,
    our_flows,
    our_meters,
    watched,
)

pytestmark = [pytest.mark.ovs, pytest.mark.datapath]

BRIDGE = "br-meter"
CONFIG = f"""
bridges: [{{name: {BRIDGE}}}]
meter: {{rate: 50, burst: 20}}
storm: {{enable: false}}
lease: {{duration: 4, renew: 1}}
"""


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge without flows, with a guest `one` on it."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def counted(switch: PrivateSwitch) -> tuple[int, int]:
    """Packets that our flow counted, and those that its meter's band dropped."""
    flow = re.findall(r"n_packets=(\d+)", switch.ofctl("dump-flows", BRIDGE, OURS))
    [number] = meter_numbers(switch, BRIDGE)
    stats = switch.ofctl("meter-stats", BRIDGE, f"meter={number}")
    band = re.findall(r"\b0: packet_count:(\d+)", stats)
    return int(flow[0]), int(band[0])


def test_flooded_table_sends_what_the_meter_passes_and_counts_the_rest(
    switch: PrivateSwitch,
) -> None:
    sent = 3000
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        send_frame("one", "eth0", syn(), count=sent, interval=0.0005)
        assert sent == eventually(sent, lambda: counted(switch)[0])
        held_back = counted(switch)[1]
        logged = sent - held_back
        assert logged == eventually(logged, lambda: len(program.lines()))
        assert 50 * 1.5 <= logged <= 50 * 4 + 2 * 20
        assert 0 == program.end()


def test_meters_deleted_by_others_come_back(switch: PrivateSwitch) -> None:
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        expected = our_flows(switch, BRIDGE)
        switch.ofctl("del-meters", BRIDGE)
        assert not our_meters(switch, BRIDGE)
        assert [0] == eventually([0], lambda: our_meters(switch, BRIDGE))
        assert expected == eventually(expected, lambda: our_flows(switch, BRIDGE))
        assert "our flow in TABLE_0 has lost its meter; next try in 1 s" in program.said()
        send_frame("one", "eth0", syn(), count=200)
        assert 200 == eventually(200, lambda: counted(switch)[0])
        assert 0 < counted(switch)[1]
        assert 0 == program.end()


def test_meter_of_someone_else_stays(switch: PrivateSwitch) -> None:
    theirs = "meter=1,kbps,band=type=drop,rate=1000"
    switch.ofctl("add-meter", BRIDGE, theirs)
    before = switch.ofctl("dump-meters", BRIDGE)
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: our_meters(switch, BRIDGE))
        assert 0 == program.end()
    assert before == switch.ofctl("dump-meters", BRIDGE)
    switch.ofctl("del-meters", BRIDGE)
