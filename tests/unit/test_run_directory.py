"""The run directory: nobody else may write to it, nor put another in its place."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ryu_droplog.locks.run_directory import (
    RunDirectoryError,
    check,
    is_socket_of_ours,
    open_file,
    prepare,
    user,
)
from ryu_droplog.runtime.status_socket import StatusError, StatusServer, ask

US = user(os.geteuid())


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of ours alone, whose path a socket's address has room for."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name).resolve()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_directory_is_made_with_those_above_it_and_is_ours_alone(folder: Path, umask: int) -> None:
    directory = folder / "some" / "where"
    before = os.umask(umask)
    try:
        assert directory == prepare(str(directory))
    finally:
        os.umask(before)
    for made in (directory, directory.parent):
        assert 0o755 & ~umask == stat.S_IMODE(made.stat().st_mode)
    assert directory == prepare(str(directory)), "it may be there already"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777, 0o720, 0o702], ids=oct)
@pytest.mark.parametrize("reading", [False, True])
def test_directory_that_others_may_write_to_is_refused_with_its_mode(
    folder: Path, mode: int, reading: bool
) -> None:
    directory = folder / "run"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(RunDirectoryError) as caught:
        check(str(directory), reading=reading)
    expected = (
        f"{directory}: others may write to the run directory, its mode is {mode:04o}; expected one"
        f" to which only its owner may write (chmod go-w {directory})"
    )
    assert expected == str(caught.value)
    directory.chmod(mode & ~0o022)
    assert directory == check(str(directory), reading=reading)


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o770, True), (0o1777, False)])
def test_directory_that_others_may_rename_is_refused(
    folder: Path, mode: int, refused: bool
) -> None:
    outer = folder / "outer"
    directory = outer / "between" / "run"
    directory.mkdir(parents=True)
    outer.chmod(mode)
    if refused:
        with pytest.raises(RunDirectoryError) as caught:
            check(str(directory))
        assert f"{outer} belongs to {US} and has the mode {mode:04o};" in str(caught.value)
    else:
        assert directory == check(str(directory))


def test_link_of_ours_to_a_directory_is_followed_to_where_it_is(folder: Path) -> None:
    directory = folder / "real" / "run"
    directory.mkdir(parents=True)
    (folder / "link").symlink_to(folder / "real")
    assert directory == prepare(str(folder / "link" / "run"))
    directory.chmod(0o777)
    with pytest.raises(RunDirectoryError, match="others may write to the run directory"):
        prepare(str(folder / "link" / "run"))


def test_directory_that_cannot_be_made_is_an_os_error(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(NotADirectoryError):
        prepare(str(folder / "file" / "run"))
    with pytest.raises(FileNotFoundError):
        check(str(folder / "nowhere"))


def test_file_in_place_of_the_directory_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    os.mkfifo(folder / "pipe")
    for name, what in (("file", "a file"), ("pipe", "a pipe")):
        with pytest.raises(RunDirectoryError) as caught:
            prepare(str(folder / name))
        expected = f"{folder / name}: {what} is there; expected the run directory"
        assert expected == str(caught.value)


def test_file_is_ours_alone_and_can_be_opened_again(folder: Path) -> None:
    path = folder / "file"
    before = os.umask(0)
    try:
        os.close(open_file(path))
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    os.close(open_file(path))


def test_socket_in_place_of_a_file_is_refused(folder: Path) -> None:
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(str(path))
        with pytest.raises(RunDirectoryError, match="a socket is there; expected a file of "):
            open_file(path)


# The socket of `ryu-droplog status`


def test_status_is_neither_served_nor_asked_where_others_may_write(folder: Path) -> None:
    directory = folder / "run"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(RunDirectoryError, match="others may write to the run directory"):
        StatusServer(str(directory), dict)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hostile:
        hostile.bind(str(directory / "1.sock"))
        hostile.listen()
        with pytest.raises(RunDirectoryError, match="others may write to the run directory"):
            list(ask(str(directory)))


def test_only_stale_sockets_are_removed_and_nothing_that_looks_like_one(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(elsewhere))
    directory = folder / "run"
    directory.mkdir()
    (directory / "1.sock").write_text("a file")
    (directory / "2.sock").symlink_to(elsewhere)
    os.mkfifo(directory / "3.sock")
    elsewhere.rename(directory / "4.sock")
    (folder / "elsewhere").touch()
    assert [False, False, False, True] == [
        is_socket_of_ours(directory / f"{number}.sock") for number in (1, 2, 3, 4)
    ]
    server = StatusServer(str(directory), dict)
    left = {path.name for path in directory.iterdir()} - {f"{os.getpid()}.sock"}
    assert {"1.sock", "2.sock", "3.sock"} == left
    (directory / f"{os.getpid()}.sock").unlink()
    with pytest.raises(StatusError, match="no running ryu_droplog has its socket in "):
        list(ask(str(directory)))
    server.stop()
    server.run()
