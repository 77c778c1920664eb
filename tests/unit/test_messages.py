"""What the program sends, byte by byte, as OpenFlow 1.3.5 section 7 and nicira-ext.h have it."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import pytest
from os_ken.ofproto import ofproto_v1_3 as of
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from ryu_droplog.model import cookie
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.messages import OurFlow, RewrittenFlow
from ryu_droplog.openflow.note import NOTE_ACTION, NOTE_INSTRUCTIONS

SIGNATURE = f"{cookie.SIGNATURE:04x}"
COOKIE = 0x4000D407ABCD0104
ARP = bytes.fromhex("80000a02 0806")
OUTPUT_7 = bytes.fromhex("0000 0010 00000007 ffff 000000000000")
# enum nx_action_controller2_prop_type of Open vSwitch: max_len, controller id, reason, meter
CONTROLLER2 = (
    "0025 000000000000 0000 0006 ffff 0000 0001 0006" + SIGNATURE + "0000 0002 0005 00 000000"
)
METER_7 = "0005 0008 00000007"


@pytest.fixture
def datapath() -> ProtocolDesc:
    return ProtocolDesc(of.OFP_VERSION)


def packed(message: Any, xid: int = 9) -> bytes:
    """The bytes that go over the wire."""
    message.set_xid(xid)
    message.serialize()
    return bytes(message.buf)


class FlowMod(NamedTuple):
    """The fields of an OFPT_FLOW_MOD in front of its match."""

    cookie: int
    mask: int
    table_id: int
    command: int
    idle_timeout: int
    hard_timeout: int
    priority: int
    buffer: int
    out_port: int
    out_group: int
    flags: int


def flow_mod(data: bytes) -> FlowMod:
    assert (4, of.OFPT_FLOW_MOD, len(data)) == struct.unpack_from("!BBH", data)
    return FlowMod(*struct.unpack_from("!QQBBHHHIIIH", data, 8))


def our_flow(match: bytes = b"", priority: int = 0, **more: Any) -> OurFlow:
    return OurFlow(
        table_id=4, priority=priority, match=match, flow_cookie=COOKIE, meter_id=7, lease=60, **more
    )


def facts(data: bytes) -> tuple[int, int, int, int, int]:
    """Command, table, priority, cookie and mask of a flow's message."""
    flow = flow_mod(data)
    return flow.command, flow.table_id, flow.priority, flow.cookie, flow.mask


@pytest.mark.parametrize(("meter", "properties"), [(None, ""), (7, METER_7)])
def test_action_that_tells_us_is_controller2_with_our_id(
    datapath: ProtocolDesc, meter: int | None, properties: str
) -> None:
    action = messages.controller_action(datapath, meter)
    buffer = bytearray()
    action.serialize(buffer, 0)
    body = bytes.fromhex("00002320" + CONTROLLER2 + properties)
    assert struct.pack("!HH", 0xFFFF, 4 + len(body)) + body == bytes(buffer)
    assert 0 == len(buffer) % 8


def test_controller_id_of_the_connection_is_the_one_of_the_action(datapath: ProtocolDesc) -> None:
    data = packed(messages.set_controller_id(datapath))
    expected = bytes.fromhex("04 04 0018 00000009 00002320 00000014 000000000000" + SIGNATURE)
    assert expected == data


@pytest.mark.parametrize("flags", [0, 1, 3])
def test_fragment_handling_is_sent_back_as_it_was(datapath: ProtocolDesc, flags: int) -> None:
    data = packed(messages.set_config(datapath, flags))
    assert bytes.fromhex("04 09 000c 00000009") + struct.pack("!HH", flags, 0xFFFF) == data


def test_connection_is_told_of_removals_by_time_and_by_hand_alone(datapath: ProtocolDesc) -> None:
    """OpenFlow 1.3.5, A.3.10: masks for a master or equal, and for a slave."""
    data = packed(messages.set_async(datapath))
    packet_in, ports, removed = 0b011, 0b111, 0b110  # no idle timeout, no group that went
    masks = [packet_in, packet_in, ports, ports, removed, removed]
    assert struct.pack("!BBHI6I", 4, of.OFPT_SET_ASYNC, 32, 9, *masks) == data


def test_monitor_asks_for_all_changes_of_all_tables(datapath: ProtocolDesc) -> None:
    """As `ovs-ofctl -O OpenFlow13 monitor` asks: with a whole ofp_match behind it."""
    data = packed(messages.monitor_flows(datapath, 5))
    assert (of.OFPT_MULTIPART_REQUEST, 48) == (data[1], len(data))
    assert struct.pack("!HH4xII", 0xFFFF, 0, 0x4F4E4600, 1870) == data[8:24]
    events = 0b0010 | 0b0100 | 0b1000 | 0b10000  # add, delete, modify, with their actions
    request = struct.unpack("!IHHIB3xHH4x", data[24:])
    assert (5, events, 4, of.OFPP_ANY, 0xFF, 1, 4) == request


@pytest.mark.parametrize(("table", "expected"), [(None, 0xFF), (0, 0), (254, 254)])
def test_flows_are_asked_for_by_table_and_cookie(
    datapath: ProtocolDesc, table: int | None, expected: int
) -> None:
    data = packed(messages.dump_flows(datapath, table, COOKIE, cookie.ALL_BITS))
    assert (expected, of.OFPP_ANY, of.OFPG_ANY) == struct.unpack_from("!B3xII", data, 16)
    assert (COOKIE, cookie.ALL_BITS) == struct.unpack_from("!QQ", data, 32)


@pytest.mark.parametrize(
    ("build", "command"),
    [(messages.add_meter, of.OFPMC_ADD), (messages.modify_meter, of.OFPMC_MODIFY)],
)
def test_meter_counts_packets_and_has_one_drop_band(
    datapath: ProtocolDesc, build: Any, command: int
) -> None:
    data = packed(build(datapath, 4_000_000_000, 100, 200))
    flags = of.OFPMF_PKTPS | of.OFPMF_BURST | of.OFPMF_STATS
    band = struct.pack("!HHII4x", of.OFPMBT_DROP, 16, 100, 200)
    head = struct.pack("!BBHI", 4, of.OFPT_METER_MOD, 32, 9)
    assert head + struct.pack("!HHI", command, flags, 4_000_000_000) + band == data


def test_meter_is_deleted_by_its_id(datapath: ProtocolDesc) -> None:
    data = packed(messages.delete_meter(datapath, 4_000_000_007))
    head = struct.pack("!BBHI", 4, of.OFPT_METER_MOD, 16, 9)
    assert head + struct.pack("!HHI", of.OFPMC_DELETE, 0, 4_000_000_007) == data


def test_script_is_a_whole_connection(datapath: ProtocolDesc) -> None:
    """Hello first, a barrier last, and no message that waits for an answer of its own."""
    flow = our_flow(ARP, 5)
    data = messages.script(datapath, [flow.delete(datapath), messages.delete_meter(datapath, 7)])
    kinds, xids = [], []
    while data:
        _, kind, length, xid = struct.unpack_from("!BBHI", data)
        kinds.append(kind)
        xids.append(xid)
        data = data[length:]
    expected = [of.OFPT_HELLO, of.OFPT_FLOW_MOD, of.OFPT_METER_MOD, of.OFPT_BARRIER_REQUEST]
    assert expected == kinds
    assert [0] * 4 == xids


# Flows of ours


def test_flow_with_a_match_is_added_alone_and_never_over_another(datapath: ProtocolDesc) -> None:
    [message] = our_flow(ARP, 5).add(datapath, 1)
    data = packed(message)
    assert (of.OFPFC_ADD, 4, 5, COOKIE, 0) == facts(data)
    flow = flow_mod(data)
    assert of.OFPFF_CHECK_OVERLAP | of.OFPFF_SEND_FLOW_REM == flow.flags
    assert (60, 0) == (flow.hard_timeout, flow.idle_timeout)
    assert bytes.fromhex("0001 000a") + ARP + bytes(6) == data[48:64]


def test_table_miss_flow_comes_in_one_bundle_that_fails_where_there_is_one(
    datapath: ProtocolDesc,
) -> None:
    """First a flow that overlaps with any other at priority 0, then ours, and the first goes."""
    first, *parts, last = map(packed, our_flow().add(datapath, 3))
    onf = "4f4e4600"
    opened, committed = (f"{onf} 000008fc 00000003 {kind} 0003" for kind in ("0000", "0004"))
    assert (bytes.fromhex(opened), bytes.fromhex(committed)) == (first[8:], last[8:])
    inner = [part[24:] for part in parts]
    assert [bytes.fromhex(f"{onf} 000008fd 00000003 0000 0003")] * 3 == [p[8:24] for p in parts]
    commands = [facts(part) for part in inner]
    assert [
        (of.OFPFC_ADD, 4, 0, COOKIE, 0),
        (of.OFPFC_ADD, 4, 0, COOKIE, 0),
        (of.OFPFC_DELETE_STRICT, 4, 0, COOKIE, cookie.ALL_BITS),
    ] == commands
    flags = [flow_mod(part).flags for part in inner]
    assert [of.OFPFF_CHECK_OVERLAP, of.OFPFF_SEND_FLOW_REM, 0] == flags
    any_but = messages.ANY_BUT_REG15_BIT_31
    assert [True, False, True] == [any_but in part for part in inner]


def test_flow_that_takes_the_place_of_another_of_ours_goes_with_it_in_one_bundle(
    datapath: ProtocolDesc,
) -> None:
    old, new = our_flow(ARP, 5), our_flow(ARP, 6)
    _, *parts, _ = map(packed, new.add(datapath, 3, instead_of=old))
    commands = [facts(part[24:])[:3] for part in parts]
    assert [(of.OFPFC_DELETE_STRICT, 4, 5), (of.OFPFC_ADD, 4, 6)] == commands


@pytest.mark.parametrize("match", [b"", ARP])
def test_flow_is_renewed_and_deleted_under_its_whole_cookie(
    datapath: ProtocolDesc, match: bytes
) -> None:
    flow = our_flow(match)
    for message, command in (
        (flow.renew(datapath), of.OFPFC_MODIFY_STRICT),
        (flow.delete(datapath), of.OFPFC_DELETE_STRICT),
    ):
        assert (command, 4, 0, COOKIE, cookie.ALL_BITS) == facts(packed(message))


def test_every_other_renewal_can_be_seen_by_a_flow_monitor(datapath: ProtocolDesc) -> None:
    """Open vSwitch tells its monitors of a change of the actions only: here, of max_len."""
    flow = our_flow(ARP, 5)
    renewals = [packed(flow.renew(datapath)) for _ in range(4)]
    assert renewals[0] != renewals[1]
    assert renewals[:2] == renewals[2:]
    differing = [a ^ b for a, b in zip(*renewals[:2], strict=True) if a != b]
    assert [1] == differing


def test_owner_s_actions_come_before_the_one_that_tells_us(datapath: ProtocolDesc) -> None:
    [message] = our_flow(ARP, 5, actions=OUTPUT_7).add(datapath, 1)
    data = packed(message)
    ours = bytes.fromhex("00002320" + CONTROLLER2 + METER_7)
    assert data.endswith(OUTPUT_7 + struct.pack("!HH", 0xFFFF, 4 + len(ours)) + ours)


# Flows of the owner's


@pytest.mark.parametrize("actions", [b"", OUTPUT_7])
def test_rewritten_flow_is_only_ever_modified_and_gets_its_own_actions_back(
    datapath: ProtocolDesc, actions: bytes
) -> None:
    flow = RewrittenFlow(
        table_id=9, priority=100, match=ARP, flow_cookie=0xABC, actions=actions, meter_id=None
    )
    told, restored = packed(flow.tell(datapath)), packed(flow.restore(datapath))
    expected = (of.OFPFC_MODIFY_STRICT, 9, 100, 0xABC, cookie.ALL_BITS)
    assert [expected, expected] == [facts(told), facts(restored)]
    ours = bytes.fromhex("00002320" + CONTROLLER2)
    assert told.endswith(actions + struct.pack("!HH", 0xFFFF, 4 + len(ours)) + ours)
    instructions = struct.pack("!HH4x", 4, 8 + len(actions)) + actions if actions else b""
    match = bytes.fromhex("0001 000a") + ARP + bytes(6)
    assert restored.endswith(match + instructions)
    flow_as_it_was = flow_mod(restored)
    assert (0, 0, 0) == (
        flow_as_it_was.hard_timeout,
        flow_as_it_was.idle_timeout,
        flow_as_it_was.flags,
    )


def test_summary_flow_holds_a_note_and_nothing_else(datapath: ProtocolDesc) -> None:
    flow = our_flow(ARP, 1, actions=NOTE_ACTION, tells=False)
    [add] = flow.add(datapath, 7)
    data = packed(add)
    expected = (
        of.OFPFC_ADD, of.OFPFF_CHECK_OVERLAP | of.OFPFF_SEND_FLOW_REM, 1,
    )  # fmt: skip
    sent = flow_mod(data)
    assert expected == (sent.command, sent.flags, sent.priority)
    assert data.endswith(NOTE_INSTRUCTIONS)
    assert bytes.fromhex("ffff0010 00002320 0008 d407 64726f70") == NOTE_ACTION
    renewals = [packed(flow.renew(datapath)) for _ in range(2)]
    assert renewals[0] == renewals[1]
    assert renewals[0].endswith(NOTE_INSTRUCTIONS)


def test_script_can_be_made_longer_before_its_barrier(datapath: ProtocolDesc) -> None:
    first, second = our_flow(), our_flow(ARP, 1)
    whole = messages.script(datapath, [first.delete(datapath), second.delete(datapath)])
    short = messages.script(datapath, [first.delete(datapath)])
    assert whole == messages.longer(short, [second.delete(datapath)])
