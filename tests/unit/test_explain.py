"""`explain` without a switch: lines read back, frames rebuilt, traces read, flows compared."""

from __future__ import annotations

import pytest
from record_drops import HOSTILE

from ryu_droplog.explain.given import GivenError, read_given
from ryu_droplog.explain.lines import LineError, facts_of_line
from ryu_droplog.explain.nearest import conjunctions_of, matching, nearest
from ryu_droplog.explain.packet_fields import NOTED, noted_of_text, packet_fields
from ryu_droplog.explain.rebuild import frame_of
from ryu_droplog.explain.trace import parse_trace, sends
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.owners.neutron_rule import rule_command
from ryu_droplog.owners.ovn_acl import acl_command
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.records.record import Record, Rule

LINE = (
    "[2024-Feb-20 07:59:16.845663 +0100] [info] [ryu_droplog] Acc-SEC_GROUP_IN_TABLE MISS"
    "  SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3 ETYP=IPv4 SRC=10.2.0.229 DST=10.2.0.195"
    " LEN=60 DSCP=0 TTL=62 ID=58352 FLAGS=2 FRAG=0 PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783"
    " ACK=0 LEN=10 WINDOWS=62020 SYN  URGP=0"
)
MORE = ' IN_PORT=3 DIRECTION=ingress PORT=tapb OFPORT=2 WHY="no rule matches" BRIDGE=br-int'
"""Behind the line in the format `extended`."""

TRACE = """\
Flow: tcp,in_port=1,tp_dst=80

bridge("br-int")
----------------
 0. in_port=1, priority 10, cookie 0x12
    set_field:0x1->reg6
    resubmit(,10)
10. No match.
    drop

Final flow: tcp,reg6=0x1,ct_state=new|trk,in_port=1,tp_dst=80
Megaflow: recirc_id=0,eth,ip,in_port=1,nw_frag=no
Datapath actions: drop
"""


def flow(match: str, priority: int = 50, instructions: bytes = b"") -> Flow:
    """A flow that does something; `match` are OXM fields in hexadecimal."""
    effect = Effect(acts=True, leaves=True)
    return Flow(20, priority, 0, bytes.fromhex(match), 0, 0, effect, instructions)


IP, TCP = "80000a020800", "8000140106"
TO_443, TO_80 = IP + TCP + "80001c0201bb", IP + TCP + "80001c020050"
REG5 = "00010a0400000008"


def given(text: str) -> Record:
    """What is read of a line."""
    return read_given(text.encode(), load_pipelines(None), "br-int").record


def test_line_is_read_back() -> None:
    record = given(LINE + MORE)
    assert ("br-int", "MISS", "ingress", "no rule matches", 2) == (
        record.bridge,
        record.reason,
        record.direction,
        record.owner["why"],
        record.owner["ofport"],
    )
    assert (4, "SEC_GROUP_IN_TABLE") == (record.table.id, record.table.name)
    assert record.port is not None
    assert 3 == record.port.number
    packet = record.packet
    assert packet.tcp is not None
    assert packet.ipv4 is not None
    assert (42934, 80, ("SYN",)) == (
        packet.tcp.source_port,
        packet.tcp.destination_port,
        packet.tcp.flags,
    )
    assert ("10.2.0.229", "10.2.0.195", 60, 62) == (
        packet.ipv4.source,
        packet.ipv4.destination,
        packet.ipv4.length,
        packet.ipv4.ttl,
    )


def test_rebuilt_frame_makes_the_same_addresses() -> None:
    frame = frame_of(facts_of_line(LINE))
    assert 74 == len(frame)
    assert bytes.fromhex("0a580a0200c30022bdf819ff0800") == frame[:14]


@pytest.mark.parametrize("text", ["", "TABLE MISS", HOSTILE, "A B  SMAC=", "T MISS  SMAC=x SPT=1"])
def test_other_text_is_no_line(text: str) -> None:
    with pytest.raises(LineError):
        facts_of_line(text)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"version":1}', b"[" * 9999, b"{" * 9999, b"\xff"])
def test_other_bytes_are_no_drop(text: bytes) -> None:
    with pytest.raises(GivenError):
        read_given(text, load_pipelines(None))


def test_nearest_flow_says_in_what_it_differs() -> None:
    packet = packet_fields(given(LINE))
    first, second = nearest([flow(REG5 + TO_443), flow(TO_443), flow(TO_80)], packet)
    assert ["destination port is 80"] == [one.text for one in first.differences]
    assert ["reg5 is 0", "destination port is 80"] == [one.text for one in second.differences]


def test_of_equally_near_flows_the_higher_priority_is_first() -> None:
    packet = packet_fields(given(LINE))
    found = nearest([flow(TO_443, 10), flow(TO_443, 90), flow(TO_443, 50)], packet)
    assert [90, 50, 10] == [near.flow.priority for near in found]


def test_flow_that_takes_the_packet_is_the_highest_that_matches() -> None:
    packet = packet_fields(given(LINE))
    flows = [flow(TO_80, 10), flow(TO_80, 30), flow(TO_443, 90), flow("", 0)]
    found = matching(flows, packet, ())
    assert found is not None
    assert 30 == found.priority
    assert matching([flow(TO_443)], packet, ()) is None


def test_what_a_line_does_not_tell_is_not_taken_for_zero() -> None:
    packet = packet_fields(given(LINE))
    [near] = nearest([flow(REG5 + TO_443)], packet, NOTED)
    assert ("reg5",) == near.unknown
    assert ["destination port is 80"] == [one.text for one in near.differences]


def test_condition_of_a_conjunction_takes_no_packet() -> None:
    packet = packet_fields(given(LINE))
    action = bytes.fromhex("ffff001000002320002201020000000f")
    condition = flow(TO_80, 70, bytes.fromhex("0004001800000000") + action)
    assert ("condition 2 of 2 of conjunction 15",) == conjunctions_of(condition)
    assert matching([condition], packet, ()) is None
    [near] = nearest([condition], packet)
    assert (0, 1) == (len(near.differences), len(near.conjunctions))


def test_trace_is_read() -> None:
    trace = parse_trace(TRACE)
    [one] = trace.passes
    assert [(0, "in_port=1", 10, 0x12), (10, "", None, 0)] == [
        (step.table_id, step.match, step.priority, step.cookie) for step in one.steps
    ]
    assert ["set_field:0x1->reg6", "resubmit(,10)"] == one.steps[0].actions
    assert {(1, 6): 1, (1, 105): 0x21} == noted_of_text(one.final)
    assert not trace.lets_through


@pytest.mark.parametrize("text", ["", "Flow: tcp\n", HOSTILE, "Datapath actions: 1\n"])
def test_other_text_is_no_trace(text: str) -> None:
    with pytest.raises(SwitchError):
        parse_trace(text)


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("drop", False),
        ("3", True),
        ("ct(zone=1),recirc(0x1)", False),
        ("userspace(pid=0,controller(reason=0,dont_send=0,rule_cookie=0))", False),
        ("pop_vlan,set(eth(src=00:00:00:00:00:01)),12", True),
        ("clone(ct(commit),recirc(0x3)),drop", False),
        ("clone(tnl_push(tnl_port(6),header(size=50),out_port(5)),4)", True),
        ("sample(sample=100.0%,actions(userspace(pid=0,meter(3))))", False),
        ("check_pkt_len(size=1500,gt(drop),le(2))", True),
        ("meter(3),recirc(0x2)", False),
    ],
)
def test_datapath_actions_are_known_to_send(actions: str, expected: bool) -> None:
    assert expected is sends(actions)


def test_rule_is_as_narrow_as_the_packet() -> None:
    remedy = rule_command(given(LINE + MORE), {"tapb": "b-id"})
    assert remedy is not None
    assert remedy.command == (
        "openstack security group rule create --ingress --ethertype IPv4 --protocol tcp"
        " --dst-port 80 --remote-ip 10.2.0.229/32 SECURITY_GROUP"
    )
    assert "openstack port show -c security_group_ids b-id" in remedy.text


def test_acl_is_one_above_and_quoted_for_the_shell() -> None:
    record = given(LINE)
    record.rule = Rule("no-http", "0x1", 2000, "", {"stage": "ls_out_acl"})
    record.owner = {"datapath": "ls0; rm x", "outport": 'vm"2'}
    remedy = acl_command(record)
    assert remedy is not None
    assert remedy.command == (
        "ovn-nbctl acl-add 'ls0; rm x' to-lport 1001 'outport == \"vm\\\"2\" && ip4.src =="
        " 10.2.0.229 && ip4.dst == 10.2.0.195 && tcp.dst == 80' allow-related"
    )


def test_acl_of_the_highest_priority_cannot_be_outranked() -> None:
    record = given(LINE)
    record.rule = Rule("", "0x1", 33767, "", {"stage": "ls_out_acl"})
    record.owner = {"datapath": "ls0", "outport": "vm2"}
    remedy = acl_command(record)
    assert remedy is not None
    assert "" == remedy.command
