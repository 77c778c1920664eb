"""A southbound database that keeps, breaks or fools whoever asks it, beside a real switch."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn  # isort: skip  where the helpers of the unit tests become importable
from hostile import NAMES, check, check_fields
from odd_database import HOSTILE, OddDatabase, tables

from .program import BIN, Program, add_flows, eventually, our_flows

pytestmark = pytest.mark.ovs

BRIDGE = "br-hostile"
UUID = "deadbeef-0000-4000-8000-000000000001"
CONFIG = f"format: extended\nbridges: [{{name: {BRIDGE}, pipeline: ovn, explicit_drops: log}}]"
END_TIME = 10.0
"""Seconds that an end may take: a few, whatever the database does."""
KEEP = (
    "a byte a second",
    "an object, a byte a second",
    "endless spaces",
    "endless closing brackets",
    "endless objects",
    "endless brackets in one",
    "200,000 levels",
    "an endless text",
    "nothing",
)
FORGED = NAMES["a whole line"] + NAMES["clear screen"] + NAMES["fields behind a quote"]


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> None:
    """A bridge on which a flow of OVN's drops what goes to port 80, in table 16."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    add_flows(
        switch,
        BRIDGE,
        "table=0,priority=9,actions=load:7->OXM_OF_METADATA[],resubmit(,16)",
        "cookie=0xdeadbeef,table=16,priority=2000,tcp,metadata=7,actions=drop",
        "cookie=0x1,table=16,priority=0,actions=NORMAL",
    )


@pytest.fixture
def remote(switch: PrivateSwitch) -> Iterator[Path]:
    """Where the bridge's southbound database is to be."""
    path = switch.folder / "southbound"
    switch.vsctl("set", "Open_vSwitch", ".", f"external_ids:ovn-remote=unix:{path}")
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("hub", ["native", "eventlet"])
@pytest.mark.parametrize("does", KEEP)
def test_database_that_never_ends_its_answer_keeps_no_program_from_its_end(
    switch: PrivateSwitch, remote: Path, does: str, hub: str
) -> None:
    env = {**os.environ, "OSKEN_HUB_TYPE": hub}
    with (
        OddDatabase(remote, HOSTILE[does]) as database,
        Program(switch, CONFIG, env=env) as program,
    ):
        assert True is eventually(True, lambda: database.visits > 0)
        assert 1 == eventually(1, lambda: len(our_flows(switch, BRIDGE)))
        began = time.monotonic()
        assert 0 == program.end(patience=40)
        assert time.monotonic() - began < END_TIME
        assert "Traceback" not in program.said()
    assert not our_flows(switch, BRIDGE)


def rows(name: str) -> dict[str, list[dict[str, Any]]]:
    """The southbound database's rows for the bridge's flow, all of this name."""
    acl = name.replace("\\", "\\\\").replace('"', '\\"')
    uuid = ["uuid", UUID]
    return {
        "Logical_Flow": [
            {
                "_uuid": uuid,
                "match": name,
                "actions": f'log(name="{acl}", verdict=drop); /* drop */',
                "external_ids": ["map", [["stage-name", name], ["stage-hint", name]]],
            }
        ],
        "Datapath_Binding": [
            {"_uuid": uuid, "tunnel_key": 7, "external_ids": ["map", [["name", name]]]}
        ],
        "Port_Binding": [{"_uuid": uuid, "datapath": uuid, "tunnel_key": 1, "logical_port": name}],
    }


@pytest.mark.parametrize("form", ["opflex", "extended", "json"])
def test_names_of_the_database_make_neither_lines_nor_fields_nor_colours(
    switch: PrivateSwitch, remote: Path, form: str
) -> None:
    config = CONFIG.replace("extended", form)
    named = "drops are named from OVN's southbound database"
    with OddDatabase(remote, tables(rows(FORGED))), Program(switch, config) as program:
        assert 1 == eventually(1, lambda: program.times(named))
        assert True is eventually(True, lambda: logged_by_name(program))
        for line in program.output.read_text().splitlines():
            (check if form == "json" else check_fields)(line)
        for command in ("status", "doctor", "plan"):
            check(run_command(switch, program, command), lines=None)
        assert 0 == program.end()
        for line in program.said().splitlines():
            check(line)
            assert re.match(r"\d{4}-\d\d-\d\d ", line)


def run_command(switch: PrivateSwitch, program: Program, command: str) -> str:
    """What a command prints, on both of its ways."""
    done = subprocess.run(
        [str(BIN / "ryu-droplog"), command, "--config", str(program.config)],
        env=switch.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout
    return (done.stdout + done.stderr).removesuffix("\n")


def logged_by_name(program: Program) -> bool:
    """Send one packet, and say whether it was logged by the name of its ACL."""
    before = len(program.lines())
    send_frame("one", "eth0", syn())
    after = eventually(before + 1, lambda: len(program.lines()), 5)
    assert after == before + 1, "a packet makes one line"
    return r"\n" in program.lines()[-1]
