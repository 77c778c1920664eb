"""The books balance: the fate of every drop is in them once, whatever comes in whatever order."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model.accounting import COLUMNS, Ledger, TableBook

ENDS = ("logged", "folded", "pruned", "refused", "failed")
FATES = (*ENDS, "waiting", "metered", "lost", "overrun", "malformed")
"""All that can become of a packet that our flow has counted."""
TABLES = (0, 4, 254)

fates = st.lists(st.tuples(st.sampled_from(TABLES), st.sampled_from(FATES)), max_size=60)


def bring(ledger: Ledger, table_id: int, fate: str) -> None:
    """Enter one drop, as the program does, from the switch's counter to its end."""
    book = ledger.book(table_id, f"TABLE_{table_id}")
    book.counted += 1
    if fate == "metered":
        book.metered += 1
    elif fate in ("overrun", "malformed"):
        setattr(ledger, fate, getattr(ledger, fate) + 1)
    elif fate != "lost":
        book.received += 1
        if fate in ENDS:
            setattr(book, fate, getattr(book, fate) + 1)


@given(fates)
def test_drops_of_every_fate_balance_in_each_table(drops: list[tuple[int, str]]) -> None:
    ledger = Ledger()
    for table_id, fate in drops:
        bring(ledger, table_id, fate)
    for table_id, book in ledger.tables.items():
        seen = Counter(fate for table, fate in drops if table == table_id)
        # Of an overrun or a malformed PacketIn nobody knows the table.
        unseen = seen["lost"] + seen["overrun"] + seen["malformed"]
        assert seen.total() == book.dropped
        assert (unseen, seen["waiting"]) == (book.lost_in_switch, book.waiting)
        assert book.dropped == book.metered + book.lost_in_switch + book.received
        assert book.received == sum(getattr(book, end) for end in ENDS) + book.waiting
        assert unseen + seen["refused"] + seen["failed"] == book.lost


BESIDES = ("counted", "received", "explicit")
"""What is no end of a packet's way through the program."""


@given(fates)
def test_drops_of_every_fate_balance_in_total(drops: list[tuple[int, str]]) -> None:
    ledger = Ledger()
    for table_id, fate in drops:
        bring(ledger, table_id, fate)
    total = ledger.total()
    seen = Counter(fate for _, fate in drops)
    assert {
        "dropped": len(drops),
        "metered": seen["metered"],
        "lost_in_switch": seen["lost"],
        "logged": seen["logged"],
        "folded": seen["folded"],
        "pruned": seen["pruned"],
        "refused": seen["refused"] + seen["overrun"],
        "failed": seen["failed"] + seen["malformed"],
        "waiting": seen["waiting"],
    } == {name: getattr(total, name) for name in COLUMNS if name not in BESIDES}
    assert total.dropped == total.metered + total.lost_in_switch + total.received
    assert total.received == sum(getattr(total, end) for end in ENDS) + total.waiting


@given(fates, st.integers(0, 60))
def test_counter_that_is_behind_makes_nothing_negative(
    drops: list[tuple[int, str]], behind: int
) -> None:
    """Open vSwitch brings its counters up to date twice a second; a PacketIn is there at once."""
    ledger = Ledger()
    for table_id, fate in drops:
        bring(ledger, table_id, fate)
    for book in ledger.tables.values():
        book.counted = max(0, book.counted - behind)
        assert max(book.counted, book.metered + book.received) == book.dropped
    for book in (*ledger.tables.values(), ledger.total()):
        assert 0 <= book.lost_in_switch
        assert book.dropped == book.metered + book.lost_in_switch + book.received


def test_total_changes_no_book() -> None:
    ledger = Ledger(overrun=3, malformed=2)
    ledger.book(0, "TABLE_0").received = 7
    assert [12, 12] == [ledger.total().received for _ in range(2)]
    assert {0: TableBook(received=7)} == ledger.tables


def test_total_of_no_table_is_empty() -> None:
    assert TableBook() == Ledger().total()


def test_stranger_is_in_no_book() -> None:
    ledger = Ledger(strangers=9)
    assert TableBook() == ledger.total()


def test_managed_bridge_balances_in_total() -> None:
    """One flow, in the agent's EXP_DROP_TABLE, counts for all tables."""
    ledger = Ledger()
    drops, policy = ledger.book(15, "EXP_DROP_TABLE"), ledger.book(12, "POL_TABLE")
    drops.counted, drops.metered = 10, 4
    policy.received, policy.logged = 5, 5
    total = ledger.total()
    assert (10, 4, 1, 5) == (total.dropped, total.metered, total.lost_in_switch, total.logged)


def test_book_opened_again_goes_on_under_its_new_name() -> None:
    ledger = Ledger()
    ledger.book(4, "old").received = 5
    assert 5 == ledger.book(4, "new").received
    assert ({4: "new"}, {4: TableBook(received=5)}) == (ledger.names, ledger.tables)
