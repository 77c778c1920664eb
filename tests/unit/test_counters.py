"""The switch's counters start anew now and then; the books go on."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_ken.ofproto import ofproto_parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_removed import FlowRemoved, parse_flow_removed
from ryu_droplog.reconcile.counters import Counters

TABLE = 4
COOKIE = 0x4000D407ABCD0104
lives = st.lists(st.lists(st.integers(0, 1000), max_size=6).map(sorted), max_size=6)
"""What is read of one counter: for each life of the flow, readings that do not fall."""


@pytest.fixture(params=["flow", "meter"])
def counter(request: pytest.FixtureRequest) -> str:
    return request.param


def ways(kind: str, books: SourceBooks) -> tuple[Callable[[int], None], Callable[[], None]]:
    """How a reading of that kind in `TABLE` is told, and how an end of its life is."""
    counters = Counters(books)
    if kind == "flow":
        return (
            lambda packets: counters.flow(COOKIE, TABLE, "TABLE_4", packets),
            lambda: counters.end_flow(COOKIE),
        )
    return (
        lambda packets: counters.meter(TABLE, "TABLE_4", packets),
        lambda: counters.forget_meters([TABLE]),
    )


def value(kind: str, books: SourceBooks) -> int:
    book = books.book(TABLE, "TABLE_4")
    return book.counted if kind == "flow" else book.metered


@given(lives)
@pytest.mark.parametrize("kind", ["flow", "meter"])
def test_lives_that_are_told_apart_add_up(kind: str, readings: list[list[int]]) -> None:
    books = SourceBooks()
    read, forget = ways(kind, books)
    for life in readings:
        for packets in life:
            read(packets)
        forget()
    assert sum(life[-1] for life in readings if life) == value(kind, books)


@given(lives)
@pytest.mark.parametrize("kind", ["flow", "meter"])
def test_book_never_falls(kind: str, readings: list[list[int]]) -> None:
    """Nor where a new life was not told of, as when the switch restarted unseen."""
    books = SourceBooks()
    read, _ = ways(kind, books)
    last = 0
    for packets in (packets for life in readings for packets in life):
        read(packets)
        assert last <= value(kind, books)
        last = value(kind, books)


def test_reading_repeated_counts_once(counter: str) -> None:
    books = SourceBooks()
    read, _ = ways(counter, books)
    for packets in (5, 5, 5):
        read(packets)
    assert 5 == value(counter, books)


def test_counter_that_fell_has_begun_anew(counter: str) -> None:
    books = SourceBooks()
    read, _ = ways(counter, books)
    read(100)
    read(3)
    assert 103 == value(counter, books)


def test_new_life_that_has_counted_more_than_the_old_counts_whole(counter: str) -> None:
    books = SourceBooks()
    read, forget = ways(counter, books)
    read(100)
    forget()
    read(150)
    assert 250 == value(counter, books)


def test_last_count_that_comes_after_the_next_flow_was_added_counts_once() -> None:
    """FLOW_REMOVED comes some milliseconds late; each addition has a cookie of its own."""
    books = SourceBooks()
    counters = Counters(books)
    counters.flow(COOKIE, TABLE, "TABLE_4", 1648)
    counters.flow(COOKIE + 0x100, TABLE, "TABLE_4", 10)
    counters.flow(COOKIE, TABLE, "TABLE_4", 2082)
    counters.end_flow(COOKIE)
    counters.flow(COOKIE + 0x100, TABLE, "TABLE_4", 20)
    assert 2082 + 20 == books.book(TABLE, "TABLE_4").counted


def test_tables_and_kinds_are_counted_apart() -> None:
    books = SourceBooks()
    counters = Counters(books)
    for table_id, packets in ((0, 5), (1, 9), (0, 6)):
        counters.flow(COOKIE + table_id, table_id, f"TABLE_{table_id}", packets)
    counters.meter(0, "TABLE_0", 2)
    counters.end_flow(COOKIE + 1)
    counters.end_flow(7)
    counters.flow(COOKIE, 0, "TABLE_0", 7)
    counters.flow(COOKIE + 1, 1, "TABLE_1", 9)
    counted = {table: (book.counted, book.metered) for table, book in books.tables.items()}
    assert {0: (7, 2), 1: (18, 0)} == counted
    assert {0: "TABLE_0", 1: "TABLE_1"} == books.names


def flow_removed(cookie: int, table_id: int, packets: int) -> bytes:
    """The message with its match, of nothing, behind it (OpenFlow 1.3.5 section 7.4.2)."""
    body = struct.pack("!QHBBIIHHQQ", cookie, 1, 2, table_id, 3, 4, 5, 6, packets, 8)
    body += struct.pack("!HH4x", 1, 4)
    return struct.pack("!BBHI", 4, 11, 8 + len(body), 0) + body


def test_flow_removed_is_read_as_os_ken_reads_it() -> None:
    message = flow_removed(0x4000D407ABCDEF04, 254, 2**40 + 3)
    theirs = ofproto_parser.msg(ProtocolDesc(4), 4, 11, len(message), 0, message)
    expected = FlowRemoved(theirs.cookie, theirs.table_id, theirs.packet_count)
    assert expected == parse_flow_removed(message)
    assert FlowRemoved(0x4000D407ABCDEF04, 254, 2**40 + 3) == expected


@pytest.mark.parametrize("length", range(48))
def test_flow_removed_cut_is_refused(length: int) -> None:
    with pytest.raises(SwitchError, match=f"a flow-removed message has only {length} bytes"):
        parse_flow_removed(flow_removed(1, 2, 3)[:length])
