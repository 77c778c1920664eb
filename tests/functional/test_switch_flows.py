"""What the program relies on when it adds, renews and takes back flows: asked of the switch."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from ryu_droplog.openflow.requests import METER_BASE, METER_END

from .peer import Peer, ours
from .program import add_flows, eventually

pytestmark = pytest.mark.ovs

BRIDGE = "br-flows"
OVERLAP = "OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP"
CONTROLLER = "actions=controller(reason=no_match,id=54279)"
COOKIE = "cookie=0x4000d40700000702"
MISS = f"{COOKIE}, table=2, hard_timeout=60, send_flow_rem priority=0 {CONTROLLER}"
SHADOW = (
    f"{COOKIE}, table=2, hard_timeout=60, send_flow_rem check_overlap "
    f"priority=1,reg15=0/0x80000000 {CONTROLLER}"
)


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[None]:
    """The bridge, for all tests."""
    switch.add_bridge(BRIDGE)
    yield
    switch.vsctl("del-br", BRIDGE)


@pytest.fixture
def peer(switch: PrivateSwitch) -> Iterator[Peer]:
    """A connection to the bridge, which has no flows and no meters."""
    switch.ofctl("del-flows", BRIDGE)
    switch.ofctl("del-meters", BRIDGE)
    with Peer(switch, BRIDGE) as connected:
        yield connected


def test_add_with_the_same_match_and_priority_replaces_in_silence(
    switch: PrivateSwitch, peer: Peer
) -> None:
    add_flows(switch, BRIDGE, "table=2,priority=0,cookie=0x1,actions=NORMAL")
    assert [] == peer.flow_mod("OFPFC_ADD", table_id=2, priority=0, flags=2, cookie=9)
    assert ["cookie=0x9, table=2, check_overlap priority=0 actions=drop"] == switch.flows(BRIDGE)


@pytest.mark.datapath
def test_miss_flow_in_a_table_without_priority_0_is_added(
    switch: PrivateSwitch, peer: Peer
) -> None:
    add_flows(switch, BRIDGE, "table=2,priority=1,actions=drop")
    assert [] == peer.add(ours(2))
    assert ["table=2, priority=1 actions=drop", MISS] == switch.flows(BRIDGE)


@pytest.mark.parametrize(
    "theirs",
    [
        "table=2,priority=0,actions=drop",
        "table=2,priority=0,actions=NORMAL",
        "table=2,priority=0,arp,actions=drop",
        "table=2,priority=0,reg15=0x5,actions=drop",
    ],
)
def test_miss_flow_over_any_priority_0_is_refused_and_leaves_no_trace(
    switch: PrivateSwitch, peer: Peer, theirs: str
) -> None:
    add_flows(switch, BRIDGE, theirs)
    before = switch.ofctl("dump-flows", BRIDGE, "table=2")
    assert OVERLAP in peer.add(ours(2))
    assert [theirs.replace(",actions", " actions").replace("2,", "2, ")] == switch.flows(BRIDGE)
    assert before.count("n_packets=0") == 1


def test_miss_flow_of_ours_stands_in_the_way_of_a_second(switch: PrivateSwitch, peer: Peer) -> None:
    assert [] == peer.add(ours(2))
    assert OVERLAP in peer.add(ours(2))
    assert [MISS] == switch.flows(BRIDGE)


@pytest.mark.datapath
def test_priority_0_of_the_owner_replaces_a_miss_flow(switch: PrivateSwitch, peer: Peer) -> None:
    assert [] == peer.add(ours(2))
    add_flows(switch, BRIDGE, "table=2,priority=0,actions=NORMAL")
    assert ["table=2, priority=0 actions=NORMAL"] == switch.flows(BRIDGE)


@pytest.mark.datapath
def test_flow_above_a_drop_is_added(switch: PrivateSwitch, peer: Peer) -> None:
    add_flows(switch, BRIDGE, "table=2,priority=0,actions=drop")
    assert [] == peer.add(ours(2, 1))
    assert [SHADOW, "table=2, priority=0 actions=drop"] == switch.flows(BRIDGE)


@pytest.mark.parametrize("match", ["", "arp,", "reg15=0x5,"], ids=["catch-all", "arp", "reg15"])
def test_flow_above_an_overlapping_flow_is_refused(
    switch: PrivateSwitch, peer: Peer, match: str
) -> None:
    add_flows(switch, BRIDGE, f"table=2,priority=1,{match}actions=NORMAL")
    before = switch.flows(BRIDGE)
    assert [OVERLAP] == peer.add(ours(2, 1))
    assert before == switch.flows(BRIDGE)


@pytest.mark.datapath
def test_overlapping_flow_of_the_owner_is_not_refused_beside_a_flow_above(
    switch: PrivateSwitch, peer: Peer
) -> None:
    """So the program must watch for it."""
    assert [] == peer.add(ours(2, 1))
    add_flows(switch, BRIDGE, "table=2,priority=1,arp,actions=NORMAL")
    assert ["table=2, priority=1,arp actions=NORMAL", SHADOW] == sorted(
        switch.flows(BRIDGE), reverse=True
    )


def test_renewal_starts_the_lease_anew(switch: PrivateSwitch, peer: Peer) -> None:
    flow = ours(2, lease=2)
    assert [] == peer.add(flow)
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        assert [] == peer.send(flow.renew(peer.connection))
        time.sleep(0.3)
    assert 1 == len(switch.flows(BRIDGE))
    begin = time.monotonic()
    assert [] == eventually([], lambda: switch.flows(BRIDGE), 5)
    assert 0.5 < time.monotonic() - begin < 4


@pytest.mark.parametrize("act", ["renew", "delete"])
@pytest.mark.parametrize(
    "theirs",
    [
        "cookie=0x1, table=2, priority=0 actions=NORMAL",
        "cookie=0x4000000000000000, table=2, priority=0 actions=drop",
        "cookie=0x4000d40700000802, table=2, priority=0 actions=drop",
        None,
    ],
    ids=["theirs", "agent", "another run", "none"],
)
def test_renewal_and_removal_touch_no_flow_but_that_of_our_cookie(
    switch: PrivateSwitch, peer: Peer, theirs: str | None, act: str
) -> None:
    if theirs is not None:
        add_flows(switch, BRIDGE, theirs.replace(" actions", ",actions").replace(", ", ","))
    assert [] == peer.send(getattr(ours(2), act)(peer.connection))
    assert ([] if theirs is None else [theirs]) == switch.flows(BRIDGE)


@pytest.mark.datapath
def test_removal_takes_our_flow_and_no_other(switch: PrivateSwitch, peer: Peer) -> None:
    add_flows(switch, BRIDGE, "table=2,priority=0,actions=drop", "table=2,priority=5,actions=drop")
    before = switch.flows(BRIDGE)
    flow = ours(2, 1)
    assert [] == peer.add(flow)
    assert [] == peer.send(flow.delete(peer.connection))
    assert before == switch.flows(BRIDGE)


def restore(switch: PrivateSwitch, command: str, dump: str) -> None:
    """What ovs-save(8) writes for `ovs-ctl restart`: one bundle for all flows of a bridge."""
    saved = switch.folder / "saved"
    saved.write_text("".join(f"{line}\n" for line in dump.splitlines() if "actions=" in line))
    version = ("-O", "OpenFlow14")
    switch.ofctl("--bundle", command, *version, BRIDGE, str(saved))


@pytest.mark.parametrize("command", ["add-flows", "replace-flows"])
def test_saved_flows_are_restored_with_ours_on_a_bridge_without_our_meters(
    switch: PrivateSwitch, peer: Peer, command: str
) -> None:
    add_flows(switch, BRIDGE, "table=0,priority=7,arp,actions=NORMAL", "table=3,actions=drop")
    assert [] == peer.meters(4_000_000_002, 4_000_000_003)
    assert [] == peer.add(ours(2, meter=4_000_000_002))
    assert [] == peer.add(ours(3, 32769, meter=4_000_000_003))
    before = switch.flows(BRIDGE)
    assert 4 == len(before)
    dump = switch.ofctl("dump-flows", "-O", "OpenFlow14", "--no-names", "--no-stats", BRIDGE)
    switch.ofctl("del-flows", BRIDGE)
    switch.ofctl("del-meters", BRIDGE)
    restore(switch, command, dump)
    restored = switch.flows(BRIDGE)
    assert [flow.replace("check_overlap ", "") for flow in before] == [
        flow.replace("check_overlap ", "") for flow in restored
    ]


@pytest.mark.datapath
def test_meter_deleted_leaves_the_flow_that_names_it_in_its_action(
    switch: PrivateSwitch, peer: Peer
) -> None:
    assert [] == peer.meters(4_000_000_002)
    assert [] == peer.add(ours(2, meter=4_000_000_002))
    before = switch.flows(BRIDGE)
    switch.ofctl("del-meters", BRIDGE)
    assert before == switch.flows(BRIDGE)


@pytest.mark.datapath
def test_meter_above_max_meter_is_accepted(switch: PrivateSwitch, peer: Peer) -> None:
    features = switch.ofctl("meter-features", BRIDGE)
    highest = int(features.split("max_meter:")[1].split()[0])
    assert METER_BASE > highest
    assert [] == peer.meters(METER_BASE, METER_END - 1)


def test_modify_of_a_flow_that_is_not_there_adds_nothing(switch: PrivateSwitch, peer: Peer) -> None:
    """In OpenFlow 1.0 it would."""
    assert [] == peer.flow_mod("OFPFC_MODIFY_STRICT", table_id=2, priority=0)
    assert [] == switch.flows(BRIDGE)


def test_flow_monitor_tells_of_others_changes_and_not_of_our_own(
    switch: PrivateSwitch, peer: Peer
) -> None:
    assert [] == peer.monitor()
    assert [] == peer.add(ours(3))
    add_flows(switch, BRIDGE, "table=4,priority=7,cookie=0x5,arp,actions=drop")
    switch.ofctl("mod-flows", BRIDGE, "table=4,actions=NORMAL")
    switch.ofctl("del-flows", BRIDGE, "table=4")
    add_flows(switch, BRIDGE, "table=3,priority=0,cookie=0x6,actions=NORMAL")
    expected = [(0, 4, 7, 5), (2, 4, 7, 5), (1, 4, 7, 5), (0, 3, 0, 6)]
    assert expected == eventually(expected, lambda: [tuple(each) for each in peer.updates])


def test_flow_monitor_tells_of_our_flow_when_others_remove_it_or_its_lease_ends(
    switch: PrivateSwitch, peer: Peer
) -> None:
    assert [] == peer.monitor()
    gone = ours(2)
    assert [] == peer.add(gone)
    switch.ofctl("del-flows", BRIDGE, "table=2")
    expired = ours(3, lease=1)
    assert [] == peer.add(expired)
    expected = [(1, 2, 0, gone.cookie), (1, 3, 0, expired.cookie)]
    assert expected == eventually(expected, lambda: [tuple(each) for each in peer.updates])


def test_type_service_controller_comes_and_goes_without_touching_flows(
    switch: PrivateSwitch, peer: Peer
) -> None:
    add_flows(switch, BRIDGE, "table=4,priority=7,arp,actions=drop")
    before = switch.flows(BRIDGE)
    made = ("--id=@c", "create", "Controller", r'target="ptcp:16700:127.0.0.1"', "type=service")
    switch.vsctl(*made, "--", "set", "bridge", BRIDGE, "controller=@c")
    assert before == switch.flows(BRIDGE)
    switch.vsctl("clear", "bridge", BRIDGE, "controller")
    assert before == switch.flows(BRIDGE)


@pytest.mark.parametrize("target", ["tcp:127.0.0.1:16701", "ptcp:16701:127.0.0.1"])
def test_set_controller_flushes_every_flow_unless_it_only_listens(
    switch: PrivateSwitch, peer: Peer, target: str
) -> None:
    """Which is why the program never does it."""
    add_flows(switch, BRIDGE, "table=4,priority=7,arp,actions=drop")
    before = switch.flows(BRIDGE)
    switch.vsctl("set-controller", BRIDGE, target)
    during = switch.flows(BRIDGE)
    switch.vsctl("del-controller", BRIDGE)
    after = switch.flows(BRIDGE)
    assert ([before, before] if target.startswith("ptcp") else [[], []]) == [during, after]
