"""The report of `ryu-droplog doctor`, from facts; the facts of a real switch are in functional."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ryu_droplog.config import loader
from ryu_droplog.connections.socket_room import OFF, Room
from ryu_droplog.doctor import page
from ryu_droplog.doctor.checkup import Checkup, Database
from ryu_droplog.doctor.examine import Additions, Explicit, Report, examine
from ryu_droplog.doctor.known_problems import problem_key
from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Effect, Flow, Step
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.reconcile.planner import Snapshot
from ryu_droplog.records.acknowledged import KEY, Entry

IP, ARP = bytes.fromhex("80000a020800"), bytes.fromhex("80000a020806")
PIPELINES = load_pipelines(None)
FORWARDS = Effect(acts=True, leaves=True)
DATABASE = Database(datapath="system")


def flow(
    table: int,
    priority: int,
    match: bytes = b"",
    *,
    leads: int | None = None,
    effect: Effect | None = None,
    number: int = 7,
    packets: int = 0,
) -> Flow:
    if leads is not None:
        effect = Effect(acts=True, leaves=True, steps=[Step(leads, final=True)])
    return Flow(table, priority, number, match, 0, packets, effect or Effect())


def our_flow(table: int, slot: int = 0) -> Flow:
    number = cookie.Cookie(True, 0x100, table, slot).pack()
    return flow(table, 0, number=number, effect=Effect(True, controller_ids=[cookie.SIGNATURE]))


# Table 0 has no catch-all, 1 ends in a drop, 2 in a forward, 3 forwards and drops, 4 has no room.
FLOWS = [
    flow(0, 9, ARP, leads=1),
    flow(0, 8, IP, leads=2),
    flow(0, 7, ARP, leads=3),
    flow(0, 6, ARP, leads=4),
    flow(1, 0),
    flow(2, 0, effect=FORWARDS),
    flow(3, 0, effect=FORWARDS),
    flow(3, 5, IP, packets=12),
    flow(4, 0, ARP, effect=FORWARDS),
]
WELL = [flow(0, 9, ARP, effect=FORWARDS)]


def report(
    flows: list[Flow] = FLOWS, bridge: str = "{name: br0}", more: str = "", **facts: Any
) -> Report:
    settings = loader.parse(f"bridges: [{bridge}]\nrun_directory: /run/d\n{more}", "droplog.yaml")
    snapshot = Snapshot(flows, monitored=facts.pop("monitored", True))
    baseline = facts.pop("baseline", {})
    known = {"bundles": True, "max_meter": 99, "database": DATABASE, **facts}
    checkup = Checkup(snapshot=snapshot, **known)
    return examine(settings.bridges[0], PIPELINES, settings, checkup, baseline=baseline)


def states(found: Report) -> dict[int, str]:
    return {table.table_id: table.state for table in found.tables}


def warnings(found: Report) -> list[str]:
    return [finding.text for finding in found.findings if finding.level == "warning"]


def notes(found: Report) -> str:
    return "\n".join(finding.text for finding in found.findings if finding.level == "note")


def test_each_table_has_a_state_and_a_reason() -> None:
    found = report()
    assert {
        0: "would be watched",
        1: "would be watched",
        2: "owner forwards all",
        3: "drops elsewhere",
        4: "cannot be watched",
    } == states(found)
    assert all(table.why for table in found.tables)
    assert [0, 1, None, None, None] == [table.priority for table in found.tables]
    assert Explicit(flows=1, logged=0, packets=12) == found.tables[3].explicit
    assert Additions(flows=2, meters=2, modified=0, controller_rows=0) == found.adds


def test_table_that_cannot_be_watched_needs_attention() -> None:
    expected = ["TABLE_4 cannot be watched: its owner has 1 flow at priority 0"]
    assert expected == warnings(report())
    assert not report().well


def test_bridge_without_trouble_is_well() -> None:
    found = report(WELL)
    assert found.well
    assert "br0: all is well" == page.as_page(found).splitlines()[0]


def test_bridges_whose_lines_look_alike_are_told_to_have_prefixes() -> None:
    expected = "its lines look like those of br1: a prefix for each bridge tells them apart"
    assert expected in notes(report(WELL, bridge="{name: br0}, {name: br1}"))
    for others in ("{name: br0, prefix: A-}, {name: br1}", "{name: br0}"):
        assert expected not in notes(report(WELL, bridge=others))
    assert expected not in notes(report(WELL, "{name: br0}, {name: br1}", "format: json"))


def test_table_with_a_flow_of_ours_is_watched() -> None:
    found = report([*FLOWS, our_flow(0), our_flow(1)], at_work="77")
    assert ["watched", "watched"] == [states(found)[table] for table in (0, 1)]
    assert "process 77 is at work here" in notes(found)
    assert "program:   has added 2 flows, 2 meters" in page.as_page(found)


def test_table_that_the_running_program_does_not_watch_needs_attention() -> None:
    found = report([*FLOWS, our_flow(0)], at_work="77")
    expected = "not watched now: TABLE_1; ryu-droplog status and the program's log say why"
    assert expected in warnings(found)


def test_flow_above_an_explicit_drop_does_not_watch_what_is_missed() -> None:
    assert "would be watched" == states(report([*FLOWS, our_flow(0, slot=3)]))[0]


def test_explicit_drops_that_are_logged_are_told_apart() -> None:
    wish = "{name: br0, explicit_drops: {log: all}}"
    found = report(bridge=wish)
    assert "would be watched" == states(found)[3]
    assert (Explicit(1, 1, 12), 3) == (found.tables[3].explicit, found.adds.flows)
    assert "1 explicit drop (1 logged), 12 packets so far" in page.as_page(found)
    assert "watched" == states(report([*FLOWS, our_flow(3, slot=1)], wish))[3]


def test_explicit_drops_that_are_only_counted_are_told() -> None:
    expected = "1 explicit drop of the owner's would be counted, not logged (12 packets so far)"
    assert expected in notes(report())


def test_bridge_whose_drops_are_all_explicit_needs_attention() -> None:
    found = report([flow(0, 0, effect=FORWARDS), flow(0, 5, IP, packets=1)])
    [text] = warnings(found)
    assert text.startswith("1 explicit drop of the owner's would be counted, not logged (1 packet ")
    assert "nothing: no flow sends a packet to ovs-vswitchd" == found.costs


def test_owner_that_must_be_changed_to_be_seen_is_named() -> None:
    agent = flow(0, 65535, IP, number=5)
    wish = "{name: br0, pipeline: ovn, explicit_drops: {log: all, modify: true}}"
    found = report([agent], wish)
    assert Additions(flows=0, meters=1, modified=1, controller_rows=0) == found.adds
    assert (
        "1 drop flow of the owner's would be changed to send their packets to the program"
        in notes(found)
    )
    assert "would add 0 flows, 1 meter, an action to 1 drop flow of the owner's" in (
        page.as_page(found)
    )


def test_switch_without_meters_gets_nothing_unless_the_user_accepts_it() -> None:
    found = report(WELL, max_meter=0)
    assert {0: "cannot be watched"} == states(found)
    assert "the switch has no meters" == found.tables[0].why
    assert Additions(0, 0, 0, 0) == found.adds
    assert [text for text in warnings(found) if "nothing would be added" in text]

    found = report(WELL, more="meter: {required: false}", max_meter=0)
    assert ({0: "would be watched"}, Additions(1, 0, 0, 0)) == (states(found), found.adds)
    assert ["no meters: a flood of drops would keep ovs-vswitchd busy"] == warnings(found)
    assert found.costs.endswith("without a bound")


def test_switch_without_bundles_gets_no_miss_flow_but_a_flow_above() -> None:
    found = report(FLOWS, bundles=False)
    assert ["cannot be watched", "would be watched"] == [states(found)[table] for table in (0, 1)]
    assert "the switch has no bundles" == found.tables[0].why
    assert "no bundles: a table-miss flow cannot be added safely, and is not" in warnings(found)


def test_switch_without_flow_monitor_gets_no_flow_above() -> None:
    found = report(monitored=False)
    assert "cannot be watched" == states(found)[1]
    assert [text for text in warnings(found) if text.startswith("no flow monitor")]


@pytest.mark.parametrize(
    ("offload", "dpdk", "expected"),
    [
        (True, False, "hardware offload: a drop"),
        (False, True, "DPDK: a drop"),
        (True, True, "hardware offload and DPDK: a drop"),
    ],
)
def test_offload_and_dpdk_are_told_with_what_a_drop_costs(
    offload: bool, dpdk: bool, expected: str
) -> None:
    database = dataclasses.replace(DATABASE, offload=offload, dpdk=dpdk)
    found = report(WELL, database=database)
    assert expected in notes(found)
    assert found.well
    assert "no longer dropped in the fast path" not in notes(report(WELL))


def test_database_that_cannot_be_read_is_told() -> None:
    found = report(WELL, database=None)
    assert "the database cannot be read: offload and DPDK are not known" in notes(found)
    assert found.supports["database"] is False
    assert "datapath" not in page.as_page(found).split("supports:")[1].splitlines()[0]


def test_owner_that_contradicts_the_configuration_needs_attention() -> None:
    agent = [flow(table, 0, number=cookie.TABLE_DROP, leads=15) for table in (1, 2)]
    found = report(agent, "{name: br0, pipeline: neutron}")
    [text] = [text for text in warnings(found) if text.startswith("the configuration says")]
    assert "pipeline neutron, but the flows look like opflex-int (certain" in text
    assert [] == warnings(report(agent, "{name: br0, pipeline: opflex-int}"))


def test_configured_owner_that_does_not_show_is_told() -> None:
    found = report(WELL, "{name: br0, pipeline: neutron}")
    assert "no flow shows that the bridge is neutron's, as is configured" in notes(found)


def test_drops_that_the_opflex_agent_sends_to_its_drop_table_are_seen_there() -> None:
    agent = [flow(table, 0, number=cookie.TABLE_DROP, leads=9) for table in range(9)]
    found = report(agent)
    assert "opflex-access" == found.pipeline
    assert {"drops elsewhere": 9, "would be watched": 1} == {
        state: list(states(found).values()).count(state) for state in set(states(found).values())
    }
    assert "would be watched" == states(found)[9]


def test_leftovers_of_a_run_need_attention() -> None:
    told = flow(3, 5, IP, effect=Effect(True, controller_ids=[cookie.SIGNATURE]))
    found = report([*WELL, our_flow(0), told], our_meters=3)
    expected = [
        "1 flow and 3 meters of an earlier run are left (generation 0x000100): ryu-droplog clean"
        " (unless a program with another run_directory than /run/d is at work)",
        "1 drop flow of the owner's changed by an earlier run (controller 54279):"
        " ryu-droplog clean restores",
    ]
    assert expected == warnings(found)[:2]
    assert not [
        text for text in warnings(report(WELL, our_meters=3, at_work="7")) if "left" in text
    ]


def test_flows_of_another_run_beside_the_program_need_attention() -> None:
    found = report([*FLOWS, our_flow(0)], at_work="77", generation=0x222200)
    expected = (
        "1 flow of another run (generation 0x000100), with leases of 0 s: another ryu_droplog with"
        " another run_directory is at work, or was: what these flows take is not logged by this one"
    )
    assert expected in warnings(found)
    assert "would be watched" == states(found)[0], "not by the program that is at work here"
    assert not found.well


def test_flows_of_the_program_itself_are_not_of_another_run() -> None:
    found = report([*WELL, our_flow(0)], at_work="77", generation=0x100)
    assert not [text for text in warnings(found) if "another run" in text]
    assert "watched" == states(found)[0]


def test_program_that_lost_the_bridge_needs_attention() -> None:
    expected = "process 8 is to watch this bridge, and is not connected to it"
    assert [expected] == warnings(report(WELL, elsewhere=["8"]))


def test_packet_logging_of_neutron_hides_drops() -> None:
    log = flow(93, 53, IP, effect=Effect(True, tells=True))
    found = report([*WELL, log])
    [text] = [text for text in warnings(found) if "packet logging" in text]
    assert text == (
        "Neutron's own packet logging takes the drops of 1 port: they are not seen here"
    )


def test_controller_row_of_ours_is_counted_and_its_limit_told() -> None:
    database = dataclasses.replace(DATABASE, row_limit=100)
    found = report(WELL, "{name: br0, connect: service}", database=database)
    assert 1 == found.adds.controller_rows
    assert [
        text for text in warnings(found) if "our Controller row is limited to 100 packets" in text
    ]
    assert "the management socket" not in notes(found)
    assert "the management socket" in notes(report(WELL))


def test_disabled_program_is_told() -> None:
    assert "enable is false" in notes(report(WELL, more="drop_log_config: {enable: false}"))


def test_warnings_are_on_top_of_the_page() -> None:
    lines = page.as_page(report()).splitlines()[1:]
    marks = [line[2] for line in lines if line[2] in "!-"]
    assert sorted(marks) == marks
    assert {"!", "-"} == set(marks)


def test_many_tables_of_which_the_same_is_said_share_a_line() -> None:
    tables = [flow(0, table, ARP, leads=table) for table in range(1, 6)]
    forward = [flow(table, 0, effect=FORWARDS) for table in range(1, 6)]
    text = page.as_page(report([*tables, *forward]))
    assert "5 tables owner forwards all" in text
    assert "(1, 2, 3, 4, 5)" in text
    assert "TABLE_3" not in text


def test_more_blind_tables_than_fit_are_counted() -> None:
    lead = [flow(0, table, ARP, leads=table) for table in range(1, 9)]
    blind = [flow(table, 0, ARP, effect=FORWARDS) for table in range(1, 9)]
    found = warnings(report([*lead, *blind]))
    assert (6, "3 more tables cannot be watched: see below") == (len(found), found[-1])


def test_problem_that_is_acknowledged_needs_no_attention() -> None:
    found = report()
    problems = [finding for finding in found.findings if finding.level == "warning"]
    first = problems[0]
    assert f"  ! {first.text} [{first.problem}]" in page.as_page(found).splitlines()
    entry = Entry("the owner needs it")
    known = report(baseline=dict.fromkeys([each.problem for each in problems], entry))
    assert (False, True) == (found.well, known.well)
    lines = page.as_page(known).splitlines()
    assert "br0: all is well" == lines[0]
    assert f"  - {first.text} [acknowledged: the owner needs it]" in lines
    elsewhere = report(bridge="{name: br1}", baseline={first.problem: entry})
    assert len(problems) == sum(finding.attention for finding in elsewhere.findings)


def test_key_of_a_problem_depends_on_names_and_not_on_numbers() -> None:
    key = problem_key("br0", "TABLE_5 cannot be watched: its owner has 1 flow")
    assert key == problem_key("br0", "TABLE_5 cannot be watched: its owner has 23 flow")
    assert key != problem_key("br0", "TABLE_6 cannot be watched: its owner has 1 flow")
    assert KEY.fullmatch(key)


KEYS = {
    "": "bridge well error pipeline owner running supports socket_room identity adds costs tables"
    " findings",
    "owner": "pipeline sureness evidence",
    "supports": "openflow bundles flow_monitor meters version database protocols datapath offload"
    " dpdk controllers",
    "socket_room": "state bytes missing why",
    "adds": "flows meters modified controller_rows",
    "tables": "table_id name state why priority explicit",
    "explicit": "flows logged packets",
    "findings": "level text problem acknowledged",
}
"""The keys of docs/doctor.md."""


def test_json_has_the_keys_that_are_documented() -> None:
    told = json.loads(json.dumps(page.as_json(report(socket_room=Room(OFF)))))
    parts = {
        "": told,
        "owner": told["owner"],
        "supports": told["supports"],
        "socket_room": told["socket_room"],
        "adds": told["adds"],
        "tables": told["tables"][0],
        "explicit": told["tables"][0]["explicit"],
        "findings": told["findings"][0],
    }
    assert {name: set(keys.split()) for name, keys in KEYS.items()} == {
        name: set(part) for name, part in parts.items()
    }
    assert (False, "") == (told["well"], told["error"])


def test_bridge_that_could_not_be_looked_at_has_its_error_in_json() -> None:
    told = page.unseen_as_json("br0", "cannot connect")
    assert {"bridge": "br0", "well": False, "error": "cannot connect"} == told
