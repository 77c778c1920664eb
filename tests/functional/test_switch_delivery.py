"""What the program relies on when it attaches and receives packets: asked of the switch."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_ovs import PrivateSwitch, send_frame

from ryu_droplog.openflow import messages
from ryu_droplog.packet import packet_in

from .packets import ARP, IPV4, arp, ethernet, ipv4, syn, tcp
from .peer import Peer, ours
from .program import Program, add_flows, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-deliver"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[None]:
    """The bridge with a guest `one`, for all tests."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    yield
    switch.vsctl("del-br", BRIDGE)


@pytest.fixture
def peer(switch: PrivateSwitch) -> Iterator[Peer]:
    """A connection to the bridge, which has no flows and no meters."""
    switch.ofctl("del-flows", BRIDGE)
    switch.ofctl("del-meters", BRIDGE)
    with Peer(switch, BRIDGE) as connected:
        yield connected


def packets(switch: PrivateSwitch) -> int:
    """Packets that the bridge's flows have counted."""
    aggregate = switch.ofctl("dump-aggregate", BRIDGE)
    return int(aggregate.split("packet_count=")[1].split()[0])


def arrived(peer: Peer, switch: PrivateSwitch, sent: int, expected: int) -> int:
    """PacketIns that came for so many packets; more would have come before a barrier's answer."""
    assert sent == eventually(sent, lambda: packets(switch))
    eventually(expected, lambda: len(peer.packet_ins), 1)
    time.sleep(0.1)
    assert [] == peer.send()
    return len(peer.packet_ins)


@pytest.mark.datapath
def test_connection_that_sends_nothing_gets_no_packet_ins(
    switch: PrivateSwitch, peer: Peer
) -> None:
    add_flows(switch, BRIDGE, "priority=0,actions=CONTROLLER")
    send_frame("one", "eth0", syn())
    assert 0 == arrived(peer, switch, sent=1, expected=0)
    assert [] == peer.send(messages.set_config(peer.connection, 0))
    send_frame("one", "eth0", syn())
    assert 1 == arrived(peer, switch, sent=2, expected=1)


@pytest.mark.datapath
def test_packets_for_our_id_come_to_us_alone(switch: PrivateSwitch, peer: Peer) -> None:
    with Peer(switch, BRIDGE) as other:
        assert [] == other.send(messages.set_config(other.connection, 0))
        assert [] == peer.send(
            messages.set_config(peer.connection, 0), messages.set_controller_id(peer.connection)
        )
        assert [] == peer.add(ours(0))
        add_flows(switch, BRIDGE, "priority=9,arp,actions=CONTROLLER")
        send_frame("one", "eth0", syn())
        send_frame("one", "eth0", ethernet(ARP, arp("10.0.0.1", "10.0.0.2")))
        assert 1 == arrived(peer, switch, sent=2, expected=1)
        assert 1 == arrived(other, switch, sent=2, expected=1)
        assert syn() == packet_in.parse(peer.packet_ins[0]).frame
        assert ethernet(ARP, arp("10.0.0.1", "10.0.0.2")) == (
            packet_in.parse(other.packet_ins[0]).frame
        )


@pytest.mark.datapath
def test_ovs_ofctl_monitor_sees_none_of_our_packets(switch: PrivateSwitch, peer: Peer) -> None:
    seen = switch.folder / "monitor"
    with seen.open("wb") as output:
        monitor = switch.start(
            None, "ovs-ofctl", "-O", "OpenFlow13", "monitor", BRIDGE, "65535",
            output=output.fileno(),
        )  # fmt: skip
        add_flows(switch, BRIDGE, "priority=9,arp,actions=CONTROLLER")
        with Program(switch, CONFIG) as program:
            assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
            send_frame("one", "eth0", syn())
            assert 1 == eventually(1, lambda: len(program.lines()))
            assert True is eventually(True, lambda: sends_arp_until_seen(seen))
            assert "PROTO=TCP" in program.lines()[0]
            assert 1 == len(program.lines())
            assert 0 == program.end()
        monitor.terminate()
        monitor.wait(5)
    kinds = set(re.findall(r"PACKET_IN.*\n(\w+),", seen.read_text()))
    assert {"arp"} == kinds


def sends_arp_until_seen(seen: Path) -> bool:
    """The monitor may not have been connected at the first."""
    send_frame("one", "eth0", ethernet(ARP, arp("10.0.0.1", "10.0.0.2")))
    return "PACKET_IN" in seen.read_text()


@pytest.mark.datapath
def test_packet_comes_whole_with_table_cookie_and_registers(
    switch: PrivateSwitch, peer: Peer
) -> None:
    assert [] == peer.send(
        messages.set_config(peer.connection, 0), messages.set_controller_id(peer.connection)
    )
    assert [] == peer.add(ours(7))
    add_flows(switch, BRIDGE, "actions=set_field:0x9->reg5,set_field:0x800->metadata,goto_table:7")
    frame = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2), bytes(1400)))
    send_frame("one", "eth0", frame)
    assert 1 == eventually(1, lambda: len(peer.packet_ins))
    found = packet_in.parse(peer.packet_ins[0])
    assert (0, 7, ours(7).cookie) == (found.reason, found.table_id, found.cookie)
    assert frame == found.frame
    fields = {(f.oxm_class, f.field): int.from_bytes(f.value, "big")
              for f in packet_in.oxm_fields(found.metadata)}  # fmt: skip
    assert (9, 0x800) == (fields[1, 5], fields[0x8000, 2])


def test_bridge_is_known_by_its_local_port(switch: PrivateSwitch, peer: Peer) -> None:
    assert BRIDGE == peer.connection.name
    assert BRIDGE == peer.connection.ports[0xFFFFFFFE]


@pytest.mark.parametrize("mode", ["normal", "drop", "nx-match"])
def test_fragment_handling_of_the_bridge_is_left_as_it_was(
    switch: PrivateSwitch, peer: Peer, mode: str
) -> None:
    switch.ofctl("set-frags", BRIDGE, mode)
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert f"frags={mode}" in switch.ofctl("show", BRIDGE)
        assert 0 == program.end()
    assert f"frags={mode}" in switch.ofctl("show", BRIDGE)
    switch.ofctl("set-frags", BRIDGE, "normal")


@pytest.mark.datapath
def test_nothing_is_written_to_the_database(switch: PrivateSwitch, peer: Peer) -> None:
    def database() -> str:
        dump = ("ovsdb-client", "dump", f"unix:{switch.rundir}/db.sock")
        env = switch.env
        text = subprocess.run(dump, env=env, capture_output=True, text=True, check=True).stdout
        return re.sub(r"(?m)^(Interface|Open_vSwitch) table\n(.+\n)*", "", text)

    before = database()
    assert "Bridge table" in before
    with Program(switch, CONFIG) as program:
        assert [0] == eventually([0], lambda: watched(switch, BRIDGE))
        assert before == database()
        assert 0 == program.end()
    assert before == database()
