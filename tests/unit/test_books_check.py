"""Whether the books balance is looked at while a program runs, and an imbalance is an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from drops import GENERATION, packet_in
from frames import IPV4, ethernet, ipv4, tcp
from sinks import Kept

from ryu_droplog.config.settings import Deduplication
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.pipelines.loader import parse_pipeline
from ryu_droplog.runtime.books import INTERVAL, RECHECK, BooksCheck, Reading, read
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.sources.base import Route, Source
from ryu_droplog.sources.packet_in import PacketInReader

PATIENCE = 10.0
PIPELINE = parse_pipeline("pipeline: small\ntables:\n  4: {name: NAMED}\n", "small.yaml")


class Bed:
    """A source with two sinks, and the check of their books."""

    def __init__(self) -> None:
        self.books = SourceBooks()
        self.sinks = [Kept(name="first"), Kept(name="second")]
        for sink in self.sinks:
            sink.start()
        log = LogBooks()
        log.begin(self.sinks[0])
        route = Route(Deduplication(0.2, 100), self.sinks, [], log)
        reader = PacketInReader("br-int", "", PIPELINE, GENERATION, self.books)
        self.source = Source("br-int", reader, self.books, route, threading)
        self.now = 1000.0
        self.check = BooksCheck(lambda: self.now)

    def read(self) -> Reading:
        return read([self.source], self.sinks)

    def look(self, seconds: float = INTERVAL) -> list[str]:
        """What is said when it is looked at that much later."""
        self.now += seconds
        return list(self.check.look(self.read))

    def put(self, count: int, flows: int = 10) -> None:
        messages = [
            packet_in(ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(number % flows, 80))))
            for number in range(count)
        ]
        self.source.ingress_queue.put(messages, time.time())


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.source.close(PATIENCE)
    for sink in bed.sinks:
        sink.close(PATIENCE)


def test_books_balance_at_every_moment_of_a_load(bed: Bed) -> None:
    """Each reading is exact, though the chain and both sinks are at work."""
    ending = threading.Event()

    def load() -> None:
        while not ending.is_set():
            bed.put(50)

    sender = threading.Thread(target=load)
    sender.start()
    try:
        deadline = time.monotonic() + 3
        readings = []
        while time.monotonic() < deadline and len(readings) < 200:
            readings.append(bed.read().unexplained())
    finally:
        ending.set()
        sender.join(PATIENCE)
    assert len(readings) > 5
    assert [{}] * len(readings) == readings
    assert bed.books.arrived > 0
    assert bed.source.ingress_queue.settle(PATIENCE)
    assert {} == bed.read().unexplained()


def test_miscount_is_an_error_once_with_both_sides_when_two_readings_agree(bed: Bed) -> None:
    bed.put(20)
    assert bed.source.ingress_queue.settle(PATIENCE)
    bed.source.close(PATIENCE)
    assert [] == bed.look()
    bed.books.tables[4].received += 3
    assert [] == bed.look(), "it may be read in the middle of a change"
    assert {} == bed.check.unexplained
    said = bed.look(RECHECK)
    assert 1 == len(said)
    assert said[0].startswith("br-int: the books do not balance, unexplained: 6: ")
    assert (
        "NAMED: 23 received, but 0 failed + 0 filtered + 0 deduplicated + 20 handed on" in said[0]
    )
    assert {"br-int": 6} == bed.check.unexplained
    assert [[], []] == [bed.look(), bed.look()]
    bed.books.tables[4].received -= 3
    assert [] == bed.look()
    assert {} == bed.check.unexplained


def test_drop_that_a_sink_forgot_is_an_error_of_that_sink(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bed.sinks[1], "_count", lambda outcome, by_table: None)
    bed.put(5, flows=5)
    assert bed.source.ingress_queue.settle(PATIENCE)
    bed.source.close(PATIENCE)
    for sink in bed.sinks:
        sink.close(PATIENCE)
    said = [*bed.look(), *bed.look(RECHECK)]
    assert 1 == len(said)
    assert said[0].startswith("second: the books do not balance, unexplained: 5: 5 handed on")


def test_imbalance_that_changes_is_not_yet_one(bed: Bed) -> None:
    bed.put(5)
    bed.source.close(PATIENCE)
    assert [] == bed.look()
    for _ in range(5):
        bed.books.arrived += 1
        assert [] == bed.look(RECHECK)


def test_it_is_not_looked_at_more_often_than_needed(bed: Bed) -> None:
    bed.put(5)
    bed.source.close(PATIENCE)
    bed.look()
    bed.books.arrived += 1
    assert [] == bed.look(INTERVAL - 0.1)
    assert [] == bed.look(0.2)
    assert 1 == len(bed.look(RECHECK))
