"""The socket of the listener: many exporters, some of them odd."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ryu_droplog.k8s_events.event_counters import EventCounters
from ryu_droplog.k8s_events.listener import Listener, ListenerError
from ryu_droplog.k8s_events.stream import PacketEvent

PATIENCE = 20.0


def array(*reasons: str) -> bytes:
    return json.dumps([{"DropReason": reason} for reason in reasons]).encode()


class Bed:
    """A listener that runs, and what it took."""

    def __init__(self, path: Path, **options: float) -> None:
        self.path = path
        self.counters = EventCounters()
        self.taken: list[str] = []
        self.listener = Listener(str(path), self._take, self.counters, **options)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.listener.run, daemon=True)
        self.thread.start()

    def _take(self, events: list[PacketEvent]) -> None:
        self.taken += [event.drop_reason for event in events]

    def connect(self) -> socket.socket:
        exporter = socket.socket(socket.AF_UNIX)
        exporter.settimeout(PATIENCE)
        exporter.connect(str(self.path))
        return exporter

    def took(self, *expected: str) -> None:
        """Wait until all of these were taken, and compare."""
        wait_until(lambda: len(self.taken) >= len(expected))
        assert list(expected) == self.taken

    def stop(self) -> None:
        self.listener.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def wait_until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert look()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path / "a" / "b" / "events.sock", patience=0.6, connections=3)
    yield made
    made.stop()


def test_several_exporters_are_read_each_for_itself(bed: Bed) -> None:
    with bed.connect() as one, bed.connect() as two:
        first, second = array("a"), array("b")
        one.sendall(first[:9])
        two.sendall(second)
        bed.took("b")
        one.sendall(first[9:] + array("c", "d"))
        bed.took("b", "a", "c", "d")
    assert (4, 2, {}) == (
        bed.counters.received,
        bed.counters.connections,
        dict(bed.counters.dropped),
    )


def test_garbage_drops_its_connection_and_no_other(bed: Bed) -> None:
    with bed.connect() as good, bed.connect() as bad:
        good.sendall(array("a"))
        bed.took("a")
        bad.sendall(array("b") + b"garbage" + array("c"))
        assert b"" == bad.recv(1)
        good.sendall(array("d"))
        bed.took("a", "b", "d")
    assert {"garbage": 1} == dict(bed.counters.dropped)


def test_array_that_does_not_end_drops_its_connection_and_silence_does_not(bed: Bed) -> None:
    with bed.connect() as silent, bed.connect() as stuck:
        stuck.sendall(b'[{"DropReason":"')
        assert b"" == stuck.recv(1)
        silent.sendall(array("a"))
        bed.took("a")
    assert {"unfinished": 1} == dict(bed.counters.dropped)


def test_end_within_an_array_is_counted(bed: Bed) -> None:
    with bed.connect() as exporter:
        exporter.sendall(array("a") + b"[{")
    wait_until(lambda: bool(bed.counters.dropped))
    assert {"cut": 1} == dict(bed.counters.dropped)
    bed.took("a")


def test_exporter_that_ends_its_half_is_read_to_the_end(bed: Bed) -> None:
    with bed.connect() as exporter:
        exporter.sendall(array("a"))
        exporter.shutdown(socket.SHUT_WR)
        assert b"" == exporter.recv(1)
    bed.took("a")
    assert {} == dict(bed.counters.dropped)


def test_number_of_connections_is_bounded(bed: Bed) -> None:
    with contextlib.ExitStack() as stack:
        exporters = [stack.enter_context(bed.connect()) for _ in range(4)]
        assert b"" == exporters[3].recv(1)
        exporters[0].close()
        exporters[2].sendall(array("a"))
        bed.took("a")

        def let_in() -> bool:
            with bed.connect() as late, contextlib.suppress(OSError):
                late.sendall(array("b"))
                late.shutdown(socket.SHUT_WR)
                late.recv(1)
            return "b" in bed.taken

        wait_until(let_in)
    assert bed.counters.dropped["too many"] >= 1


def test_socket_is_its_owners_alone_and_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    before = os.umask(0)
    try:
        bed = Bed(path)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    with bed.connect() as exporter:
        bed.stop()
        assert b"" == exporter.recv(1)
    assert not path.exists()


def test_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    bed = Bed(path)
    with bed.connect() as exporter:
        exporter.sendall(array("a"))
        bed.took("a")
    bed.stop()


def test_socket_of_a_living_process_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    bed = Bed(path)
    with pytest.raises(ListenerError, match="another process listens there already"):
        Bed(path)
    with bed.connect() as exporter:
        exporter.sendall(array("a"))
        bed.took("a")
    bed.stop()


def test_socket_that_somebody_else_replaced_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    bed = Bed(path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        bed.stop()
        assert path.exists()


def test_file_in_the_place_of_the_socket_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    path.write_text("precious")
    with pytest.raises(ListenerError, match="is there, and no socket"):
        Bed(path)
    assert "precious" == path.read_text()


def test_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenerError, match="cannot listen: "):
        Bed(tmp_path / "file" / "events.sock")


def test_lock_that_another_user_has_on_the_directory_holds_up_neither_start_nor_stop(
    tmp_path: Path,
) -> None:
    """Whoever may read a directory may lock it."""
    stranger = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        bed = Bed(tmp_path / "events.sock")
        with bed.connect() as exporter:
            exporter.sendall(array("a"))
            bed.took("a")
        bed.stop()
    finally:
        os.close(stranger)
    assert not (tmp_path / "events.sock").exists()
