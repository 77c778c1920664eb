"""What `top` counts, and how `top --once` writes it."""

from __future__ import annotations

import json

from click.testing import CliRunner
from record_drops import HOSTILE
from test_impact import START, try_of
from test_observe_output import file_of

from ryu_droplog.__main__ import main
from ryu_droplog.observe import top_page
from ryu_droplog.observe.tallies import HISTORY, VIEWS, Row, Tallies


def test_rows_are_counted_in_packets_and_sorted() -> None:
    tallies = Tallies()
    for at in range(10):
        tallies.add(try_of(at, "10.1.0.1", 80, at))
    tallies.add(try_of(9, "10.1.0.2", 80, 1, repeated=50))
    first, second = tallies.views["pair"].rows("packets", START + 9)
    assert ("10.1.0.2 -> 10.0.0.1", 50, 5.0) == (first.label, first.packets, first.rate(START + 9))
    assert ("10.1.0.1 -> 10.0.0.1", 10, 1.0) == (
        second.label,
        second.packets,
        second.rate(START + 9),
    )
    assert [second] == tallies.views["pair"].rows("packets", START + 9, "0.1 ->")
    assert 60 == tallies.total.packets


def test_the_least_rows_are_folded_and_none_is_lost() -> None:
    tallies = Tallies(rows=20)
    for number in range(100):
        tallies.add(try_of(number, f"10.1.0.{number}", 80, number))
        tallies.add(try_of(number, "10.2.0.1", 80, number))
    rows = tallies.views["pair"].rows("packets", START + 100)
    assert len(rows) <= 21
    assert ("10.2.0.1 -> 10.0.0.1", 100) == (rows[0].label, rows[0].packets)
    assert rows[-1].label.startswith("(others): ")
    assert 101 == len(rows) - 1 + rows[-1].folded
    assert 200 == sum(row.packets for row in rows)


def test_the_curve_is_of_the_last_minute() -> None:
    row = Row("x")
    for second in range(1000):
        row.add(second, 1 + (second == 999) * 20)
    assert 20 == len(row.curve(999.0))
    assert "█" == row.curve(999.0)[-1]
    assert " " * 20 == row.curve(5000.0)
    assert len(row.seconds) <= 2 * HISTORY


def test_once_prints_the_tables_of_a_file() -> None:
    tries = [try_of(at, "10.1.0.1", 80, 7) for at in (0, 1, 3)]
    done = CliRunner().invoke(main, ["top", "--from", "-", "--once"], input=file_of(*tries))
    assert (0, "") == (done.exit_code, done.stderr)
    lines = done.stdout.splitlines()
    assert "3 drops, 0.3/s" == lines[0]
    assert "impact (inferred from SYNs): 1 client waits, for 3 s, 3 tries" == lines[1]
    for view in VIEWS:
        assert f"by {view}" in lines
    data = CliRunner().invoke(
        main, ["top", "--from", "-", "--once", "-o", "json"], input=file_of(*tries)
    )
    assert 3 == json.loads(data.stdout)["views"]["signature"][0]["packets"]


def test_filters_hold() -> None:
    tries = [try_of(0, "10.1.0.1", 80, 7), try_of(0, "10.1.0.2", 80, 7)]
    words = ["top", "--from", "-", "--once", "--from-ip", "10.1.0.2"]
    assert CliRunner().invoke(main, words, input=file_of(*tries)).stdout.startswith("1 drop, ")


def test_no_name_reaches_the_terminal_as_a_control() -> None:
    tallies = Tallies()
    record = try_of(0, "10.1.0.1", 80, 7)
    record.bridge = record.table.name = HOSTILE
    tallies.add(record)
    books = top_page.totals([{"bridges": {HOSTILE: {"books": {"": {"dropped": 1}}}}}])
    text = top_page.as_text(tallies, books, START, "rate", 10)
    assert all(line.isprintable() for line in text.split("\n"))


def test_the_view_without_a_terminal_says_what_to_do() -> None:
    done = CliRunner().invoke(main, ["top", "--from", "-"], input=b"")
    assert 2 == done.exit_code
    assert "--once" in done.stderr


def test_the_books_say_what_has_no_record() -> None:
    books = top_page.totals(
        [{"bridges": {"br": {"books": {"": {"dropped": 5, "logged": 3, "metered": 2}}}}}]
    )
    assert ["br: 5 dropped, 3 logged, 2 rate-limited"] == top_page.books_lines(books)
    assert top_page.hides(books)
