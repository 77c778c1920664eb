"""Drops that wait on disk: over restarts, kill -9, full disks and files that are no spools."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from forwarding import Failing, Sending, numbered
from waiting import eventually

from ryu_droplog.model.location import NO_TABLE
from ryu_droplog.processing.shares import Share
from ryu_droplog.sinks.delivery import NotSent
from ryu_droplog.sinks.spool import ROW_COST, Spool, SpoolInUse, pack

PATIENCE = 30.0
wait_until = partial(eventually, patience=PATIENCE)
pytestmark = pytest.mark.usefixtures("short_pauses")
FOREVER = [NotSent("nobody there")] * 1_000_000
SHARES = [Share(("br-int", 4), 2), Share(("br-int", 7), 1, 5)]


def spool_at(path: Path, limit: int = 10**9, age: float = 1e6, now: float = 1000.0) -> Spool:
    return Spool(path, limit, age, lambda: now)


def drain(spool: Spool) -> list[object]:
    items: list[object] = []
    while (kept := spool.oldest()) is not None:
        items += spool.items(kept) or []
        spool.remove(kept)
    return items


# The file


def test_chunks_come_back_in_order_with_what_they_are_in_the_books(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "s.sqlite")
    first = spool.append(pack([b"a", b"b", b"c"]), SHARES)
    spool.append(pack([[b"key", b"value"]]), SHARES[:1])
    kept = spool.oldest()
    assert kept == first
    assert (3, 7, SHARES, False, False) == (
        kept.drops, kept.packets, kept.shares, kept.is_recovered, kept.is_sent,
    )  # fmt: skip
    spool.mark_sent(kept)
    spool.close()
    again = spool_at(tmp_path / "s.sqlite")
    kept = again.oldest()
    assert kept is not None
    assert (first.id, True, True) == (kept.id, kept.is_recovered, kept.is_sent)
    assert (5, 9, []) == (again.drops, again.packets, again.set_aside)
    assert [b"a", b"b", b"c", [b"key", b"value"]] == drain(again)
    assert (0, 0, 0) == (again.drops, again.packets, again.size)
    again.close()


def test_one_at_a_time_has_it_open(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "s.sqlite")
    with pytest.raises(SpoolInUse, match="in use"):
        spool_at(tmp_path / "s.sqlite")
    spool.close()
    spool_at(tmp_path / "s.sqlite").close()


def written_over(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def no_database(path: Path) -> None:
    path.write_bytes(b"something else\n" * 1000)


def of_another_version(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def of_another_program(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE chunk (number INTEGER)")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "spoil", [written_over, cut, no_database, of_another_version, of_another_program]
)
def test_file_that_is_no_sound_spool_is_set_aside_and_said(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "s.sqlite"
    spool = spool_at(path)
    for _ in range(50):
        spool.append(pack([b"x" * 10_000]), SHARES[:1])
    spool.close()
    spoil(path)
    content = path.read_bytes()
    fresh = spool_at(path)
    [said] = fresh.set_aside
    assert said.startswith(f"the spool {path} is ")
    aside = tmp_path / said.rpartition(" ")[2]
    assert content == aside.read_bytes()
    assert 0 == fresh.drops
    fresh.append(pack([b"new"]), SHARES[:1])
    assert [b"new"] == drain(fresh)
    fresh.close()


def test_bytes_of_a_chunk_that_were_changed_are_not_taken_for_drops(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    spool = spool_at(path)
    spool.append(pack([b"a"]), SHARES[:1])
    spool.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE chunk SET items = ?", (pack([b"b"]),))
    database.commit()
    database.close()
    spool = spool_at(path)
    kept = spool.oldest()
    assert kept is not None
    assert spool.items(kept) is None
    spool.close()


def test_room_and_age_are_bounded_and_the_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    data = pack([b"x" * 100_000])
    spool = spool_at(path, limit=60 * (len(data) + ROW_COST), age=10.0)
    while spool.has_room(data):
        spool.append(data, SHARES[:1])
    assert 120 == spool.drops
    spool.close()
    full = path.stat().st_size
    spool = spool_at(path, age=10.0, now=1009.0)
    assert [] == spool.expired()
    spool.close()
    spool = spool_at(path, age=10.0, now=1011.0)
    assert 60 == len(spool.expired())
    assert 59 == len(spool.expired(but=1))
    drain(spool)
    spool.close()
    assert path.stat().st_size < full / 10


# A sink with a spool


def test_what_the_receiver_does_not_take_waits_on_disk_and_the_books_balance(
    tmp_path: Path,
) -> None:
    sink = Sending(tmp_path / "spool", drops=10)
    sink.trouble = Failing(FOREVER)
    sink.start()
    for number in range(0, 50, 5):
        sink.put([numbered(number + n) for n in range(5)])
        assert wait_until(lambda number=number: sink.reading().spooled == number + 5)
        assert 0 == sink.reading().unexplained()
    assert (0, 0) == (sink.refused, sink.waiting)
    assert {"spooled": 50, "recovered": 0} == {
        key: sink.state()[key] for key in ("spooled", "recovered")
    }
    assert 0 == sink.close(PATIENCE)
    assert "soc: 50 drops were left in" in sink.notices[-1]
    assert (50, 0) == (sink.reading().spooled, sink.reading().unexplained())

    later = Sending(tmp_path / "spool")
    later.start()
    assert wait_until(lambda: later.written == 50)
    later.put([numbered(100)])
    assert wait_until(lambda: later.written == 51)
    assert 0 == later.close(PATIENCE)
    reading = later.reading()
    assert (50, 1, 0, 0) == (
        reading.recovered, reading.handed_on, reading.spooled, reading.unexplained(),
    )  # fmt: skip
    assert {NO_TABLE: 50, ("br-int", 4): 1} == {
        key: book.written for key, book in reading.tables.items()
    }
    assert [*range(50), 100] == later.ports
    assert sink.tries[0] == later.arrived[0].id, "a chunk keeps its id over a restart"
    assert 5 == later.resent, "one had been sent before"


@pytest.mark.parametrize(("overflow", "first"), [("newest", 0), ("oldest", 1)])
def test_spool_that_is_full_expires_what_the_queue_would_refuse(
    tmp_path: Path, overflow: str, first: int
) -> None:
    sink = Sending(tmp_path, overflow=overflow, bytes=100_000)
    sink.trouble = Failing(FOREVER)
    sink.encode = lambda drop: b"%d" % drop.l4.src_port + b" " * 30_000  # type: ignore[method-assign, union-attr]
    sink.start()
    for number in range(10):
        sink.put([numbered(number)])
        assert wait_until(lambda: not sink.waiting)
    assert wait_until(lambda: sink.reading().spooled == 3)
    assert (7, 0, 0) == (sink.expired, sink.refused, sink.reading().unexplained())
    sink.trouble = lambda chunk: None
    assert wait_until(lambda: sink.written == 3)
    assert 0 == sink.close(PATIENCE)
    expected = [0, 1, 2] if overflow == "newest" else [sink.ports[0], 8, 9]
    assert expected == sink.ports
    assert 0 == sink.reading().unexplained()


def test_what_has_waited_for_too_long_expires(tmp_path: Path) -> None:
    sink = Sending(tmp_path, age=1.0)
    sink.trouble = Failing(FOREVER)
    sink.start()
    sink.put([numbered(1)])
    sink.put([numbered(2, repeated=9)])
    assert wait_until(lambda: sink.expired == 2)
    assert 0 == sink.close(PATIENCE)
    reading = sink.reading()
    assert (10, 0, 0) == (reading.total().expired, reading.spooled, reading.unexplained())


def test_damaged_spool_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "soc.sqlite").write_bytes(b"no database at all" * 500)
    sink = Sending(tmp_path)
    sink.start()
    sink.put([numbered(1)])
    assert wait_until(lambda: sink.written == 1)
    assert 0 == sink.close(PATIENCE)
    assert "set aside as soc.sqlite.set-aside-" in sink.notices[0]
    assert 0 == sink.reading().unexplained()


def test_sink_with_other_settings_waits_for_the_spool_of_the_one_before(tmp_path: Path) -> None:
    before, after = Sending(tmp_path), Sending(tmp_path, age=60.0)
    before.may_send.clear()
    before.start()
    before.put([numbered(1)])
    assert wait_until(lambda: before.reading().spooled == 1)
    after.start()
    after.put([numbered(2)])
    assert wait_until(lambda: after.failure is not None)
    assert "in use" in (after.failure.text if after.failure else "")
    assert 0 == before.close(PATIENCE)
    assert wait_until(lambda: after.written == 2)
    assert 0 == after.close(PATIENCE)
    assert ([], [1, 2]) == (before.ports, after.ports)
    assert (0, 0) == (before.reading().unexplained(), after.reading().unexplained())


def test_books_balance_at_every_moment_of_a_load_with_a_spool(tmp_path: Path) -> None:
    sink = Sending(tmp_path, bytes=100_000, overflow="oldest", drops=500)
    sink.trouble = Failing([NotSent("away"), OSError(32, "Broken pipe")] * 20)
    ending, held = threading.Event(), threading.Lock()

    def load() -> None:
        while not ending.is_set():
            with held:  # while a chain is in put() the books are not read
                sink.put([numbered(number, number % 2) for number in range(20)])

    loading = threading.Thread(target=load)
    sink.start()
    loading.start()
    deadline = time.monotonic() + PATIENCE
    readings = []
    while time.monotonic() < deadline and (len(readings) < 300 or sink.written < 1000):
        with held:
            reading = sink.reading()
        readings.append((reading.unexplained(), reading.spooled))
    ending.set()
    loading.join(PATIENCE)
    assert 0 == sink.close(PATIENCE)
    assert len(readings) >= 300
    assert [] == [row for row in readings if row[0] or row[1] < 0]
    assert 0 == sink.reading().unexplained()
    assert sink.resent > 0


KILLED = """
import sys, threading
from pathlib import Path
sys.path[:0] = {path!r}
from forwarding import Sending, Failing, numbered
from ryu_droplog.sinks.delivery import NotSent

sink = Sending(Path(sys.argv[1]))
sink.trouble = Failing([NotSent("nobody there")] * 1_000_000)
sink.start()
number = 0
while True:
    sink.put([numbered(number % 60_000)])
    number += 1
    while (reading := sink.reading()).spooled - reading.recovered < number:
        pass
    print(number, flush=True)
"""


def test_nothing_that_the_spool_had_taken_is_missing_after_kill_9(tmp_path: Path) -> None:
    """A process of its own is killed in the middle of its work, three times on the same spool."""
    script = KILLED.format(path=[str(Path(__file__).parent)])
    taken = 0
    for _ in range(3):
        command = [sys.executable, "-c", script, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            last = 0
            for line in process.stdout:
                last = int(line)
                if last >= 40:
                    break
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
            last = int(rest[-1]) if rest else last
        taken += last
    sink = Sending(tmp_path)
    sink.start()
    assert wait_until(lambda: sink.reading().recovered > 0)
    recovered = sink.reading().recovered
    assert taken <= recovered <= taken + 3, "one may have been committed and not said"
    assert wait_until(lambda: sink.written == recovered)
    assert 0 == sink.close(PATIENCE)
    assert (0, 0) == (sink.reading().unexplained(), sink.reading().spooled)
    assert recovered == len(sink.ports)
