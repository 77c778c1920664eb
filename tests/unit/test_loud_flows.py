"""What is seen of loud flows, and what becomes of their numbers in the chain."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

import pytest
from book_rows import reading
from drops import GENERATION, packet_in
from frames import ARP, IPV4, arp, ethernet, ipv4, tcp
from sinks import Kept

from ryu_droplog.model import cookie
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop
from ryu_droplog.pipelines.loader import parse_pipeline
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.processing.loud_flows import LOOKS, LoudFlow, LoudFlows
from ryu_droplog.processing.report import ALL, snapshot
from ryu_droplog.processing.summaries import WINDOW, Summary
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.sources.packet_in import PacketInReader

NOW, TIME = 50.0, 1_700_000_000.5
PIPELINE = parse_pipeline("pipeline: small\ntables:\n  4: {name: NAMED}\n", "small.yaml")
PATIENCE = 5.0


def segment(client: int, port: int = 80) -> bytes:
    return ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(client, port)))


class OnPort:
    """A filter that leaves out what is for a TCP port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def match(self, drop: Drop) -> str | None:
        """Its name, where it is."""
        assert drop.l4 is not None
        return "web" if getattr(drop.l4, "dst_port", 0) == self._port else None


class Bed:
    """A stage before a chain with a sink that runs."""

    def __init__(self, window: float | None = None, filters: tuple[OnPort, ...] = ()) -> None:
        self.books = SourceBooks()
        self.sink = Kept()
        self.log = LogBooks()
        self.log.begin(self.sink)
        reader = PacketInReader("br-int", "Acc-", PIPELINE, GENERATION, self.books)
        dedup = None if window is None else Deduplicator(window)
        self.chain = Chain(reader, self.books, dedup, [self.sink], filters)
        self.stage = LoudFlows(self.chain, reader, GENERATION, lambda: TIME)
        self.stage.watch(True)

    def take(self, *frames: bytes, table_id: int = 4) -> None:
        messages = [packet_in(frame, table_id) for frame in frames]
        self.books.arrived += len(messages)
        self.stage.take(messages, TIME, NOW)

    def summary(self, packets: int, credited: int = 0, port: int = 80) -> Summary:
        """Packets of a loud flow that was seen before."""
        self.take(segment(1, port))
        [(flow, _, sample)] = self.stage.take_loudness()[4].flows
        return Summary(flow, sample, packets, credited)

    def numbers(self, *columns: str) -> tuple[int, ...]:
        """These columns of all tables together; the books balance."""
        read = reading(self.books, "br-int", deduplicated=self.chain.deduplicated())
        assert (0, []) == (read.unexplained(), list(read.sides()))
        row: dict[str, Any] = snapshot(read, *self.log.of("br-int"))[ALL]
        ends = ("logged", "pruned", "folded", "summarised", "refused", "failed", "waiting")
        assert row["received"] + row["unsent"] == sum(row[end] for end in ends)
        return tuple(row[column] for column in columns)

    def written(self) -> list[tuple[int, int]]:
        """Source port of all that came out, and how many each stands for."""
        self.sink.start()
        assert 0 == self.sink.close(PATIENCE)
        return [(drop.l4.src_port if drop.l4 else -1, drop.repeated) for drop in self.sink.drops]


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_loudest_flow_comes_first_whatever_its_source_ports_are(bed: Bed) -> None:
    frames = [*(segment(number) for number in range(10)), *(segment(1, 443) for _ in range(4))]
    for frame in frames:
        bed.take(frame)
    loudness = bed.stage.take_loudness()[4]
    assert 14 == loudness.total
    assert [(80, 10), (443, 4)] == [
        (flow.signature.port, least) for flow, least, _ in loudness.flows
    ]
    flow, _, sample = loudness.flows[0]
    assert cookie.Cookie(True, GENERATION, 4).pack() == flow.cookie
    assert ("br-int", 4) == sample.location.key
    assert sample.frame in {segment(number) for number in range(10)}
    assert {} == bed.stage.take_loudness()


def test_tables_are_told_apart_and_packets_of_others_are_not_seen(bed: Bed) -> None:
    bed.take(segment(1), table_id=0)
    bed.take(segment(1))
    bed.stage.take([packet_in(generation=GENERATION ^ 0x100), b"", packet_in()[:30]], TIME, NOW)
    assert {0: 1, 4: 1} == {n: seen.total for n, seen in bed.stage.take_loudness().items()}


def test_packet_without_a_signature_is_one_of_all(bed: Bed) -> None:
    bed.take(segment(1)[:20], ethernet(ARP, arp("10.0.0.1", "10.0.0.2")))
    loudness = bed.stage.take_loudness()[4]
    assert (2, 1) == (loudness.total, len(loudness.flows))


def test_so_many_of_a_batch_are_looked_at_and_all_go_on(bed: Bed) -> None:
    bed.take(*(segment(number) for number in range(1000)))
    assert LOOKS == bed.stage.take_loudness()[4].total
    assert (1000,) == bed.numbers("received")


def test_looks_take_every_part_of_a_batch_in_turn() -> None:
    """Two flows that alternate are seen alike, although every so many messages are looked at."""
    bed = Bed()
    seen: Counter[int] = Counter()
    for _ in range(300):
        bed.take(*(segment(1, 80 + number % 2) for number in range(64)))
        for flow, least, _ in bed.stage.take_loudness()[4].flows:
            seen[flow.signature.port] += least
    assert 300 * LOOKS == seen.total()
    assert seen.total() / 3 < seen[80] < seen.total() * 2 / 3


def test_nothing_is_looked_at_unless_it_is_asked_for(bed: Bed) -> None:
    bed.stage.watch(False)
    bed.take(segment(1))
    assert {} == bed.stage.take_loudness()


def test_mistake_in_a_look_costs_no_drop(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ryu_droplog.processing.loud_flows.signature_of", fail)
    bed.take(segment(1), segment(2))
    assert (2, 2) == bed.numbers("received", "waiting")
    assert "ZeroDivisionError" in bed.chain.complaints[0]


def test_summary_is_one_record_at_the_end_of_its_window(bed: Bed) -> None:
    bed.stage.summarise(bed.summary(700, credited=20))
    bed.stage.tick(NOW)
    assert (720, 700, 701) == bed.numbers("counted", "unsent", "waiting")
    bed.stage.summarise(bed.summary(300))
    bed.stage.tick(NOW + WINDOW - 1)
    assert (1000, 1002) == bed.numbers("unsent", "waiting")
    bed.stage.tick(NOW + WINDOW)
    assert [(1, 0), (1, 0), (1, 1000)] == bed.written()
    assert (1000, 2, 0, 0) == bed.numbers("summarised", "logged", "folded", "waiting")
    [*_, record] = bed.sink.drops
    assert (True, TIME, TIME) == (record.summarised, record.time, record.first_time)


def test_end_of_the_program_closes_the_window(bed: Bed) -> None:
    bed.stage.summarise(bed.summary(700))
    bed.stage.tick(float("inf"))
    assert [(1, 0), (1, 700)] == bed.written()


def test_window_of_deduplication_is_that_of_summaries() -> None:
    bed = Bed(window=1.0)
    bed.stage.summarise(bed.summary(700))
    bed.stage.tick(NOW)
    bed.stage.tick(NOW + 1)
    assert [(1, 0), (1, 700)] == bed.written()
    assert (700, 0) == bed.numbers("summarised", "folded")


def test_summary_of_what_a_filter_leaves_out_is_filtered() -> None:
    bed = Bed(filters=(OnPort(80),))
    bed.stage.summarise(bed.summary(700))
    bed.stage.tick(NOW)
    assert (701, 700) == bed.numbers("pruned", "unsent")
    assert {"web": 701} == dict(bed.books.filtered_by)
    assert [] == bed.written()


def test_flow_that_was_named_otherwise_keeps_its_name() -> None:
    """A loud flow is named when it is seen, not when its numbers come."""
    bed = Bed()
    summary = bed.summary(5)
    assert isinstance(summary.key, LoudFlow)
    assert "Acc-NAMED MISS" == summary.sample.location.drop_reason


def test_ingress_port_is_part_of_the_signature(bed: Bed) -> None:
    message = bytearray(packet_in(segment(1)))
    match = struct.pack("!HH", 1, 12) + bytes.fromhex("80000004 00000007") + bytes(4)
    at = message.index(struct.pack("!HH4x", 1, 4))
    message[at : at + 8] = match
    message[2:4] = struct.pack("!H", len(message))
    bed.stage.take([bytes(message)], TIME, NOW)
    [(flow, _, _)] = bed.stage.take_loudness()[4].flows
    assert 7 == flow.signature.in_port
