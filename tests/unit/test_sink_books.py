"""The books of a sink, whatever its type does: raises, blocks, or lies about what it wrote."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from drops import drop, location
from frames import IPV4, ethernet, ipv4, udp
from sinks import Kept, context
from waiting import eventually

from ryu_droplog.config.filter_spec import parse_filter
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.sinks.base import DropSink

PATIENCE = 10.0
wait_until = partial(eventually, patience=PATIENCE)
HERE, THERE = location(4), location(7)


def numbered(number: int, repeated: int = 0) -> Drop:
    """A drop that is known again by its source port, in one of two tables."""
    packet = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, udp(number, 53)))
    made = drop(packet, THERE if number % 3 == 0 else HERE)
    made.repeated = repeated
    return made


class Every7th(DropSink):
    """Raises at every seventh drop."""

    Options = SinkOptions

    def __init__(self) -> None:
        super().__init__(SinkSpec("seventh", "seventh"), context())
        self.called = 0
        self.ports: list[int] = []

    def write_drop(self, item: Any) -> None:
        self.called += 1
        if self.called % 7 == 0:
            raise RuntimeError("the seventh")
        self.ports.append(item.l4.src_port)


def test_sink_that_raises_at_every_seventh_drop_loses_these_alone() -> None:
    sink = Every7th()
    sink.start()
    for first in range(0, 700, 10):
        sink.put([numbered(number) for number in range(first, first + 10)])
    assert 0 == sink.close(PATIENCE)
    assert [number for number in range(700) if number % 7 != 6] == sink.ports
    assert (600, 100) == (sink.written, sink.failed)
    reading = sink.reading()
    assert (0, 700) == (reading.unexplained(), reading.handed_on)
    assert {("br-int", 4), ("br-int", 7)} == set(reading.tables)
    assert 1 == len(sink.notices), "its traceback is shown once a minute at most"
    assert "RuntimeError: the seventh" in sink.notices[0]


class Lying(Kept):
    """Says that it wrote something else than it did."""

    def __init__(self, lie: Any) -> None:
        super().__init__()
        self._lie = lie

    def write(self, items: Sequence[Drop]) -> Any:
        super().write(items)
        return self._lie


@pytest.mark.parametrize("lie", [-1, 10**9, None, "five", 2.5])
def test_sink_that_lies_about_what_it_wrote_is_believed_nothing(lie: Any) -> None:
    sink = Lying(lie)
    sink.put([numbered(number) for number in range(5)])
    sink.start()
    assert 0 == sink.close(PATIENCE)
    assert (0, 5, 0) == (sink.written, sink.failed, sink.reading().unexplained())
    assert "of 5 drops were written" in sink.notices[0]


class Raising(Kept):
    """Raises for a whole batch, as a batch is all that it is asked for."""

    def write(self, items: Sequence[Drop]) -> int:
        raise ValueError("no")


def test_batch_that_cannot_be_written_has_failed_and_the_thread_goes_on() -> None:
    sink = Raising()
    sink.start()
    sink.put([numbered(1), numbered(2)])
    assert wait_until(lambda: sink.failed == 2)
    sink.put([numbered(3)])
    assert wait_until(lambda: sink.failed == 3)
    assert 0 == sink.close(PATIENCE)
    assert 0 == sink.reading().unexplained()


class Blocking(Kept):
    """Writes nothing before it may."""

    def __init__(self, queue_size: int, **settings: Any) -> None:
        super().__init__(queue_size, **settings)
        self.may_write = threading.Event()

    def write(self, items: Sequence[Drop]) -> int:
        while not self.may_write.wait(0.01):
            if self.abandoned.is_set():
                return 0
        return super().write(items)


def ports(sink: Kept) -> list[int]:
    return [one.l4.src_port for one in sink.drops if one.l4 is not None]


def test_sink_that_blocks_fills_its_queue_and_refuses_the_newest() -> None:
    sink = Blocking(5)
    sink.start()
    sink.put([numbered(0), numbered(1)])
    assert wait_until(lambda: sink.reading().in_flight == 2)
    for number in range(2, 10):
        sink.put([numbered(number)])
    reading = sink.reading()
    assert (0, 5, 5) == (reading.unexplained(), sum(reading.queued.values()), sink.refused)
    sink.may_write.set()
    assert 0 == sink.close(PATIENCE)
    assert [0, 1, 2, 3, 4] == ports(sink)
    assert (5, 5, 0) == (sink.written, sink.refused, sink.reading().unexplained())


def test_sink_that_blocks_refuses_the_oldest_where_that_is_wanted() -> None:
    sink = Blocking(5, overflow="oldest")
    sink.start()
    sink.put([numbered(0), numbered(1)])
    assert wait_until(lambda: sink.reading().in_flight == 2)
    sink.put([numbered(2), numbered(3), numbered(4)])
    sink.put([numbered(number) for number in range(5, 7)])
    assert (2, 0) == (sink.refused, sink.reading().unexplained())
    sink.put([numbered(number) for number in range(10, 20)])
    assert (12, 0) == (sink.refused, sink.reading().unexplained())
    sink.may_write.set()
    assert 0 == sink.close(PATIENCE)
    assert [0, 1, 17, 18, 19] == ports(sink)
    assert (5, 12, 0) == (sink.written, sink.refused, sink.reading().unexplained())


def test_sink_that_never_stops_blocking_leaves_its_drops_over_and_the_books_say_so() -> None:
    sink = Blocking(5)
    sink.start()
    sink.put([numbered(0), numbered(1)])
    assert 2 == sink.close(0.05)
    assert wait_until(lambda: sink.failed == 2)
    assert 0 == sink.reading().unexplained()


def test_repeated_drop_counts_as_many_packets_as_it_stands_for() -> None:
    sink = Kept(2)
    sink.put([numbered(1), numbered(1, repeated=9), numbered(2, repeated=4)])
    reading = sink.reading()
    assert (14, 10, 4) == (
        reading.handed_on, sum(reading.queued.values()), reading.total().refused,
    )  # fmt: skip
    sink.start()
    assert 0 == sink.close(PATIENCE)
    total = sink.reading().total()
    assert (10, 9, 4) == (total.written, total.repeats, total.refused)
    assert (2, 1, 0) == (sink.written, sink.refused, sink.reading().unexplained())


def test_filters_of_a_sink_are_its_own() -> None:
    filters = (parse_filter({"name": "odd", "sport": "1"}),)
    choosy, other = Kept(name="choosy", filters=filters), Kept()
    for sink in (choosy, other):
        sink.put([numbered(1), numbered(2)])
        sink.start()
        assert 0 == sink.close(PATIENCE)
    assert ([2], [1, 2]) == (ports(choosy), ports(other))
    assert (1, 1, 0) == (choosy.filtered, choosy.written, choosy.reading().unexplained())


@pytest.mark.parametrize("early", [False, True], ids=["in its own thread", "in the chain's"])
def test_drop_that_cannot_be_encoded_is_the_only_one_that_fails(early: bool) -> None:
    class Careless(Kept):
        ENCODES_EARLY = early

        def encode(self, drop: Drop) -> Drop:
            if drop.l4 is not None and drop.l4.src_port == 3:
                raise KeyError("three")
            return drop

    sink = Careless()
    sink.put([numbered(number) for number in range(6)])
    sink.start()
    assert 0 == sink.close(PATIENCE)
    assert [0, 1, 2, 4, 5] == ports(sink)
    assert (5, 1, 0) == (sink.written, sink.failed, sink.reading().unexplained())
    assert 1 == sink.reading().tables["br-int", 7].failed


def test_books_balance_while_many_threads_put() -> None:
    sink = Kept(1000)
    sink.start()

    def load() -> None:
        for number in range(2000):
            sink.put([numbered(number % 100), numbered(5, repeated=3)])

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert 0 == sink.close(PATIENCE)
    assert (4 * 2000 * 4, 0) == (sink.reading().handed_on, sink.reading().unexplained())


def test_queue_setting_has_a_default() -> None:
    assert QueueSpec(100_000, "newest") == QueueSpec()
