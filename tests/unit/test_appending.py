"""What stands in the place of a log file: FIFOs, links of others, and what is no file at all."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from living import ends
from sinks import file_sink
from test_sinks import PATIENCE, drop, file, path, ports, settle, shut

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.sinks import line
from ryu_droplog.sinks.text import File

__all__ = ["file", "path"]  # fixtures


@pytest.fixture
def fifo(path: Path) -> Path:
    path.parent.mkdir()
    os.mkfifo(path)
    return path


def reader_of(fifo: Path) -> int:
    return os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)


def refusal(path: Path) -> str:
    """Why a sink does not start; it must not take long."""
    begin = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        file_sink(path).start()
    assert 2 > time.monotonic() - begin
    return str(caught.value)


def test_fifo_that_nobody_reads_is_refused(fifo: Path) -> None:
    assert f"{fifo}: cannot be written: it is a FIFO that nobody reads" == refusal(fifo)


def test_fifo_has_the_lines_and_its_readers_come_and_go(fifo: Path) -> None:
    reader = reader_of(fifo)
    sink = file_sink(fifo)
    sink.start()
    sink.put([drop(1)])
    assert (1, 0) == settle(sink)
    assert [1] == ports(os.read(reader, 65536).decode())
    os.close(reader)
    sink.put([drop(2)])
    assert (1, 1) == settle(sink)
    sink.put([drop(3)])
    assert (1, 2) == settle(sink)
    assert not sink.broken, "the next reader gets what comes then"
    with shut(reader := reader_of(fifo)):
        sink.put([drop(4)])
        assert (2, 2) == settle(sink)
        assert f"{line.redirected(drop(4))}\n" == os.read(reader, 65536).decode()
    assert [
        f"{fifo}: cannot write: Broken pipe; counting the drops",
        f"{fifo}: writing again; 2 drops were not written",
    ] == list(sink.notices)
    assert 0 == sink.close(PATIENCE)


def test_fifo_in_the_place_of_the_file_costs_the_drops_until_it_is_gone(
    file: File, path: Path
) -> None:
    file.put([drop(1)])
    settle(file)
    path.unlink()
    os.mkfifo(path)
    file.put([drop(2)])
    assert (1, 1) == settle(file)
    path.unlink()
    file.put([drop(3)])
    assert (2, 1) == settle(file)
    assert [3] == ports(path.read_text())
    assert (
        f"{path}: cannot write: it is a FIFO that nobody reads; counting the drops"
        == (file.notices[0])
    )


def test_slow_reader_of_a_fifo_gets_every_line(fifo: Path) -> None:
    with shut(reader := reader_of(fifo)):
        sink = file_sink(fifo)
        sink.start()
        sink.put([drop(number) for number in range(3000)])
        text = b""
        deadline = time.monotonic() + PATIENCE
        while text.count(b"\n") < 3000 and time.monotonic() < deadline:
            time.sleep(0.001)
            with suppress(BlockingIOError):
                text += os.read(reader, 30_000)
        assert list(range(3000)) == ports(text.decode())
        assert 0 == sink.close(PATIENCE)


def test_fifo_whose_reader_is_stuck_does_not_hold_up_the_end(fifo: Path) -> None:
    with shut(reader_of(fifo)):
        sink = file_sink(fifo)
        sink.start()
        sink.put([drop(number) for number in range(3000)])
        begin = time.monotonic()
        assert 3000 == sink.close(0.2)
        assert 2 > time.monotonic() - begin
        assert ends(f"sink-{sink.name}", PATIENCE), "it gives up what it waits for"
        assert 3000 == sink.written + sink.failed


def test_socket_in_the_place_of_the_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        assert f"{path}: cannot be written: it is a socket, expected a file" == refusal(path)


def test_link_of_ours_is_followed_and_its_target_made(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.log")
    sink = file_sink(path)
    sink.start()
    sink.put([drop(1)])
    assert 0 == sink.close(PATIENCE)
    assert [1] == ports((tmp_path / "elsewhere.log").read_text())


def test_link_of_another_user_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to the directory must not choose which file root writes."""
    target = tmp_path / "precious"
    target.write_text("precious\n")
    path.parent.mkdir()
    path.symlink_to(target)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1234, follow_symlinks=False)
    owner = path.lstat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"cannot be written: it is a symbolic link of the user with the id {owner}, " in (
        refusal(path)
    )
    assert "precious\n" == target.read_text()


def test_link_of_another_user_that_comes_later_is_not_followed(
    file: File, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious\n")
    path.unlink()
    path.symlink_to(target)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1234, follow_symlinks=False)
    owner = path.lstat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    file.put([drop(1)])
    assert (0, 1) == settle(file)
    assert "precious\n" == target.read_text()
