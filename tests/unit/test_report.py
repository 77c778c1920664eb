"""The books in words, as a table and as numbers."""

from __future__ import annotations

from book_rows import reading
from book_rows import rows as taken
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.processing.report import ALL, COUNTERS, as_table, attention, in_words, snapshot

FIELDS = ("counted", "metered", "received", "logged", "folded", "refused", "failed")


EMPTY = taken()
ALL_LOGGED = {"counted": 3, "received": 3, "logged": 3}


# Numbers


def test_snapshot_has_every_column_of_every_table_and_of_all() -> None:
    books = taken(("A", ALL_LOGGED), ("B", {"counted": 2}))
    assert ["0", "1", ALL] == list(books)
    assert [{"table", "dropped", "lost_in_switch", *COUNTERS}] * 3 == [
        set(book) for book in books.values()
    ]
    assert [("A", 3, 3, 0), ("B", 2, 0, 2), ("all tables", 5, 3, 2)] == [
        (book["table"], book["dropped"], book["logged"], book["lost_in_switch"])
        for book in books.values()
    ]


def test_snapshot_is_in_the_order_of_table_ids() -> None:
    books = SourceBooks()
    for table_id in (10, 0, 254, 9):
        books.book(table_id, f"TABLE_{table_id}")
    assert ["0", "9", "10", "254", ALL] == list(snapshot(reading(books), {}, {}))


def test_snapshot_stays_as_it_was() -> None:
    books = SourceBooks()
    books.book(0, "A").counted = 3
    before = snapshot(reading(books), {}, {})
    books.tables[0].counted = 100
    assert 3 == before["0"]["counted"]


def test_tables_of_one_name_are_both_in_the_snapshot() -> None:
    """Open vSwitch takes the same name for two tables."""
    books = taken(("acl", {"counted": 3}), ("acl", {"counted": 4}))
    assert [3, 4, 7] == sorted(book["counted"] for book in books.values())


@given(st.lists(st.fixed_dictionaries({name: st.integers(0, 9) for name in FIELDS}), max_size=4))
def test_total_is_the_sum_of_the_counters(tables: list[dict[str, int]]) -> None:
    named = [(f"T{number}", numbers) for number, numbers in enumerate(tables)]
    total = taken(*named)[ALL]
    assert {name: sum(numbers[name] for numbers in tables) for name in FIELDS} == {
        name: total[name] for name in FIELDS
    }


# Words


def test_nothing_dropped_is_no_line() -> None:
    now = taken(("A", ALL_LOGGED))
    assert in_words("br-int", EMPTY, EMPTY) is None
    assert in_words("br-int", now, now) is None


def test_all_logged_is_said_in_a_few_words() -> None:
    expected = "br-int: 3 drops: 3 in A; 3 logged"
    assert expected == in_words("br-int", EMPTY, taken(("A", ALL_LOGGED)))


def test_only_what_has_come_since_is_said() -> None:
    before = taken(("A", ALL_LOGGED), ("B", ALL_LOGGED))
    more = {"counted": 8, "received": 8, "logged": 8}
    now = taken(("A", ALL_LOGGED), ("B", more), ("C", {"counted": 1, "metered": 1}))
    expected = "br-int: 6 drops: 5 in B, 1 in C; 5 logged, 1 rate-limited by the meter"
    assert expected == in_words("br-int", before, now)


def test_table_with_most_drops_comes_first() -> None:
    tables = [(f"T{n}", {"counted": n, "received": n, "logged": n}) for n in (2, 9, 1)]
    expected = "br-int: 12 drops: 9 in T9, 2 in T2, 1 in T1; 12 logged"
    assert expected == in_words("br-int", EMPTY, taken(*tables))


def test_every_way_to_be_left_out_is_named_with_its_number() -> None:
    numbers = {
        "counted": 1000, "metered": 500, "received": 160,
        "logged": 100, "folded": 30, "refused": 20, "failed": 7,
    }  # fmt: skip
    now = taken(("A", numbers), refused=9, malformed=1)
    expected = (
        "br-int: 1000 drops: 1000 in A; 100 logged, 500 rate-limited by the meter,"
        " 30 deduplicated, 330 lost in the switch, 29 refused by a full queue,"
        " 8 lost because they could not be written, 3 still on their way"
    )
    assert expected == in_words("br-int", EMPTY, now)


def test_numbers_of_the_words_add_up() -> None:
    numbers = {"counted": 90, "metered": 11, "received": 60, "logged": 20, "folded": 13}
    said = in_words("br-int", EMPTY, taken(("A", numbers), refused=4))
    assert said is not None
    parts = said.partition("; ")[2].split(", ")
    assert 90 == sum(int(part.split()[0]) for part in parts)


def test_loss_of_what_was_on_its_way_is_said_though_nothing_more_was_dropped() -> None:
    """A disk that fills after the last drop of a burst."""
    numbers = {"counted": 5, "received": 5}
    before = taken(("A", numbers))
    now = taken(("A", {**numbers, "failed": 5}))
    said = in_words("br-int", before, now)
    assert said is not None
    assert "5 lost because they could not be written" in said


# The table


def state(*tables: tuple[str, dict[str, int]], **others: int) -> dict[str, object]:
    """A source with these books."""
    return {"books": taken(*tables, **others)}


def test_table_has_a_line_for_each_table_and_one_for_all() -> None:
    numbers = {"counted": 1234, "metered": 1000, "received": 233, "logged": 200, "refused": 33}
    text = as_table({"br-int": state(("A", ALL_LOGGED), ("LONGER", numbers))})
    assert [
        "bridge  table       dropped  logged  filtered  deduplicated  summarised  rate-limited"
        "  lost in switch"
        "  refused  not written  waiting  counted only",
        "br-int  A                 3       3         0             0           0             0"
        "               0"
        "        0            0        0             0",
        "br-int  LONGER         1234     200         0             0           0          1000"
        "               1"
        "       33            0        0             0",
        "br-int  all tables     1237     203         0             0           0          1000"
        "               1"
        "       33            0        0             0",
    ] == text.splitlines()


def rows(text: str) -> list[list[str]]:
    """The cells of the lines below the heading, which have no space inside but `all tables`."""
    return [line.replace("all tables", "*").split() for line in text.splitlines()[1:]]


def test_only_table_has_no_line_for_all() -> None:
    text = as_table({"br-int": state(("A", ALL_LOGGED))})
    assert [["br-int", "A", "3", "3", *["0"] * 9]] == rows(text)


def test_bridge_without_tables_has_a_line_for_all() -> None:
    assert [["br-int", "*", *["0"] * 11]] == rows(as_table({"br-int": state()}))


def test_no_bridge_is_a_heading_alone() -> None:
    assert [] == rows(as_table({}))


def test_losses_of_unknown_table_show_where_there_is_one_table_only() -> None:
    """What nobody looked at was not lost in the switch."""
    numbers = {"counted": 10, "received": 3, "logged": 3}
    last = rows(as_table({"br-int": state(("A", numbers), refused=5, malformed=2)}))[-1]
    assert ["0", "5", "2"] == last[8:11], "lost in switch, refused, not written"


def test_explicit_drops_that_nobody_saw_are_told_by_table() -> None:
    before, now = (
        taken(("A", {}), ("B", {})),
        taken(("A", {"explicit": 3}), ("B", {"explicit": 4})),
    )
    expected = "br: 0 drops; 0 logged; 7 more by explicit drops, counted only: 4 in B, 3 in A"
    assert expected == in_words("br", before, now)


# What is not seen


def test_attention_says_what_is_not_watched_since_when_and_why() -> None:
    watched = {"name": "A", "watched": True, "withdrawn": 0}
    waits = {"name": "B", "watched": False, "missing_seconds": 2.5, "retry_seconds": 4.0}
    state = {
        "connected": True,
        "tables": [watched, {**waits, "refusal": "was removed"}],
        "explicit": [{"watched": False, "missing_seconds": 3.0, "refusal": "no meter"}],
        "coming": [{"table_id": 20, "name": "TABLE_20", "missing_seconds": 0.1}],
        "other_runs": [
            {"generation": "0x222200", "at_work": True, "flows": 2, "meters": 2},
            {
                "generation": "0x333300",
                "at_work": False,
                "flows": 0,
                "meters": 1,
                "seconds_to_decide": 12.5,
            },
        ],
    }
    assert attention(state) == [
        "another ryu_droplog is at work on this bridge (generation 0x222200): 2 flows of its own"
        " left alone, and what they take is not logged here",
        "0 flows and 1 meter of another run (generation 0x333300) are left alone for 12.5 s more,"
        " to see whether it is at work",
        "TABLE_20 has come into use, and is not watched before the next plan (since 0.1 s)",
        "B is not watched (since 2.5 s): was removed; next try in 4 s",
        "1 explicit drop not logged now, the first since 3 s: no meter",
    ]


def test_attention_leaves_out_what_has_just_begun() -> None:
    row = {"name": "B", "watched": False, "missing_seconds": 2.5}
    coming = {"name": "C", "missing_seconds": 0.1}
    state = {"connected": True, "tables": [row], "explicit": [row], "coming": [coming]}
    assert 3 == len(attention(state))
    assert 2 == len(attention(state, 2.5))
    assert [] == attention(state, 2.6)


def test_attention_says_nothing_where_all_is_watched() -> None:
    watched = {"name": "A", "watched": True, "withdrawn": 0}
    state = {"tables": [watched], "explicit": [], "coming": [], "other_runs": []}
    assert not attention({"connected": True, **state})
    state["tables"] = [{"name": "B", "watched": False, "missing_seconds": 2.5}]
    assert attention({"connected": True, **state})
    assert not attention({"connected": False, **state})
