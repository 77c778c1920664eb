"""The socket on which the running program tells its books, and whoever asks there."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ryu_droplog.runtime import status_socket
from ryu_droplog.runtime.status_socket import StatusError, StatusServer, ask

LONG = 30.0
"""Seconds in which anything must have happened."""
TOO_MUCH = "x" * 4_000_000
"""More than the buffers of a socket take."""

PATIENCE = 0.6
"""What the two sides wait for one another where a test waits for that, in seconds."""

_PROGRAM = """
import sys
from ryu_droplog.runtime.status_socket import StatusServer
server = StatusServer(sys.argv[1], lambda: {"name": sys.argv[2]})
print("ready", flush=True)
server.run()
"""


class Server:
    """A status server in a thread, as the program has it."""

    def __init__(self, directory: Path, tell: Callable[[], dict[str, Any]]) -> None:
        self.server = StatusServer(str(directory), tell)
        self.path = directory / f"{os.getpid()}.sock"
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(LONG)


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_socket, "PATIENCE", PATIENCE)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A run directory that is not there yet, with a path that a socket's address has room for."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "run", "droplog")


@pytest.fixture
def serve(directory: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them."""
    started: list[Server] = []

    def start(tell: Callable[[], dict[str, Any]]) -> Server:
        started.append(Server(directory, tell))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def programs(directory: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts processes of their own that serve, and ends them."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(directory), name],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def visit(path: Path) -> socket.socket:
    visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    visitor.settimeout(LONG)
    visitor.connect(str(path))
    return visitor


def test_visitor_gets_one_json_object_and_the_end(serve: Callable[..., Server]) -> None:
    server = serve(lambda: {"pid": 7, "bridges": {}})
    with visit(server.path) as visitor, visitor.makefile("rb") as answer:
        assert {"pid": 7, "bridges": {}} == json.loads(answer.read())


def test_answer_is_made_anew_for_each_visitor(
    serve: Callable[..., Server], directory: Path
) -> None:
    numbers = iter(range(3))
    serve(lambda: {"number": next(numbers)})
    answers = [answer for _ in range(3) for answer in ask(str(directory))]
    assert [{"number": 0}, {"number": 1}, {"number": 2}] == answers


def test_long_answer_arrives_whole(serve: Callable[..., Server], directory: Path) -> None:
    serve(lambda: {"long": TOO_MUCH})
    assert [{"long": TOO_MUCH}] == list(ask(str(directory)))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_socket_is_for_its_owner_alone_whatever_the_umask(
    serve: Callable[..., Server], umask: int
) -> None:
    before = os.umask(umask)
    try:
        server = serve(dict)
        assert umask == os.umask(umask), "the process's own stays"
    finally:
        os.umask(before)
    mode = server.path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert 0o600 == stat.S_IMODE(mode)


def test_stopped_server_leaves_no_socket(serve: Callable[..., Server], directory: Path) -> None:
    server = serve(dict)
    server.stop()
    assert not server.thread.is_alive()
    assert [] == list(directory.iterdir())


def test_socket_of_a_killed_program_is_removed_by_the_next(
    serve: Callable[..., Server],
    programs: Callable[[str], subprocess.Popen[str]],
    directory: Path,
) -> None:
    killed = programs("killed")
    killed.kill()
    killed.wait()
    stale = directory / f"{killed.pid}.sock"
    assert stale.is_socket()
    server = serve(lambda: {"name": "next"})
    assert [server.path] == list(directory.iterdir())


def test_files_of_others_in_the_directory_stay(
    serve: Callable[..., Server], directory: Path
) -> None:
    directory.mkdir(parents=True)
    others = ["0000000000000001.lock", "db.sock", "notes"]
    for name in others:
        (directory / name).touch()
    server = serve(lambda: {"name": "one"})
    assert sorted([*others, server.path.name]) == sorted(os.listdir(directory))
    assert [{"name": "one"}] == list(ask(str(directory)))


def test_socket_that_a_process_of_the_same_number_left_is_taken_over(
    serve: Callable[..., Server], directory: Path
) -> None:
    directory.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as earlier:
        earlier.bind(str(directory / f"{os.getpid()}.sock"))
    serve(lambda: {"name": "now"})
    assert [{"name": "now"}] == list(ask(str(directory)))


def test_several_programs_are_all_asked(
    programs: Callable[[str], subprocess.Popen[str]], directory: Path
) -> None:
    for name in ("one", "two", "three"):
        programs(name)
    answers = [answer["name"] for answer in ask(str(directory))]
    assert ["one", "three", "two"] == sorted(answers)


def test_killed_program_is_passed_over(
    programs: Callable[[str], subprocess.Popen[str]], directory: Path
) -> None:
    killed = programs("killed")
    programs("lives")
    killed.kill()
    killed.wait()
    assert [{"name": "lives"}] == list(ask(str(directory)))


@pytest.mark.parametrize("there", [False, True], ids=["no directory", "empty directory"])
def test_no_program_is_said_with_the_directory(directory: Path, there: bool) -> None:
    if there:
        directory.mkdir(parents=True)
    with pytest.raises(StatusError) as caught:
        list(ask(str(directory)))
    assert f"no running ryu_droplog has its socket in {directory}" == str(caught.value)


def test_killed_program_alone_is_no_program(
    programs: Callable[[str], subprocess.Popen[str]], directory: Path
) -> None:
    killed = programs("killed")
    killed.kill()
    killed.wait()
    with pytest.raises(StatusError, match="no running ryu_droplog has its socket in "):
        list(ask(str(directory)))


@pytest.mark.parametrize("said", [b"", b'{"pid": 1', b"odd"], ids=["nothing", "half", "no json"])
def test_answer_that_is_cut_is_an_error_of_ours(directory: Path, said: bytes) -> None:
    """The program may be killed in the middle of its answer."""
    directory.mkdir(parents=True)
    path = directory / "1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            visitor, _ = listener.accept()
            with visitor:
                visitor.sendall(said)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        with pytest.raises(StatusError, match=str(path)):
            list(ask(str(directory)))
        answering.join(LONG)


def test_visitor_that_goes_at_once_harms_nobody(
    serve: Callable[..., Server], directory: Path
) -> None:
    server = serve(lambda: {"long": TOO_MUCH})
    for _ in range(3):
        visit(server.path).close()
    assert [{"long": TOO_MUCH}] == list(ask(str(directory)))


def test_many_who_ask_at_once_are_all_answered(
    serve: Callable[..., Server], directory: Path
) -> None:
    """More than the kernel lets wait for the server."""

    def tell() -> dict[str, Any]:
        time.sleep(0.02)
        return {"name": "one"}

    def visit_once() -> None:
        answers.extend(ask(str(directory)))

    serve(tell)
    answers: list[dict[str, Any]] = []
    visitors = [threading.Thread(target=visit_once, daemon=True) for _ in range(20)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(LONG)
    assert [{"name": "one"}] * 20 == answers


def test_visitor_that_never_reads_holds_up_the_next_for_a_while_only(
    serve: Callable[..., Server], directory: Path, short_patience: None
) -> None:
    server = serve(lambda: {"long": TOO_MUCH})
    with visit(server.path):
        begin = time.monotonic()
        assert [{"long": TOO_MUCH}] == list(ask(str(directory)))
        assert LONG > time.monotonic() - begin


def test_visitor_that_never_reads_a_usual_answer_holds_up_nobody(
    serve: Callable[..., Server], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda: {"usual": "x" * 20_000})
    monkeypatch.setattr(status_socket, "PATIENCE", 2 * LONG)
    with visit(server.path):
        begin = time.monotonic()
        assert [{"usual": "x" * 20_000}] == list(ask(str(directory)))
        assert LONG > time.monotonic() - begin


def test_visitor_that_never_reads_does_not_keep_the_program_from_ending(
    serve: Callable[..., Server], short_patience: None
) -> None:
    server = serve(lambda: {"long": TOO_MUCH})
    with visit(server.path):
        time.sleep(0.1)
        begin = time.monotonic()
        server.stop()
        assert not server.thread.is_alive()
        assert LONG > time.monotonic() - begin


def test_program_that_hangs_is_named_and_not_waited_for_without_end(
    programs: Callable[[str], subprocess.Popen[str]], directory: Path, short_patience: None
) -> None:
    hung = programs("hung")
    hung.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(StatusError) as caught:
        list(ask(str(directory)))
    assert LONG > time.monotonic() - begin
    assert str(caught.value).startswith(f"{directory}/{hung.pid}.sock: ")
    with suppress(ProcessLookupError):
        hung.send_signal(signal.SIGCONT)


def test_directory_that_cannot_be_made_is_an_os_error(directory: Path) -> None:
    directory.parent.write_text("a file")
    with pytest.raises(OSError, match="Not a directory"):
        StatusServer(str(directory), dict)
