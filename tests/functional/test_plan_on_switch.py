"""What the program adds to which table: the plan, on a switch whose flows decide it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import IPV4, ethernet, icmp, ipv4, syn, udp
from .program import (
    BIN,
    Program,
    add_flows,
    eventually,
    foreign_flows,
    our_flows,
    our_meters,
    watched,
)

pytestmark = pytest.mark.ovs

BRIDGE = "br-plan"
CONTROLLER = "actions=controller(reason=no_match,id=54279,meter_id=<{}>)"
MISS = "priority=0 " + CONTROLLER
SHADOW = "check_overlap priority={},reg15=0/0x80000000 " + CONTROLLER.replace("{}", "{{}}")

# What the owner has in a table -> our flow there, and what is said of the table. The tables are
# numbered as they stand here, from 0; the last is where some of them lead.
TABLES: dict[str, tuple[list[str], str | None, str]] = {
    "empty": ([], MISS, "it has no flows"),
    "partial-above-0": (["priority=1,arp,actions=NORMAL"], MISS, "nothing matches what is left"),
    "catch-all-drop": (
        ["priority=0,actions=drop"],
        SHADOW.format(1),
        "above its owner's catch-all drop at priority 0",
    ),
    "catch-all-drop-at-7": (
        ["priority=7,actions=drop", "priority=3,arp,actions=NORMAL", "priority=9,ip,actions=drop"],
        SHADOW.format(8),
        "above its owner's catch-all drop at priority 7",
    ),
    "catch-all-goto": (
        ["priority=0,actions=goto_table:60"],
        None,
        "nothing is missed: its owner's catch-all at priority 0 handles the rest",
    ),
    "catch-all-normal": (
        ["priority=4,actions=NORMAL"],
        None,
        "nothing is missed: its owner's catch-all at priority 4 handles the rest",
    ),
    "catch-all-controller": (
        ["priority=0,actions=CONTROLLER:65535"],
        None,
        "nothing is missed: its owner's catch-all at priority 0 handles the rest",
    ),
    "partial-at-0": (
        ["priority=0,arp,actions=NORMAL", "priority=0,ip,actions=drop"],
        None,
        "its owner has 2 flows at priority 0",
    ),
    "partial-beside-drop": (
        ["priority=0,actions=drop", "priority=0,arp,actions=NORMAL"],
        None,
        "its owner has 1 flow at priority 0 beside its catch-all drop",
    ),
    "partial-above-drop": (
        ["priority=0,actions=drop", "priority=1,arp,actions=NORMAL"],
        None,
        "its owner has 1 flow at priority 1",
    ),
    "drop-with-idle-timeout": (
        ["priority=0,idle_timeout=600,actions=drop"],
        None,
        "its owner's catch-all drop has an idle timeout, which a flow above would let run out",
    ),
    "drop-with-hard-timeout": (
        ["priority=0,hard_timeout=600,actions=drop"],
        SHADOW.format(1),
        "above its owner's catch-all drop at priority 0",
    ),
    "drop-at-the-top": (
        ["priority=65535,actions=drop"],
        None,
        "its owner's catch-all drop has priority 65535",
    ),
}


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge without flows, with a guest `one` on it."""
    switch.add_bridge(BRIDGE)
    switch.vsctl("--may-exist", "add-port", BRIDGE, "one")
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


@pytest.fixture(scope="module", autouse=True)
def guest(switch: PrivateSwitch) -> None:
    """A guest `one`; each test's bridge takes its port."""
    switch.add_bridge("br-first")
    switch.guest("one", "br-first")
    switch.vsctl("del-br", "br-first")


def command(switch: PrivateSwitch, name: str, config: Path) -> str:
    """What `ryu-droplog plan` or `clean` prints."""
    done = subprocess.run(
        [BIN / "ryu-droplog", name, "--config", config],
        env=switch.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert ("", 0) == (done.stderr, done.returncode)
    return done.stdout


@contextmanager
def running(switch: PrivateSwitch, bridge: str, pipeline: str) -> Iterator[Program]:
    """The program at work, when it has added its flows; then ended in good order."""
    config = (
        f"bridges: [{{name: {bridge}, pipeline: {pipeline}}}]\npipeline_directory: {switch.folder}"
    )
    before = switch.flows(bridge)
    with Program(switch, config) as program:
        assert 1 == eventually(1, lambda: program.times(": watching "))
        yield program
        assert 0 == program.end()
    assert before == switch.flows(bridge)
    assert not our_meters(switch, bridge)


class Decided(NamedTuple):
    """What became of a bridge with all these tables, while the program ran."""

    ours: list[str]
    left_alone: str
    plan: list[str]
    changed: bool
    """Whether the owner's flows were any different while the program ran."""


@pytest.fixture(scope="module")
def decided(switch: PrivateSwitch) -> Iterator[Decided]:
    """One run of the program on a bridge with all these tables."""
    switch.add_bridge("br-tables")
    names = "".join(f"  {table}: {{name: {name}}}\n" for table, name in enumerate(TABLES))
    (switch.folder / "all.yaml").write_text(f"pipeline: all\ntables:\n{names}")
    for table, (theirs, _, _) in enumerate(TABLES.values()):
        add_flows(switch, "br-tables", *(f"table={table},{flow}" for flow in theirs))
    before = switch.flows("br-tables")
    with running(switch, "br-tables", "all") as program:
        plan = command(switch, "plan", program.config).splitlines()
        changed = before != foreign_flows(switch, "br-tables")
        assert 1 == eventually(1, lambda: program.times("left alone: "))
        [left] = [line for line in program.said().splitlines() if "left alone: " in line]
        yield Decided(our_flows(switch, "br-tables"), left, plan, changed)
    switch.vsctl("del-br", "br-tables")


@pytest.mark.parametrize("name", TABLES)
def test_table_gets_the_flow_that_fits(decided: Decided, name: str) -> None:
    table = list(TABLES).index(name)
    _, expected, why = TABLES[name]
    cookie = f"cookie=0x4000d407......{table:02x},"
    ours = [flow for flow in decided.ours if flow.startswith(cookie)]
    if expected is None:
        assert [] == ours
        assert f"{name} ({why})" in decided.left_alone
    else:
        where = f" table={table}," if table else ""
        assert [f"{cookie}{where} hard_timeout=60, send_flow_rem {expected.format(table)}"] == ours
        assert name not in decided.left_alone


@pytest.mark.parametrize("name", TABLES)
def test_plan_shows_what_the_program_does(decided: Decided, name: str) -> None:
    _, flow, why = TABLES[name]
    [line] = [line for line in decided.plan if f" {name} " in line]
    words = ("table-miss at", "flow above at") if flow else ("left alone",)
    assert line.endswith(f"  {why}")
    assert line.split(name)[1].strip().startswith(words)


def test_owners_flows_beside_ours_are_as_before(decided: Decided) -> None:
    assert not decided.changed


AUTO = [
    # 0 and 10 to 14 lie on the way of packets, 20 to 22 are only looked up in passing.
    "table=0,priority=9,tcp,actions=goto_table:10",
    "table=0,priority=9,udp,actions=load:1->NXM_NX_REG0[],resubmit(,11)",
    "table=0,priority=9,icmp,actions=ct(table=12)",
    "table=0,priority=9,arp,actions=resubmit(,20),goto_table:13",
    "table=13,priority=9,actions=resubmit(,21),output:1",
    "table=21,priority=9,ip,actions=resubmit(,22)",
    "table=10,priority=9,actions=clone(resubmit(,14)),NORMAL",
    # Nobody leads here but a packet-out.
    "table=30,priority=9,arp,actions=goto_table:31",
]


def test_auto_pipeline_watches_the_tables_where_packets_end(
    switch: PrivateSwitch, bridge: str
) -> None:
    add_flows(switch, bridge, *AUTO)
    switch.vsctl("set", "bridge", bridge, "flow_tables:11=@t", "--", "--id=@t", "create",
                 "Flow_Table", "name=acl", "flow_limit=1000")  # fmt: skip
    on_the_way = [0, 11, 12, 14]
    passing = "only looked up in passing, by a resubmit: a miss there loses nothing"
    rest = "nothing is missed: its owner's catch-all at priority 9 handles the rest"
    with running(switch, bridge, "auto") as program:
        expected = [
            f"cookie=0x4000d407......{table:02x},{f' table={table},' if table else ''} "
            "hard_timeout=60, send_flow_rem priority=0 "
            f"actions=controller(reason=no_match,id=54279,meter_id=<{table}>)"
            for table in on_the_way
        ]
        assert expected == our_flows(switch, bridge)
        said = program.said()
        assert "watching TABLE_0, acl, TABLE_12, TABLE_14\n" in said
        lonely = "no flow leads there"
        reasons = {10: rest, 13: rest, 20: passing, 21: passing, 22: passing, 30: lonely}
        left = "; ".join(f"TABLE_{table} ({why})" for table, why in reasons.items())
        assert 1 == eventually(1, lambda: program.times(f"left alone: {left}\n"))


def test_table_named_on_the_switch_has_that_name_in_the_line(
    switch: PrivateSwitch, bridge: str
) -> None:
    add_flows(switch, bridge, "table=0,priority=9,tcp,actions=goto_table:11")
    switch.vsctl("set", "bridge", bridge, "flow_tables:11=@t", "--", "--id=@t", "create",
                 "Flow_Table", "name=acl")  # fmt: skip
    with running(switch, bridge, "auto") as program:
        send_frame("one", "eth0", syn())
        assert 1 == eventually(1, lambda: len(program.lines()))
        assert program.lines()[0].startswith("[info] [ryu_droplog] acl MISS  SMAC=")


def test_full_table_is_left_alone(switch: PrivateSwitch, bridge: str) -> None:
    switch.vsctl("set", "bridge", bridge, "flow_tables:4=@t", "--", "--id=@t", "create",
                 "Flow_Table", "flow_limit=2", "overflow_policy=refuse")  # fmt: skip
    add_flows(switch, bridge, "table=4,priority=5,arp,actions=drop")
    with running(switch, bridge, "opflex-access") as program:
        why = "it has 1 flow of 2 allowed, and ours might take the last place"
        assert 1 == eventually(1, lambda: program.times(f"alone: SEC_GROUP_IN_TABLE ({why})"))
        assert [0, 1, 2, 3, 5, 6, 7, 8, 9] == watched(switch, bridge)


# The OpFlex agent's own bridge, as far as it concerns drops: each table ends in a flow that
# records where the packet was, and goes to EXP_DROP_TABLE, which drops.
TLVS = [
    f"{{class=0xffff,type={kind},len={16 if kind == 11 else 8 if kind == 14 else 4}}}"
    f"->tun_metadata{kind}"
    for kind in range(15)
]


def opflex_flows(tables: int) -> list[str]:
    last = tables - 1
    recorded = [
        f"table={table},cookie=0x4000000000000000,priority=0,"
        f"actions=set_field:{table}->tun_metadata12,set_field:0->tun_metadata13,"
        f"goto_table:{last}"
        for table in range(last)
    ]
    return [
        *recorded,
        "table=0,priority=100,actions=goto_table:1",
        "table=1,priority=100,tcp,actions=goto_table:4",
        f"table=1,priority=90,udp,actions=set_field:{1}->tun_metadata12,"
        f"set_field:1->tun_metadata13,goto_table:{last}",
        f"table=1,priority=80,icmp,actions=goto_table:{last}",
        f"table={last},priority=0,actions=drop",
    ]


@pytest.mark.parametrize(
    ("pipeline", "prefix", "tables", "location"),
    [
        ("opflex-access", "Acc-", 10, ("SEC_GROUP_IN_TABLE", "SERVICE_BYPASS_TABLE")),
        ("opflex-int", "Int-", 16, ("SERVICE_REV_TABLE", "PORT_SECURITY_TABLE")),
    ],
)
def test_bridge_of_the_opflex_agent_gets_one_flow_that_tells_of_all_tables(
    switch: PrivateSwitch,
    bridge: str,
    pipeline: str,
    prefix: str,
    tables: int,
    location: tuple[str, str],
) -> None:
    switch.ofctl("add-tlv-map", bridge, ",".join(TLVS))
    add_flows(switch, bridge, *opflex_flows(tables))
    last = tables - 1
    with running(switch, bridge, pipeline) as program:
        expected = [
            f"cookie=0xd407......{last:02x}, table={last}, hard_timeout=60, send_flow_rem "
            "check_overlap priority=1,reg15=0/0x80000000 "
            f"actions=controller(reason=no_match,id=54279,meter_id=<{last}>)"
        ]
        assert expected == our_flows(switch, bridge)
        send_frame("one", "eth0", syn())
        send_frame("one", "eth0", ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 2))))
        send_frame("one", "eth0", ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8))))
        shown = [
            f"[info] [ryu_droplog] {prefix}{location[0]} MISS",
            f"[info] [ryu_droplog] {prefix}{location[1]} DENY",
            f"[info] [ryu_droplog] {prefix}EXP_DROP_TABLE MISS",
        ]
        assert shown == eventually(
            shown, lambda: [line.partition("  ")[0] for line in program.lines()]
        )
        plan = command(switch, "plan", program.config)
    assert f"  1 of {tables} tables would be watched" in plan.splitlines()
