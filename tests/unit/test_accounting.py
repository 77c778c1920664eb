"""The books balance: each term is counted or measured, so that what is missing shows."""

from __future__ import annotations

from collections import Counter

import pytest
from book_rows import reading
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model.accounting import SinkBook, SinkReading, SourceBooks, TableBook, add
from ryu_droplog.processing.report import ALL, snapshot

ENDS = ("failed", "filtered", "handed_on")
UNREAD = ("refused", "malformed", "unrecognised", "failed")
TABLES = (0, 4, 254)

fates = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(TABLES), st.sampled_from((*ENDS, "window"))),
        st.tuples(st.none(), st.sampled_from((*UNREAD, "waiting"))),
    ),
    max_size=60,
)
"""The table of a packet, None where nobody knows it, and what became of it."""


def bring(books: SourceBooks, table_id: int | None, fate: str) -> None:
    """Enter one packet, as the program does, from its arrival to its end."""
    books.arrived += 1
    if table_id is None:
        if fate != "waiting":
            setattr(books, fate, getattr(books, fate) + 1)
        return
    book = books.book(table_id, f"TABLE_{table_id}")
    book.received += 1
    if fate != "window":
        setattr(book, fate, getattr(book, fate) + 1)


@given(fates)
def test_source_balances_whatever_becomes_of_its_packets(
    packets: list[tuple[int | None, str]],
) -> None:
    books = SourceBooks()
    for table_id, fate in packets:
        bring(books, table_id, fate)
    windows = Counter(table for table, fate in packets if fate == "window" and table is not None)
    waiting = sum(fate == "waiting" for _, fate in packets)
    found = reading(books, waiting=waiting, deduplicated=windows)
    assert (0, []) == (found.unexplained(), list(found.sides()))


@pytest.mark.parametrize("term", [*ENDS, "received"])
def test_packet_counted_twice_in_a_table_is_unexplained(term: str) -> None:
    books = SourceBooks(arrived=3)
    book = books.book(4, "A")
    book.received, book.handed_on = 3, 3
    setattr(book, term, getattr(book, term) + 1)
    found = reading(books)
    assert found.unexplained() > 0
    assert any("A" in side or "arrived" in side for side in found.sides())


def test_sides_of_an_equation_that_does_not_hold_are_told() -> None:
    books = SourceBooks(arrived=5, refused=1, malformed=1)
    book = books.book(4, "A")
    book.received, book.filtered, book.handed_on = 3, 1, 1
    expected = "A: 3 received, but 0 failed + 1 filtered + 0 deduplicated + 1 handed on are 2"
    assert (1, [expected]) == (reading(books).unexplained(), list(reading(books).sides()))
    books.arrived = 6
    assert 2 == reading(books).unexplained()
    assert (
        "6 arrived, but 1 refused + 0 waiting + 0 unrecognised + 1 malformed + 0 failed"
        " + 3 received are 5" in list(reading(books).sides())
    )


def sink(handed_on: int, queued: int = 0, **outcomes: int) -> SinkReading:
    key = ("br-int", 4)
    return SinkReading("log", handed_on, {key: SinkBook(**outcomes)}, {key: queued}, 0, 0, 0)


def test_sink_balances_when_every_drop_ended_or_waits() -> None:
    found = sink(21, 6, filtered=1, refused=2, failed=3, expired=4, written=5)
    assert (0, []) == (found.unexplained(), list(found.sides()))


def test_drop_that_a_sink_lost_or_counted_twice_is_unexplained() -> None:
    assert 1 == sink(3, written=2).unexplained()
    assert -1 == sink(3, written=4).unexplained()
    expected = (
        "3 handed on + 0 recovered, but 0 filtered + 0 refused + 0 failed + 0 expired + 2 written"
        " + 0 queued or in flight + 0 spooled are 2"
    )
    assert [expected] == list(sink(3, written=2).sides())


# What `status` makes of them


def test_drops_of_every_fate_are_in_one_column() -> None:
    books = SourceBooks(arrived=12, refused=1, malformed=2, failed=1, missed=3)
    book = books.book(4, "A")
    book.counted, book.metered, book.received = 40, 20, 8
    book.failed, book.filtered, book.handed_on = 1, 1, 5
    log = SinkBook(refused=1, failed=1, written=2, repeats=1)
    rows = snapshot(reading(books, deduplicated=Counter({4: 1})), {4: log}, {4: 1})
    table, total = rows["4"], rows[ALL]
    assert {
        "logged": 1,
        "folded": 1,
        "pruned": 1,
        "refused": 1,
        "failed": 2,
        "waiting": 2,
        "lost_in_switch": 12,
        "dropped": 40,
    } == {name: table[name] for name in table if name in total and name in WANTED}
    assert (8 + 7, 1 + 4, 2 + 3) == (total["received"], total["refused"], total["failed"])
    assert total["received"] == sum(total[name] for name in LOG_ENDS)


LOG_ENDS = ("logged", "pruned", "folded", "refused", "failed", "waiting")
WANTED = (*LOG_ENDS, "lost_in_switch", "dropped")


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_counter_that_is_behind_makes_nothing_negative(
    counted: int, metered: int, received: int
) -> None:
    """Open vSwitch brings its counters up to date twice a second; a PacketIn is there at once."""
    books = SourceBooks()
    book = books.book(0, "A")
    book.counted, book.metered, book.received = counted, metered, received
    for row in snapshot(reading(books), {}, {}).values():
        assert max(counted, metered + received) == row["dropped"]
        assert row["dropped"] == row["metered"] + row["lost_in_switch"] + row["received"]
        assert 0 <= row["lost_in_switch"]


def test_unrecognised_packet_is_in_no_column() -> None:
    rows = snapshot(reading(SourceBooks(arrived=9, unrecognised=9)), {}, {})
    assert {"table": "all tables", **dict.fromkeys(rows[ALL].keys() - {"table"}, 0)} == rows[ALL]


def test_managed_bridge_balances_in_total() -> None:
    """One flow, in the agent's EXP_DROP_TABLE, counts for all tables."""
    books = SourceBooks()
    drops, policy = books.book(15, "EXP_DROP_TABLE"), books.book(12, "POL_TABLE")
    drops.counted, drops.metered = 10, 4
    policy.received = policy.handed_on = 5
    total = snapshot(reading(books), {12: SinkBook(written=5)}, {})[ALL]
    columns = ("dropped", "metered", "lost_in_switch", "logged")
    assert [10, 4, 1, 5] == [total[name] for name in columns]


def test_book_opened_again_goes_on_under_its_new_name() -> None:
    books = SourceBooks()
    books.book(4, "old").received = 5
    assert 5 == books.book(4, "new").received
    assert ({4: "new"}, {4: TableBook(received=5)}) == (books.names, books.tables)


def test_books_are_added_counter_by_counter() -> None:
    books = [TableBook(1, 2, 3, 4, 5, 6, 7), TableBook(10, 20, 30, 40, 50, 60, 70)]
    assert TableBook(11, 22, 33, 44, 55, 66, 77) == add(books, TableBook())
