"""Flow statistics and flow monitor updates: as Open vSwitch sends them, cut, and at odds."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_stats import (
    Effect,
    Event,
    Flow,
    Step,
    Update,
    actions_of,
    without_controller,
)
from ryu_droplog.openflow.flow_stats import parse_flow_stats as parse
from ryu_droplog.openflow.flow_stats import parse_updates as updates

# OFPMP_FLOW entries of Open vSwitch 3.1.0: the flow as ovs-ofctl(8) shows it, the bytes in parts
# (what stands before the match, the match, the instructions), and what a plan reads from them.
ALL = "00010004 00000000"
IP = "0001000a 80000a02 0800 000000000000"
RESUBMIT_20 = "ffff0010 00002320 000e fff8 14 000000"
RESUBMIT_21 = "ffff0010 00002320 000e fff8 15 000000"


def entry(
    match: str,
    instructions: str,
    *,
    table: int = 0,
    priority: int = 0,
    cookie: int = 0,
    idle: int = 0,
    hard: int = 0,
    packets: int = 0,
) -> bytes:
    """One flow of an OFPMP_FLOW reply (OpenFlow 1.3.5 section 7.3.5.2)."""
    behind = bytes.fromhex(match + instructions)
    head = struct.pack(
        "!HBxIIHHHH4xQQQ",
        48 + len(behind), table, 3, 20_000_000, priority, idle, hard, 0, cookie, packets, 60,
    )  # fmt: skip
    return head + behind


def goto(table: int) -> str:
    return f"00010008 {table:02x} 000000"


def applied(*actions: str) -> str:
    length = 8 + len(bytes.fromhex("".join(actions)))
    return f"0004 {length:04x} 00000000" + "".join(actions)


def only(body: bytes) -> Flow:
    [flow] = parse(body)
    return flow


def effect(instructions: str) -> Effect:
    return only(entry(ALL, instructions)).effect


def test_flow_gives_where_it_stands_and_what_it_matches() -> None:
    match = "00010016 80000a02 0800 00011f08 00000000 80000000 0000"
    body = entry(match, "", table=93, priority=9, cookie=0x1234, idle=9, hard=600, packets=7)
    expected = Flow(
        table_id=93,
        priority=9,
        cookie=0x1234,
        match=bytes.fromhex("80000a02 0800 00011f08 00000000 80000000"),
        idle_timeout=9,
        packets=7,
        effect=Effect(),
        hard_timeout=600,
    )
    assert expected == only(body)
    assert not expected.catch_all


def test_flow_without_match_is_a_catch_all() -> None:
    assert only(entry(ALL, "")).catch_all


def test_flows_in_one_body_come_in_order() -> None:
    body = entry(ALL, "", table=1) + entry(IP, goto(9), table=2) + entry(ALL, "", table=3)
    assert [1, 2, 3] == [flow.table_id for flow in parse(body)]


def test_empty_body_has_no_flows() -> None:
    assert [] == list(parse(b""))


def test_whole_reply_of_the_switch_is_read() -> None:
    """table=5, cookie=0x1234, idle_timeout=9, hard_timeout=600, priority=0 actions=drop."""
    body = bytes.fromhex(
        "003805000000000001312d00000000090258000000000000000000000000123400000000000000000000000000"
        "0000000001000400000000"
    )
    expected = Flow(5, 0, 0x1234, b"", 9, 0, Effect(), hard_timeout=600)
    assert expected == only(body)


DROPS = {
    "no instruction": "",
    "empty apply_actions": "00040008 00000000",
    "empty write_actions": "00030008 00000000",
}


@pytest.mark.parametrize("name", DROPS)
def test_drop_does_not_act(name: str) -> None:
    assert Effect(acts=False) == effect(DROPS[name])


# ovs-ofctl's text -> instructions, and the tables they lead to: (table, final).
WAYS: dict[str, tuple[str, list[tuple[int, bool]]]] = {
    "output:1": (applied("00000010 00000001 0000 000000000000"), []),
    "NORMAL": (applied("00000010 fffffffa 0000 000000000000"), []),
    "group:1": (applied("00160008 00000001"), []),
    "meter:1": ("00060008 00000001", []),
    "write_metadata:0x1/0xff": ("00020018 00000000 0000000000000001 00000000000000ff", []),
    "goto_table:7": (goto(7), [(7, True)]),
    "write_actions(output:1),goto_table:9": (
        "00030018 00000000 00000010 00000001 0000 000000000000" + goto(9),
        [(9, True)],
    ),
    "resubmit(,20)": (applied(RESUBMIT_20), [(20, True)]),
    "resubmit:5": (applied("ffff0010 00002320 000e 0005 ff 000000"), []),
    "resubmit:5 (NXAST_RESUBMIT)": (applied("ffff0010 00002320 0001 0005 00 000000"), []),
    "resubmit(,20,ct)": (applied("ffff0010 00002320 002c fff8 14 000000"), [(20, True)]),
    "resubmit(,20),output:1": (
        applied(RESUBMIT_20, "00000010 00000001 0000 000000000000"),
        [(20, False)],
    ),
    "resubmit(,20),resubmit(,21)": (
        applied(RESUBMIT_20, RESUBMIT_21),
        [(20, False), (21, True)],
    ),
    "resubmit(,20),goto_table:21": (
        applied(RESUBMIT_20) + goto(21),
        [(20, False), (21, True)],
    ),
    "ct(commit,zone=5)": (
        applied("ffff0018 00002320 0023 0001 00000000 0005 ff 000000 0000"),
        [],
    ),
    "ct(commit,table=12,zone=5)": (
        applied("ffff0018 00002320 0023 0001 00000000 0005 0c 000000 0000"),
        [(12, True)],
    ),
    "ct(commit,table=13,zone=5,exec(load:0x1->ct_mark,nat(src=10.0.0.1))),output:2": (
        applied(
            "ffff0048 00002320 0023 0001 00000000 0005 0d 000000 0000"
            "ffff0018 00002320 0007 001f 0001d604 0000000000000001"
            "ffff0018 00002320 0024 0000 0001 0001 0a000001 00000000",
            "00000010 00000002 0000 000000000000",
        ),
        [(13, True)],
    ),
    "clone(resubmit(,15)),output:3": (
        applied(
            "ffff0020 00002320 002a 000000000000 ffff0010 00002320 000e fff8 0f 000000",
            "00000010 00000003 0000 000000000000",
        ),
        [(15, True)],
    ),
    "clone(ct(table=16),resubmit(,17),resubmit(,18))": (
        applied(
            "ffff0048 00002320 002a 000000000000"
            "ffff0018 00002320 0023 0000 00000000 0000 10 000000 0000"
            "ffff0010 00002320 000e fff8 11 000000"
            "ffff0010 00002320 000e fff8 12 000000"
        ),
        [(16, True), (17, False), (18, True)],
    ),
    "learn(table=30,vlan_tci[0..11]),resubmit(,20)": (
        applied(
            "ffff0030 00002320 0010 0000 0000 8000 0000000000000000 0000 1e 00 0000 0000"
            "000c 00000802 0000 00000802 0000 0000",
            RESUBMIT_20,
        ),
        [(20, True)],
    ),
    "check_pkt_larger(1500)->reg0[0],resubmit(,20)": (
        applied("ffff0018 00002320 0031 05dc 00000001 0004 000000000000", RESUBMIT_20),
        [(20, True)],
    ),
    "an experimenter's own action": (applied("ffff0010 00004242 000e fff8 14 000000"), []),
}


@pytest.mark.parametrize("text", WAYS)
def test_flow_that_acts_tells_the_tables_it_leads_to(text: str) -> None:
    instructions, steps = WAYS[text]
    actual = effect(instructions)
    assert (True, [Step(*step) for step in steps]) == (actual.acts, actual.steps)


ENDS = {"write_metadata:0x1/0xff", "ct(commit,zone=5)"}
"""Those of `WAYS` from which the packet goes nowhere."""


@pytest.mark.parametrize("text", WAYS)
def test_flow_whose_actions_send_the_packet_nowhere_is_an_end(text: str) -> None:
    actual = effect(WAYS[text][0])
    assert (text not in ENDS) == actual.leaves
    assert text.startswith("write_actions") == actual.writes
    assert not actual.tells


@pytest.mark.parametrize(
    "action",
    [
        "00190010 80000a02 0800 000000000000",
        "ffff0018 00002320 0007 001f 00010004 0000000000000001",
        "ffff0018 00002320 0006 0020 0000 0000 00010004 00010204",
        "ffff0010 00002320 0008 000000000000",
        "ffff0010 00002320 002b 000000000000",
        "00110008 8100 0000",
    ],
    ids=["set_field", "reg_load", "reg_move", "note", "ct_clear", "push_vlan"],
)
def test_flow_that_only_rewrites_the_packet_is_an_end(action: str) -> None:
    assert Effect(acts=True) == effect(applied(action))


def test_actions_are_taken_out_of_their_instruction_as_they_are() -> None:
    assert bytes.fromhex(RESUBMIT_20) == actions_of(bytes.fromhex(applied(RESUBMIT_20) + goto(7)))
    assert b"" == actions_of(b"")


def test_action_that_tells_us_is_taken_out_and_no_other() -> None:
    ours = (
        "ffff0030 00002320 0025 000000000000 0000000800800000"
        "00010008d4070000 0002000500000000 00050008ee6b2800"
    )
    theirs = "ffff0020 00002320 0025 000000000000 0001000800050000 0003000700010200"
    actions = bytes.fromhex(theirs + ours + RESUBMIT_20)
    assert bytes.fromhex(theirs + RESUBMIT_20) == without_controller(actions, 0xD407)


def test_controller_action_of_ours_tells_its_controller_id() -> None:
    """controller(reason=no_match,max_len=128,id=54279,meter_id=4000000000)."""
    action = (
        "ffff0030 00002320 0025 000000000000 0000000800800000"
        "00010008d4070000 0002000500000000 00050008ee6b2800"
    )
    expected = Effect(acts=True, controller_ids=[54279], meter_ids=[4_000_000_000])
    assert expected == effect(applied(action))


def test_controller_action_with_other_properties_tells_its_id_and_goes_on() -> None:
    """controller(id=5,userdata=00.01.02,pause),resubmit(,20)."""
    action = (
        "ffff0028 00002320 0025 000000000000 0001000800050000 0003000700010200 0004000400000000"
    )
    expected = Effect(True, True, True, steps=[Step(20, True)], controller_ids=[5])
    assert expected == effect(applied(action, RESUBMIT_20))


def test_output_to_controller_names_no_controller_id() -> None:
    """controller:65535, the action that everyone else uses."""
    assert Effect(acts=True, tells=True) == effect(applied("00000010 fffffffd ffff 000000000000"))


WHOLE = entry(IP, applied(RESUBMIT_20) + goto(21)) + entry(ALL, goto(7))


@pytest.mark.parametrize("size", range(1, len(WHOLE)))
def test_cut_statistics_are_refused(size: int) -> None:
    cut = WHOLE[:size]
    if size == len(WHOLE) - 64:
        assert 1 == len(list(parse(cut)))
        return
    with pytest.raises(SwitchError):
        list(parse(cut))


def read(parse_all: Callable[[bytes], Iterator[object]], body: bytes) -> int:
    """How many things there were before the end, or before the error that is allowed."""
    seen = 0
    with contextlib.suppress(SwitchError):
        for _ in parse_all(body):
            seen += 1
    return seen


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_switch_error(body: bytes) -> None:
    assert len(body) // 56 >= read(parse, body)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_one_wrong_byte_raises_nothing_but_switch_error(position: int, value: int) -> None:
    body = bytearray(WHOLE)
    body[position] = value
    assert 2 >= read(parse, bytes(body))


# Flow monitor (ONF extension 187, as Open vSwitch speaks it in OpenFlow 1.3): updates of
# Open vSwitch 3.1.0, without the header of the experimenter multipart.
ADDED = "0028 0000 0000 0007 0005 0258 000a 04 00 1122334455667788 0001000a80000a020806000000000000"
DELETED = (
    "0028 0001 0002 0007 0000 0000 000a 04 00 0000000000000009 0001000a80000a020806000000000000"
)
MODIFIED = "0020 0002 0000 ffff 0000 0000 0004 fe 00 0000000000000000 0001000400000000"
ABBREVIATED = "0008 0003 14b33c2c"
ARP = bytes.fromhex("80000a02 0806")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", []),
        (ADDED, [Update(Event.ADDED, 4, 7, 0x1122334455667788, match=ARP)]),
        (DELETED, [Update(Event.DELETED, 4, 7, 9, match=ARP)]),
        (MODIFIED, [Update(Event.MODIFIED, 254, 65535, 0)]),
        (ABBREVIATED, []),
        (
            ADDED + ABBREVIATED + MODIFIED,
            [
                Update(Event.ADDED, 4, 7, 0x1122334455667788, match=ARP),
                Update(Event.MODIFIED, 254, 65535, 0),
            ],
        ),
    ],
    ids=["none", "added", "deleted", "modified", "our own", "several"],
)
def test_updates_tell_what_others_changed(body: str, expected: list[Update]) -> None:
    assert expected == list(updates(bytes.fromhex(body)))


UPDATES = bytes.fromhex(ABBREVIATED + ADDED)


@pytest.mark.parametrize("size", [size for size in range(1, len(UPDATES)) if size != 8])
def test_cut_updates_are_refused(size: int) -> None:
    with pytest.raises(SwitchError):
        list(updates(UPDATES[:size]))


def test_update_too_short_for_its_event_is_refused() -> None:
    with pytest.raises(SwitchError, match="a flow monitor update has only 8 bytes"):
        list(updates(bytes.fromhex("0008 0000 14b33c2c")))


@given(st.binary(max_size=120))
def test_random_updates_raise_nothing_but_switch_error(body: bytes) -> None:
    assert len(body) // 24 >= read(updates, body)


@pytest.mark.parametrize("length", [0, 3, 13, 0xFFFF])
def test_update_whose_match_leads_past_it_is_refused(length: int) -> None:
    body = bytearray(bytes.fromhex(ADDED))
    body[12:14] = length.to_bytes(2, "big")
    whole = bytes(body) + bytes.fromhex(MODIFIED)
    expected = pytest.raises(SwitchError, match=f"update has a match of {length} bytes")
    if length == 13:  # as much as the padding has room for
        expected = contextlib.nullcontext()  # type: ignore[assignment]
    with expected:
        list(updates(whole))


@pytest.mark.parametrize(
    ("instructions", "complaint"),
    [
        ("00010004", "of type 1 says it has 4 bytes"),
        ("00040000 00000000", "of type 4 says it has 0 bytes"),
        (applied("00000000 00000000"), "of type 0 says it has 0 bytes"),
        (applied("00000004"), "of type 0 says it has 4 bytes"),
        (applied("ffff0010 00002320 0023 000000000000"), "a ct action says it has 16 bytes"),
    ],
)
def test_instructions_that_contradict_themselves_are_refused(
    instructions: str, complaint: str
) -> None:
    with pytest.raises(SwitchError, match=complaint):
        list(parse(entry(ALL, instructions)))


@pytest.mark.parametrize(("subtype", "size"), [(35, 24), (42, 16)], ids=["ct", "clone"])
def test_actions_within_actions_are_followed_64_deep_and_no_deeper(subtype: int, size: int) -> None:
    def nested(depth: int) -> bytes:
        actions = b""
        for _ in range(depth):
            head = struct.pack("!HHIH", 0xFFFF, size + len(actions), 0x2320, subtype)
            actions = head.ljust(size, b"\xff") + actions
        return actions

    assert [True] == [flow.effect.acts for flow in parse(entry(ALL, applied(nested(64).hex())))]
    for depth in (65, 65_000 // size):
        with pytest.raises(SwitchError, match="actions within actions, more than 64 deep"):
            list(parse(entry(ALL, applied(nested(depth).hex()))))
