"""The queue before the chain: bounded, counted, and never in the reader's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from waiting import eventually

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.processing.ingress_queue import IngressQueue

PATIENCE = 5.0


class Gate:
    """A chain that takes what comes once it is opened, and remembers it."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.opened = threading.Event()
        if is_open:
            self.opened.set()
        self.entered = threading.Event()
        """Set when a batch waits at the gate."""
        self.batches: list[tuple[list[bytes], float]] = []
        self.came: list[float] = []
        """When each batch came, by the clock of the ticks."""
        self.ticks: list[float] = []

    def take(self, messages: Sequence[bytes], read_at: float, now: float) -> None:
        self.entered.set()
        self.opened.wait()
        self.batches.append((list(messages), read_at))
        self.came.append(now)

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    @property
    def taken(self) -> list[bytes]:
        return [message for messages, _ in self.batches for message in messages]


@pytest.fixture
def books() -> SourceBooks:
    return SourceBooks()


@pytest.fixture
def begin(books: SourceBooks) -> Iterator[Callable[..., IngressQueue]]:
    """Makes intakes before a gate, and ends them."""
    made: list[tuple[IngressQueue, Gate]] = []

    def new(gate: Gate, queue_size: int = 1000) -> IngressQueue:
        made.append((IngressQueue("br-int", gate, books, threading, queue_size), gate))
        return made[-1][0]

    yield new
    for ingress_queue, gate in made:
        gate.opened.set()
        ingress_queue.close(PATIENCE)


def numbered(first: int, count: int) -> list[bytes]:
    return [str(number).encode() for number in range(first, first + count)]


def test_batches_go_through_in_order_with_their_times(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate()
    ingress_queue = begin(gate)
    for number in range(100):
        ingress_queue.put(numbered(10 * number, 10), float(number))
    assert ingress_queue.settle(PATIENCE)
    assert [(numbered(10 * n, 10), float(n)) for n in range(100)] == gate.batches


def test_empty_batch_is_none(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate()
    ingress_queue = begin(gate)
    ingress_queue.put([], 1.0)
    ingress_queue.put([b"one"], 2.0)
    assert ingress_queue.settle(PATIENCE)
    assert [([b"one"], 2.0)] == gate.batches


def test_slow_chain_never_holds_up_the_reader(
    begin: Callable[..., IngressQueue], books: SourceBooks
) -> None:
    """With a full queue neither: `put` returns, though nothing goes through at all."""
    gate = Gate(is_open=False)
    ingress_queue = begin(gate, queue_size=100)
    put = threading.Thread(
        target=lambda: [ingress_queue.put(numbered(0, 7), 0.0) for _ in range(1000)], daemon=True
    )
    put.start()
    put.join(PATIENCE)
    assert not put.is_alive()
    assert [] == gate.batches
    assert 7 * 1000 - 100 == books.refused


def test_full_queue_takes_what_has_room_and_counts_the_rest(
    begin: Callable[..., IngressQueue], books: SourceBooks
) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate, queue_size=10)
    ingress_queue.put(numbered(0, 4), 0.0)
    ingress_queue.put(numbered(4, 4), 0.0)
    assert 0 == books.refused
    ingress_queue.put(numbered(8, 5), 0.0)
    assert 3 == books.refused
    ingress_queue.put(numbered(13, 2), 0.0)
    assert 5 == books.refused
    gate.opened.set()
    assert ingress_queue.settle(PATIENCE)
    assert numbered(0, 10) == gate.taken


def test_batch_at_the_chain_still_takes_its_room(
    begin: Callable[..., IngressQueue], books: SourceBooks
) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate, queue_size=10)
    ingress_queue.put(numbered(0, 6), 0.0)
    assert gate.entered.wait(PATIENCE)
    ingress_queue.put(numbered(6, 6), 0.0)
    assert 2 == books.refused


def test_queue_that_was_full_takes_again(
    begin: Callable[..., IngressQueue], books: SourceBooks
) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate, queue_size=5)
    ingress_queue.put(numbered(0, 8), 0.0)
    gate.opened.set()
    assert ingress_queue.settle(PATIENCE)
    ingress_queue.put(numbered(8, 5), 0.0)
    assert ingress_queue.settle(PATIENCE)
    assert 3 == books.refused
    assert numbered(0, 5) + numbered(8, 5) == gate.taken


def test_settle_waits_for_what_was_put_before(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate)
    ingress_queue.put([b"one"], 0.0)
    assert not ingress_queue.settle(0.05)
    threading.Timer(0.05, gate.opened.set).start()
    assert ingress_queue.settle(PATIENCE)
    assert [b"one"] == gate.taken


def test_settle_does_not_wait_for_what_comes_later(begin: Callable[..., IngressQueue]) -> None:
    """Under a load without end `status` must be answered, too."""
    gate = Gate()
    ingress_queue = begin(gate)
    ending = threading.Event()

    def load() -> None:
        while not ending.is_set():
            ingress_queue.put([b"more"], 0.0)
            time.sleep(0.0001)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    try:
        assert ingress_queue.settle(PATIENCE)
    finally:
        ending.set()
        thread.join()


def test_intake_without_anything_is_settled(begin: Callable[..., IngressQueue]) -> None:
    assert begin(Gate()).settle(0.0)


def test_chain_hears_the_clock_while_nothing_comes(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate()
    before = time.monotonic()
    begin(gate)
    assert eventually(lambda: len(gate.ticks) >= 3)
    assert before <= gate.ticks[0] < gate.ticks[1] < gate.ticks[2] <= time.monotonic()
    assert [] == gate.batches


def test_chain_hears_the_clock_under_load(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate()
    ingress_queue = begin(gate)
    deadline = time.monotonic() + PATIENCE
    while len(gate.ticks) < 3 and time.monotonic() < deadline:
        ingress_queue.put([b"more"], 0.0)
        time.sleep(0.001)
    assert 3 <= len(gate.ticks)


def test_batch_has_both_times_of_the_moment_when_it_came(
    begin: Callable[..., IngressQueue],
) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate)
    before = time.monotonic()
    ingress_queue.put([b"one"], 1_700_000_000.0)
    after = time.monotonic()
    gate.opened.set()
    assert ingress_queue.settle(PATIENCE)
    assert [([b"one"], 1_700_000_000.0)] == gate.batches
    assert before <= gate.came[0] <= after


@pytest.mark.parametrize("step", [-86400.0, -3600.0, -300.0, 86400.0])
def test_chain_hears_the_clock_when_the_time_of_day_is_set(
    step: float, begin: Callable[..., IngressQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    begin(gate)
    assert eventually(lambda: len(gate.ticks) >= 1)
    there = time.time
    monkeypatch.setattr(time, "time", lambda: there() + step)
    count = len(gate.ticks)
    assert eventually(lambda: len(gate.ticks) >= count + 3)
    assert sorted(gate.ticks) == gate.ticks


def test_close_sends_on_what_waits_and_ends_all_windows(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate)
    for number in range(50):
        ingress_queue.put(numbered(number, 1), 0.0)
    threading.Timer(0.05, gate.opened.set).start()
    ingress_queue.close(PATIENCE)
    assert numbered(0, 50) == gate.taken
    assert float("inf") == gate.ticks[-1]


def test_close_gives_up_on_a_chain_that_hangs(begin: Callable[..., IngressQueue]) -> None:
    gate = Gate(is_open=False)
    ingress_queue = begin(gate)
    ingress_queue.put([b"one"], 0.0)
    closing = threading.Thread(target=ingress_queue.close, args=(0.05,), daemon=True)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert [] == gate.batches
