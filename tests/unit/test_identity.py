"""Whose packets are: what held when, and what is not guessed; the clock is set by hand."""

from __future__ import annotations

import threading
from typing import Any

import drops
import pytest
from frames import ARP, IPV4, IPV6, arp, ethernet, ipv4, ipv6, tcp
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.identity import knowledge as knowledge_module
from ryu_droplog.identity.identities import LATE, NOBODY, Identities
from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.identity.statement import Prefix, Statement
from ryu_droplog.model.drop import Drop
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.record import Identity

A, B, ROUTER, OTHER = (f"02:00:00:00:00:0{n}" for n in (1, 2, 9, 7))
WHERE = drops.location(bridge="br-int")


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def statement(said_by: str = "ovsdb", **more: Any) -> Statement:
    """What is said of an end on the bridge; MACs and addresses as text, one each."""
    if "mac" in more:
        more["macs"] = (mac(more.pop("mac")),)
    if "ip" in more:
        more["addresses"] = (ip(more.pop("ip")),)
    return Statement(said_by, **{"bridge": "br-int", **more})


class World:
    """Knowledge, with a clock that is set, and packets that are received at its time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.knowledge = Knowledge(threading, lambda: self.now)
        self.bridges = BridgeDirectory()
        self.identities = Identities(self.knowledge, self.bridges)

    def tell(
        self, *said: Statement, source: str = "", domains: dict[str, int] | None = None
    ) -> None:
        """Have a source, that of the first statement, say this."""
        self.knowledge.tell(source or said[0].said_by, dict(enumerate(said)), domains)

    def drop(
        self,
        source: str = "10.0.0.1",
        destination: str = "10.0.0.2",
        smac: str = A,
        dmac: str = B,
        where: Any = WHERE,
    ) -> Drop:
        """A packet that is received now."""
        frame = ethernet(IPV4, ipv4(source, destination, 6, tcp(1, 2)), smac=smac, dmac=dmac)
        found = drops.drop(frame, where)
        found.received = self.now
        return found

    def whose(self, drop: Drop, in_port: int = 0) -> tuple[Identity | None, Identity | None]:
        return self.identities.identify(drop, in_port)


@pytest.fixture
def world() -> World:
    return World()


def logical(identity: Identity | None) -> str | None:
    return None if identity is None else identity.logical_port


# What held when


def test_drop_takes_what_held_when_it_was_received(world: World) -> None:
    world.tell(statement(in_port=3, logical_port="first"))
    world.now = 110
    early = world.drop()
    world.now = 120
    world.tell(statement(in_port=3, logical_port="second"))
    late = world.drop()
    world.now = 130
    world.knowledge.tell("ovsdb", {})
    none = world.drop()
    for _ in range(2):  # remembered, too
        assert ["first", "second", None] == [
            logical(world.whose(drop, 3)[0]) for drop in (early, late, none)
        ]


def test_interval_begins_at_its_first_moment_and_ends_before_its_last(world: World) -> None:
    world.now = 110
    world.tell(statement(in_port=3, logical_port="x"))
    world.now = 120
    world.knowledge.tell("ovsdb", {})
    for moment, expected in ((109.9, None), (110.0, "x"), (119.9, "x"), (120.0, None)):
        drop = world.drop()
        drop.received = moment
        assert expected == logical(world.whose(drop, 3)[0]), moment


def test_packet_of_a_capture_is_nobodys(world: World) -> None:
    world.tell(statement(in_port=3, logical_port="x"))
    drop = world.drop()
    drop.received = 0.0
    assert NOBODY == world.whose(drop, 3)


def test_answer_is_the_same_object_until_anything_changes(world: World) -> None:
    world.tell(statement(in_port=3, logical_port="x"))
    first = world.whose(world.drop(), 3)
    assert first is world.whose(world.drop(), 3)
    assert world.knowledge.tell("ovsdb", {0: statement(in_port=3, logical_port="x")}) is False
    assert first is world.whose(world.drop(), 3)
    world.now += 1
    world.tell(statement("names", mac=OTHER, vm="x"))
    assert first == world.whose(world.drop(), 3)
    assert first is not world.whose(world.drop(), 3)


def test_history_is_bounded_and_what_is_forgotten_is_not_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge_module, "HISTORY", 4)
    seen = []
    for number in range(40):
        world.now = 1000.0 + number
        world.tell(statement(in_port=3, logical_port=f"p{number}", mac=A))
        seen.append(world.drop())
    answers = [logical(world.whose(drop, 3)[0]) for drop in seen]
    assert [None] * 35 + [f"p{number}" for number in range(35, 40)] == answers


# Late


def test_unknown_end_is_filled_once_and_marked_and_never_renamed(world: World) -> None:
    drop = world.drop()
    assert (None, None) == world.identities.identify_late(drop, 3)
    world.now += LATE
    world.tell(statement(in_port=3, logical_port="late"))
    source, destination = world.identities.identify_late(drop, 3)
    assert source is not None
    assert ("late", True) == (source.logical_port, source.late)
    assert destination is None
    assert (None, None) == world.whose(drop, 3)  # sinks do not wait for it
    world.now += 0.1
    world.tell(statement(in_port=3, logical_port="another"))
    assert (source, None) == world.identities.identify_late(drop, 3)
    world.now += 100
    world.knowledge.tell("ovsdb", {})
    assert (source, None) == world.identities.identify_late(drop, 3)


def test_what_becomes_known_too_late_is_not_filled_in(world: World) -> None:
    drop = world.drop()
    world.now += LATE + 0.001
    world.tell(statement(in_port=3, logical_port="too late"))
    assert (None, None) == world.identities.identify_late(drop, 3)


def test_known_end_is_never_another_late(world: World) -> None:
    world.tell(statement(in_port=3, logical_port="known"))
    drop = world.drop()
    world.now += 0.5
    world.tell(statement(in_port=3, logical_port="another"), statement(mac=B, logical_port="b"))
    source, destination = world.identities.identify_late(drop, 3)
    assert ("known", False) == (logical(source), source is not None and source.late)
    assert destination is not None
    assert ("b", True) == (destination.logical_port, destination.late)


# Whose


def test_source_is_at_its_port_whatever_addresses_it_takes(world: World) -> None:
    world.tell(
        statement(in_port=3, logical_port="a", mac=A, ip="10.0.0.1"),
        statement(in_port=4, logical_port="b", mac=B, ip="10.0.0.2"),
    )
    source, destination = world.whose(world.drop(source="10.0.0.2", smac=B), 3)
    assert source is not None
    assert ("a", "port") == (source.logical_port, source.found_by)
    assert destination is not None
    assert ("b", "mac") == (destination.logical_port, destination.found_by)


def test_sources_that_say_something_of_one_end_are_put_together(world: World) -> None:
    world.tell(
        statement(in_port=3, ports=("tap1",), logical_port="id-1", vm_id="uuid-1", network="net")
    )
    world.tell(statement("libvirt", ports=("tap1",), vm="front", vm_id="uuid-1"))
    world.tell(Statement("names", local=False, vm_id="uuid-1", vm="shop front"))
    source, _ = world.whose(world.drop(), 3)
    assert source == Identity(
        port="tap1",
        logical_port="id-1",
        vm="shop front",
        vm_id="uuid-1",
        network="net",
        found_by="port",
        known_from=("names", "libvirt", "ovsdb"),
    )


def test_address_that_two_networks_have_is_of_the_packets_network(world: World) -> None:
    world.tell(
        statement(in_port=3, logical_port="a1", mac=A, ip="10.0.0.1", network="one"),
        statement(in_port=4, logical_port="b1", ip="10.0.0.2", network="one"),
        statement(in_port=5, logical_port="b2", ip="10.0.0.2", network="two"),
        statement(in_port=6, logical_port="a2", mac=OTHER, network="two"),
    )
    assert "b1" == logical(world.whose(world.drop(), 3)[1])
    assert "b2" == logical(world.whose(world.drop(smac=OTHER), 6)[1])


def test_address_of_another_network_is_nobodys_but_behind_a_router(world: World) -> None:
    world.tell(
        statement(in_port=3, logical_port="a", mac=A, network="one"),
        statement(in_port=5, logical_port="b", mac=B, ip="10.0.0.2", network="two"),
        statement(in_port=9, logical_port="r", mac=ROUTER, network="one", forwards=True),
    )
    # Somebody else's 10.0.0.2: the MAC is not that of b.
    assert None is world.whose(world.drop(dmac=OTHER), 3)[1]
    found = world.whose(world.drop(dmac=ROUTER), 3)[1]
    assert found is not None
    assert ("b", "ip") == (found.logical_port, found.found_by)
    # And what comes out of the router is not the router's.
    source, destination = world.whose(world.drop(source="8.8.8.8", smac=ROUTER), 9)
    assert (None, "b") == (source, logical(destination))


def test_address_of_two_ends_is_nobodys(world: World) -> None:
    world.tell(
        statement(logical_port="b1", ip="10.0.0.2"), statement(logical_port="b2", ip="10.0.0.2")
    )
    assert (None, None) == world.whose(world.drop())


def test_mac_of_two_ends_is_nobodys_and_of_a_group_neither(world: World) -> None:
    world.tell(statement(logical_port="b1", mac=B), statement(logical_port="b2", mac=B))
    assert (None, None) == world.whose(world.drop())
    assert (None, None) == world.whose(world.drop(dmac="ff:ff:ff:ff:ff:ff"))


def test_port_that_leads_on_is_not_the_sender(world: World) -> None:
    world.tell(
        statement(in_port=1, ports=("patch",), passage=True),
        statement(in_port=3, logical_port="a", mac=A),
        statement(in_port=7, ports=("eth1",)),
    )
    assert "a" == logical(world.whose(world.drop(), 1)[0])
    assert None is world.whose(world.drop(smac=OTHER), 1)[0]
    # Of a port of which nothing else is known, its name is what is known.
    source, _ = world.whose(world.drop(smac=OTHER), 7)
    assert source == Identity(port="eth1", found_by="port", known_from=("ovsdb",))
    assert "a" == logical(world.whose(world.drop(), 7)[0])


def test_bridge_of_another_host_with_the_same_name_is_another(world: World) -> None:
    here, there = "00000000000000aa", "00000000000000bb"
    world.tell(
        statement(in_port=3, mac=A, logical_port="a", datapath_id=here),
        domains={"br-int": 0, here: 0},
    )
    world.tell(statement("opflex", bridge="", mac=B, logical_port="b"))
    world.tell(Statement("names", local=False, addresses=(ip("10.0.0.2"),), vm="anywhere"))
    world.bridges.learn_datapath_id("br-int", int(here, 16))
    assert ["a", "b"] == [logical(end) for end in world.whose(world.drop(), 3)]
    world.now += 1
    world.knowledge.tell("libvirt", {0: statement("libvirt", mac=OTHER)})
    world.bridges.learn_datapath_id("br-int", int(there, 16))
    source, destination = world.whose(world.drop(), 3)
    assert source is None
    assert destination is not None
    assert ("anywhere", "ip") == (destination.vm, destination.found_by)


def test_bridges_that_are_connected_know_the_same_ends(world: World) -> None:
    world.tell(statement(mac=A, logical_port="a"), domains={"br-int": 0, "br-ex": 1})
    elsewhere = drops.location(bridge="br-ex")
    assert None is world.whose(world.drop(where=elsewhere))[0]
    world.now += 1
    world.tell(statement(mac=A, logical_port="a"), domains={"br-int": 0, "br-ex": 0})
    assert "a" == logical(world.whose(world.drop(where=elsewhere))[0])


def test_range_of_addresses_names_what_nobody_else_does(world: World) -> None:
    office, all_ = Prefix(ip("192.0.2.0"), 24), Prefix(bytes(4), 0)
    world.tell(
        Statement("names", local=False, prefixes=(office,), network="office"),
        Statement("names", local=False, prefixes=(all_,), network="world"),
    )
    source, destination = world.whose(world.drop(source="192.0.2.7", destination="8.8.8.8"))
    assert source is not None
    assert destination is not None
    assert ("office", "world", "ip") == (source.network, destination.network, source.found_by)


def test_arp_and_ipv6_and_cut_frames_are_looked_up(world: World) -> None:
    six = bytes.fromhex("fd000000000000000000000000000001")
    world.tell(
        statement(logical_port="a", mac=A, ip="10.0.0.1"),
        statement(logical_port="b", addresses=(ip("10.0.0.2"),)),
        statement(logical_port="six", addresses=(six,)),
    )

    def ends(frame: bytes) -> list[str | None]:
        drop = drops.drop(frame, WHERE)
        drop.received = world.now
        return [logical(end) for end in world.whose(drop)]

    broadcast = "ff:ff:ff:ff:ff:ff"
    assert ["a", "b"] == ends(ethernet(ARP, arp("10.0.0.1", "10.0.0.2"), smac=A, dmac=broadcast))
    assert ["a", "six"] == ends(
        ethernet(IPV6, ipv6("fd00::9", "fd00::1", 6, tcp(1, 2)), smac=A, dmac=OTHER)
    )
    whole = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2)), smac=A, dmac=OTHER)
    for length in range(len(whole)):
        assert ends(whole[:length])[0] in (None, "a")


NAMES = st.sampled_from(["", "x", "y"])
SAID = st.builds(
    Statement,
    said_by=st.sampled_from(["names", "opflex", "southbound", "libvirt", "ovsdb", "another"]),
    bridge=st.sampled_from(["", "br-int", "br-ex"]),
    datapath_id=st.sampled_from(["", "00000000000000aa"]),
    local=st.booleans(),
    in_port=st.integers(0, 3),
    ports=st.lists(st.sampled_from(["p", "q"]), max_size=2).map(tuple),
    macs=st.lists(st.sampled_from([mac(A), mac(B)]), max_size=2).map(tuple),
    addresses=st.lists(st.sampled_from([ip("10.0.0.1"), ip("10.0.0.2")]), max_size=2).map(tuple),
    logical_port=NAMES,
    vm_id=NAMES,
    vm=NAMES,
    network=NAMES,
    forwards=st.booleans(),
    passage=st.booleans(),
)


@given(st.lists(st.tuples(SAID, st.booleans()), max_size=12), st.integers(0, 4))
def test_whatever_is_said_an_answer_is_found_again_and_never_changes(
    said: list[tuple[Statement, bool]], in_port: int
) -> None:
    world = World()
    known: dict[str, dict[int, Statement]] = {}
    asked: list[tuple[Drop, Any]] = []
    for number, (one, gone) in enumerate(said):
        world.now += 1
        of_source = known.setdefault(one.said_by, {})
        of_source[number % 3] = one
        if gone:
            of_source.pop((number + 1) % 3, None)
        world.knowledge.tell(one.said_by, of_source, {"br-int": 0, "br-ex": 1})
        drop = world.drop()
        asked.append((drop, world.whose(drop, in_port)))
    for drop, answer in asked:
        assert answer == world.whose(drop, in_port)
        late = world.identities.identify_late(drop, in_port)
        assert [one for one in answer if one is not None] == [
            shown for shown, one in zip(late, answer, strict=True) if one is not None
        ]
    assert not world.identities.mistaken
