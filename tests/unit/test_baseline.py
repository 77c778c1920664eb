"""The baseline: its file, what it marks, and what that is good for."""

from __future__ import annotations

import json
import os
import stat
import threading
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from record_drops import TIME, context, dropped, place
from sinks import Kept

from ryu_droplog.__main__ import main
from ryu_droplog.config import loader
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.observe.drop_of_record import drop_of
from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.records import baseline_file
from ryu_droplog.records.acknowledged import Baseline, Entry
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.signature import Signatures
from ryu_droplog.runtime.known_drops import KnownDrops

SIGNATURE, PROBLEM = Signatures().keys(dropped())
DAY = date(2025, 11, 24)
"""The day of `TIME`."""
A, B, C = (f"1:{letter * 32}" for letter in "abc")


# The file


def test_entries_come_in_the_order_of_their_keys_whatever_the_order_of_the_calls(
    tmp_path: Path,
) -> None:
    texts = []
    for number, keys in enumerate(((A, B, C), (C, A, B), (B, C, A))):
        path = str(tmp_path / f"{number}.yaml")
        for key in keys:
            assert not baseline_file.acknowledge(path, key, Entry(f"of {key}", DAY, "me", DAY))
        texts.append(Path(path).read_text())
    assert texts[0] == texts[1] == texts[2]
    assert [A, B, C] == list(baseline_file.read(str(tmp_path / "0.yaml")))


def test_comments_of_the_user_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "baseline.yaml"
    path.write_text(
        f"# Ours.\n\n{A}:  # first\n  reason: one   # why\n# The second.\n# Of two lines.\n"
        f"{C}:\n  reason: 'three'\n# The end.\n"
    )
    assert not baseline_file.acknowledge(str(path), B, Entry("two"))
    assert baseline_file.acknowledge(str(path), A, Entry("one", DAY))
    expected = (
        f"# Ours.\n\n{A}:  # first\n  reason: one   # why\n  until: 2025-11-24\n"
        f"{B}:\n  reason: \"two\"\n# The second.\n# Of two lines.\n{C}:\n  reason: 'three'\n"
        "# The end.\n"
    )
    assert expected == path.read_text()
    assert baseline_file.remove(str(path), B)
    assert baseline_file.remove(str(path), C)
    text = path.read_text()
    assert text.startswith("# Ours.\n")
    assert text.endswith("# The end.\n")
    assert not baseline_file.remove(str(path), C)


@pytest.mark.parametrize("reason", ["no", "2026", "a: b # c", 'say "hi"', "猫\u2028x", "1\n2", "~"])
def test_reason_is_read_as_it_was_given(tmp_path: Path, reason: str) -> None:
    path = str(tmp_path / "baseline.yaml")
    entry = Entry(reason, None, "no", DAY)
    baseline_file.acknowledge(path, A, entry)
    assert {A: entry} == baseline_file.read(path)


def test_file_keeps_its_rights_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "baseline.yaml"
    path.touch()
    path.chmod(0o640)
    baseline_file.acknowledge(str(path), A, Entry("one"))
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)
    assert ["baseline.yaml"] == os.listdir(tmp_path)


def test_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.yaml", tmp_path / "link.yaml"
    target.touch()
    link.symlink_to(target)
    baseline_file.acknowledge(str(link), A, Entry("one"))
    assert link.is_symlink()
    assert [A] == list(baseline_file.read(str(target)))


def test_file_that_is_written_in_another_way_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "baseline.yaml"
    path.write_text(f"{{{A}: {{reason: one}}}}\n")
    with pytest.raises(ConfigError, match="change it by hand"):
        baseline_file.acknowledge(str(path), B, Entry("two"))
    assert f"{{{A}: {{reason: one}}}}\n" == path.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "f:1: got a list; expected a mapping of signatures or problems"),
        ("x: {reason: y}", "f:1: x: is no key of a drop; expected a signature or a problem"),
        (f"{A}: {{until: 2026-01-01}}", "reason: is missing"),
        (f"{A}:\n  reason: x\n  until: soon", "expected a day such as 2026-12-31"),
        (f"{A}:\n  reason: x\n  when: 1", "f:3: "),
        (f"{A}: {{reason: x}}\n{A}: {{reason: y}}", "f:2: duplicate key"),
    ],
)
def test_mistake_is_named(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        baseline_file.parse(text, "f")
    assert expected in str(error.value).replace(f'"{A}".', "").replace("missing;", "is missing")


# What it marks


@pytest.mark.parametrize("key", [SIGNATURE, PROBLEM])
def test_record_of_a_known_drop_is_marked(key: str) -> None:
    encode = ENCODERS.get("native")(context(baseline=Baseline({key: Entry("known", DAY)})))
    for _ in range(3):  # made anew, made as a template, made of the template
        told = json.loads(encode(dropped()))["acknowledged"]
        assert {"reason": "known", "until": "2025-11-24"} == told
    assert "acknowledged" not in json.loads(encode(dropped(None, place(table="T", bridge="b"))))


def test_entry_counts_until_the_end_of_its_day_and_no_longer() -> None:
    baseline = Baseline({SIGNATURE: Entry("known", DAY)})
    midnight = Entry("", DAY).ends
    assert baseline.find(SIGNATURE, PROBLEM, midnight - 1) is not None
    assert baseline.find(SIGNATURE, PROBLEM, midnight) is None
    assert TIME < midnight <= TIME + 86_400


def test_documents_of_a_flow_follow_the_baseline() -> None:
    baseline = Baseline()
    encode = ENCODERS.get("native")(context(baseline=baseline))

    def told() -> object:
        return json.loads(encode(dropped())).get("acknowledged", {}).get("reason")

    assert [None] * 3 == [told() for _ in range(3)]
    baseline.use({PROBLEM: Entry("one")})
    assert ["one"] * 3 == [told() for _ in range(3)]
    baseline.use({PROBLEM: Entry("one"), SIGNATURE: Entry("two")})
    assert ["two"] * 3 == [told() for _ in range(3)]
    drop = dropped()
    baseline.use({SIGNATURE: Entry("past", DAY)})
    assert "past" == told()
    drop.time = Entry("", DAY).ends
    assert "acknowledged" not in json.loads(encode(drop))


def test_marker_marks_and_counts_packets() -> None:
    baseline = Baseline()
    mark = baseline.marker()
    drops = [dropped(), dropped(None, place(table="T", bridge="b")), dropped()]
    drops[2].repeated = 5
    assert 0 == mark(drops)
    assert [False] * 3 == [drop.acknowledged for drop in drops]
    baseline.use({PROBLEM: Entry("known")})
    assert 6 == mark(drops)
    assert [True, False, True] == [drop.acknowledged for drop in drops]


def test_lines_say_that_a_drop_is_known() -> None:
    known = dropped()
    known.acknowledged = True
    for encoding, mark in (("json", b',"acknowledged":true'), ("extended", b" ACKNOWLEDGED=yes ")):
        encode = ENCODERS.get(encoding)(context())
        assert mark in encode(known)
        assert b"acknowledged" not in encode(dropped()).lower()
    maker = RecordMaker(context(baseline=Baseline({PROBLEM: Entry("known")})))
    record = maker.make(dropped()).record
    assert drop_of(record).acknowledged, "also where it was a record before"


def test_sink_of_new_drops_filters_the_known_ones_and_its_books_balance() -> None:
    sink = Kept(new_only=True)
    sink.start()
    known, other = dropped(), dropped(None, place(table="T", bridge="b"))
    known.acknowledged = True
    sink.put([known, other, known])
    sink.close(30)
    assert [other] == sink.drops
    assert (1, 2) == (sink.written, sink.filtered)
    reading = sink.reading()
    assert 3 == reading.handed_on == sum(book.ended for book in reading.tables.values())


# The running program's


def test_broken_file_is_said_once_and_what_it_said_before_holds(tmp_path: Path) -> None:
    path = tmp_path / "baseline.yaml"
    known = KnownDrops()
    known.follow(str(path))
    assert [] == list(known.look()), "no file is an empty one"
    path.write_text(f"{A}: {{reason: one}}\n")
    known.follow(str(path))
    assert known.baseline.find(A, "", 0.0) is not None
    path.write_text(f"{A}: {{reason: [one]}}\n")
    known.follow(str(path))
    [said] = known.look()
    assert f"baseline: {path}:1: " in said
    assert "what it said before holds" in said
    known.follow(str(path))
    assert [] == list(known.look())
    assert known.baseline.find(A, "", 0.0) is not None
    path.unlink()
    known.follow(str(path))
    assert len(list(known.look())) == 1
    assert known.baseline.find(A, "", 0.0) is not None
    path.write_text("")
    known.follow(str(path))
    assert known.baseline.find(A, "", 0.0) is None
    known.follow(None)
    assert [] == list(known.look())


def test_baseline_is_asked_while_it_changes() -> None:
    """Readers see one state or the other."""
    baseline, ended = Baseline(), threading.Event()
    seen: set[str] = set()

    def ask() -> None:
        while not ended.is_set():
            found = baseline.find(A, B, 0.0)
            seen.add(found.reason if found is not None else "")

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(2_000):
        baseline.use({A: Entry("a")} if number % 2 else {B: Entry("b")})
    ended.set()
    thread.join(30)
    assert seen <= {"", "a", "b"}
    assert not thread.is_alive()


# The command


def ack(folder: Path, *words: str) -> tuple[int, str, str]:
    config = folder / "droplog.yaml"
    config.write_text(f"baseline: {folder}/baseline.yaml\n")
    result = CliRunner().invoke(main, ["ack", "--config", str(config), *words])
    return result.exit_code, result.stdout, result.stderr


def test_command_adds_changes_lists_and_removes(tmp_path: Path) -> None:
    path = tmp_path / "baseline.yaml"
    assert (0, f"{path}: 0 entries\n", "") == ack(tmp_path, "--list")
    added = ack(tmp_path, SIGNATURE, "--reason", "scanner", "--until", "2999-12-31")
    assert (0, f"{path}: {SIGNATURE} added\n", "") == added
    assert (0, f"{path}: {SIGNATURE} changed\n", "") == ack(
        tmp_path, SIGNATURE, "--reason", "another"
    )
    entry = baseline_file.read(str(path))[SIGNATURE]
    assert ("another", None) == (entry.reason, entry.until)
    assert entry.by
    assert entry.since is not None
    baseline_file.acknowledge(str(path), PROBLEM, Entry("old", date(2020, 1, 1), "me", DAY))
    status, page, _ = ack(tmp_path, "--list")
    assert 0 == status
    assert f"{path}: 2 entries, 1 past" in page
    assert f"  {PROBLEM}  PAST since 2020-01-01, counts no more: old (me 2025-11-24)" in page
    assert f"  {SIGNATURE}  without end: another (" in page
    assert 0 == ack(tmp_path, PROBLEM, "--remove")[0]
    assert 1 == ack(tmp_path, PROBLEM, "--remove")[0]
    assert [SIGNATURE] == list(baseline_file.read(str(path)))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "expected a SIGNATURE or PROBLEM, or --list"),
        (("br-int", "--reason", "x"), 'got "br-int"; expected a signature or a problem'),
        ((SIGNATURE,), "--reason: expected a text that says why"),
        ((SIGNATURE, "--reason", " "), "--reason: expected a text that says why"),
        ((SIGNATURE, "--reason", "x", "--until", "soon"), 'got "soon"; expected a day'),
        ((SIGNATURE, "--reason", "x", "--until", "2020-01-01"), "--until: 2020-01-01 is past"),
        ((SIGNATURE, "--remove", "--reason", "x"), "--remove: expected neither"),
        ((SIGNATURE, "--list"), "--list: expected nothing beside it"),
    ],
)
def test_command_line_that_makes_no_sense_is_refused(
    tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    status, _, errors = ack(tmp_path, *words)
    assert 2 == status
    assert expected in errors
    assert not (tmp_path / "baseline.yaml").exists()


def test_without_a_file_in_the_configuration_nothing_is_written(tmp_path: Path) -> None:
    config = tmp_path / "droplog.yaml"
    config.write_text("format: json\n")
    words = ["ack", "--config", str(config), SIGNATURE, "--reason", "x"]
    result = CliRunner().invoke(main, words)
    assert 2 == result.exit_code
    assert "baseline: is not given; expected the path of a file" in result.stderr


def test_configuration_names_the_file_and_the_sinks_of_new_drops() -> None:
    text = "baseline: /b.yaml\nsinks: [{name: a, type: stdout, new_only: true}]\n"
    settings = loader.parse(text, "f", {})
    assert "/b.yaml" == settings.baseline
    assert [("a", True)] == [(sink.name, sink.new_only) for sink in settings.sinks if sink.new_only]
