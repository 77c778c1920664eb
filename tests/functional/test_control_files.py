"""The OpFlex agent's control files, obeyed while the program runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from private_ovs import PrivateSwitch, send_frame

from .books import state, total
from .packets import IPV4, ethernet, ipv4, syn, tcp, udp
from .program import OURS, Program, add_flows, eventually, our_flows, our_meters, watched
from .reloads import config, flows, untouched

pytestmark = pytest.mark.ovs

BRIDGE = "br-control"
BOTH = [0, 1]
"""The tables that lose packets; table 1 has a catch-all drop of its owner's."""
ON = {"drop-log-enable": True}
FLOW_BASED = {**ON, "drop-log-mode": "flow-based"}
WEB = {
    "uuid": "web",
    "inner-dst-ip-address": "10.2.0.195",
    "inner-dst-port": 80,
    "inner-ip-proto": 6,
}
FROM = {"uuid": "from", "inner-src-ip-address": "10.2.0.229", "inner-ip-proto": 17}
OVERLAPS = {"uuid": "overlaps", "inner-src-ip-address": "10.2.0.229", "inner-ip-proto": 6}
TO_WEB = syn()
TO_DNS = ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.53", 17, udp(1024, 53)))
FROM_OTHER = ethernet(IPV4, ipv4("10.2.0.7", "10.2.0.53", 17, udp(1024, 53)))
TO_SSH = ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.195", 6, tcp(1024, 22)))
OTHER_TO_SSH = ethernet(IPV4, ipv4("10.2.0.7", "10.2.0.195", 6, tcp(1024, 22)))


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> None:
    """A bridge with a guest `one`."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    add_flows(switch, BRIDGE, "priority=5,icmp,actions=goto_table:1")
    add_flows(switch, BRIDGE, "table=1,priority=0,actions=drop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of the control files; empty."""
    return tmp_path


@pytest.fixture
def program(switch: PrivateSwitch, folder: Path) -> Iterator[Program]:
    """The program, which has seen the directory."""
    obeyed = {"droplog_directory": str(folder)}
    with Program(switch, config(bridges=[{"name": BRIDGE}], opflex=obeyed)) as started:
        assert 1 == eventually(1, lambda: started.times("nothing is added to any switch"))
        yield started
        assert 0 == started.end()
    assert not watched(switch, BRIDGE) + our_meters(switch, BRIDGE)
    assert "Traceback" not in started.said()


def put(path: Path, content: dict[str, Any] | str) -> None:
    """Write a control file, in one step."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(content if isinstance(content, str) else json.dumps(content))
    os.replace(new, path)


def stands(switch: PrivateSwitch, *tables: int) -> None:
    assert list(tables) == eventually(list(tables), lambda: watched(switch, BRIDGE))


def send(*frames: bytes) -> None:
    for frame in frames:
        send_frame("one", "eth0", frame)


def ports(program: Program) -> list[str]:
    """Protocol, source and destination port of each line."""
    found = (re.search(r"SRC=(\S+) .* PROTO=(\S+) .*DPT=(\d+)", one) for one in program.lines())
    return [" ".join(match.groups()) for match in found if match]


def matches(switch: PrivateSwitch, table: int) -> list[str]:
    """What our flows of a table match, without the bit that makes a match ours; sorted."""
    found = []
    for flow in switch.flows(BRIDGE, f"{OURS},table={table}"):
        match = re.search(r"priority=\d+,?(\S*) actions", flow)
        assert match
        fields = [each for each in match[1].split(",") if each and not each.startswith("reg15")]
        found.append(",".join(sorted(fields)))
    return sorted(found)


def packets(switch: PrivateSwitch) -> int:
    """What our flows have counted."""
    return sum(flow.packets for flow in flows(switch, BRIDGE).values())


def test_file_that_comes_changes_and_goes_switches_on_and_off(
    switch: PrivateSwitch, program: Program, folder: Path
) -> None:
    assert not our_flows(switch, BRIDGE)
    assert f"{folder} has no *.droplogcfg: nothing is added to any switch" in program.said()
    put(folder / "a.droplogcfg", ON)
    stands(switch, *BOTH)
    send(TO_WEB)
    assert 1 == eventually(1, lambda: len(program.lines()))
    put(folder / "a.droplogcfg", {"drop-log-enable": False})
    stands(switch)
    assert "a.droplogcfg: drop-log-enable is false: nothing" in program.said()
    put(folder / "a.droplogcfg", ON)
    stands(switch, *BOTH)
    (folder / "a.droplogcfg").unlink()
    stands(switch)
    assert 2 == eventually(2, lambda: program.times("has no *.droplogcfg: nothing is added"))


def test_filter_in_the_file_leaves_drops_out(
    switch: PrivateSwitch, program: Program, folder: Path
) -> None:
    put(folder / "a.droplogcfg", ON)
    stands(switch, *BOTH)
    before = flows(switch, BRIDGE)
    pruning = {"to-web": {"dip": "10.2.0.195", "ip_proto": 6, "dport": 80}}
    put(folder / "a.droplogcfg", {**ON, "drop-log-pruning": pruning})
    assert 2 == eventually(2, lambda: program.times("read again"))
    send(TO_WEB, TO_SSH, TO_WEB)
    assert {"to-web": 2} == eventually({"to-web": 2}, lambda: state(program, BRIDGE)["pruned_by"])
    assert ["10.2.0.229 TCP 22"] == eventually(["10.2.0.229 TCP 22"], lambda: ports(program))
    book = total(program, BRIDGE)
    assert (3, 2, 1) == (book["received"], book["pruned"], book["logged"])
    assert untouched(switch, BRIDGE, before)


def test_flow_files_have_the_switch_choose(
    switch: PrivateSwitch, program: Program, folder: Path
) -> None:
    put(folder / "a.droplogcfg", FLOW_BASED)
    reason = f"drop-log-mode is flow-based, and {folder} has no *.dropflowcfg"
    assert True is eventually(
        True, lambda: "read again" in program.said() or reason in program.said()
    )
    assert not our_flows(switch, BRIDGE)
    put(folder / "a.dropflowcfg", WEB)
    web = "nw_dst=10.2.0.195,tcp,tp_dst=80"
    stands(switch, *BOTH)
    assert ([web], [web]) == (matches(switch, 0), matches(switch, 1))
    send(TO_DNS, TO_SSH, TO_WEB)
    assert ["10.2.0.229 TCP 80"] == eventually(["10.2.0.229 TCP 80"], lambda: ports(program))
    assert 1 == eventually(1, lambda: packets(switch))
    book = total(program, BRIDGE)
    assert (1, 1, 0) == (book["received"], book["logged"], book["pruned"])
    before = flows(switch, BRIDGE)

    put(folder / "b.dropflowcfg", FROM)
    dns = "nw_src=10.2.0.229,udp"
    both = sorted([web, dns])
    assert (both, both) == eventually(
        (both, both), lambda: (matches(switch, 0), matches(switch, 1))
    )
    after = flows(switch, BRIDGE)
    assert before.keys() < after.keys(), "the flows that stay are not touched"
    assert all(after[cookie].duration > flow.duration for cookie, flow in before.items())
    send(TO_DNS, FROM_OTHER, TO_SSH, TO_WEB)
    expected = ["10.2.0.229 TCP 80", "10.2.0.229 UDP 53", "10.2.0.229 TCP 80"]
    assert expected == eventually(expected, lambda: ports(program))
    assert all(" MISS  SMAC" in line for line in program.lines())
    assert 3 == total(program, BRIDGE)["received"]

    (folder / "b.dropflowcfg").unlink()
    assert ([web], [web]) == eventually(
        ([web], [web]), lambda: (matches(switch, 0), matches(switch, 1))
    )
    assert untouched(switch, BRIDGE, before)
    (folder / "a.dropflowcfg").unlink()
    stands(switch)


def test_flow_files_that_overlap_log_both_kinds_and_leave_out_the_rest(
    switch: PrivateSwitch, program: Program, folder: Path
) -> None:
    put(folder / "a.droplogcfg", FLOW_BASED)
    put(folder / "a.dropflowcfg", WEB)
    put(folder / "b.dropflowcfg", OVERLAPS)
    stands(switch, *BOTH)
    assert ["tcp"] == eventually(["tcp"], lambda: matches(switch, 0))
    other_web = ethernet(IPV4, ipv4("10.2.0.7", "10.2.0.195", 6, tcp(1024, 80)))
    send(TO_SSH, other_web, OTHER_TO_SSH, TO_DNS, TO_WEB)
    expected = ["10.2.0.229 TCP 22", "10.2.0.7 TCP 80", "10.2.0.229 TCP 80"]
    assert expected == eventually(expected, lambda: ports(program))
    book = total(program, BRIDGE)
    assert (4, 3, 1) == (book["received"], book["logged"], book["pruned"])
    assert {"drop-log-mode flow-based": 1} == state(program, BRIDGE)["pruned_by"]


def test_wrong_file_is_refused_by_its_name_and_what_was_good_stays(
    switch: PrivateSwitch, program: Program, folder: Path
) -> None:
    put(folder / ".a.droplogcfg", {"drop-log-enable": "dotted"})
    put(folder / "a.droplogcfg", FLOW_BASED)
    put(folder / "a.dropflowcfg", WEB)
    stands(switch, *BOTH)
    before = flows(switch, BRIDGE)
    for name, content, reason in (
        ("a.droplogcfg", '{"drop-log-enable": tru', "not JSON"),
        ("a.droplogcfg", '{"drop-log-enable": "maybe"}', "drop-log-enable"),
        ("a.dropflowcfg", '{"inner-dst-port": 80}', "uuid: missing"),
        ("b.dropflowcfg", '{"uuid": "b", "inner-dst-port": 65536}', "inner-dst-port: got 65536"),
    ):
        put(folder / name, content)
        line = f"WARNING {folder}/{name}: refused: {reason}"
        assert 1 == eventually(1, lambda line=line: program.times(line)), program.said()
    send(TO_WEB, TO_DNS)
    assert ["10.2.0.229 TCP 80"] == eventually(["10.2.0.229 TCP 80"], lambda: ports(program))
    assert untouched(switch, BRIDGE, before)
    assert 4 == program.times(": refused: ")
    assert "dotted" not in program.said()
    assert ".a.droplogcfg" not in program.said()


def test_tenants_asked_for_are_in_the_lines(
    switch: PrivateSwitch, program: Program, folder: Path
) -> None:
    put(folder / "a.droplogcfg", ON)
    stands(switch, *BOTH)
    send(TO_WEB)
    assert 1 == eventually(1, lambda: len(program.lines()))
    assert "TID=" not in program.lines()[0]
    put(folder / "a.droplogcfg", {**ON, "drop-log-print-tenant": True})
    assert 2 == eventually(2, lambda: program.times("read again"))
    send(TO_WEB)
    assert 2 == eventually(2, lambda: len(program.lines()))
    assert " STID=N/A DTID=N/A" in program.lines()[1]
