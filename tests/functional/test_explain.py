"""`ryu-droplog explain` on a switch: what it says of drops that the program has logged."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from checkout import ROOT
from private_ovs import PrivateSwitch, send_frame

from .packets import IPV4, ethernet, ipv4, tcp
from .program import BIN, Program, add_flows, eventually, foreign_flows, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-why"
FLOWS = (
    "table=0,priority=10,in_port=wa,vlan_tci=0,actions=set_field:0x7->reg5,resubmit(,10)",
    "table=0,priority=9,in_port=wb,dl_vlan=101,actions=strip_vlan,set_field:0x9->reg5,resubmit(,10)",
    "table=0,priority=0,actions=drop",
    "table=10,priority=5,ip,actions=ct(table=20,zone=NXM_NX_REG5[0..15])",
    "table=20,priority=50,tcp,tp_dst=443,actions=output:wb",
    "table=20,priority=50,tcp,reg5=0x8,tp_dst=443,actions=output:wb",
    "table=20,priority=40,udp,tp_dst=53,actions=output:wb",
    "table=20,priority=60,ct_state=+est,ip,actions=output:wb",
    "table=20,priority=70,conj_id=15,ip,actions=output:wb",
    "table=20,priority=70,tcp,tp_dst=80,actions=conjunction(15,2/2)",
    "table=20,priority=70,ip,nw_src=10.9.0.0/16,actions=conjunction(15,1/2)",
    "table=20,priority=0,actions=drop",
)
CONFIG = """\
bridges: [{name: br-why}]
prune: {defaults: false}
sinks:
  - {type: file, name: records, path: "%(folder)s/records", encode: native}
  - {type: file, name: ecs, path: "%(folder)s/ecs", encode: ecs}
  - {type: file, name: json, path: "%(folder)s/json", encode: json}
  - {type: file, name: extended, path: "%(folder)s/extended", encode: extended}
  - {type: file, name: opflex, path: "%(folder)s/opflex", encode: opflex}
"""


class Scene(NamedTuple):
    """A switch where packets were dropped, and the files of the program that logged them."""

    switch: PrivateSwitch
    program: Program

    def explain(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command, about a drop in `text`, or one of the running program."""
        command = (str(BIN / "ryu-droplog"), "explain", "--config", str(self.program.config))
        return subprocess.run(
            (*command, *arguments, *(["-"] if text is not None else [])),
            env=self.program.env,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def data(self, line: str) -> dict[str, Any]:
        """What it says of a drop, as data."""
        done = self.explain("--output", "json", text=line)
        assert "" == done.stderr
        data: dict[str, Any] = json.loads(done.stdout)
        return data

    def line(self, kind: str, port: int) -> str:
        """What a sink has written of the packet with this source port."""
        path = self.switch.folder / kind
        wanted = {f'"source_port":{port}', f'"sport":{port}', f"SPT={port}"}

        def found() -> list[str]:
            lines = path.read_text().splitlines() if path.exists() else []
            return [line for line in lines if any(mark in line for mark in wanted)]

        eventually(True, lambda: bool(found()))
        return found()[0]


@pytest.fixture(scope="module")
def scene(switch: PrivateSwitch) -> Iterator[Scene]:
    """Two guests; one packet of each is dropped in table 20, behind connection tracking."""
    switch.add_bridge(BRIDGE)
    switch.guest("wa", BRIDGE)
    switch.guest("wb", BRIDGE)
    switch.ofctl("add-meter", BRIDGE, "meter=3,pktps,burst,bands=type=drop,rate=9,burst_size=5")
    switch.ofctl("add-group", BRIDGE, "group_id=7,type=all,bucket=output:wa,bucket=output:wb")
    add_flows(switch, BRIDGE, *FLOWS)
    with Program(switch, CONFIG % {"folder": switch.folder}) as program:
        assert 20 in eventually([0, 10, 20], lambda: watched(switch, BRIDGE))
        send_frame("wa", "eth0", packet(1111))
        send_frame("wb", "eth0", tagged(packet(2222), 101))
        yield Scene(switch, program)


def packet(port: int) -> bytes:
    """A SYN from this port to port 80; its checksum is wrong, which connection tracking notes."""
    return ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(port, 80)))


def tagged(frame: bytes, vid: int) -> bytes:
    """The frame with an 802.1Q tag."""
    return frame[:12] + bytes.fromhex("8100") + vid.to_bytes(2, "big") + frame[12:]


def test_record_is_explained_from_what_was_recorded(scene: Scene) -> None:
    """The way leads to the same table with the same registers; the nearest flow is named first."""
    before = foreign_flows(scene.switch, BRIDGE)
    said = scene.data(scene.line("records", 1111))
    assert ("measured", "measured") == (said["drop_is"], said["nearest_is"])
    way = said["way"]
    assert ("same", False, [], False) == (
        way["agreement"],
        way["from_table"],
        way["inferred"],
        way["lets_through"],
    )
    assert [0, 10, 20] == [step["table"] for step in way["steps"]]
    assert [False, False, True] == [step["ours"] for step in way["steps"]]
    assert (0, "", True) == tuple(said["taken_by"][key] for key in ("priority", "match", "drops"))
    fitting, first = said["nearest"][0], said["nearest"][1]
    assert ("tcp,tp_dst=80", ["condition 2 of 2 of conjunction 15"], []) == (
        fitting["match"],
        fitting["conjunctions"],
        fitting["differences"],
    )
    assert first["differences"] in (
        [{"field": "tp_dst", "wanted": "443", "found": "80", "text": "destination port is 80"}],
        [
            {
                "field": "nw_src",
                "wanted": "10.9.0.0/16",
                "found": said["drop"]["source"]["ip"],
                "text": f"source address is {said['drop']['source']['ip']}",
            }
        ],
    )
    assert [] == said["not_known"]
    assert before == foreign_flows(scene.switch, BRIDGE)


def test_ecs_is_explained_as_native_is(scene: Scene) -> None:
    native, ecs = (scene.data(scene.line(kind, 1111)) for kind in ("records", "ecs"))
    for said in (native, ecs):
        said["drop"]["observed_time"] = ""
    assert native == ecs


def test_tag_that_the_bridge_took_off_is_found_again(scene: Scene) -> None:
    """The recorded packet has none; with VLAN 101 it gets to the same registers."""
    way = scene.data(scene.line("records", 2222))["way"]
    assert ("same", False) == (way["agreement"], way["from_table"])
    assert [
        "it came in with VLAN 101: so it gets to the same table with the same registers"
    ] == way["inferred"]
    assert "in_port=2,dl_vlan=101" == way["steps"][0]["match"]


def test_packet_that_goes_another_way_now_is_shown_from_its_table_on(scene: Scene) -> None:
    record = json.loads(scene.line("records", 1111))
    record["context"]["registers"]["reg5"] = 8
    record["port"]["number"] = 77
    said = scene.data(json.dumps(record))
    assert True is said["way"]["from_table"]
    assert [20] == [step["table"] for step in said["way"]["steps"]]
    assert ["destination port is 80"] == [
        difference["text"]
        for near in said["nearest"]
        if "reg5" in near["match"]
        for difference in near["differences"]
    ]


@pytest.mark.parametrize("kind", ["json", "extended", "opflex"])
def test_line_is_explained_and_said_to_be_inferred(scene: Scene, kind: str) -> None:
    said = scene.explain("--bridge", BRIDGE, text=scene.line(kind, 1111))
    assert "TCP SYN" in said.stdout.splitlines()[0]
    assert "(inferred)" in said.stdout.splitlines()[0]
    assert "inferred: the packet is rebuilt from the line" in said.stdout
    if kind == "opflex":
        assert "not known  the way: the port where the packet came in is not known" in said.stdout
        assert "reg5 is not known" in said.stdout
    else:
        assert "it leads to the same table" in said.stdout
        assert "priority 50, tcp,tp_dst=443: destination port is 80" in said.stdout


def test_packet_that_would_pass_now_is_said_to_pass(scene: Scene) -> None:
    line = scene.line("records", 1111)
    flow = "table=20,priority=90,tcp,tp_dst=80,actions=output:wb"
    add_flows(scene.switch, BRIDGE, flow)
    try:
        said = scene.explain(text=line)
    finally:
        scene.switch.ofctl("--strict", "del-flows", BRIDGE, "table=20,priority=90,tcp,tp_dst=80")
    assert "it would be let through now (measured by the trace)" in said.stdout


def test_long_has_the_whole_trace(scene: Scene) -> None:
    line = scene.line("records", 1111)
    assert "Datapath actions: " not in scene.explain(text=line).stdout
    assert "Datapath actions: " in scene.explain("--long", text=line).stdout


def test_hostile_names_do_not_reach_the_terminal(scene: Scene) -> None:
    record = json.loads(scene.line("records", 1111))
    hostile = "\x1b[2J\u202e\nmeasured"
    record["node"] = record["cause"] = hostile
    record["table"]["name"] = record["port"]["name"] = hostile
    record["owner"] = {"port": hostile, "why": hostile}
    record["rule"] = {"name": hostile, "names": {"stage": hostile}}
    clean = len(scene.explain(text=scene.line("records", 1111)).stdout.splitlines())
    for arguments in ((), ("--output", "json")):
        said = scene.explain(*arguments, text=json.dumps(record)).stdout
        assert "\x1b" not in said
        assert "\u202e" not in said
    done = scene.explain(text=json.dumps(record))
    assert "" == done.stderr
    said = done.stdout
    assert not [line for line in said.splitlines() if line.startswith("measured")]
    assert len(said.splitlines()) == clean + 3  # cause, why, rule


def test_last_drop_of_the_running_program_that_fits_is_explained(scene: Scene) -> None:
    send_frame("wa", "eth0", packet(4444))
    recorded = json.loads(scene.line("records", 4444))
    done = scene.explain("-o", "json", "--bridge", BRIDGE, "--from-port", "4444")
    assert "" == done.stderr
    said = json.loads(done.stdout)
    assert ("measured", recorded["time"]) == (said["drop_is"], said["drop"]["time"])
    other = scene.explain("-o", "json", "--protocol", "tcp", "--not", "--from-port", "4444")
    assert json.loads(other.stdout)["drop"]["source"]["port"] in (1111, 2222)
    done = scene.explain("--to-port", "81")
    assert (3, "") == (done.returncode, done.stdout)
    assert "ryu-droplog: the running program remembers no drop that fits\n" == done.stderr
    assert 3 == scene.explain("--bridge", "br-other").returncode
    done = scene.explain("--fix", FIX, "-o", "json", "--from-port", "4444")
    fix = json.loads(done.stdout)["fix"]
    assert True in [one["lets_through"] for one in fix["others"]]


def test_last_drop_of_a_file_that_fits_is_explained(scene: Scene) -> None:
    text = "\n".join(scene.line("records", port) for port in (1111, 2222))
    said = json.loads(scene.explain("-o", "json", "--port", "1111", text=text).stdout)
    assert 1111 == said["drop"]["source"]["port"]
    none = scene.explain("--port", "3333", text=text)
    assert (2, "ryu-droplog: -: no drop in it fits\n") == (none.returncode, none.stderr)
    both = scene.explain("--line", text, "--port", "1111")
    assert 2 == both.returncode
    assert "expected neither FILE nor filters" in both.stderr


@pytest.mark.parametrize("text", ["", "{}", "nothing", '{"table": 1}', "[1]", "{" * 3000])
def test_what_is_no_drop_is_refused_in_one_line(scene: Scene, text: str) -> None:
    done = scene.explain(text=text)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr


def test_switch_that_is_away_is_said(scene: Scene) -> None:
    record = json.loads(scene.line("records", 1111))
    record["bridge"] = "br-gone"
    done = scene.explain(text=json.dumps(record))
    assert 1 == done.returncode
    assert "not known  the bridge: " in done.stdout


def test_bridge_of_ten_thousand_flows_is_explained_in_seconds(scene: Scene) -> None:
    """The command as a whole, with the start of Python; the best of three."""
    line = scene.line("records", 1111)
    path = scene.switch.folder / "many"
    path.write_text(
        "".join(
            f"table=20,priority=30,tcp,nw_src=10.{n >> 8}.{n & 255}.1,tp_dst=22,actions=2\n"
            for n in range(10_000)
        )
    )
    scene.switch.ofctl("--bundle", "add-flows", BRIDGE, str(path))
    times = []
    try:
        for _ in range(3):
            began = time.monotonic()
            done = scene.explain(text=line)
            times.append(time.monotonic() - began)
            assert 0 == done.returncode
    finally:
        scene.switch.ofctl("del-flows", BRIDGE, "table=20,tcp,tp_dst=22")
    print(f"explain beside 10,000 flows: {min(times):.2f} s")
    assert min(times) < 6.0  # a second, where nothing else runs


def test_documented_example_is_what_it_says(scene: Scene) -> None:
    """docs/explain.md shows this very drop."""
    said = scene.explain(text=scene.line("records", 1111)).stdout
    document = (ROOT / "docs" / "explain.md").read_text()
    example = document.partition("```\npacket")[2].partition("```")[0]
    times = re.compile(r"dropped  \S+ on")
    assert times.sub("dropped", said).rstrip() == times.sub("dropped", f"packet{example}").rstrip()


FIX = "table=20,priority=80,tcp,tp_dst=80,actions=meter:3,group:7"


def left_behind() -> tuple[list[str], list[str]]:
    """Folders of copies, and daemons that run in them."""
    folders = [str(path) for path in Path(tempfile.gettempdir()).glob("ryu-droplog-trial-*")]
    daemons = [
        path.name
        for path in Path("/proc").glob("[0-9]*")
        if b"ryu-droplog-trial-" in read_quietly(path / "cmdline")
    ]
    return folders, daemons


def read_quietly(path: Path) -> bytes:
    """What is in it; nothing where its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_flow_is_tried_in_a_copy_and_the_bridge_stays_as_it_was(scene: Scene) -> None:
    """It lets the packet through, and another drop, too; a third it does not."""
    scene.line("records", 1111), scene.line("records", 2222)
    other = json.loads(scene.line("records", 2222))
    other["packet"]["tcp"]["destination_port"] = 81
    frame = bytearray(base64.b64decode(other["frame"]["data"]))
    frame[37] = 81
    other["frame"]["data"] = base64.b64encode(frame).decode()
    text = "\n".join((json.dumps(other), scene.line("records", 2222), scene.line("records", 1111)))
    before = foreign_flows(scene.switch, BRIDGE)
    began = time.monotonic()
    done = scene.explain("--fix", FIX, "-o", "json", text=text)
    took = time.monotonic() - began
    assert (0, "") == (done.returncode, done.stderr)
    fix = json.loads(done.stdout)["fix"]
    assert (True, False, []) == (fix["lets_through"], fix["without_it"], fix["not_tried"])
    assert [False, True] == [one["lets_through"] for one in fix["others"]]
    assert before == foreign_flows(scene.switch, BRIDGE)
    assert ([], []) == left_behind()
    print(f"explain --fix: {took:.2f} s")
    assert took < 3.0


def test_flow_that_does_not_help_is_said(scene: Scene) -> None:
    line = scene.line("records", 1111)
    done = scene.explain("--fix", FIX.replace("tp_dst=80", "tp_dst=81"), text=line)
    assert 1 == done.returncode
    assert "does NOT let the packet through (measured)" in done.stdout


@pytest.mark.parametrize("flow", ["nonsense", "--help", "actions=output:2,frob", "table=20\nx"])
def test_what_is_no_flow_is_refused(scene: Scene, flow: str) -> None:
    done = scene.explain(f"--fix={flow}", text=scene.line("records", 1111))
    assert 2 == done.returncode
    assert done.stderr.startswith("ryu-droplog: ovs-ofctl: ")
    assert ([], []) == left_behind()
