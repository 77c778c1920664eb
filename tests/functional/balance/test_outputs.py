"""The books balance whatever happens to what the program writes to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_ovs import PrivateSwitch, run

from .. import books
from ..books import OPEN_METER, File, send, settled, total
from ..program import BIN, Program, eventually
from .bed import CONFIG, ready

pytestmark = pytest.mark.ovs


@pytest.fixture
def disk(switch: PrivateSwitch) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = switch.folder / "disk"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    yield folder
    run("umount", "--lazy", str(folder))


def test_full_disk_costs_the_lines_that_have_no_room_and_no_more(
    switch: PrivateSwitch, bridge: str, disk: Path
) -> None:
    file = File(switch, disk)
    with Program(switch, f"{CONFIG}\n{OPEN_METER}\n{file.config}") as program:
        assert ready(switch, bridge)
        send(switch, 50, 500)
        assert 50 == eventually(50, file.lines)
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 20))
        send(switch, 500, 500)  # some still fit into the last page of the file
        book = books.all_in(program, bridge, 550)
        written = file.lines()
        assert 400 < book["failed"]
        assert (550, written, 550 - written) == (book["dropped"], book["logged"], book["failed"])
        assert 1 == eventually(1, lambda: program.times("cannot write: No space left on device"))
        filler.unlink()
        send(switch, 100, 500)
        book = books.all_in(program, bridge, 650)
        assert (written + 100, 550 - written) == (book["logged"], book["failed"])
        again = f"writing again; {550 - written} drops were not written"
        assert 1 == eventually(1, lambda: program.times(again))
        assert 0 == program.end()
        odd = file.odd()
        assert len(odd) <= 1, "the beginning of the line that had no room"
        assert written + 100 + len(odd) == file.lines()


def memory(pid: int) -> int:
    """Resident memory of a process in KiB (VmRSS in proc(5))."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def test_standard_output_that_nobody_reads_fills_the_queue_and_no_more(
    switch: PrivateSwitch, bridge: str
) -> None:
    queue, sent, dropped = 100_000, 0, 0
    pipe = switch.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command = ("sh", "-c", 'exec "$0" run --config "$1" >"$2"')
    whole = (*command, str(BIN / "ryu-droplog"), "{config}", str(pipe))
    try:
        with Program(switch, f"{CONFIG}\n{OPEN_METER}", command=whole) as program:
            assert ready(switch, bridge)
            before = memory(program.process.pid)
            while dropped <= queue + 10_000 and sent < 1_000_000:  # a busy sender loses some itself
                send(switch, 130_000, 30_000)
                sent += 130_000
                dropped = settled(switch, bridge)
            assert queue + 10_000 < dropped <= sent
            assert dropped == eventually(dropped, lambda: total(program, bridge)["dropped"])
            book = total(program, bridge)
            assert queue == book["waiting"]
            assert book["received"] - book["logged"] - queue == book["refused"]
            assert 0 < book["refused"]
            assert 256 * 1024 > memory(program.process.pid) - before
            assert 0 == program.end(signal.SIGTERM, patience=20)
            left = f"standard output: {queue} drops were not written in time"
            assert 1 == program.times(left)
            assert f"{book['refused']} refused by a full queue" in program.said()
    finally:
        os.close(reader)
        pipe.unlink()
