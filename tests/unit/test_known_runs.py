"""The runs that had a run directory before: written down, bounded, and never trusted blindly."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from ryu_droplog.locks.known_runs import REMEMBERED, known, note
from ryu_droplog.locks.run_directory import RunDirectoryError


def test_runs_are_known_in_every_later_one(tmp_path: Path) -> None:
    assert frozenset() == known(tmp_path)
    for run in (0x123400, 0xFFFFFF, 1, 1):
        note(tmp_path, run)
    assert {0x123400, 0xFFFFFF, 1} == known(tmp_path)
    assert "0x123400\n0xffffff\n0x000001\n" == (tmp_path / "runs").read_text()


def test_latest_runs_are_remembered(tmp_path: Path) -> None:
    for run in range(1, REMEMBERED + 6):
        note(tmp_path, run)
    assert set(range(6, REMEMBERED + 6)) == known(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"0x0\n-1\n0x1000000\n", b"\xff\xfe\n", b"9" * 100_000, b"\n" * 9000]
)
def test_what_is_no_run_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "runs").write_bytes(content)
    assert frozenset() == known(tmp_path)
    note(tmp_path, 0x123400)
    assert {0x123400} == known(tmp_path)


def test_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("0x123400\n")
    (tmp_path / "runs").symlink_to(target)
    assert frozenset() == known(tmp_path)
    with pytest.raises(RunDirectoryError, match="a symbolic link is there"):
        note(tmp_path, 0x567800)
    assert "0x123400\n" == target.read_text()


def test_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runs")
    assert frozenset() == known(tmp_path)


def test_full_disk_is_an_error_that_leaves_the_file_readable(tmp_path: Path) -> None:
    note(tmp_path, 0x123400)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))  # as a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            note(tmp_path, 0x567800)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert frozenset() == known(tmp_path)
