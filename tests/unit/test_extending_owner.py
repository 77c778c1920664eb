"""The owner in docs/extending.md, as another package has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from readme import blocks

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from drops import drop, location
from ryu_droplog.openflow.flow_stats import Effect, Flow, Step
from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import choose_pipeline, owner_of, recognise
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.reconcile.planner import Snapshot, plan

IP, ARP = bytes.fromhex("80000a020800"), bytes.fromhex("80000a020806")
def flow(table, priority, match, *leads):
    steps = [Step(table, final=True) for table in leads]
    effect = Effect(acts=bool(leads), leaves=bool(leads), steps=steps)
    return Flow(table, priority, 0xAC3E << 32 | 7, match, 0, 0, effect)

flows = [flow(0, 9, ARP, 30), flow(0, 8, IP, 20), flow(20, 5, ARP), flow(30, 5, ARP)]
recognition = recognise(flows)
print(recognition.in_words())
pipeline = choose_pipeline("auto", recognition, load_pipelines(sys.argv[1]))
made = plan(pipeline, Snapshot(flows))
print(*(f"{table.name}:{table.verdict.value}" for table in made.tables))
print(*(explicit.flow.table_id for explicit in made.explicit))
explanations = Explanations()
explanations.set("br-acme", owner_of(pipeline), Names({5: "tap5"}))
packet = drop(where=location(bridge="br-acme"))
packet.metadata = bytes.fromhex("8000000400000005" "0001060400000011")
print(explanations.explain(packet))
"""


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the example installed in `folder`."""
    [module] = blocks_of("python")
    [points] = blocks_of("ini")
    (folder / "acme_droplog.py").write_text(module, encoding="utf-8")
    info = folder / "acme_droplog-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-droplog\nVersion: 1\n")
    (info / "entry_points.txt").write_text(points)
    path = os.pathsep.join(map(str, (folder, ROOT, ROOT / "tests" / "unit")))
    env = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        env=env,
        capture_output=True,
        text=True,
    )


def blocks_of(kind: str) -> list[str]:
    """The blocks of the section in a language; there is one of each."""
    page = ROOT / "docs" / "extending.md"
    code = blocks("An owner's pipeline", page)
    begins = {"python": '"""', "yaml": "pipeline:", "ini": "["}[kind]
    return [block for block in code if block.startswith(begins)]


@pytest.fixture
def pipelines(tmp_path: Path) -> Path:
    directory = tmp_path / "pipelines"
    directory.mkdir()
    [text] = blocks_of("yaml")
    (directory / "acme.yaml").write_text(text, encoding="utf-8")
    return directory


def test_example_is_recognised_planned_with_and_explains(tmp_path: Path, pipelines: Path) -> None:
    done = run(tmp_path, PROGRAM, str(pipelines))
    assert [
        "acme (certain: 4 flows have its mark)",
        "CLASSIFIER:table-miss TABLE_20:table-miss SINKHOLE:table-miss",
        "20",
        "{'tenant': 17, 'port': 'tap5'}",
    ] == done.stdout.splitlines(), done.stderr


def test_owner_that_cannot_be_loaded_is_said_and_stands_for_nobody(tmp_path: Path) -> None:
    program = """
import acme_droplog
del acme_droplog.Acme
from ryu_droplog.owners.detection import owner_named, recognise
print(owner_named("acme").name, recognise([]).in_words())
"""
    done = run(tmp_path, program)
    assert "unknown not recognised" == done.stdout.strip(), done.stderr
    assert 1 == done.stderr.count("owner acme cannot be loaded")
