"""Where lines go: files that are rotated, full disks, closed pipes, daemons that come and go."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from drops import location
from frames import IPV4, ethernet, ipv4, udp
from living import ends
from sinks import Kept, file_sink, standard_output, syslog_sink
from waiting import eventually

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.model.location import Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.sinks import line
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.syslog import Syslog
from ryu_droplog.sinks.text import File

WHERE = location(4, name="SEC_GROUP_IN_TABLE", prefix="Acc-")
PATIENCE = 5.0
wait_until = partial(eventually, patience=PATIENCE)


def drop(number: int = 0, where: Location = WHERE) -> Drop:
    """A drop that is known again by its source port."""
    packet = ipv4("10.0.0.1", "10.0.0.2", 17, udp(number, 53))
    return decode(ethernet(IPV4, packet), 1_700_000_000.5, where, b"")


def ports(text: str) -> list[int]:
    """The source ports in whole lines."""
    return [
        int(port)
        for port in re.findall(r"^\[.*\] \S+ MISS  .* SPT=(\d+) DPT=53 LEN=8$", text, re.M)
    ]


def settle(sink: Sink) -> tuple[int, int]:
    """Drops written and failed, once every drop that was put is one of both."""
    wait_until(lambda: sink.waiting == 0)
    return sink.written, sink.failed


class Slow(Kept):
    """A sink that writes when it is told to, a drop at a time."""

    def __init__(self, queue_size: int) -> None:
        super().__init__(queue_size, "slow")
        self.may_write = threading.Semaphore(0)

    def write(self, items: Sequence[Drop]) -> int:
        for _ in items:
            self.may_write.acquire()
        return super().write(items)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "drop.log"


@pytest.fixture
def file(path: Path) -> Iterator[File]:
    sink = file_sink(path)
    sink.start()
    yield sink
    sink.close(PATIENCE)


# The queue


def test_full_queue_refuses_and_counts_and_never_waits() -> None:
    sink = Slow(queue_size=5)
    sink.start()
    begin = time.monotonic()
    for number in range(4):
        sink.put([drop(number), drop(number)])
    assert 0.5 > time.monotonic() - begin
    assert 3 == sink.refused
    sink.may_write.release(5)
    assert (5, 0) == settle(sink)
    sink.put([drop()])
    sink.may_write.release()
    assert (6, 0) == settle(sink)
    assert 3 == sink.refused
    assert 0 == sink.close(PATIENCE)


def test_sink_closed_in_time_leaves_nothing_over(path: Path) -> None:
    sink = file_sink(path)
    sink.start()
    for number in range(1000):
        sink.put([drop(number)])
    assert 0 == sink.close(PATIENCE)
    assert list(range(1000)) == ports(path.read_text())


def test_sink_too_slow_to_close_says_how_many_are_left_over() -> None:
    sink = Slow(queue_size=10)
    sink.start()
    sink.put([drop(), drop(), drop()])
    begin = time.monotonic()
    assert 3 == sink.close(0.05)
    assert 1 > time.monotonic() - begin
    sink.may_write.release(3)


def test_sink_never_started_can_be_closed(path: Path) -> None:
    assert 0 == file_sink(path).close(PATIENCE)


# Files


def test_drops_are_appended_as_redirected_lines(file: File, path: Path) -> None:
    file.put([drop(1), drop(2)])
    file.put([])
    file.put([drop(3)])
    assert (3, 0) == settle(file)
    expected = "".join(f"{line.redirected(drop(number))}\n" for number in (1, 2, 3))
    assert expected == path.read_text()


def test_file_that_is_there_keeps_its_content_and_its_mode(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("before\n")
    path.chmod(0o600)
    sink = file_sink(path)
    sink.start()
    sink.put([drop(1)])
    assert 0 == sink.close(PATIENCE)
    assert f"before\n{line.redirected(drop(1))}\n" == path.read_text()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077, 0o777], ids=oct)
def test_new_file_has_mode_0640_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "drop.log"
    before = os.umask(umask)
    try:
        sink = file_sink(path)
        sink.start()
        assert 0 == sink.close(PATIENCE)
    finally:
        os.umask(before)
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


def test_file_is_there_before_the_first_drop(file: File, path: Path) -> None:
    assert b"" == path.read_bytes()


def test_file_renamed_is_left_and_a_new_one_is_begun(file: File, path: Path) -> None:
    """Logrotate's default."""
    file.put([drop(1)])
    settle(file)
    path.rename(path.with_suffix(".1"))
    file.put([drop(2)])
    assert (2, 0) == settle(file)
    assert [1] == ports(path.with_suffix(".1").read_text())
    assert [2] == ports(path.read_text())
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


def test_file_renamed_and_made_anew_by_the_rotator_is_followed(file: File, path: Path) -> None:
    """Logrotate's `create 0600`."""
    file.put([drop(1)])
    settle(file)
    path.rename(path.with_suffix(".1"))
    path.touch(0o600)
    file.put([drop(2)])
    assert (2, 0) == settle(file)
    assert [[1], [2]] == [ports(each.read_text()) for each in (path.with_suffix(".1"), path)]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_file_truncated_goes_on_at_its_beginning(file: File, path: Path) -> None:
    """Logrotate's `copytruncate`."""
    file.put([drop(1)])
    settle(file)
    shutil.copy(path, path.with_suffix(".1"))
    os.truncate(path, 0)
    file.put([drop(2)])
    assert (2, 0) == settle(file)
    assert f"{line.redirected(drop(2))}\n" == path.read_text()


def test_file_removed_is_made_again(file: File, path: Path) -> None:
    file.put([drop(1)])
    settle(file)
    path.unlink()
    file.put([drop(2)])
    assert (2, 0) == settle(file)
    assert [2] == ports(path.read_text())


def test_rotation_leaves_no_descriptor_open(file: File, path: Path) -> None:
    settle(file)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        path.rename(path.with_suffix(f".{number}"))
        file.put([drop(number)])
        settle(file)
    assert before == len(os.listdir("/proc/self/fd"))


def test_directory_removed_costs_the_drops_until_it_is_back(file: File, path: Path) -> None:
    shutil.rmtree(path.parent)
    file.put([drop(1), drop(2)])
    assert (0, 2) == settle(file)
    path.parent.mkdir()
    file.put([drop(3)])
    assert (1, 2) == settle(file)
    assert [3] == ports(path.read_text())
    assert [
        f"{path}: cannot write: No such file or directory; counting the drops",
        f"{path}: writing again; 2 drops were not written",
    ] == list(file.notices)


def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(ConfigError) as caught:
        file_sink(tmp_path / "logs" / "drop.log").start()
    assert f"{tmp_path}/logs/drop.log: cannot be written: File exists" == str(caught.value)


def test_directory_in_the_place_of_the_file_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"drop\.log: cannot be written: Is a directory"):
        file_sink(path).start()


def test_full_disk_is_said_once_and_every_drop_counted(tmp_path: Path) -> None:
    path = tmp_path / "drop.log"
    path.symlink_to("/dev/full")
    sink = file_sink(path)
    sink.start()
    for number in range(10):
        sink.put([drop(number)])
    assert (0, 10) == settle(sink)
    assert [f"{path}: cannot write: No space left on device; counting the drops"] == list(
        sink.notices
    )
    path.unlink()
    sink.put([drop(11)])
    assert (1, 10) == settle(sink)
    assert f"{path}: writing again; 10 drops were not written" == sink.notices[-1]
    assert 0 == sink.close(PATIENCE)


def on_a_full_disk(path: Path, then: str) -> list[str]:
    """What is printed where a disk has room for two lines of four, and 20 bytes.

    The limit on the size of files stands in for the disk: a write up to it is short, too.
    """
    code = f"""
import os, resource, signal, sys, threading
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from pathlib import Path
from sinks import file_sink
from test_sinks import drop, settle
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(path)!r})
sink = file_sink(path)
sink.start()
size = len(sink.encode(drop(1000)))
def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
room(2 * size + 20)
sink.put([drop(1001), drop(1002), drop(1003), drop(1004)])
print(*settle(sink))
{then}
sink.close(5)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.splitlines()


def test_line_cut_by_a_full_disk_spoils_no_other(path: Path) -> None:
    then = """
sink.put([drop(1005)])
print(*settle(sink))
room(10000)
sink.put([drop(1006), drop(1007)])
print(*settle(sink))
print(*sink.notices, sep="\\n")
"""
    expected = [
        "2 2",
        "2 3",
        "4 3",
        f"{path}: cannot write: File too large; counting the drops",
        f"{path}: writing again; 3 drops were not written",
    ]
    assert expected == on_a_full_disk(path, then)
    text = path.read_text()
    assert [1001, 1002, 1006, 1007] == ports(text)
    assert 5 == len(text.splitlines()), "the four, and the beginning of a fifth"


@pytest.mark.parametrize(
    "rotate",
    [
        "path.rename(path.with_suffix('.1'))",
        "path.rename(path.with_suffix('.1')); path.touch()",
        "path.unlink()",
        "os.truncate(path, 0)",
    ],
    ids=["renamed", "renamed and made anew", "removed", "truncated"],
)
def test_file_after_a_line_that_was_cut_begins_with_a_line(path: Path, rotate: str) -> None:
    """Also when the disk is still full when the file is rotated."""
    then = f"""
sink.put([drop(1005)])
print(*settle(sink))
{rotate}
room(10000)
sink.put([drop(1006)])
print(*settle(sink))
"""
    assert ["2 2", "2 3", "3 3"] == on_a_full_disk(path, then)
    assert f"{line.redirected(drop(1006))}\n" == path.read_text()


def test_another_sink_for_the_same_file_ends_the_line_that_was_cut(path: Path) -> None:
    """As after a reload with another format, or after a crash."""
    then = """
room(10000)
sink.close(5)
sink = file_sink(path)
sink.start()
sink.put([drop(1006)])
print(*settle(sink))
"""
    assert ["2 2", "1 0"] == on_a_full_disk(path, then)
    text = path.read_text()
    assert [1001, 1002, 1006] == ports(text)
    assert 4 == len(text.splitlines())


# Standard output


@contextmanager
def shut(*descriptors: int) -> Iterator[None]:
    yield
    for descriptor in descriptors:
        os.close(descriptor)


def test_pipe_that_nobody_reads_any_more_is_broken(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.dup2(writer, 1)
    os.close(writer)
    os.close(reader)
    try:
        sink = standard_output()
        sink.start()
        sink.put([drop(1)])
        assert (0, 1) == settle(sink)
        assert sink.broken
        assert ["standard output: cannot write: Broken pipe; counting the drops"] == list(
            sink.notices
        )
        assert 0 == sink.close(PATIENCE)
    finally:
        os.dup2(saved, 1)
        os.close(saved)


@contextmanager
def redirected(descriptor: int) -> Iterator[None]:
    """Puts another descriptor in its place."""
    saved = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def test_pipe_that_does_not_block_has_every_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever shares the pipe may have said so; it stays as it is."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with shut(reader, writer), redirected(writer):
        sink = standard_output()
        sink.start()
        sink.put([drop(number) for number in range(3000)])
        text = b""
        while text.count(b"\n") < 3000:
            time.sleep(0.001)
            text += os.read(reader, 30_000)
        assert (3000, 0) == settle(sink)
        assert 3000 == len(re.findall(rb" SPT=\d+ DPT=53 LEN=8\n", text))
        assert not os.get_blocking(writer)
        assert 0 == sink.close(PATIENCE)


def test_pipe_whose_reader_is_stuck_does_not_hold_up_the_end(
    capfd: pytest.CaptureFixture[str],
) -> None:
    reader, writer = os.pipe()
    with redirected(writer):
        sink = standard_output()
        sink.start()
        sink.put([drop(number) for number in range(3000)])
        begin = time.monotonic()
        assert 3000 == sink.close(0.2)
        assert 2 > time.monotonic() - begin
        os.close(writer)
        os.close(reader)  # let the thread go, which may not write to what comes next
        assert ends(f"sink-{sink.name}", PATIENCE)


def test_standard_output_has_full_lines(capfd: pytest.CaptureFixture[str]) -> None:
    sink = standard_output()
    sink.start()
    sink.put([drop(1), drop(2)])
    assert 0 == sink.close(PATIENCE)
    assert f"{line.full(drop(1))}\n{line.full(drop(2))}\n" == capfd.readouterr().out
    assert not sink.broken


# Syslog


class Daemon:
    """A syslog daemon's socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE)

    def receive(self) -> bytes:
        return self.socket.recv(65536)

    def close(self) -> None:
        self.socket.close()
        self.path.unlink()


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[Syslog]:
    sink = syslog_sink(tmp_path / "log")
    sink.start()
    yield sink
    sink.close(PATIENCE)


def test_drop_goes_to_syslog_as_daemon_info_without_time(syslog: Syslog, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "log")
    syslog.put([drop(1)])
    expected = f"<30>ryu_droplog: {line.bare(drop(1))}".encode()  # RFC 3164: 3 * 8 + 6
    assert expected == daemon.receive().rstrip(b"\0")
    daemon.close()


@pytest.mark.parametrize(
    ("text", "sent"), [("\ud800", b"\\ud800"), ("b\u00fc", b"b\\xfc"), ("plain", b"plain")]
)
def test_text_that_cannot_be_encoded_costs_no_line_in_syslog(
    tmp_path: Path, text: str, sent: bytes
) -> None:
    daemon = Daemon(tmp_path / "log")
    sink = syslog_sink(tmp_path / "log")
    sink.start()
    sink.put([drop(1, location(name=text))])
    assert daemon.receive().startswith(b"<30>ryu_droplog: " + sent + b" MISS ")
    assert (1, 0) == settle(sink)
    sink.close(PATIENCE)
    daemon.close()


def test_syslog_not_there_counts_the_drops_until_it_is(syslog: Syslog, tmp_path: Path) -> None:
    syslog.put([drop(1), drop(2)])
    assert (0, 2) == settle(syslog)
    daemon = Daemon(tmp_path / "log")
    syslog.put([drop(3)])
    assert b" SPT=3 " in daemon.receive()
    assert (1, 2) == settle(syslog)
    assert [
        f"syslog: cannot write: {tmp_path}/log: No such file or directory; counting the drops",
        "syslog: writing again; 2 drops were not written",
    ] == list(syslog.notices)
    daemon.close()


def test_syslog_not_there_is_said_at_once_and_again_when_it_comes(
    syslog: Syslog, tmp_path: Path
) -> None:
    """Without a single drop."""
    assert f"{tmp_path}/log: No such file or directory" == syslog.state()["failure"]["error"]
    assert [
        f"syslog: cannot write: {tmp_path}/log: No such file or directory; counting the drops"
    ] == list(syslog.notices)
    daemon = Daemon(tmp_path / "log")
    deadline = time.monotonic() + PATIENCE
    while syslog.failure and time.monotonic() < deadline:
        time.sleep(0.05)
    assert syslog.state()["failure"] is None
    assert "syslog: writing again; 0 drops were not written" == syslog.notices[-1]
    daemon.close()


def test_sink_that_cannot_write_tells_since_when_why_and_what_was_lost(
    syslog: Syslog,
) -> None:
    syslog.put([drop(1)])
    assert (0, 1) == settle(syslog)
    failure = syslog.state()["failure"]
    assert 1 == failure["lost"]
    assert 0 <= failure["seconds"] < PATIENCE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", failure["since"])


def test_syslog_restarted_is_found_again(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "log")
    syslog = syslog_sink(tmp_path / "log")
    syslog.start()
    syslog.put([drop(1)])
    assert b" SPT=1 " in first.receive()
    first.close()
    second = Daemon(tmp_path / "log")
    syslog.put([drop(2)])
    assert b" SPT=2 " in second.receive()
    assert (2, 0) == settle(syslog)
    assert [] == list(syslog.notices)
    syslog.close(PATIENCE)
    second.close()


def test_syslog_that_does_not_read_holds_up_its_own_thread_only(
    syslog: Syslog, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path / "log")
    begin = time.monotonic()
    for number in range(3000):
        syslog.put([drop(number)])
    assert PATIENCE > time.monotonic() - begin  # nothing is read before, so waiting would not end
    received = [daemon.receive() for _ in range(3000)]
    assert b" SPT=2999 " in received[-1]
    assert (3000, 0) == settle(syslog)
    daemon.close()
