"""A drop that is acknowledged, beside a running program and a real switch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn
from .program import BIN, Program, add_flows, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-known"


def run(program: Program, *words: str) -> subprocess.CompletedProcess[str]:
    """A command with the program's configuration, which must end well."""
    command = (str(BIN / "ryu-droplog"), words[0], "--config", str(program.config), *words[1:])
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=program.env, check=True
    )


def seen(program: Program, *words: str) -> list[dict[str, Any]]:
    """The records that `observe` shows."""
    said = run(program, "observe", "--all", "--output", "json", *words).stdout
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def program(switch: PrivateSwitch, tmp_path: Path) -> Iterator[Program]:
    """With a baseline, a sink of all drops and one of new ones; table 4 drops what it misses."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    add_flows(switch, BRIDGE, "table=0,priority=1,actions=goto_table:4")
    config = (
        f"bridges: [{{name: {BRIDGE}}}]\nbaseline: {tmp_path}/baseline.yaml\n"
        "sinks:\n"
        f"- {{name: every, type: file, path: {tmp_path}/every, encode: native}}\n"
        f"- {{name: new, type: file, path: {tmp_path}/new, encode: native, new_only: true}}\n"
    )
    with Program(switch, config, name="known") as made:
        assert [4] == eventually([4], lambda: watched(switch, BRIDGE))
        yield made
    switch.vsctl("del-br", BRIDGE)


def test_drop_that_is_acknowledged_is_marked_and_not_new(program: Program, tmp_path: Path) -> None:
    def drop_until_written(number: int) -> list[dict[str, Any]]:
        """Sends one more, until so many are in the sink of all drops."""
        send_frame("one", "eth0", syn())
        every = tmp_path / "every"
        assert number == eventually(number, lambda: len(every.read_text().splitlines()))
        return [json.loads(line) for line in every.read_text().splitlines()]

    def marked() -> list[bool]:
        return ["acknowledged" in record for record in seen(program)]

    def books() -> tuple[int, int, int]:
        status = program.status()
        new = status["sinks"]["new"]
        return status["bridges"][BRIDGE]["acknowledged"], new["written"], new["filtered"]

    [first] = drop_until_written(1)
    assert "acknowledged" not in first
    assert 1 == len(seen(program, "--new"))

    run(program, "ack", first["problem"], "--reason", "known here", "--until", "2999-12-31")
    assert [True] == eventually([True], marked), "also of what is remembered"
    second = drop_until_written(2)[1]
    assert {"reason": "known here", "until": "2999-12-31"} == second["acknowledged"]
    assert [] == seen(program, "--new")
    assert 2 == len(seen(program, "--acknowledged", "yes"))
    assert (1, 1, 1) == eventually((1, 1, 1), books)

    baseline = tmp_path / "baseline.yaml"
    baseline.write_text(baseline.read_text().replace("2999-12-31", "2020-12-31"))
    assert (
        "PAST since 2020-12-31, counts no more: known here" in run(program, "ack", "--list").stdout
    )
    assert [False, False] == eventually([False, False], marked)
    assert "acknowledged" not in drop_until_written(3)[2]
    assert (1, 2, 1) == eventually((1, 2, 1), books)

    run(program, "ack", first["signature"], "--reason", "these two")
    assert [True] * 3 == eventually([True] * 3, marked)
    baseline.write_text("broken: [\n")
    assert eventually(True, lambda: "what it said before holds" in program.errors.read_text())
    assert "these two" == drop_until_written(4)[3]["acknowledged"]["reason"]
    assert (2, 2, 2) == eventually((2, 2, 2), books)
    assert {0} == set(program.status()["unexplained"].values())
