"""What `observe` writes of a record: true, aligned, and fit for a terminal whatever names say."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from frames import syn
from record_drops import FLOW, HOSTILE, context, dropped, place
from test_deep import FRAMES

from ryu_droplog.__main__ import main
from ryu_droplog.observe import aggregate as aggregates
from ryu_droplog.observe.aggregate import Aggregate
from ryu_droplog.observe.moments import TIME_FORMATS, ago
from ryu_droplog.observe.query import QueryError
from ryu_droplog.observe.render import MACHINE, OUTPUTS, Style, lines_of, table_of
from ryu_droplog.observe.shown import PARTS
from ryu_droplog.observe.stream import read_record
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Identity, Record

STYLE = Style(TIME_FORMATS["RFC3339Milli"], lambda text, colour: text)


def record(frame: bytes | None = None, **more: Any) -> Record:
    """A record with all that a record may have, of a SYN unless a frame is given."""
    drop = dropped(frame or syn(), place("DENY", FLOW, "no-http"))
    made = RecordMaker(context(**more)).make(drop).record
    if made.source is not None and made.destination is not None:
        made.source.identity = Identity(vm="web-1", network="blue", known_from=("ovsdb",))
        made.destination.identity = Identity(pod="db-0", namespace="shop")
    return made


def observe(*words: str, text: bytes = b"") -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the command, of records in `text`."""
    done = CliRunner().invoke(main, ["observe", "--from", "-", *words], input=text)
    return done.exit_code, done.stdout, done.stderr


def file_of(*records: Record) -> bytes:
    return b"".join(to_json(one) + b"\n" for one in records)


def hostile(data: Any) -> Iterator[Any]:
    """The same data with a hostile text in place of each of its texts and names, one at a time."""
    if isinstance(data, str):
        yield from (HOSTILE, data + "\n", data + "\x1b[2J")
    elif isinstance(data, dict):
        for key, value in data.items():
            for other in hostile(value):
                yield {**data, key: other}
    elif isinstance(data, list):
        for number, value in enumerate(data):
            for other in hostile(value):
                yield [*data[:number], other, *data[number + 1 :]]


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_text_of_a_record_forges_a_line_or_an_escape_sequence(name: str) -> None:
    output = OUTPUTS[name]
    lines = output.show(record(), STYLE).count("\n")
    shown = 0
    for other in hostile(json.loads(to_json(record()))):
        read = read_record(json.dumps(other).encode())
        if not isinstance(read, Record):
            continue
        shown += 1
        text = output.show(read, STYLE)
        assert text.replace("\n", "").isprintable(), text
        assert text.isascii() or name not in MACHINE
        # What is empty has no row; nothing may have more than one.
        assert text.count("\n") <= lines
        for part in PARTS.values():
            value = part(read)
            assert "\n" not in value
            assert value.isprintable()
    assert shown > 20


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_packet_has_an_output_in_every_form(name: str, frame: str) -> None:
    data = bytes(FRAMES[frame])
    for length in (len(data), 20, 14, 5, 0):
        assert OUTPUTS[name].show(record(data[:length] or b"\0"), STYLE)


def test_compact_line_says_who_where_and_why() -> None:
    text = OUTPUTS["compact"].show(record(), STYLE)
    for part in (
        ": br-int: web-1 (",
        " -> shop/db-0 (",
        " table 4 SEC_GROUP_IN_TABLE DENY by no-http (TCP Flags: SYN) in ",
    ):
        assert part in text
    rows = OUTPUTS["dict"].show(record(), STYLE)
    assert "     NETWORK: blue\n" in rows
    assert record().signature in rows


def test_json_is_the_record_and_jsonpb_a_flow_of_hubble() -> None:
    [line] = observe("-o", "json", text=file_of(record()))[1].splitlines()
    assert json.loads(to_json(record())) == json.loads(line)
    flow = json.loads(OUTPUTS["jsonpb"].show(record(), STYLE))["flow"]
    assert ("DROPPED", "br-int") == (flow["verdict"], flow["interface"]["name"][:6] and "br-int")


def test_lines_of_the_log_are_made_again_from_a_record() -> None:
    opflex = OUTPUTS["opflex"].show(record(), STYLE)
    assert " Acc-SEC_GROUP_IN_TABLE DENY no-http  SMAC=" in opflex
    assert " SYN " in opflex
    extended = OUTPUTS["extended"].show(record(), STYLE)
    assert " SRC_NAME=web-1" in extended
    assert " DST_NAME=shop/db-0" in extended


def test_tab_has_one_head(tmp_path: Path) -> None:
    path = tmp_path / "drops.json.gz"
    path.write_bytes(gzip.compress(file_of(record(), record())))
    done = CliRunner().invoke(main, ["observe", "--input-file", str(path), "-o", "tab"])
    head, *rows = done.stdout.splitlines()
    assert head.startswith("TIMESTAMP ")
    assert 2 == len(rows)
    assert {head.index("TABLE")} == {row.index("SEC_GROUP") for row in rows}


def test_colours_are_for_terminals_unless_they_are_asked_for() -> None:
    assert "\x1b" not in observe(text=file_of(record()))[1]
    assert "\x1b[31mDENY" in observe("--color", "always", text=file_of(record()))[1]


def test_groups_are_counted_with_their_first_and_last_time() -> None:
    early, late, other = record(), record(), record()
    early.time, late.time = "2026-01-01T00:00:00.000000000Z", "2026-01-03T00:00:00.000000000Z"
    late.repeated, late.first_time = 4, "2026-01-02T00:00:00.000000000Z"
    other.reason = "MISS"
    words = ("--aggregate-by", "reason,source,to-port", "--time-format", "RFC3339")
    status, said, _ = observe(*words, text=file_of(late, other, early))
    head, first, second = (line.split() for line in said.splitlines())
    assert (0, ["REASON", "SOURCE", "TO-PORT", "PACKETS", "FIRST", "LAST"]) == (status, head)
    assert ["DENY", "web-1", "80", "5"] == first[:4]
    assert ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"] == first[4:]
    assert ["MISS", "web-1", "80", "1"] == second[:4]
    [line] = observe("--aggregate-by", "bridge", "-o", "json", text=file_of(early))[1].splitlines()
    assert {"bridge": "br-int", "packets": 1} == {
        key: value for key, value in json.loads(line).items() if key in ("bridge", "packets")
    }
    status, _, said = observe("--aggregate-by", "tabel", text=file_of(early))
    assert (2, True) == (status, "nearest is table" in said or 'got "tabel"' in said)


def test_groups_beyond_the_bound_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "GROUPS", 3)
    counted = Aggregate(["table"])
    for number in range(9):
        one = record()
        one.table.name = f"T{number}"
        counted.add(copy.deepcopy(one))
    groups = counted.groups()
    assert (9, 4) == (sum(group.packets for group in groups), len(groups))
    assert aggregates.OTHERS in table_of(counted, STYLE)
    assert 4 == len(lines_of(counted).splitlines())


def test_what_is_no_record_is_said_once_and_the_rest_is_shown() -> None:
    text = b"[1]\n" + file_of(record()) + b"\xff\xfe\n" + b"{" * 5000 + b"\n" + file_of(record())
    status, said, trouble = observe("-o", "json", text=text)
    assert (0, 2) == (status, len(said.splitlines()))
    first, last = trouble.splitlines()
    assert first.startswith("ryu-droplog: no record: ")
    assert "ryu-droplog: 3 lines in all are no records" == last


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--first", "1", "--last", "1"), "only one of them"),
        (("--not",), "--not: expected a filter behind it"),
        (("--not", "--not", "--port", "1"), "--not twice"),
        (("--not", "--last", "1"), "--not: expected a filter behind it"),
        (("--port", "70000"), "a number from 0 to 65535"),
        (("--ip", HOSTILE.replace("\n", "").replace("\ud800", "")), "an address or a prefix"),
        (("--mac", "1:2"), "a MAC such as"),
        (("--protocol", "http"), "an IP protocol number, or one of"),
        (("--traffic-direction", "up"), "ingress or egress"),
        (("--since", "yesterday"), 'a time such as "5m"'),
        (("--until", "9" * 400 + "s"), "a time such as"),
        (("--input-file", "x"), "--input-file and --from: only one of them"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(words: tuple[str, ...], expected: str) -> None:
    status, said, trouble = observe(*words, text=file_of(record()))
    assert (2, "") == (status, said)
    assert expected in trouble
    assert "\x1b" not in trouble
    assert "Traceback" not in trouble


def test_exit_status_and_places(tmp_path: Path) -> None:
    assert 3 == observe("--from", str(tmp_path / "none"))[0]
    assert 3 == observe("--from", str(tmp_path))[0]
    assert 0 == observe("--port", "1")[0]
    assert 1 == observe("--port", "1", "--fail-if-none", text=file_of(record()))[0]
    assert 0 == observe("--port", "80", "--fail-if-none", text=file_of(record()))[0]
    assert 2 == observe("--follow", text=file_of(record()))[0]


def test_times_are_durations_or_dates() -> None:
    assert 5400.0 == ago("1h30m", "--since", 0.0)
    assert 10.0 == ago("1970-01-01T00:00:00Z", "--since", 10.0)
    assert -50.0 == ago("1970-01-01T00:01:00+00:00", "--until", 10.0)
    for text in ("", "5", "-5m", "5m later", "2026-13-01", "\u0665m"):
        with pytest.raises(QueryError):
            ago(text, "--since", 0.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RFC3339", "2026-02-20T07:59:16Z"),
        ("RFC3339Milli", "2026-02-20T07:59:16.845Z"),
        ("RFC3339Nano", "2026-02-20T07:59:16.845663012Z"),
    ],
)
def test_time_formats(name: str, expected: str) -> None:
    assert expected == TIME_FORMATS[name]("2026-02-20T07:59:16.845663012Z")
