"""`ryu-droplog doctor` beside a real switch: what it says, and that it changes nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from private_ovs import DATAPATH, SLOWNESS, PrivateSwitch

from .held_line import HeldLine
from .program import BIN, Program, add_flows, eventually, our_flows

pytestmark = pytest.mark.ovs

BRIDGE = "br-doctor"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]\nrun_directory: {{folder}}/locks\n"


@pytest.fixture(scope="module")
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    switch.add_bridge(BRIDGE)
    add_flows(
        switch,
        BRIDGE,
        "table=0,priority=9,arp,actions=NORMAL",
        "table=0,priority=5,ip,actions=goto_table:4",
        "table=4,priority=7,udp,actions=drop",
        "table=4,priority=1,tcp,actions=goto_table:5",
        "table=5,priority=0,ip,actions=NORMAL",
    )
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def doctor(
    switch: PrivateSwitch, *arguments: str, config: str = CONFIG
) -> subprocess.CompletedProcess[str]:
    """Run it; `config` has `{folder}` for the switch's folder."""
    file = switch.folder / "doctor.yaml"
    file.write_text(config.replace("{folder}", str(switch.folder)))
    command = (str(BIN / "ryu-droplog"), "doctor", "--config", str(file), *arguments)
    patience = 30 * SLOWNESS
    return subprocess.run(command, env=switch.env, capture_output=True, text=True, timeout=patience)


def report(switch: PrivateSwitch, config: str = CONFIG) -> dict[str, Any]:
    [found] = json.loads(doctor(switch, "--json", config=config).stdout)
    assert isinstance(found, dict)
    return found


TABLES = (
    "Open_vSwitch Bridge Port Interface Controller Manager Flow_Table QoS Queue Mirror NetFlow"
    " sFlow IPFIX SSL Flow_Sample_Collector_Set AutoAttach"
)
"""All that people configure in the database of Open vSwitch."""


def all_of(switch: PrivateSwitch, bridge: str = BRIDGE) -> tuple[list[str], str, list[str]]:
    """Everything that might have changed: flows, meters, the database but for its statistics."""
    rows = "".join(switch.vsctl("list", table) for table in TABLES.split())
    return (
        switch.flows(bridge),
        switch.ofctl("dump-meters", bridge).partition("\n")[2],
        [line for line in rows.splitlines() if not line.startswith("statistics")],
    )


def test_page_tells_each_table_and_changes_nothing(switch: PrivateSwitch, bridge: str) -> None:
    before = all_of(switch)
    done = doctor(switch)
    assert 1 == done.returncode, done.stderr
    states = {t["table_id"]: t["state"] for t in report(switch)["tables"]}
    assert {0: "would be watched", 4: "would be watched", 5: "cannot be watched"} == states
    assert "1 thing to look at" in done.stdout
    assert "! TABLE_5 cannot be watched: its owner has 1 flow at priority 0" in done.stdout
    assert "1 explicit drop of the owner's would be counted" in done.stdout
    assert "would add 2 flows, 2 meters" in done.stdout
    assert before == all_of(switch)


def test_problem_that_is_acknowledged_is_well_until_its_date(
    switch: PrivateSwitch, bridge: str, tmp_path: Path
) -> None:
    [found] = [f for f in report(switch)["findings"] if f["level"] == "warning"]
    baseline, config = tmp_path / "baseline.yaml", tmp_path / "droplog.yaml"
    config.write_text(f"bridges: [{{name: {BRIDGE}}}]\nbaseline: {baseline}\n")
    command = str(BIN / "ryu-droplog")

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (command, words[0], "--config", str(config), *words[1:]),
            capture_output=True,
            text=True,
            timeout=120,
            env=switch.env,
            check=False,
        )

    assert f"  ! {found['text']} [{found['problem']}]" in ask("doctor").stdout.splitlines()
    until = ("--until", "2999-12-31")
    assert 0 == ask("ack", found["problem"], "--reason", "it needs it", *until).returncode
    page = ask("doctor")
    assert f"  - {found['text']} [acknowledged: it needs it]" in page.stdout.splitlines()
    assert 0 == page.returncode, page.stdout
    baseline.write_text(baseline.read_text().replace("2999", "2020"))
    assert 1 == ask("doctor").returncode


def test_running_program_is_seen_and_what_it_watches(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"bridges: [{{name: {BRIDGE}}}]") as program:
        assert 2 == eventually(2, lambda: len(our_flows(switch, BRIDGE)))
        before = all_of(switch)
        found = report(switch)
        assert str(program.process.pid) == found["running"]
        assert ["watched", "watched"] == [t["state"] for t in found["tables"][:2]]
        assert before == all_of(switch)
        program.kill_with_its_will()
    found = report(switch)
    assert "" == found["running"]
    assert any("of an earlier run are left" in f["text"] for f in found["findings"])
    subprocess.run(
        (BIN / "ryu-droplog", "clean", "--config", switch.folder / "doctor.yaml"),
        env=switch.env,
        check=True,
        capture_output=True,
    )
    assert not any("earlier run" in f["text"] for f in report(switch)["findings"])


def test_all_is_well_where_everything_can_be_seen(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-well")
    add_flows(switch, "br-well", "table=0,priority=9,arp,actions=NORMAL")
    done = doctor(switch, "--bridge", "br-well")
    assert (0, "br-well: all is well") == (done.returncode, done.stdout.splitlines()[0])
    switch.vsctl("del-br", "br-well")


def test_owner_other_than_configured_is_a_warning(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-agent")
    for table in (1, 2):
        flow = f"cookie=0x4000000000000000,table={table},priority=0,actions=goto_table:15"
        add_flows(switch, "br-agent", flow)
    config = "bridges: [{name: br-agent, pipeline: neutron}]"
    done = doctor(switch, config=config)
    assert "the configuration says pipeline neutron, but the flows look like opflex-int" in (
        done.stdout
    )
    assert 1 == done.returncode
    switch.vsctl("del-br", "br-agent")


def test_bridge_that_is_not_there_has_a_status_of_its_own(switch: PrivateSwitch) -> None:
    done = doctor(switch, "--bridge", "br-nowhere")
    assert (3, "") == (done.returncode, done.stdout)
    assert "br-nowhere: cannot connect to" in done.stderr


def test_bridge_that_is_not_there_hides_no_other(switch: PrivateSwitch, bridge: str) -> None:
    config = f"bridges: [{{name: br-nowhere}}, {{name: {BRIDGE}}}]"
    done = doctor(switch, "--json", config=config)
    missing, found = json.loads(done.stdout)
    assert 1 == done.returncode
    assert ("br-nowhere", False) == (missing["bridge"], missing["well"])
    assert "cannot connect to" in missing["error"]
    assert (BRIDGE, "") == (found["bridge"], found["error"])


def test_configuration_that_names_no_bridge_leaves_nothing_to_look_at(
    switch: PrivateSwitch,
) -> None:
    config = 'bridges: [{name: "*"}]\nlisten: "127.0.0.1:6653"'
    done = doctor(switch, "--json", config=config)
    assert (3, []) == (done.returncode, json.loads(done.stdout))
    assert "no bridge is named" in done.stderr


def without_meters(message: bytes) -> bytes:
    """OFPMP_METER_FEATURES (11) says that there can be none (OpenFlow 1.3.5 section 7.3.5.12)."""
    if message[1] == 19 and message[8:10] == bytes((0, 11)):
        return message[:16] + bytes(len(message) - 16)
    return message


def test_switch_without_meters_is_told_with_what_follows(
    switch: PrivateSwitch, bridge: str
) -> None:
    line = switch.folder / "no-meters.mgmt"
    config = f'bridges: [{{name: {BRIDGE}, connect: "unix:{line}"}}]'
    for more, adds in (("", 0), ("\nmeter: {required: false}", 2)):
        before = all_of(switch)
        with HeldLine(line, switch.rundir / f"{BRIDGE}.mgmt", answer=without_meters):
            done = doctor(switch, "--json", config=config + more)
        [found] = json.loads(done.stdout)
        assert (1, adds) == (done.returncode, found["adds"]["flows"]), found
        assert (0, 0) == (found["supports"]["meters"], found["adds"]["meters"])
        assert any("no meters" in f["text"] for f in found["findings"])
        assert before == all_of(switch)


def test_controller_row_is_announced_and_not_written(switch: PrivateSwitch, bridge: str) -> None:
    before = all_of(switch)
    done = doctor(switch, config=f"bridges: [{{name: {BRIDGE}, connect: service}}]")
    assert "would add 2 flows, 2 meters, one Controller row of type=service" in done.stdout
    assert before == all_of(switch)


@pytest.mark.datapath
def test_controllers_and_versions_of_the_bridge_are_told(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-held", protocols=("OpenFlow10", "OpenFlow13"))
    switch.vsctl("set-controller", "br-held", "tcp:127.0.0.1:1")
    [found] = json.loads(doctor(switch, "--bridge", "br-held", "--json").stdout)
    supports = found["supports"]
    assert ["OpenFlow10", "OpenFlow13"] == supports["protocols"]
    assert (["tcp:127.0.0.1:1"], DATAPATH, "1.3") == (
        supports["controllers"],
        supports["datapath"],
        supports["openflow"],
    )
    assert f"ovs-vswitchd (Open vSwitch) {supports['version']}\n" in switch.appctl("version")
    switch.vsctl("del-br", "br-held")


def test_bridge_that_refuses_openflow_13_says_what_it_speaks(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-old", protocols=("OpenFlow10",))
    done = doctor(switch, "--bridge", "br-old")
    assert 3 == done.returncode
    assert "does not speak OpenFlow 1.3, but 1.0" in done.stderr
    switch.vsctl("del-br", "br-old")


def test_offload_and_dpdk_are_read_from_the_database(switch: PrivateSwitch, bridge: str) -> None:
    """The last one of the module: ovs-vswitchd keeps offload until it restarts."""
    switch.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:hw-offload=true")
    try:
        found = report(switch)
        assert (True, False) == (found["supports"]["offload"], found["supports"]["dpdk"])
        assert any(f["text"].startswith("hardware offload: a drop") for f in found["findings"])
    finally:
        switch.vsctl("--no-wait", "remove", "Open_vSwitch", ".", "other_config", "hw-offload")
    assert report(switch)["supports"]["offload"] is False


def test_wrong_configuration_has_the_status_of_usage(switch: PrivateSwitch) -> None:
    assert 2 == doctor(switch, config="bridge: []").returncode


def test_bridge_over_tcp_is_examined_without_its_database(switch: PrivateSwitch) -> None:
    switch.add_bridge("br-tcp")
    switch.vsctl("set-controller", "br-tcp", "ptcp:16653:127.0.0.1")
    config = 'bridges: [{name: br-tcp, connect: "tcp:127.0.0.1:16653"}]'
    assert 0 == eventually(0, lambda: doctor(switch, config=config).returncode)
    assert "offload and DPDK are not known" in doctor(switch, config=config).stdout
    switch.vsctl("del-br", "br-tcp")
