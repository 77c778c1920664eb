"""Files that a sink rotates itself: how many, in which order, compressed, and after a kill."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from drops import location
from frames import IPV4, ethernet, ipv4, udp
from sinks import context, file_sink, spec
from waiting import eventually

from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.sinks import archives
from ryu_droplog.sinks.archives import Archives
from ryu_droplog.sinks.compressor import Compressor
from ryu_droplog.sinks.rotation import RotateKeys
from ryu_droplog.sinks.text import File

UNIT = Path(__file__).parent
PATIENCE = 60.0
wait_until = partial(eventually, patience=PATIENCE)
LINE = 200
"""Bytes of a line, its end too, of a `drop`."""


def drop(number: int) -> Drop:
    """A drop that is known again by its source port, 10000 and more; all lines are as long."""
    packet = ipv4("10.0.0.1", "10.0.0.2", 17, udp(10_000 + number, 53))
    return decode(ethernet(IPV4, packet), 1_700_000_000.5, location(4), b"")


def rotating(path: Path, **keys: Any) -> File:
    """A started sink that writes lines there."""
    sink = File(spec(File, "lines", path=str(path), encode="opflex", rotate=keys), context())
    sink.start()
    return sink


def put(sink: File, *numbers: int) -> None:
    """Write drops, each batch alone."""
    sink.put([drop(number) for number in numbers])
    assert wait_until(lambda: sink.waiting == 0)


def numbers(path: Path) -> list[int]:
    """Which drops are in a file, compressed or not."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [int(line.split(b" SPT=")[1].split()[0]) - 10_000 for line in data.splitlines()]


def names(path: Path) -> list[str]:
    """What is in the folder of the file."""
    return sorted(os.listdir(path.parent))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drops.log"


def test_file_has_no_more_bytes_than_it_may_and_no_line_is_divided(path: Path) -> None:
    sink = rotating(path, bytes=10 * LINE, files=3)
    put(sink, *range(25))
    put(sink, *range(25, 30))
    put(sink, 30)
    assert 0 == sink.close(PATIENCE)
    assert ["drops.log", "drops.log.1", "drops.log.2", "drops.log.3"] == names(path)
    assert list(range(10)) == numbers(path.with_name("drops.log.3"))
    assert list(range(10, 20)) == numbers(path.with_name("drops.log.2"))
    assert list(range(20, 30)) == numbers(path.with_name("drops.log.1"))
    assert [30] == numbers(path)
    assert (31, 0) == (sink.written, sink.failed)


def test_number_of_files_is_bounded(path: Path) -> None:
    path.with_name("drops.log.9.gz").write_bytes(b"of a time when more were kept")
    path.with_name("drops.log.old").write_text("not an archive")
    sink = rotating(path, bytes=1000, files=2)
    for number in range(40):
        put(sink, number)
    sink.close(PATIENCE)
    assert ["drops.log", "drops.log.1", "drops.log.2", "drops.log.old"] == names(path)
    kept = [n for suffix in (".2", ".1", "") for n in numbers(path.with_name(f"drops.log{suffix}"))]
    assert list(range(25, 40)) == kept


def test_line_longer_than_a_file_may_be_has_a_file_of_its_own(path: Path) -> None:
    options = {"path": str(path), "encode": "native", "rotate": {"bytes": 1000, "files": 9}}
    where = location(4, policy="p" * 2000)
    sink = File(spec(File, "lines", **options), context())
    sink.start()
    sink.put([decode(drop(n).frame, 0.0, where, b"") for n in range(3)])
    assert 0 == sink.close(PATIENCE)
    assert 3 == sink.written
    for name in ("drops.log", "drops.log.1", "drops.log.2"):
        assert 1 == path.with_name(name).read_bytes().count(b"\n")


def test_file_has_the_drops_of_one_period(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [86_400.0 * 3 - 1]
    clock = SimpleNamespace(time=lambda: now[0], monotonic=time.monotonic)
    monkeypatch.setattr("ryu_droplog.sinks.rotation.time", clock)
    sink = rotating(path, age="1d")
    put(sink, 1)
    put(sink, 2)
    now[0] += 1
    put(sink, 3)
    sink.close(PATIENCE)
    assert [1, 2] == numbers(path.with_name("drops.log.1"))
    os.utime(path, (now[0], now[0]))
    now[0] += 86_400
    sink = rotating(path, age="1d")  # started again on the next day
    put(sink, 4)
    sink.close(PATIENCE)
    assert [3] == numbers(path.with_name("drops.log.1"))
    assert [4] == numbers(path)


def test_archives_are_compressed_and_keep_time_and_mode(path: Path) -> None:
    sink = rotating(path, bytes=1000, files=4, compress=True)
    path.chmod(0o600)
    for number in range(20):
        put(sink, number)
    expected = ["drops.log", "drops.log.1.gz", "drops.log.2.gz", "drops.log.3.gz"]
    assert wait_until(lambda: names(path) == expected)
    sink.close(PATIENCE)
    assert list(range(5)) == numbers(path.with_name("drops.log.3.gz"))
    assert list(range(10, 15)) == numbers(path.with_name("drops.log.1.gz"))
    assert 0o600 == path.with_name("drops.log.3.gz").stat().st_mode & 0o777
    for number in (1, 2, 3):  # the usual reader of such files
        subprocess.run(["gzip", "-t", path.with_name(f"drops.log.{number}.gz")], check=True)


def test_writing_goes_on_while_a_large_archive_is_compressed(path: Path) -> None:
    path.write_bytes(os.urandom(60_000_000) + b"\n")
    sink = rotating(path, bytes=1000, files=9, compress=True)
    put(sink, 0)
    assert wait_until(lambda: any(name.startswith(".drops.log.") for name in names(path)))
    for number in range(1, 30):
        put(sink, number)
    written = sink.written
    still = any(name.startswith(".drops.log.") for name in names(path))
    assert wait_until(lambda: names(path)[-1] == "drops.log.6.gz")
    sink.close(PATIENCE)
    assert (30, True) == (written, still)
    data = gzip.decompress(path.with_name("drops.log.6.gz").read_bytes())
    assert 60_000_001 == len(data)  # it was found again where it had moved meanwhile


def test_compressing_given_up_at_the_end_is_done_at_the_next_start(path: Path) -> None:
    path.write_bytes(os.urandom(30_000_000) + b"\n")
    sink = rotating(path, bytes=1000, compress=True)
    put(sink, 0)
    assert wait_until(lambda: any(name.startswith(".drops.log.") for name in names(path)))
    sink.close(PATIENCE)
    assert ["drops.log", "drops.log.1"] == names(path)
    sink = rotating(path, bytes=1000, compress=True)
    assert wait_until(lambda: names(path) == ["drops.log", "drops.log.1.gz"])
    sink.close(PATIENCE)


PROGRAM = """
import sys
sys.path.insert(0, {unit!r})
from pathlib import Path
from test_rotation import drop, put, rotating
path = Path({path!r})
sink = rotating(path, bytes=2_000_000, files=50, compress=True)
for first in range(0, 50_000, 500):
    sink.put([drop(n % 50_000) for n in range(first, first + 500)])
    while sink.waiting > 5_000:
        pass
    print(sink.written, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("after", [15_000, 28_000, 29_000, 41_000])
def test_killed_in_the_middle_of_compressing_nothing_is_lost(path: Path, after: int) -> None:
    program = textwrap.dedent(PROGRAM).format(unit=str(UNIT), path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        written = 0
        while written < after:
            written = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        path.write_bytes(data[: data.rfind(b"\n") + 1])  # the kernel may have cut the last line
    sink = rotating(path, bytes=2_000_000, files=50, compress=True)
    assert wait_until(
        lambda: all(name == "drops.log" or name.endswith(".gz") for name in names(path))
    )
    sink.close(PATIENCE)
    there = names(path)
    assert not [name for name in there if name.startswith(".")]
    files = sorted(
        (path.with_name(name) for name in there),
        key=lambda file: -int((file.name.split(".") + ["0"])[2]) if file != path else 0,
    )
    found = [number for file in files for number in numbers(file)]
    assert list(range(len(found))) == found
    assert len(found) >= written


def test_half_made_copy_of_a_run_that_was_killed_is_removed(path: Path) -> None:
    path.with_name("drops.log.1").write_bytes(b"whole\n")
    path.with_name("drops.log.1.gz").write_bytes(b"not known to be whole")
    half = path.with_name(".drops.log.0123456789abcdef.gz")
    half.write_bytes(b"half")
    sink = rotating(path, bytes=1000, compress=True)
    assert wait_until(lambda: names(path) == ["drops.log", "drops.log.1.gz"])
    sink.close(PATIENCE)
    assert b"whole\n" == gzip.decompress(path.with_name("drops.log.1.gz").read_bytes())


def test_rotation_that_ended_between_two_renames_goes_on(path: Path) -> None:
    for number in (1, 3):  # 2 has become 3, and 1 not yet 2
        path.with_name(f"drops.log.{number}").write_text(f"{number}\n")
    path.write_text("0\n")
    kept = Archives(path, 10, threading)
    status = path.stat()
    assert kept.take((status.st_dev, status.st_ino))
    assert ["drops.log.1", "drops.log.2", "drops.log.3"] == names(path)
    texts = [path.with_name(name).read_text() for name in names(path)]
    assert ["0\n", "1\n", "3\n"] == texts


def test_link_is_not_moved_and_what_it_leads_to_is_written_on(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.touch()
    path.symlink_to(target)
    sink = rotating(path, bytes=1000)
    for number in range(20):
        put(sink, number)
    sink.close(PATIENCE)
    assert list(range(20)) == numbers(target)
    assert ["drops.log", "elsewhere"] == names(path)
    [notice] = sink.notices
    assert "drops.log cannot be rotated: another file or a symbolic link is in its" in notice


def test_archive_that_is_a_link_or_has_another_name_is_not_read(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_text("secret")
    path.with_name("drops.log.1").symlink_to(secret)
    os.link(secret, path.with_name("drops.log.2"))
    path.with_name("drops.log.3").write_text("ours\n")
    sink = rotating(path, bytes=1000, compress=True)
    assert wait_until(lambda: "drops.log.3.gz" in names(path))
    sink.close(PATIENCE)
    expected = ["drops.log", "drops.log.1", "drops.log.2", "drops.log.3.gz", "secret"]
    assert expected == names(path)


def test_directory_in_the_way_is_said_once_and_the_file_written_on(path: Path) -> None:
    blocked = path.with_name("drops.log.2")
    blocked.mkdir()
    path.with_name("drops.log.1").touch()
    sink = rotating(path, bytes=1000, files=2)
    for number in range(20):
        put(sink, number)
    sink.close(PATIENCE)
    assert list(range(20)) == numbers(path)
    [notice] = sink.notices
    assert f"lines: {path} cannot be rotated: Is a directory; it is written on" == notice


def test_file_rotated_by_others_is_followed_all_the_same(path: Path) -> None:
    sink = rotating(path, bytes=1_000_000)
    put(sink, 1)
    path.rename(path.with_name("moved"))
    put(sink, 2)
    os.truncate(path, 0)
    put(sink, 3)
    path.unlink()
    put(sink, 4)
    sink.close(PATIENCE)
    assert ["drops.log", "moved"] == names(path)
    assert [4] == numbers(path)


def test_two_sinks_for_a_file_while_settings_change_lose_nothing(path: Path) -> None:
    old = rotating(path, bytes=1000, files=1000, compress=True)
    new = rotating(path, bytes=1500, files=1000, compress=True)
    for number in range(0, 400, 2):
        old.put([drop(number)])
        new.put([drop(number + 1)])
    assert 0 == old.close(PATIENCE) + new.close(PATIENCE)
    again = rotating(path, bytes=1500, files=1000, compress=True)
    assert wait_until(
        lambda: all(name == "drops.log" or name.endswith(".gz") for name in names(path))
    )
    again.close(PATIENCE)
    found = [number for name in names(path) for number in numbers(path.with_name(name))]
    assert list(range(400)) == sorted(found)
    assert 400 == old.written + new.written


def test_archive_that_grew_while_it_was_compressed_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = path.with_name("drops.log.1")
    archive.write_bytes(b"first\n")
    told: list[str] = []
    compressor = Compressor(Archives(path, 3, threading), told.append, threading)
    copy = Compressor._copy

    def then_grow(self: Compressor, source: int, target: int) -> int:
        size = copy(self, source, target)
        with archive.open("ab") as file:
            file.write(b"second\n")
        copied.set()
        return size

    copied = threading.Event()
    monkeypatch.setattr(Compressor, "_copy", then_grow)
    compressor.start()
    assert copied.wait(PATIENCE)
    compressor.close()
    assert ["drops.log.1"] == names(path)
    assert b"first\nsecond\n" == archive.read_bytes()
    assert [] == told


def test_keys_say_when_they_are_no_rotation() -> None:
    with pytest.raises(ValueError, match="bytes, age or both"):
        RotateKeys(files=5)


def test_file_that_is_not_rotated_has_no_archive(path: Path) -> None:
    sink = file_sink(path)
    sink.start()
    for number in range(20):
        put(sink, number)
    sink.close(PATIENCE)
    assert ["drops.log"] == names(path)
    assert path in archives._LOCKS
