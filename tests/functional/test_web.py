"""`ryu-droplog web` beside a running program and a real switch, without a browser."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import syn
from .program import Program, add_flows, eventually, foreign_flows, watched

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from web_page import running

pytestmark = pytest.mark.ovs

BRIDGE = "br-webbed"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]\nmeter: {{rate: 100000}}\n"


def test_the_page_outlives_the_program_and_asks_the_switch_without_changing_it(
    switch: PrivateSwitch, tmp_path: Path
) -> None:
    switch.add_bridge(BRIDGE)
    switch.guest("webbed", BRIDGE)
    add_flows(switch, BRIDGE, "table=0,priority=1,actions=goto_table:4")
    flows = [flow.split("actions=")[1] for flow in foreign_flows(switch, BRIDGE)]
    with Program(switch, CONFIG, name="webbed") as program:
        assert [4] == eventually([4], lambda: watched(switch, BRIDGE))
        send_frame("webbed", "eth0", syn())
        with running(tmp_path, "--config", str(program.config), env=program.env) as page:
            assert eventually(1, lambda: page.shown()["packets"]) == 1
            [row] = page.shown()["signatures"]
            query = f"signature={quote(row['key'])}&number={row['number']}"
            explained = json.loads(page.ask(f"/api/explain?{query}").body)
            assert [0, 4] == [step["table"] for step in explained["way"]["steps"]]
            [graph] = json.loads(page.ask("/api/pipelines").body)["bridges"]
            assert [0, 4] == [table["id"] for table in graph["tables"]]
            assert [(0, 4)] == [(way["from"], way["to"]) for way in graph["ways"]]
            [told] = json.loads(page.ask("/api/status").body)["programs"]
            assert program.process.pid == told["pid"]
            assert flows == [f.split("actions=")[1] for f in foreign_flows(switch, BRIDGE)]

            program.end()
            assert eventually(True, lambda: bool(page.shown()["from"]["trouble"]))
            with Program(switch, CONFIG, name="webbed"):
                assert [4] == eventually([4], lambda: watched(switch, BRIDGE))
                assert "" == eventually("", lambda: page.shown()["from"]["trouble"])
                before = page.shown()["packets"]
                send_frame("webbed", "eth0", syn())
                assert eventually(True, lambda: page.shown()["packets"] > before)
    switch.vsctl("del-br", BRIDGE)
