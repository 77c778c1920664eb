"""What becomes of chunks that a receiver does not take, and what the books say of them."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from forwarding import Failing, Sending, numbered
from waiting import eventually

from ryu_droplog.sinks.delivery import NotAcknowledged, NotSent, PartlyRejected, Rejected

PATIENCE = 20.0
wait_until = partial(eventually, patience=PATIENCE)
pytestmark = pytest.mark.usefixtures("short_pauses")


def written(sink: Sending, count: int) -> bool:
    return wait_until(lambda: sink.written >= count)


def test_what_the_receiver_has_nothing_of_is_sent_until_it_arrives() -> None:
    sink = Sending(drops=100)
    sink.trouble = Failing([NotSent("nobody there")] * 3)
    sink.put([numbered(1), numbered(2)])
    sink.start()
    assert written(sink, 2)
    assert 4 == len(sink.tries)
    assert 1 == len(set(sink.tries)), "it is the same chunk"
    assert 0 == sink.close(PATIENCE)
    assert ([1, 2], 0, 0) == (sink.ports, sink.resent, sink.reading().unexplained())
    assert 2 == len(sink.notices), "trouble is said once, and its end"
    assert "soc: cannot write: nobody there" in sink.notices[0]
    assert "soc: writing again" in sink.notices[1]


@pytest.mark.parametrize("error", [OSError(32, "Broken pipe"), NotAcknowledged("no answer")])
def test_what_may_have_arrived_is_sent_again_at_least_once_alone(error: Exception) -> None:
    once, twice = Sending(), Sending(delivery="at_least_once")
    for sink in (once, twice):
        sink.trouble = Failing([error])
        sink.put([numbered(1), numbered(2)])
        sink.start()
        assert wait_until(lambda sink=sink: sink.written + sink.failed == 2)
        assert 0 == sink.close(PATIENCE)
        assert 0 == sink.reading().unexplained()
    assert (0, 2, 0, []) == (once.written, once.failed, once.resent, once.ports)
    assert (2, 0, 2, [1, 2]) == (twice.written, twice.failed, twice.resent, twice.ports)
    assert {"resent": 2} == {key: twice.state()[key] for key in ("resent",)}


@pytest.mark.parametrize("error", [Rejected("too large"), ValueError("a mistake")])
def test_what_is_rejected_or_breaks_us_fails_and_the_rest_goes_on(error: Exception) -> None:
    sink = Sending(delivery="at_least_once")
    sink.trouble = Failing([error])
    sink.start()
    sink.put([numbered(1)])
    assert wait_until(lambda: sink.failed == 1)
    sink.put([numbered(2)])
    assert written(sink, 1)
    assert 0 == sink.close(PATIENCE)
    assert ([2], 0) == (sink.ports, sink.reading().unexplained())
    assert str(error) in sink.notices[0]


@pytest.mark.parametrize(("overflow", "kept"), [("newest", [0, 1, 2, 3]), ("oldest", [0, 1, 8, 9])])
def test_queue_overflows_as_configured_while_the_receiver_is_away(
    overflow: str, kept: list[int]
) -> None:
    sink = Sending(drops=4, overflow=overflow)
    away = threading.Event()

    def trouble(chunk: object) -> None:
        if not away.is_set():
            raise NotSent("nobody there")

    sink.trouble = trouble
    sink.start()
    sink.put([numbered(0), numbered(1)])
    assert wait_until(lambda: len(sink.tries) > 1)
    for number in range(2, 10):
        sink.put([numbered(number)])
        assert 0 == sink.reading().unexplained()
    assert 6 == sink.refused
    assert sink.state()["failure"]["lost"] == 6
    away.set()
    assert written(sink, 4)
    assert 0 == sink.close(PATIENCE)
    assert (kept, 0) == (sink.ports, sink.reading().unexplained())


def test_what_cannot_be_sent_before_the_end_is_given_up() -> None:
    sink = Sending(delivery="at_least_once")
    sink.trouble = Failing([NotSent("nobody there")] * 10_000)
    sink.start()
    sink.put([numbered(1), numbered(2)])
    assert wait_until(lambda: len(sink.tries) > 1)
    assert 2 == sink.close(0.05)
    assert wait_until(lambda: sink.failed == 2)
    assert 0 == sink.reading().unexplained()


def test_chunks_are_bounded_in_drops_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sending, "CHUNK_DROPS", 10)
    sink = Sending()
    sink.put([numbered(number + 10) for number in range(25)])  # two bytes each
    sink.start()
    assert written(sink, 25)
    assert [10, 10, 5] == [len(chunk.items) for chunk in sink.arrived]
    monkeypatch.setattr(Sending, "CHUNK_BYTES", 7)
    sink.put([numbered(number + 10) for number in range(5)])
    assert written(sink, 30)
    assert [3, 2] == [len(chunk.items) for chunk in sink.arrived[3:]]
    assert 0 == sink.close(PATIENCE)
    assert 5 == len({chunk.id for chunk in sink.arrived})
    assert 0 == sink.reading().unexplained()


def test_books_say_at_every_moment_what_has_arrived_of_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Sending, "CHUNK_DROPS", 2)
    sink = Sending()
    may_arrive = threading.Semaphore(0)
    sink.trouble = lambda chunk: may_arrive.acquire() and None
    sink.put([numbered(1), numbered(2, repeated=7), numbered(3), numbered(4)])
    sink.start()
    assert wait_until(lambda: len(sink.tries) == 1)
    assert 10 == sink.reading().in_flight
    may_arrive.release()
    assert written(sink, 2)
    reading = sink.reading()
    assert (8, 2, 0) == (reading.total().written, reading.in_flight, reading.unexplained())
    may_arrive.release()
    assert written(sink, 4)
    assert 0 == sink.close(PATIENCE)
    assert (10, 0) == (sink.reading().total().written, sink.reading().unexplained())


def test_what_is_rejected_of_a_chunk_that_was_taken_has_failed() -> None:
    sink = Sending(delivery="at_least_once")
    sink.trouble = Failing([PartlyRejected(2, "too old")])
    sink.put([numbered(number) for number in range(1, 6)])
    sink.start()
    assert wait_until(lambda: (sink.written, sink.failed) == (3, 2))
    sink.put([numbered(6)])
    assert written(sink, 4)
    assert 0 == sink.close(PATIENCE)
    assert (2, 0, 0) == (sink.failed, sink.resent, sink.reading().unexplained())
    assert ["soc: 2 drops were rejected: too old"] == list(sink.notices)


def test_what_is_rejected_of_a_chunk_in_the_spool_has_failed(tmp_path: Path) -> None:
    sink = Sending(tmp_path)
    sink.trouble = Failing([PartlyRejected(9, "too old")])
    sink.put([numbered(1), numbered(2)])
    sink.start()
    assert wait_until(lambda: (sink.written, sink.failed) == (0, 2))
    assert 0 == sink.close(PATIENCE)
    assert 0 == sink.reading().unexplained()


def test_receiver_that_wants_to_be_left_alone_is() -> None:
    sink = Sending()
    sink.trouble = Failing([NotSent("slow down", after=1.0)])
    begin = time.monotonic()
    sink.put([numbered(1)])
    sink.start()
    assert written(sink, 1)
    assert time.monotonic() - begin >= 1.0
    assert 0 == sink.close(PATIENCE)
