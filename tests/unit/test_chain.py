"""The way of a packet: what is counted where, and in what order drops come out."""

from __future__ import annotations

import threading
import time

import pytest
from drops import GENERATION, Kept, packet_in
from frames import IPV4, ethernet, ipv4, syn, tcp

from ryu_droplog.model.accounting import Ledger
from ryu_droplog.pipelines.loader import parse_pipeline
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.processing.ingress_queue import IngressQueue
from ryu_droplog.sources.packet_in import PacketInReader

PATIENCE = 5.0
NOW = 1_700_000_000.5
PIPELINE = parse_pipeline("pipeline: small\ntables:\n  4: {name: NAMED}\n", "small.yaml")


class Bed:
    """A chain with a sink that runs."""

    def __init__(self, window: float | None = None, queue_size: int = 100_000) -> None:
        self.ledger = Ledger()
        self.sink = Kept(queue_size)
        throttle = None if window is None else Deduplicator(window)
        reader = PacketInReader("br-int", "Acc-", PIPELINE, GENERATION, self.ledger)
        self.chain = Chain(reader, self.ledger, throttle, [self.sink])

    def written(self) -> list[tuple[str, int]]:
        """Drop reason and source port of all that came out, once the sink has ended."""
        self.sink.start()
        assert 0 == self.sink.close(PATIENCE)
        return [(one.location.label, one.l4.src_port if one.l4 else -1) for one in self.sink.drops]


@pytest.fixture
def bed() -> Bed:
    return Bed()


def segment(number: int) -> bytes:
    return ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(number, 80)))


def test_packet_in_becomes_a_drop_with_all_that_is_known_of_it(bed: Bed) -> None:
    bed.chain.take([packet_in()], NOW, NOW)
    assert [("Acc-NAMED MISS", 42934)] == bed.written()
    [drop] = bed.sink.drops
    assert (NOW, "br-int", 4) == (drop.time, drop.location.bridge, drop.location.table_id)
    assert (syn(), False, 0) == (drop.frame, drop.truncated, drop.repeated)


def test_batches_come_out_in_the_order_of_their_packets(bed: Bed) -> None:
    for first in range(0, 100, 10):
        bed.chain.take([packet_in(segment(first + n), n % 2 * 4) for n in range(10)], NOW, NOW)
    labels = ("Acc-TABLE_0 MISS", "Acc-NAMED MISS")
    assert [(labels[number % 2], number) for number in range(100)] == bed.written()


def test_malformed_packet_in_is_counted_and_spoils_no_other(bed: Bed) -> None:
    whole = packet_in(segment(1))
    broken = whole[:20] + b"\xff\xff" + whole[22:]
    bed.chain.take(
        [whole[:20], packet_in(segment(2)), b"", broken[:-1], packet_in(segment(3))], NOW, NOW
    )
    assert 3 == bed.ledger.malformed
    assert [2, 3] == [port for _, port in bed.written()]
    total = bed.ledger.total()
    assert (5, 2, 3, 0) == (total.received, total.logged, total.failed, total.waiting)


def test_packet_in_cut_at_any_length_is_malformed_or_a_drop(bed: Bed) -> None:
    whole = packet_in()
    bed.chain.take([whole[:length] for length in range(len(whole))], NOW, NOW)
    assert len(whole) == bed.ledger.malformed, "its own length says that each was cut"
    assert 0 == bed.ledger.strangers


@pytest.mark.parametrize(
    "message",
    [packet_in(generation=GENERATION + 0x100), packet_in().replace(b"\xd4\x07", b"\xd4\x08", 1)],
    ids=["of another run", "of somebody else's flow"],
)
def test_stranger_is_counted_and_in_no_book(bed: Bed, message: bytes) -> None:
    bed.chain.take([message, packet_in(segment(1)), message], NOW, NOW)
    assert 2 == bed.ledger.strangers
    assert [1] == [port for _, port in bed.written()]
    assert 1 == bed.ledger.total().received


def test_frame_cut_inside_a_header_is_counted_and_logged(bed: Bed) -> None:
    bed.chain.take([packet_in(syn()[:40]), packet_in(syn())], NOW, NOW)
    assert 1 == bed.ledger.truncated
    assert 2 == len(bed.written())


def test_table_without_a_name_is_counted_and_logged(bed: Bed) -> None:
    bed.chain.take([packet_in(table_id=7), packet_in(table_id=4), packet_in(table_id=7)], NOW, NOW)
    assert 2 == bed.ledger.unnamed
    assert ["Acc-TABLE_7 MISS", "Acc-NAMED MISS"] == [label for label, _ in bed.written()[:2]]


def test_drops_are_booked_to_their_tables(bed: Bed) -> None:
    bed.chain.take([packet_in(table_id=table) for table in (4, 0, 4, 4)], NOW, NOW)
    bed.written()
    books = {table: (book.received, book.logged) for table, book in bed.ledger.tables.items()}
    assert {0: (1, 1), 4: (3, 3)} == books
    assert {0: "TABLE_0", 4: "NAMED"} == bed.ledger.names


def test_full_queue_of_the_sink_is_booked() -> None:
    bed = Bed(queue_size=3)
    bed.chain.take([packet_in(segment(number)) for number in range(5)], NOW, NOW)
    book = bed.ledger.total()
    assert (5, 2, 3) == (book.received, book.refused, book.waiting)
    assert [0, 1, 2] == [port for _, port in bed.written()]
    book = bed.ledger.total()
    assert (3, 2, 0) == (book.logged, book.refused, book.waiting)


def test_repeats_are_folded_and_booked() -> None:
    bed = Bed(window=1.0)
    bed.chain.take([packet_in(segment(number)) for number in (1, 1, 2, 1)], NOW, NOW)
    book = bed.ledger.total()
    assert (4, 4) == (book.received, book.waiting)
    bed.chain.tick(NOW + 0.9)
    bed.chain.take([packet_in(segment(1))], NOW, NOW + 0.95)
    bed.chain.tick(NOW + 1.0)
    bed.written()
    assert [(1, 0), (2, 0), (1, 3)] == [(d.l4.src_port, d.repeated) for d in bed.sink.drops]
    book = bed.ledger.total()
    assert (5, 2, 3, 0) == (book.received, book.logged, book.folded, book.waiting)


def test_repeats_before_a_full_queue_are_all_counted_as_refused() -> None:
    bed = Bed(window=1.0, queue_size=1)
    bed.chain.take([packet_in(segment(1)) for _ in range(5)], NOW, NOW)
    bed.chain.tick(NOW + 2)
    bed.written()
    book = bed.ledger.total()
    assert (5, 1, 4, 0) == (book.received, book.logged, book.refused, book.waiting)


def test_without_a_throttle_the_clock_changes_nothing(bed: Bed) -> None:
    bed.chain.take([packet_in(), packet_in()], NOW, NOW)
    bed.chain.tick(float("inf"))
    assert 2 == len(bed.written())


def test_batch_of_nothing_good_reaches_no_sink(bed: Bed) -> None:
    bed.chain.take([], NOW, NOW)
    bed.chain.take([b"odd"], NOW, NOW)
    assert [] == bed.written()


def test_chain_behind_its_intake_is_closed_with_every_window() -> None:
    bed = Bed(window=3600.0)
    ingress_queue = IngressQueue("br-int", bed.chain, bed.ledger, threading)
    for _ in range(10):
        ingress_queue.put([packet_in(segment(1))] * 3, time.time())
    ingress_queue.close(PATIENCE)
    bed.written()
    assert [0, 29] == [drop.repeated for drop in bed.sink.drops]
    book = bed.ledger.total()
    assert (30, 1, 29, 0) == (book.received, book.logged, book.folded, book.waiting)
