"""The last will: carried out when the pipe to the program breaks, not before, and to the end."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ryu_droplog.openflow import will
from ryu_droplog.openflow.will import LastWill

PATIENCE = 15.0
HELLO = struct.pack("!BBHI", 4, 0, 8, 0)
BARRIER = struct.pack("!BBHI", 4, 20, 8, 1)
BARRIER_REPLY = struct.pack("!BBHI", 4, 21, 8, 1)
ECHO = struct.pack("!BBHI", 4, 2, 12, 9) + b"ping"
MESSAGES = HELLO + BARRIER


class Listener:
    """A Unix socket that takes one connection, answers, and keeps what it was told."""

    def __init__(
        self, path: Path, answers: Sequence[bytes] = (HELLO, BARRIER_REPLY), linger: bool = True
    ) -> None:
        """`linger`: it does not close before the other side does."""
        self.path = path
        self.told = b""
        self.came = threading.Event()
        self.done = threading.Event()
        self._answers = answers
        self._linger = linger
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            visitor, _ = self._socket.accept()
        except OSError:
            return
        self.came.set()
        with visitor:
            visitor.settimeout(PATIENCE)
            self.told = visitor.recv(65536)
            for answer in self._answers:
                visitor.sendall(answer)
                time.sleep(0.02)
            while self._linger and (more := visitor.recv(65536)):
                self.told += more
        self.done.set()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose paths a socket's address has room for."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def listener(folder: Path) -> Iterator[Listener]:
    made = Listener(folder / "switch")
    yield made
    made.close()


class Process:
    """will.py as the program runs it."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-S", will.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def say(self, name: str, address: object, messages: bytes) -> None:
        self.write(json.dumps([name, address, messages.hex()]).encode() + b"\n")

    def write(self, data: bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def end(self) -> tuple[int, bytes]:
        """Break the pipe; exit status and all that it said."""
        said, _ = self.popen.communicate(timeout=PATIENCE)
        return self.popen.returncode, said


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    yield made
    made.popen.kill()
    made.popen.communicate()


def test_will_is_carried_out_when_the_pipe_breaks_and_not_before(
    process: Process, listener: Listener
) -> None:
    process.say("br-int", str(listener.path), MESSAGES)
    assert not listener.came.wait(0.3)
    assert (0, b"") == process.end()
    assert listener.done.wait(PATIENCE)
    assert MESSAGES == listener.told


def test_will_said_later_replaces_the_earlier(process: Process, listener: Listener) -> None:
    process.say("br-int", str(listener.path), HELLO)
    process.say("br-int", str(listener.path), MESSAGES)
    assert (0, b"") == process.end()
    assert listener.done.wait(PATIENCE)
    assert MESSAGES == listener.told


def test_empty_will_takes_back_the_earlier(process: Process, listener: Listener) -> None:
    process.say("br-int", str(listener.path), MESSAGES)
    process.say("br-int", str(listener.path), b"")
    assert (0, b"") == process.end()
    assert not listener.came.is_set()


def test_wills_of_all_names_are_carried_out(process: Process, folder: Path) -> None:
    listeners = [Listener(folder / str(number)) for number in range(3)]
    for number, one in enumerate(listeners):
        process.say(f"br-{number}", str(one.path), MESSAGES)
    assert (0, b"") == process.end()
    assert [True] * 3 == [one.done.wait(PATIENCE) for one in listeners]
    assert [MESSAGES] * 3 == [one.told for one in listeners]


@pytest.mark.parametrize("length", [1, 20, -3, -1])
def test_last_line_cut_leaves_the_earlier_will(
    process: Process, listener: Listener, length: int
) -> None:
    """-1: only the newline is missing, and the line is whole."""
    line = json.dumps(["br-int", str(listener.path), (HELLO + MESSAGES).hex()]).encode() + b"\n"
    process.say("br-int", str(listener.path), MESSAGES)
    process.write(line[:length])
    assert (0, b"") == process.end()
    assert listener.done.wait(PATIENCE)
    assert (HELLO + MESSAGES if length == -1 else MESSAGES) == listener.told


def test_odd_line_spoils_no_other(process: Process, listener: Listener) -> None:
    process.write(b'["br-int"]\n\xff\xfe\n["a", "b", "zz"]\n')
    process.say("br-int", str(listener.path), MESSAGES)
    assert (0, b"") == process.end()
    assert MESSAGES == listener.told


def test_address_where_nobody_is_keeps_nobody_else_waiting(
    process: Process, listener: Listener, folder: Path
) -> None:
    dead = folder / "dead"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
        gone.bind(str(dead))
    process.say("br-0", str(folder / "never"), MESSAGES)
    process.say("br-1", str(dead), MESSAGES)
    process.say("br-2", ["127.0.0.1", 1], MESSAGES)
    process.say("br-3", str(listener.path), MESSAGES)
    assert (0, b"") == process.end()
    assert listener.done.wait(PATIENCE)
    assert MESSAGES == listener.told


@pytest.mark.parametrize(
    "answers",
    [(), (b"\x04",), (HELLO, BARRIER_REPLY[:5]), (b"\x04\x00\xff\xff",), (bytes(8),)],
    ids=["nothing", "one byte", "half a header", "a length that lies", "zeros"],
)
def test_switch_that_breaks_off_keeps_nobody_else_from_its_will(
    process: Process, listener: Listener, folder: Path, answers: Sequence[bytes]
) -> None:
    first = Listener(folder / "first", answers, linger=False)
    process.say("br-0", str(first.path), MESSAGES)
    process.say("br-1", str(listener.path), MESSAGES)
    assert (0, b"") == process.end()
    assert MESSAGES == first.told
    assert listener.done.wait(PATIENCE)
    assert MESSAGES == listener.told


def test_switch_that_never_answers_is_left_after_a_while(
    process: Process, listener: Listener, folder: Path
) -> None:
    mute = Listener(folder / "mute", ())
    process.say("br-0", str(mute.path), MESSAGES)
    process.say("br-1", str(listener.path), MESSAGES)
    assert (0, b"") == process.end()
    assert MESSAGES == listener.told
    assert mute.done.wait(PATIENCE)


def test_messages_before_the_barriers_reply_are_stepped_over(
    process: Process, folder: Path
) -> None:
    answers = (HELLO + ECHO[:3], ECHO[3:], BARRIER_REPLY)
    chatty = Listener(folder / "chatty", answers)
    process.say("br-int", str(chatty.path), MESSAGES)
    begin = time.monotonic()
    assert (0, b"") == process.end()
    assert chatty.done.wait(PATIENCE)
    assert will.ANSWER_TIME > time.monotonic() - begin, "it saw the reply and did not wait on"


def test_database_that_answers_is_enough(process: Process, folder: Path) -> None:
    request = b'{"method": "transact", "params": [], "id": 0}'
    database = Listener(folder / "db", (b'{"id":0,"result":[{"count":1}],"error":null}',))
    process.say("br-int Controller", str(database.path), request)
    begin = time.monotonic()
    assert (0, b"") == process.end()
    assert database.done.wait(PATIENCE)
    assert request == database.told
    assert will.ANSWER_TIME > time.monotonic() - begin


def test_switch_is_reached_by_tcp_too(process: Process) -> None:
    told = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            visitor, _ = server.accept()
            with visitor:
                told.append(visitor.recv(65536))
                visitor.sendall(HELLO + BARRIER_REPLY)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        process.say("br-int", ["127.0.0.1", server.getsockname()[1]], MESSAGES)
        assert (0, b"") == process.end()
        thread.join(PATIENCE)
    assert [MESSAGES] == told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_the_group_does_not_end_it(
    process: Process, listener: Listener, number: signal.Signals
) -> None:
    process.say("br-int", str(listener.path), MESSAGES)
    deadline = time.monotonic() + PATIENCE
    while not _ignores(process.popen.pid, number) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.popen.send_signal(number)
    assert not listener.came.wait(0.2)
    assert (0, b"") == process.end()
    assert MESSAGES == listener.told


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Whether the process ignores the signal (SigIgn in proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


# The program's side


def children() -> set[int]:
    """The processes that this one has started (proc(5), stat)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            pid, rest = stat.read_text().split(" (", 1)
            if int(rest.rpartition(") ")[2].split()[1]) == os.getpid():
                found.add(int(pid))
    return found


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


_TESTATOR = """
import os, sys, time
from ryu_droplog.openflow.will import LastWill
last = LastWill()
last.write("br-int", sys.argv[1], bytes.fromhex(sys.argv[2]))
if sys.argv[3] == "taken back":
    last.write("br-int", sys.argv[1], b"")
print("written", flush=True)
if sys.argv[3] != "killed":
    last.close()
    sys.exit()
time.sleep(60)
"""


@pytest.mark.parametrize("end", ["killed", "closed", "taken back"])
def test_program_that_ends_has_its_will_carried_out_unless_it_took_it_back(
    listener: Listener, end: str
) -> None:
    testator = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _TESTATOR, str(listener.path), MESSAGES.hex(), end],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert testator.stdout is not None
    assert "written\n" == testator.stdout.readline()
    if end == "killed":
        assert not listener.came.wait(0.2)
        testator.kill()
    testator.communicate(timeout=PATIENCE)
    if end == "taken back":
        assert not listener.came.wait(0.2)
    else:
        assert listener.done.wait(PATIENCE)
        assert MESSAGES == listener.told


def test_other_process_killed_is_said_and_started_anew(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    last = LastWill()
    last.write("br-int", str(listener.path), MESSAGES)
    [child] = [pid for pid in children() if b"will.py" in cmdline(pid)]
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    with caplog.at_level(logging.WARNING):
        while not caplog.text and time.monotonic() < deadline:
            last.write("br-int", str(listener.path), MESSAGES)
            time.sleep(0.01)
    assert "the process for the last will was killed" in caplog.text
    assert "starting another" in caplog.text
    last.close()


def test_will_never_written_starts_no_process_and_can_be_closed() -> None:
    before = children()
    LastWill().close()
    assert before == children()
