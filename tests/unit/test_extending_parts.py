"""The sinks, the source and the command of docs/extending.md, read from there and installed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from frames import syn
from test_extending import DOCS, block, install, run, section
from waiting import eventually

PATIENCE = 30.0
wait_until = partial(eventually, patience=PATIENCE)

CHAIN = """
import json, sys, threading, time
sys.path.insert(0, sys.argv[2])
import openflow_bytes as wire
from frames import syn
from ryu_droplog.config.loader import load
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.cookie import Cookie
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.records.context import explain_nothing
from ryu_droplog.runtime import books as measured
from ryu_droplog.runtime.sink_set import SinkSet
from ryu_droplog.sources.base import Route, Source
from ryu_droplog.sources.packet_in import PacketInReader

sinks = SinkSet(threading, explain_nothing)
sinks.use(sinks.prepare(load(sys.argv[1]).sinks, []))
books = SourceBooks()
reader = PacketInReader("br-int", "", load_pipelines(None)["opflex-access"], 1, books)
route = Route(None, list(sinks.by_name.values()), [], sinks.log)
source = Source("br-int", reader, books, route, threading)
message = wire.packet_in(syn(), cookie=Cookie(True, 1, 4).pack(), table_id=4)
for batch in range(100):
    source.ingress_queue.put([message] * 7, time.time())
assert source.read_counters(10)
deadline = time.monotonic() + 10
quick = [sink for sink in sinks.by_name.values() if sink.spec.type != "blocking"]
while any(sink.waiting for sink in quick) and time.monotonic() < deadline:
    time.sleep(0.01)

def told():
    return {
        name: {**sink.state(), "unexplained": sink.reading().unexplained()}
        for name, sink in sinks.by_name.items()
    }

before = told()
check = measured.BooksCheck()
for look in range(3):
    before["complaints"] = list(check.look(lambda: measured.read([source], sinks.by_name.values())))
source.close(10)
for sink in sinks.by_name.values():
    sink.close(0.2)
notices = list(sinks.notices())
print(json.dumps({"before": before, "after": told(), "notices": notices}))
"""

HOSTILE = '''
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.sinks.base import BatchSink, DropSink


class Seventh(DropSink):
    """Raises at every seventh drop."""

    Options = SinkOptions
    called = 0

    def write_drop(self, drop):
        self.called += 1
        if self.called % 7 == 0:
            raise RuntimeError("the seventh")


class Blocking(DropSink):
    """Waits until its time is over."""

    Options = SinkOptions

    def write_drop(self, drop):
        self.abandoned.wait()
        raise RuntimeError("given up")


class Lying(BatchSink):
    """Says that it wrote more than there was."""

    Options = SinkOptions

    def write(self, items):
        return len(items) + 1
'''
HOSTILE_SETUP = """
[metadata]
name = acme-hostile
version = 1.0
[options.entry_points]
ryu_droplog.sinks =
    seventh = acme_hostile.sinks:Seventh
    blocking = acme_hostile.sinks:Blocking
    lying = acme_hostile.sinks:Lying
"""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def chain(place: Path, config: Path) -> dict[str, Any]:
    """What became of 700 drops at the sinks of a configuration."""
    done = run(place, "-c", CHAIN, str(config), str(Path(__file__).parent))
    assert 0 == done.returncode, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def configured(tmp_path: Path, text: str) -> Path:
    config = tmp_path / "droplog.yaml"
    config.write_text(f"log_directory: {tmp_path}\nrun_directory: {tmp_path}/run\n{text}")
    return config


@pytest.mark.parametrize("number", [0, 1], ids=["DropSink", "BatchSink"])
def test_sink_of_another_package_writes_what_its_text_says(tmp_path: Path, number: int) -> None:
    text, place = section("A sink"), tmp_path / "site"
    config = configured(tmp_path, block(text, "yaml"))
    refused = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert 2 == refused.returncode
    assert 'sinks[0].type: got "noter"; expected one of stdout, file' in refused.stderr

    install(place, blocks(text, "python")[number], block(text, "ini"), "ryu_droplog.sinks")
    listed = run(place, "-m", "ryu_droplog", "check-config", "--types").stdout
    assert re.search(r"noter +Lines with the place of each drop", listed)
    accepted = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert (0, "") == (accepted.returncode, accepted.stderr)
    assert f"{tmp_path}/notes.log" in accepted.stdout
    notes = chain(place, config)["before"]["notes"]
    assert (700, 0, 0) == (notes["written"], notes["failed"], notes["unexplained"])
    line = f"lost br-int SEC_GROUP_IN_TABLE MISS {len(syn())}"
    assert [line] * 700 == (tmp_path / "notes.log").read_text().splitlines()


def test_sinks_that_raise_block_and_lie_cost_their_own_drops_alone(tmp_path: Path) -> None:
    place = tmp_path / "site"
    install(place, HOSTILE, HOSTILE_SETUP, "ryu_droplog.sinks")
    text = """
drop_log_config: {disable_events: true}
sinks:
  - {name: seventh, type: seventh}
  - {name: blocking, type: blocking, queue: {drops: 50}}
  - {name: lying, type: lying}
  - {name: lines, type: file, path: drops.log}
"""
    told = chain(place, configured(tmp_path, text))
    before, after = told["before"], told["after"]
    assert [] == before.pop("complaints")
    assert {0} == {sink["unexplained"] for sink in [*before.values(), *after.values()]}
    assert (700, 700) == (
        before["lines"]["written"],
        len((tmp_path / "drops.log").read_text().splitlines()),
    )
    assert (600, 100) == (before["seventh"]["written"], before["seventh"]["failed"])
    assert (0, 700) == (before["lying"]["written"], before["lying"]["failed"])
    blocking = before["blocking"]
    assert (0, 50, 650) == (blocking["written"], blocking["waiting"], blocking["refused"])
    assert any("RuntimeError: the seventh" in notice for notice in told["notices"])
    assert any("lying: write() said that" in notice for notice in told["notices"])


@contextmanager
def running(place: Path, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, with what is installed at that place."""
    env = {**os.environ, "PYTHONPATH": f"{place}:{DOCS.parent}"}
    env |= {"XDG_CACHE_HOME": str(place / "cache")}
    command = (sys.executable, "-m", "ryu_droplog", "run", "--config", str(config))
    with (config.parent / "said").open("wb") as said:
        program = subprocess.Popen(command, env=env, stdout=said, stderr=said)
    try:
        yield program
    finally:
        program.send_signal(signal.SIGTERM)
        assert 0 == program.wait(PATIENCE), (config.parent / "said").read_text()


def received(place: Path, config: Path) -> Mapping[str, Any]:
    asked = run(place, "-m", "ryu_droplog", "status", "--json", "--config", str(config))
    answers = json.loads(asked.stdout or "[]")
    return answers[0]["receive"] if answers else {}


def test_source_and_command_of_other_packages_work_in_the_running_program(tmp_path: Path) -> None:
    place, path = tmp_path / "site", tmp_path / "frames"
    config = configured(
        tmp_path,
        f"receive: {{frames: {path}}}\n"
        f"bridges: [{{name: br-none, connect: 'unix:{tmp_path}/none'}}]\n"
        "drop_log_config: {opflex_redirect_drop_logs: drops.log, disable_events: true}\n",
    )
    refused = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert "receive.frames: unknown key; expected one of geneve" in refused.stderr
    for title, group in (
        ("A source", "ryu_droplog.sources"),
        ("A command", "ryu_droplog.commands"),
    ):
        text = section(title)
        install(place, block(text, "python"), block(text, "ini"), group)
    shown = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert re.search(f"receives at: +frames {re.escape(str(path))}\n", shown.stdout), shown.stderr

    lines = tmp_path / "drops.log"
    with running(place, config), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        assert wait_until(path.exists), (tmp_path / "said").read_text()
        for _ in range(3):
            sender.sendto(syn(), str(path))
        assert wait_until(lambda: lines.exists() and len(lines.read_text().splitlines()) == 3)
        books = received(place, config)[f"frames {path}"]["books"]["0"]
        assert (3, 3) == (books["received"], books["logged"])
        asked = run(place, "-m", "ryu_droplog", "lost", "--config", str(config))
        assert (0, f"{lines}: 0\n", "") == (asked.returncode, asked.stdout, asked.stderr)
    assert not path.exists()
    assert all(" UPLINK MISS " in line for line in lines.read_text().splitlines())


def test_source_whose_place_cannot_be_had_is_refused_with_its_key(tmp_path: Path) -> None:
    place, text = tmp_path / "site", section("A source")
    install(place, block(text, "python"), block(text, "ini"), "ryu_droplog.sources")
    taken = tmp_path / "taken"
    taken.touch()
    config = configured(tmp_path, f"receive: {{frames: {taken}}}\n")
    done = run(place, "-m", "ryu_droplog", "run", "--config", str(config))
    assert 0 != done.returncode
    assert f"receive.frames: {taken}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("group", "title", "asked"),
    [
        ("ryu_droplog.sources", "A source", 'receive.frames: "frames" cannot be loaded: No'),
        ("ryu_droplog.sinks", "A sink", 'sinks[0].type: "noter" cannot be loaded: No module'),
    ],
)
def test_part_that_cannot_be_loaded_is_named_with_its_cause(
    tmp_path: Path, group: str, title: str, asked: str
) -> None:
    place = tmp_path / "site"
    install(place, "import no_such_module\n", block(section(title), "ini"), group)
    text = "receive: {frames: /f}\n" if "source" in group else block(section("A sink"), "yaml")
    refused = run(place, "-m", "ryu_droplog", "check-config", str(configured(tmp_path, text)))
    assert 2 == refused.returncode
    assert asked in refused.stderr
    listed = run(place, "-m", "ryu_droplog", "check-config", "--types")
    assert "cannot be loaded: No module named 'no_such_module'" in listed.stdout
    fine = configured(tmp_path, "receive: {geneve: 50000}\n")
    assert 0 == run(place, "-m", "ryu_droplog", "check-config", str(fine)).returncode


def test_command_that_cannot_be_loaded_says_so_and_leaves_the_others(tmp_path: Path) -> None:
    place = tmp_path / "site"
    setup = block(section("A command"), "ini")
    install(place, "import no_such_module\n", setup, "ryu_droplog.commands")
    failed = run(place, "-m", "ryu_droplog", "lost")
    assert 1 == failed.returncode
    assert "lost: cannot be loaded: No module named 'no_such_module'" in failed.stderr
    helped = run(place, "-m", "ryu_droplog", "--help")
    assert 0 == helped.returncode
    assert "check-config" in helped.stdout
