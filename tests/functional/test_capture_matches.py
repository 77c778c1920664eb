"""The matches of flow specifications, added to a real switch and read back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.model import cookie
from ryu_droplog.openflow.capture_match import MAX_MATCHES, matches
from ryu_droplog.openflow.messages import OurFlow
from ryu_droplog.openflow.oxm_match import text

from .peer import GENERATION, Peer
from .program import add_flows

pytestmark = pytest.mark.ovs

BRIDGE = "br-capture"
TABLE, PRIORITY = 2, 1
V4_SRC, V4_DST = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
V6_SRC, V6_DST = bytes(15) + b"\x01", bytes(15) + b"\x02"
SMAC, DMAC = bytes.fromhex("0022bdf819ff"), bytes.fromhex("0a580a0200c3")

ALL = {
    "eth_type": [FlowSpec("u", eth_type=each) for each in (0x0800, 0x86DD, 0x0806, 0x88CC, 0x8847)],
    "unsayable": [FlowSpec("u", eth_type=each, dst_mac=DMAC) for each in (46, 0x8100, 0x88A8)],
    "no EtherType by length": [FlowSpec("u", eth_type=0x0600), FlowSpec("u", eth_type=0xFFFF)],
    "macs": [FlowSpec("u", src_mac=SMAC, dst_mac=DMAC)],
    "tunnel": [FlowSpec("u", tunnel_id=0xFFFFFF, outer_src=V4_SRC, outer_dst=V4_DST)],
    "no tunnel": [FlowSpec("u", tunnel_id=0, outer_src=bytes(4))],
    "ip_proto": [FlowSpec("u", ip_proto=each) for each in range(32)],
    "IPv4": [FlowSpec("u", inner_src=V4_SRC, inner_dst=V4_DST)],
    "IPv6": [FlowSpec("u", inner_src=V6_SRC, inner_dst=V6_DST)],
    "ports": [FlowSpec("u", src_port=0, dst_port=65535)],
    "SCTP": [FlowSpec("u", ip_proto=132, src_port=9, dst_port=10)],
    "overlapping": [FlowSpec("u", inner_src=V4_SRC), FlowSpec("u", dst_port=80)],
    "many": [FlowSpec("u", eth_type=0x0800, ip_proto=6, dst_port=n) for n in range(MAX_MATCHES)],
    "too many": [FlowSpec("u", ip_proto=6, dst_port=n, tunnel_id=5) for n in range(MAX_MATCHES)],
    "all of it": [
        FlowSpec("u", V4_SRC, V4_DST, V6_SRC, V6_DST, SMAC, DMAC, 0x86DD, 6, 1, 2, 7),
        FlowSpec("u", V4_SRC, V4_DST, V4_SRC, V4_DST, SMAC, DMAC, 0x0800, 17, 1, 2, 7),
    ],
}


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[None]:
    """The bridge, for all tests."""
    switch.add_bridge(BRIDGE)
    yield
    switch.vsctl("del-br", BRIDGE)


@pytest.fixture
def peer(switch: PrivateSwitch) -> Iterator[Peer]:
    """A connection to the bridge, which has no flows."""
    switch.ofctl("del-flows", BRIDGE)
    with Peer(switch, BRIDGE) as connected:
        yield connected


def capturing(match: bytes) -> OurFlow:
    return OurFlow(
        table_id=TABLE,
        priority=PRIORITY,
        match=match,
        flow_cookie=cookie.Cookie(True, GENERATION, TABLE).pack(),
        meter_id=None,
        lease=60,
    )


def shown(switch: PrivateSwitch) -> list[str]:
    """The matches in the table, each with its fields in alphabetical order."""
    found = (re.search(rf"priority={PRIORITY},?(\S*) actions", f) for f in switch.flows(BRIDGE))
    return sorted(_sorted(match[1]) for match in found if match)


def _sorted(match: str) -> str:
    return ",".join(sorted(match.split(",")))


@pytest.mark.parametrize("name", ALL)
def test_matches_are_added_side_by_side_and_read_back_as_they_are(
    switch: PrivateSwitch, peer: Peer, name: str
) -> None:
    """Without an error: prerequisites hold, and OFPFF_CHECK_OVERLAP finds nothing."""
    found = matches(ALL[name])
    assert found
    for match in found:
        assert [] == peer.send(*capturing(match).add(peer.connection, bundle_id=1))
    assert sorted(_sorted(text(match)) for match in found) == shown(switch)


FRAMES = {
    "802.3 length": "002e 424203" + "00" * 43,
    "SNAP": "002e aaaa03 000000 0800" + "00" * 38,
    "802.1ad": "88a8 0005 0800 4500001c 00000000 40110000 0a000001 0a000002 0001 0002 0008 0000",
    "hop-by-hop": "86dd 60000000 0010 00 40" + V6_SRC.hex() + V6_DST.hex() + "3a00" + "00" * 14,
    "802.1Q": "8100 0005 0800 4500001c 00000000 40110000 0a000001 0a000002 0001 0002 0008 0000",
}
WANTED = {
    "802.3 length": FlowSpec("u", eth_type=46),
    "SNAP": FlowSpec("u", eth_type=46),
    "802.1ad": FlowSpec("u", eth_type=0x88A8),
    "hop-by-hop": FlowSpec("u", ip_proto=0),
    "802.1Q": FlowSpec("u", inner_src=V4_SRC, ip_proto=17, src_port=1, dst_port=2),
}


@pytest.mark.parametrize("name", FRAMES)
def test_packet_that_fits_is_matched_by_the_switch(
    switch: PrivateSwitch, peer: Peer, name: str
) -> None:
    """Also where the switch has another word for what stands in the frame."""
    frame = (DMAC + SMAC + bytes.fromhex(FRAMES[name])).hex()
    add_flows(switch, BRIDGE, f"table=0,actions=resubmit(,{TABLE})")
    for match in matches([WANTED[name]]):
        shown_match = f",{text(match)}" if match else ""
        add_flows(switch, BRIDGE, f"table={TABLE},priority=9{shown_match},actions=drop")
    switch.ofctl("packet-out", BRIDGE, f"in_port=local,packet={frame},actions=table")
    counted = switch.ofctl("dump-flows", BRIDGE, f"table={TABLE}")
    assert 1 == counted.count("n_packets=1")
