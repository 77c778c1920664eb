"""The key `sinks`, and what the short way means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ryu_droplog.config import loader
from ryu_droplog.config.changes import changes
from ryu_droplog.config.describe import describe
from ryu_droplog.config.filter_spec import parse_filter
from ryu_droplog.config.places import unwritable
from ryu_droplog.config.settings import Settings
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.sinks.packet_events import PacketEvents
from ryu_droplog.sinks.syslog import Syslog
from ryu_droplog.sinks.text import File, StandardOutput

ROOT = Path(__file__).parents[2]


def settings(text: str) -> Settings:
    return loader.parse(text, "f.yaml", {})


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    return str(caught.value)


def test_list_gives_its_sinks_in_order() -> None:
    text = """\
format: json
log_directory: /l
sinks:
- {name: lines, type: file, path: a/b.log, encode: extended}
- {name: whole, type: file, path: /x.log, queue: {drops: 10K, overflow: oldest}}
- {name: dns, type: syslog, filters: [{name: web, dport: 80}]}
- {name: pods, type: packet-events, socket: /run/e.sock}
"""
    expected = (
        SinkSpec("lines", "file", options=File.Options(path="/l/a/b.log", encode="extended")),
        SinkSpec(
            "whole",
            "file",
            queue=QueueSpec(10_000, "oldest"),
            options=File.Options(path="/x.log", encode="json"),
        ),
        SinkSpec(
            "dns",
            "syslog",
            filters=(parse_filter({"name": "web", "dport": 80}),),
            options=Syslog.Options(encode="json"),
        ),
        SinkSpec("pods", "packet-events", options=PacketEvents.Options(socket="/run/e.sock")),
    )
    assert expected == settings(text).sinks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["log stdout"]),
        ("drop_log_config: {opflex_redirect_drop_logs: syslog}", ["log syslog"]),
        ("drop_log_config: {opflex_redirect_drop_logs: d.log}", ["log file"]),
        (
            "drop_log_config: {disable_events: false}",
            ["log stdout", "packet-events packet-events"],
        ),
        ("sinks: []", []),
        ("sinks: [{name: a, type: stdout}]", ["a stdout"]),
        (
            "sinks: [{name: a, type: stdout}]\n"
            "drop_log_config: {disable_events: false, opflex_redirect_drop_logs: d.log}",
            ["log file", "packet-events packet-events", "a stdout"],
        ),
    ],
)
def test_short_way_makes_sinks_of_the_same_kind(text: str, expected: list[str]) -> None:
    assert expected == [f"{sink.name} {sink.type}" for sink in settings(text).sinks]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sinks: [{name: a, type: file, path: /x}]", "native"),
        ("sinks: [{name: a, type: file, path: /x, encode: ocsf}]", "ocsf"),
        ("format: opflex\nsinks: [{name: a, type: file, path: /x}]", "opflex"),
        ("drop_log_config: {opflex_redirect_drop_logs: d.log}", "opflex"),
    ],
)
def test_file_has_the_record_unless_something_else_is_asked_for(text: str, expected: str) -> None:
    [sink] = settings(text).sinks
    assert expected == sink.options.encode


def test_devices_take_the_drops_of_any_number_of_sinks() -> None:
    text = "{name: a, type: file, path: /dev/null}, {name: b, type: file, path: /dev/null}"
    assert 2 == len(settings(f"sinks: [{text}]").sinks)


def test_short_way_takes_the_format() -> None:
    [sink] = settings("format: extended").sinks
    assert StandardOutput.Options(encode="extended") == sink.options


@pytest.mark.parametrize(
    ("sink", "expected"),
    [
        ("type: stdout", ".name: missing; expected a name of 1 to 64"),
        ("name: a", ".type: missing; expected a string"),
        ("name: a, type: 5", ".type: got 5; expected a string"),
        ("name: a, type: fiel", '.type: got "fiel", nearest is file; expected one of stdout, '),
        ("name: a b, type: stdout", '.name: got "a b"; expected a name of 1 to 64'),
        (
            "name: a, type: stdout, path: x",
            ".path: unknown key; expected one of name, type, filters, queue, new_only, encode",
        ),
        ("name: a, type: file", ".path: missing; expected the path of a file, absolute or"),
        ("name: a, type: file, path: ../x", '.path: got "../x"; expected the path of a file'),
        ("name: a, type: file, path: /x, encode: xml", '.encode: got "xml"; expected one of nat'),
        ("name: a, type: file, path: /x, encode: null", ".encode: got null; expected the name of"),
        (
            "name: a, type: file, path: /x, rotate: {}",
            ".rotate: got a mapping; expected bytes, age",
        ),
        ("name: a, type: file, path: /x, rotate: {bytes: 10}", ".rotate.bytes: got 10; expected"),
        ("name: a, type: file, path: /x, rotate: {age: 1d, files: 0}", ".rotate.files: got 0; e"),
        ("name: a, type: stdout, encode: null", ".encode: got null; expected opflex, extended"),
        (
            "name: a, type: syslog, to: here",
            '.to: got "here"; expected "unix:/absolute/path", "udp:',
        ),
        ("name: a, type: packet-events, socket: x", '.socket: got "x"; expected the absolute'),
        ("name: a, type: stdout, queue: {drops: 0}", ".queue.drops: got 0; expected an integer"),
        ("name: a, type: stdout, queue: {drops: 1.5}", ".queue.drops: got 1.5; expected an inte"),
        ("name: a, type: stdout, queue: {overflow: all}", '.queue.overflow: got "all"; expected '),
        ("name: a, type: stdout, filters: [{name: b}]", ".filters[0]: nothing but a name"),
    ],
)
def test_mistake_is_named_with_its_line(sink: str, expected: str) -> None:
    text = f"format: json\nsinks:\n- {{name: other, type: stdout}}\n- {{{sink}}}\n"
    assert refusal(text).startswith(f"f.yaml:4: sinks[1]{expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sinks:\n- {name: a, type: stdout}\n- {name: a, type: syslog}\n",
            'f.yaml:3: sinks[1].name: "a" is the name of a sink already, of sinks[0]; expected a',
        ),
        (
            "drop_log_config: {opflex_redirect_drop_logs: d}\n"
            "sinks:\n- {name: log, type: stdout}\n",
            'f.yaml:3: sinks[0].name: "log" is the name of a sink already, by drop_log_config; ',
        ),
        (
            "sinks:\n- {name: a, type: file, path: /x/y}\n- {name: b, type: file, path: /x//./y}\n",
            'f.yaml:3: sinks[1].path: "/x/y" is the file of a sink already, of sinks[0]; expected'
            " a file for each sink",
        ),
        (
            "log_directory: /x\ndrop_log_config: {opflex_redirect_drop_logs: d}\n"
            "sinks:\n- {name: a, type: file, path: d}\n",
            'f.yaml:4: sinks[0].path: "/x/d" is the file of a sink already, by drop_log_config;',
        ),
        ("sinks: 5", "f.yaml:1: sinks: got 5; expected a list of sinks or null"),
        ("sinks: [5]", "f.yaml:1: sinks[0]: got 5; expected a mapping"),
        (
            "sinks:\n- {name: a, type: file}\n- {name: b, type: none}\n",
            "f.yaml:2: sinks[0].path: missing; expected the path of a file, absolute or inside"
            " log_directory (and 1 more mistake)",
        ),
    ],
)
def test_sinks_must_fit_together(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


def test_reload_tells_sinks_key_by_key() -> None:
    old = "sinks: [{name: a, type: stdout}, {name: b, type: syslog}]"
    new = (
        "sinks: [{name: a, type: stdout, encode: json, queue: {drops: 5},"
        " filters: [{name: x, dport: 53}]}]"
    )
    found = changes(settings(old), settings(new), {}, {})
    assert [
        ('sinks["b"]: present -> absent', True),
        ('sinks["a"].encode: "opflex" -> "json"', False),
        ('sinks["a"].queue.drops: 100000 -> 5', False),
        ('sinks["a"].filters["x"]: absent -> dport 53', False),
    ] == [(str(change), change.off) for change in found]


def test_description_has_the_sinks() -> None:
    text = "sinks: [{name: a, type: file, path: /x.log, queue: {overflow: oldest},"
    text += " rotate: {bytes: 100M, compress: true}}]"
    page = describe(settings(text), load_pipelines(None)).splitlines()
    assert "drop lines go to: the sinks below" in page
    start = page.index("sink a")
    assert [
        "  type:           file",
        "  encode:         native",
        "  path:           /x.log",
        "  rotate:         100000000 bytes, 10 files, compressed",
        "  filtered:       nothing",
        "  queue:          100000 drops; while it is full, the oldest are refused",
    ] == page[start + 1 : start + 7]


def test_file_of_a_sink_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    text = f"run_directory: {tmp_path}\nsinks: [{{name: a, type: file, path: {tmp_path}}}]"
    expected = f'sinks["a"]: {tmp_path} cannot be written: it is a directory'
    assert [expected] == list(unwritable(settings(text)))


THEIRS = """\
from pydantic import Field, field_validator
from ryu_droplog.plugins.sink_options import SinkOptions
class Sink:
    class Options(SinkOptions):
        topic: str = Field(description="the topic", max_length=5)
        @field_validator("topic")
        @classmethod
        def check(cls, topic):
            if topic == "bug":
                raise KeyError("mine")
            return topic
class Bare: pass
class Clash:
    class Options(SinkOptions):
        queue: int = Field(default=1, description="theirs")
"""


@pytest.mark.parametrize(
    ("sink", "expected"),
    [
        ("type: theirs, topic: x", "topic='x'"),
        ("type: theirs, topic: 5", "f.yaml:1: sinks[0].topic: got 5; expected a string"),
        ("type: theirs, topic: bug", "its options cannot be checked: 'mine'; expected the keys"),
        ("type: bare", '"bare" cannot be loaded: its class has no Options'),
        ("type: clash", '"clash" cannot be loaded: its Options have the key queue'),
        ("type: gone", "\"gone\" cannot be loaded: module 'theirs' has no attribute"),
    ],
)
def test_sink_of_another_package_brings_its_keys(tmp_path: Path, sink: str, expected: str) -> None:
    (tmp_path / "theirs.py").write_text(THEIRS, encoding="utf-8")
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    points = "\n".join(f"{name.lower()} = theirs:{name}" for name in ("Bare", "Clash", "Gone"))
    (info / "entry_points.txt").write_text(f"[ryu_droplog.sinks]\ntheirs=theirs:Sink\n{points}\n")
    program = (
        "import sys\nfrom ryu_droplog.config import loader\n"
        "try: print(loader.parse(sys.argv[1], 'f.yaml', {}).sinks[0].options)\n"
        "except loader.ConfigError as error: print(error)\n"
    )
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    env = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program, f"sinks: [{{name: a, {sink}}}]"],
        env=env,
        capture_output=True,
        check=True,
        text=True,
    )
    assert expected in done.stdout
