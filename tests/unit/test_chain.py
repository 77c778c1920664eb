"""The way of a packet: what is counted where, and in what order drops come out."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from book_rows import reading
from drops import GENERATION, packet_in
from frames import IPV4, ethernet, ipv4, syn, tcp
from sinks import Kept

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet import ethernet as ethernet_module
from ryu_droplog.pipelines.loader import parse_pipeline
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.processing.ingress_queue import IngressQueue
from ryu_droplog.processing.report import ALL, snapshot
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.sources.packet_in import PacketInReader

PATIENCE = 5.0
DECODE = ethernet_module.decode
NOW = 1_700_000_000.5
PIPELINE = parse_pipeline("pipeline: small\ntables:\n  4: {name: NAMED}\n", "small.yaml")


class Bed:
    """A chain with a sink that runs."""

    def __init__(self, window: float | None = None, queue_size: int = 100_000) -> None:
        self.books = SourceBooks()
        self.sink = Kept(queue_size)
        self.log = LogBooks()
        self.log.begin(self.sink)
        self.deduplicator = None if window is None else Deduplicator(window)
        reader = PacketInReader("br-int", "Acc-", PIPELINE, GENERATION, self.books)
        self.chain = Chain(reader, self.books, self.deduplicator, [self.sink])

    def written(self) -> list[tuple[str, int]]:
        """Drop reason and source port of all that came out, once the sink has ended."""
        self.sink.start()
        assert 0 == self.sink.close(PATIENCE)
        return [
            (one.location.drop_reason, one.l4.src_port if one.l4 else -1) for one in self.sink.drops
        ]

    def total(self) -> dict[str, Any]:
        """All tables together, as `status` tells them."""
        read = reading(self.books, "br-int", deduplicated=self.chain.deduplicated())
        return snapshot(read, *self.log.of("br-int"))[ALL]

    def numbers(self, *columns: str) -> tuple[int, ...]:
        """These columns of all tables together."""
        total = self.total()
        return tuple(total[column] for column in columns)


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
    assert 3 == bed.books.malformed
    assert [2, 3] == [port for _, port in bed.written()]
    assert (5, 2, 3, 0) == bed.numbers("received", "logged", "failed", "waiting")


def test_packet_in_cut_at_any_length_is_malformed_or_a_drop(bed: Bed) -> None:
    whole = packet_in()
    bed.chain.take([whole[:length] for length in range(len(whole))], NOW, NOW)
    assert len(whole) == bed.books.malformed, "its own length says that each was cut"
    assert 0 == bed.books.unrecognised


@pytest.mark.parametrize(
    "message",
    [packet_in(generation=GENERATION + 0x100), packet_in().replace(b"\xd4\x07", b"\xd4\x08", 1)],
    ids=["of another run", "of somebody else's flow"],
)
def test_stranger_is_counted_and_in_no_book(bed: Bed, message: bytes) -> None:
    bed.chain.take([message, packet_in(segment(1)), message], NOW, NOW)
    assert 2 == bed.books.unrecognised
    assert [1] == [port for _, port in bed.written()]
    assert (1,) == bed.numbers("received")


def test_frame_cut_inside_a_header_is_counted_and_logged(bed: Bed) -> None:
    bed.chain.take([packet_in(syn()[:40]), packet_in(syn())], NOW, NOW)
    assert 1 == bed.books.truncated
    assert 2 == len(bed.written())


def test_table_without_a_name_is_counted_and_logged(bed: Bed) -> None:
    bed.chain.take([packet_in(table_id=7), packet_in(table_id=4), packet_in(table_id=7)], NOW, NOW)
    assert 2 == bed.books.unnamed
    assert ["Acc-TABLE_7 MISS", "Acc-NAMED MISS"] == [label for label, _ in bed.written()[:2]]


def test_drops_are_booked_to_their_tables(bed: Bed) -> None:
    bed.chain.take([packet_in(table_id=table) for table in (4, 0, 4, 4)], NOW, NOW)
    bed.written()
    received = {table: book.received for table, book in bed.books.tables.items()}
    logged = {table: book.written for table, book in bed.log.of("br-int")[0].items()}
    assert {0: 1, 4: 3} == received == logged
    assert {0: "TABLE_0", 4: "NAMED"} == bed.books.names


def test_full_queue_of_the_sink_is_booked() -> None:
    bed = Bed(queue_size=3)
    bed.chain.take([packet_in(segment(number)) for number in range(5)], NOW, NOW)
    assert (5, 2, 3) == bed.numbers("received", "refused", "waiting")
    assert [0, 1, 2] == [port for _, port in bed.written()]
    assert (3, 2, 0) == bed.numbers("logged", "refused", "waiting")


def test_repeats_are_folded_and_booked() -> None:
    bed = Bed(window=1.0)
    bed.chain.take([packet_in(segment(number)) for number in (1, 1, 2, 1)], NOW, NOW)
    assert (4, 4) == bed.numbers("received", "waiting")
    bed.chain.tick(NOW + 0.9)
    bed.chain.take([packet_in(segment(1))], NOW, NOW + 0.95)
    bed.chain.tick(NOW + 1.0)
    bed.written()
    assert [(1, 0), (2, 0), (1, 3)] == [(d.l4.src_port, d.repeated) for d in bed.sink.drops]
    assert (5, 2, 3, 0) == bed.numbers("received", "logged", "folded", "waiting")


def test_repeats_before_a_full_queue_are_all_counted_as_refused() -> None:
    bed = Bed(window=1.0, queue_size=1)
    bed.chain.take([packet_in(segment(1)) for _ in range(5)], NOW, NOW)
    bed.chain.tick(NOW + 2)
    bed.written()
    assert (5, 1, 4, 0) == bed.numbers("received", "logged", "refused", "waiting")


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
    ingress_queue = IngressQueue("br-int", bed.chain, bed.books, threading)
    for _ in range(10):
        ingress_queue.put([packet_in(segment(1))] * 3, time.time())
    ingress_queue.close(PATIENCE)
    bed.written()
    assert [0, 29] == [drop.repeated for drop in bed.sink.drops]
    assert (30, 1, 29, 0) == bed.numbers("received", "logged", "folded", "waiting")


# Mistakes of this program: one message is counted as failed, the others come out


class Mistaken:
    """Does as another part does, and raises where a packet has source port 13."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def read(self, message: bytes) -> Any:
        if segment(13)[-20:] in message:
            raise RuntimeError("a mistake")
        return self._part.read(message)

    def match(self, drop: Drop) -> str | None:
        if drop.l4 is not None and drop.l4.src_port == 13:
            raise RuntimeError("a mistake")
        return None

    def take(self, drop: Drop, now: float) -> list[Drop]:
        self.match(drop)
        return self._part.take(drop, now)

    def expire(self, now: float) -> list[Drop]:
        return self._part.expire(now)

    def waiting(self) -> Any:
        return self._part.waiting()


def decode_with_a_mistake(raw: bytes, *where: Any) -> Drop:
    drop = DECODE(raw, *where)
    Mistaken(None).match(drop)
    return drop


MIXED = [packet_in(segment(number)) for number in (*range(1, 7), 13, *range(7, 12))]
"""Eleven good ones, and in their middle the one that meets the mistake."""


@pytest.mark.parametrize("stage", ["reader", "decoder", "filter", "deduplication"])
def test_mistake_in_any_stage_costs_one_packet_and_the_books_balance(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = Bed(window=3600.0 if stage == "deduplication" else None)
    reader = PacketInReader("br-int", "Acc-", PIPELINE, GENERATION, bed.books)
    deduplicator: Any = bed.deduplicator
    filters: list[Any] = []
    if stage == "decoder":
        monkeypatch.setattr(ethernet_module, "decode", decode_with_a_mistake)
    elif stage == "filter":
        filters = [Mistaken(None)]
    elif stage == "deduplication":
        deduplicator = Mistaken(bed.deduplicator)
    chosen: Any = Mistaken(reader) if stage == "reader" else reader
    chain = Chain(chosen, bed.books, deduplicator, [bed.sink], filters)
    bed.chain = chain
    queue = IngressQueue("br-int", chain, bed.books, threading)
    queue.put([*MIXED, b"malformed"], time.time())
    assert queue.settle(PATIENCE)
    with queue.held() as waiting:
        found = reading(bed.books, waiting=waiting, deduplicated=chain.deduplicated())
        assert (0, 0) == (found.unexplained(), bed.sink.reading().unexplained())
    queue.close(PATIENCE)
    assert list(range(1, 12)) == [port for _, port in bed.written()]
    assert 1 == bed.books.failed + sum(table.failed for table in bed.books.tables.values())
    assert (2, 1) == (bed.numbers("failed")[0], bed.books.malformed)
    assert 0 == bed.sink.reading().unexplained()
    [trace, _] = sorted(chain.complaints, key=len, reverse=True)
    assert "RuntimeError: a mistake" in trace


def test_traceback_of_a_mistake_is_shown_once_a_minute(bed: Bed) -> None:
    chain = Chain(
        Mistaken(PacketInReader("br-int", "Acc-", PIPELINE, GENERATION, bed.books)),
        bed.books, None, [bed.sink],
    )  # fmt: skip
    shown = []
    for second in range(130):
        chain.take([packet_in(segment(13))], NOW, 1000.0 + second)
        shown += [second] * len(chain.complaints)
        chain.complaints.clear()
    assert [0, 60, 120] == shown
    assert 130 == bed.books.failed


def test_mistake_of_a_sink_costs_its_own_drop_and_no_other_sink() -> None:
    class Careless(Kept):
        ENCODES_EARLY = True

        def encode(self, drop: Drop) -> Drop:
            Mistaken(None).match(drop)
            return drop

    bed = Bed()
    careless = Careless(name="careless")
    reader = PacketInReader("br-int", "Acc-", PIPELINE, GENERATION, bed.books)
    Chain(reader, bed.books, None, [careless, bed.sink]).take(MIXED, NOW, NOW)
    careless.start()
    assert 0 == careless.close(PATIENCE)
    assert 12 == len(bed.written())
    assert (11, 1, 0) == (careless.written, careless.failed, careless.reading().unexplained())
