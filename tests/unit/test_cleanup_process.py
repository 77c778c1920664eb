"""The clean-up process: begins when the program has gone, tries for a lease, says what it left."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from switches import (
    BARRIER_REPLY,
    DONE,
    ECHO,
    HELLO,
    MESSAGES,
    Switch,
    error,
    hello,
)
from waiting import PATIENCE, eventually

from ryu_droplog.cleanup import cleanup_process
from ryu_droplog.cleanup.cleanup_process import Footprint

PLAIN = (sys.executable, "-I", "-S", cleanup_process.__file__)
"""As the program runs it."""
HASTY = (
    sys.executable,
    "-c",
    "from ryu_droplog.cleanup import cleanup_process;"
    "cleanup_process.SHORTEST_TIME = 1; cleanup_process.ANSWER_TIME = 0.3; cleanup_process.main()",
)
"""The same, with less patience."""
HERS = {"flows": 2, "meters": 1, "changed": 0, "lease": 1}
"""What there is, in these tests."""
STAYS = "1 meter stays until the next start, ryu-droplog clean, or a restart of ovs-vswitchd"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose paths a socket's address has room for."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def switch(folder: Path) -> Iterator[Switch]:
    made = Switch(folder / "switch")
    yield made
    made.close()


class Process:
    """The clean-up process; the program's end of its connection is ours."""

    def __init__(self, command: Sequence[str] = PLAIN) -> None:
        self.mine, other = socket.socketpair()
        self.mine.settimeout(PATIENCE)
        with other:
            self.popen = subprocess.Popen(
                command,
                stdin=other,
                stdout=other,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self._heard = b""

    def say(self, name: str, address: object, messages: bytes = MESSAGES) -> None:
        told = {"name": name, "address": address, "messages": messages.hex(), **HERS}
        self.write(json.dumps(told).encode() + b"\n")

    def write(self, data: bytes) -> None:
        self.mine.sendall(data)

    def hears(self) -> dict[str, object]:
        """The next thing that it tells the program."""
        while b"\n" not in self._heard:
            chunk = self.mine.recv(65536)
            assert chunk, "it has ended"
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        told = json.loads(line)
        assert isinstance(told, dict)
        return told

    def is_ready(self) -> None:
        """Wait until it has taken all that was said."""
        self.write(b'{"ping": 7}\n')
        assert {"pong": 7} == self.hears()

    def end(self) -> tuple[int, list[str]]:
        """The program goes; exit status and what was said, without the time."""
        self.mine.close()
        _, said = self.popen.communicate(timeout=PATIENCE)
        return self.popen.returncode, [line.split(" ", 2)[2] for line in said.splitlines()]


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    made: list[Process] = []
    yield made
    for process in made:
        process.mine.close()
        process.popen.kill()
        process.popen.wait()
        assert process.popen.stderr is not None
        process.popen.stderr.close()


@pytest.fixture
def process(processes: list[Process]) -> Process:
    processes.append(Process())
    return processes[-1]


@pytest.fixture
def hasty(processes: list[Process]) -> Process:
    processes.append(Process(HASTY))
    return processes[-1]


DONE_LINE = "INFO br-int: the clean-up process cleaned up 2 flows, 1 meter"


def test_begins_when_the_program_has_gone_and_not_before(process: Process, switch: Switch) -> None:
    process.say("br-int", switch.address)
    process.is_ready()
    time.sleep(0.3)
    assert 0 == switch.come
    assert (0, [DONE_LINE]) == process.end()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_what_is_said_later_replaces_the_earlier(process: Process, switch: Switch) -> None:
    process.say("br-int", switch.address, HELLO)
    process.say("br-int", switch.address)
    assert (0, [DONE_LINE]) == process.end()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_nothing_left_to_take_back_keeps_it_silent(process: Process, switch: Switch) -> None:
    process.say("br-int", switch.address)
    process.say("br-int", switch.address, b"")
    assert (0, []) == process.end()
    assert 0 == switch.come


def test_all_bridges_are_cleaned(process: Process, folder: Path) -> None:
    switches = [Switch(folder / str(number)) for number in range(3)]
    for number, one in enumerate(switches):
        process.say(f"br-{number}", one.address)
    status, said = process.end()
    assert 0 == status
    assert 3 == len(said)
    assert eventually(lambda: [one.told for one in switches] == [[MESSAGES]] * 3)


@pytest.mark.parametrize("length", [1, 20, -3, -1])
def test_last_line_cut_leaves_what_was_said_before(
    process: Process, switch: Switch, length: int
) -> None:
    """-1: only the newline is missing, and the line is whole."""
    told = {"name": "br-int", "address": switch.address, "messages": (HELLO + MESSAGES).hex()}
    process.say("br-int", switch.address)
    process.write((json.dumps(told).encode() + b"\n")[:length])
    assert 0 == process.end()[0]
    assert eventually(lambda: switch.told == [HELLO + MESSAGES if length == -1 else MESSAGES])


def test_odd_line_spoils_no_other(process: Process, switch: Switch) -> None:
    process.write(b'{"name": "a"}\n\xff\xfe\n["a"]\n7\n{"name": "b", "messages": "zz"}\n{}\n')
    process.say("br-int", switch.address)
    assert (0, [DONE_LINE]) == process.end()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_bridge_that_is_not_there_keeps_nobody_waiting_and_is_no_failure(
    hasty: Process, switch: Switch, folder: Path
) -> None:
    dead = Switch(folder / "dead")
    dead.close()
    hasty.say("br-0", str(folder / "never"))
    hasty.say("br-1", dead.address)
    hasty.say("br-2", switch.address)
    hasty.is_ready()
    began = time.monotonic()
    hasty.mine.shutdown(socket.SHUT_WR)
    outcomes = {}
    while len(outcomes) < 3:
        told = hasty.hears()
        outcomes[told["name"]] = told["outcome"]
    assert {"br-0": "gone", "br-1": "gone", "br-2": "done"} == outcomes
    assert 1 > time.monotonic() - began
    assert (0, []) == hasty.end()


def test_host_where_nobody_listens_is_a_failure_that_is_said(hasty: Process) -> None:
    hasty.say("br-int", ["127.0.0.1", 1])
    status, said = hasty.end()
    assert 1 == status
    first, last = said
    why = "(cannot connect: Connection refused)"
    assert first.startswith(f"WARNING br-int: not yet cleaned up: 2 flows, 1 meter {why}; ")
    assert "keeps trying for 1 s" in first
    took = f"the clean-up process could not clean up 2 flows, 1 meter {why}"
    assert f"WARNING br-int: {took}: 2 flows end with their lease, {STAYS}" == last


@pytest.mark.parametrize(
    "answers",
    [(), (b"\x04",), (HELLO, BARRIER_REPLY[:5]), (b"\x04\x00\xff\xff",), (HELLO, bytes(8))],
    ids=["nothing", "one byte", "half a header", "a length that lies", "zeros"],
)
def test_switch_that_breaks_off_is_tried_again_and_keeps_nobody_waiting(
    process: Process, switch: Switch, folder: Path, answers: Sequence[bytes]
) -> None:
    first = Switch(folder / "first", answers, answers, DONE, linger=False)
    process.say("br-0", first.address)
    process.say("br-1", switch.address)
    status, said = process.end()
    assert 0 == status
    assert {f"INFO br-{n}: the clean-up process cleaned up 2 flows, 1 meter" for n in (0, 1)} < {
        *said
    }
    assert eventually(lambda: first.told == [MESSAGES] * 3)
    assert 1 == switch.come


def test_switch_that_is_silent_for_a_while_is_tried_for_a_lease_at_least(
    hasty: Process, switch: Switch, folder: Path
) -> None:
    mute = Switch(folder / "mute", None)
    hasty.say("br-0", mute.address)
    hasty.say("br-1", switch.address)
    began = time.monotonic()
    status, said = hasty.end()
    assert 1 <= time.monotonic() - began
    assert 1 == status
    took = "could not clean up 2 flows, 1 meter (no answer within 0.3 s)"
    assert f"{took}: 2 flows end with their lease, {STAYS}" in said[-1]
    assert eventually(lambda: switch.told == [MESSAGES])
    assert 2 <= mute.come


def test_switch_that_answers_late_is_waited_for(process: Process, folder: Path) -> None:
    """As ovs-vswitchd does that was stopped: what waits in its socket is worked off."""
    late = Switch(folder / "late", (b"", b"", *DONE))
    process.say("br-int", late.address)
    assert (0, [DONE_LINE]) == process.end()
    assert 1 == late.come


@pytest.mark.parametrize(
    "refusal",
    [
        [hello(1)],
        [hello(5, 1, 5)],
        [hello(1, 1)],
        [HELLO, error(0, 0)],
        [HELLO, error(1, 0), BARRIER_REPLY],
    ],
    ids=["1.0", "1.0 and 1.4", "1.0 in a bitmap", "hello failed", "bad version"],
)
def test_bridge_without_openflow_13_is_named(
    hasty: Process, folder: Path, refusal: Sequence[bytes]
) -> None:
    old = Switch(folder / "old", refusal)
    hasty.say("br-int", old.address)
    hasty.is_ready()
    hasty.mine.shutdown(socket.SHUT_WR)
    why = "the bridge does not speak OpenFlow 1.3"
    assert {"name": "br-int", "outcome": "trying", "why": why} == hasty.hears()
    assert {"name": "br-int", "outcome": "left", "why": why} == hasty.hears()
    assert (1, []) == hasty.end()


@pytest.mark.parametrize("greeting", [hello(4, 1, 4), hello(6), hello(6, 4, 5, 6), hello(4)])
def test_switch_that_offers_openflow_13_among_others_is_cleaned(
    process: Process, folder: Path, greeting: bytes
) -> None:
    modern = Switch(folder / "modern", (greeting, BARRIER_REPLY))
    process.say("br-int", modern.address)
    assert (0, [DONE_LINE]) == process.end()


METER_MOD = struct.pack("!BBHIHHI", 4, 29, 16, 0, 2, 0, 7)


@pytest.mark.parametrize("refusal", [error(12, 2), error(12, 3), error(1, 1, METER_MOD)])
def test_meter_that_is_not_there_is_no_failure(
    process: Process, folder: Path, refusal: bytes
) -> None:
    """The last of them: a switch without meters."""
    done = Switch(folder / "switch", (HELLO, refusal, BARRIER_REPLY))
    process.say("br-int", done.address)
    assert (0, [DONE_LINE]) == process.end()


def test_refusal_of_anything_else_is_tried_again_and_said(process: Process, folder: Path) -> None:
    refuses = Switch(folder / "switch", (HELLO, error(1, 5), BARRIER_REPLY), DONE)
    process.say("br-int", refuses.address)
    status, said = process.end()
    assert 0 == status
    assert "(the switch refuses: error of type 1, code 5)" in said[0]
    assert DONE_LINE == said[1]


def test_messages_before_the_barriers_reply_are_stepped_over(
    process: Process, folder: Path
) -> None:
    chatty = Switch(folder / "chatty", (HELLO + ECHO[:3], ECHO[3:], BARRIER_REPLY))
    process.say("br-int", chatty.address)
    assert (0, [DONE_LINE]) == process.end()


def test_endless_answer_is_cut(hasty: Process, folder: Path) -> None:
    endless = Switch(folder / "endless", (HELLO, b'{"a": ' + b" " * 3_000_000))
    hasty.say("br-int", endless.address, b'{"method": "transact"}')
    status, said = hasty.end()
    assert 1 == status
    assert "the answer is too long" in said[0]


REQUEST = b'{"method": "transact", "params": [], "id": 0}'


def test_database_that_answers_in_pieces_is_enough(process: Process, folder: Path) -> None:
    answer = b'{"id":0,"result":[{"count":1},{}],"error":null}'
    database = Switch(folder / "db", (answer[:20], answer[20:]))
    process.say("br-int Controller", database.address, REQUEST)
    assert 0 == process.end()[0]
    assert eventually(lambda: database.told == [REQUEST])


@pytest.mark.parametrize(
    "answer",
    [
        b'{"id":0,"result":null,"error":"no"}',
        b'{"id":0,"result":[{"error":"constraint violation"}],"error":null}',
        b"[]",
    ],
)
def test_database_that_refuses_is_tried_again(
    process: Process, folder: Path, answer: bytes
) -> None:
    database = Switch(folder / "db", (answer,), (b'{"result":[{"count":1}],"error":null}',))
    process.say("br-int Controller", database.address, REQUEST)
    status, said = process.end()
    assert 0 == status
    assert "(the database refuses)" in said[0]
    assert 2 == database.come


def test_switch_is_reached_by_tcp_too(process: Process) -> None:
    remote = Switch(None)
    process.say("br-int", remote.address)
    assert (0, [DONE_LINE]) == process.end()
    assert eventually(lambda: remote.told == [MESSAGES])
    remote.close()


def test_bridge_to_which_there_is_no_way_is_named_at_once(process: Process) -> None:
    process.say("br-int", None)
    why = "it cannot be reached: it connects to the program"
    status, [line] = process.end()
    assert 1 == status
    took = f"could not clean up 2 flows, 1 meter ({why})"
    assert f"{took}: 2 flows end by themselves within 1 s, {STAYS}" in line


def test_one_bridge_is_cleaned_on_demand_while_the_program_lives(
    process: Process, switch: Switch, folder: Path
) -> None:
    other = Switch(folder / "other")
    process.say("br-0", switch.address)
    process.say("br-1", other.address)
    process.write(b'{"name": "br-0", "now": true}\n')
    assert {"name": "br-0", "outcome": "done", "why": ""} == process.hears()
    assert 0 == other.come
    assert 0 == process.end()[0]
    assert 1 == switch.come
    assert eventually(lambda: other.told == [MESSAGES])


def test_bridge_that_is_written_anew_is_no_longer_cleaned(hasty: Process, folder: Path) -> None:
    """It was removed from the configuration while it was away, and is there again."""
    mute = Switch(folder / "mute", None)
    fresh = Switch(folder / "fresh")
    hasty.say("br-int", mute.address)
    hasty.write(b'{"name": "br-int", "now": true}\n')
    assert "trying" == hasty.hears()["outcome"]
    hasty.say("br-int", fresh.address)
    hasty.is_ready()
    come = mute.come
    time.sleep(1.5)
    assert come + 1 >= mute.come, "one more that was on its way"
    assert 0 == fresh.come
    assert 0 == hasty.end()[0]


def test_leases_that_were_renewed_begin_anew(hasty: Process) -> None:
    hasty.say("br-int", None)
    hasty.is_ready()
    time.sleep(1.1)
    hasty.write(b'{"name": "br-int", "flows": 5, "meters": 0, "changed": 2, "lease": 9}\n')
    _, [line] = hasty.end()
    assert "could not clean up 5 flows, 2 changed drop flows" in line
    assert "5 flows end by themselves within 9 s, 2 changed drop flows stay" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_all_processes_of_a_service_does_not_end_it(
    process: Process, switch: Switch, number: signal.Signals
) -> None:
    process.say("br-int", switch.address)
    process.is_ready()
    process.popen.send_signal(number)
    process.is_ready()
    assert 0 == switch.come
    assert (0, [DONE_LINE]) == process.end()


def test_standard_error_that_is_gone_stops_nothing(
    process: Process, switch: Switch, folder: Path
) -> None:
    assert process.popen.stderr is not None
    process.popen.stderr.close()
    process.say("br-0", ["127.0.0.1", 1])
    process.say("br-1", switch.address)
    process.is_ready()
    process.mine.close()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_standard_error_that_nobody_reads_keeps_it_from_nothing(
    process: Process, folder: Path
) -> None:
    """Something is to be said before the switch is there: one try has failed."""
    process.say("br-int", str(folder / "later"))
    process.is_ready()
    full = os.open(f"/proc/{process.popen.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    os.close(full)
    process.mine.close()
    time.sleep(0.3)
    with closing(Switch(folder / "later")) as switch:
        assert eventually(lambda: switch.told == [MESSAGES])
    assert 0 == process.popen.wait(PATIENCE)


def test_syslog_that_nobody_reads_keeps_it_from_nothing(
    processes: list[Process], switch: Switch, folder: Path
) -> None:
    """In a namespace of its own, where /dev/log is a socket of this test's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(f"{folder}/log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    filler.sendto(b"full", f"{folder}/log")
        mounted = f'mount -t tmpfs none /dev && ln -s {folder}/log /dev/log && exec "$@"'
        inside = ("unshare", "-m", "sh", "-c", mounted, "sh", *PLAIN, "--syslog")
        processes.append(Process(inside))
        processes[-1].say("br-int", switch.address)
        assert (0, []) == processes[-1].end()
    assert eventually(lambda: switch.told == [MESSAGES])


def test_says_it_to_syslog_where_it_is_told_to(processes: list[Process], switch: Switch) -> None:
    """In a namespace of its own, where /dev/log is a socket of this test's."""
    with tempfile.TemporaryDirectory() as folder:
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind(f"{folder}/log")
        log.settimeout(PATIENCE)
        mounted = f'mount -t tmpfs none /dev && ln -s {folder}/log /dev/log && exec "$@"'
        inside = ("unshare", "-m", "sh", "-c", mounted, "sh", *PLAIN, "--syslog")
        process = Process(inside)
        processes.append(process)
        process.say("br-int", switch.address)
        assert (0, []) == process.end()
        told = log.recv(4096).decode()
        log.close()
    assert told.startswith("<30>")  # daemon.info
    assert "ryu-droplog[" in told
    assert told.endswith("br-int: the clean-up process cleaned up 2 flows, 1 meter")


@pytest.mark.parametrize(
    ("footprint", "age", "words", "fate"),
    [
        (Footprint(), 0, "what was added", "it stays"),
        (Footprint(1, 0, 0, 60), 20, "1 flow", "1 flow ends by itself within 40 s"),
        (Footprint(2, 0, 0, 60), 61, "2 flows", "2 flows end with their lease"),
        (Footprint(1, 0, 0, 60), 61, "1 flow", "1 flow ends with its lease"),
        (
            Footprint(0, 2, 1, 60),
            0,
            "2 meters, 1 changed drop flow",
            "2 meters stay, 1 changed drop flow stays until the next start, ryu-droplog clean, "
            "or a restart of ovs-vswitchd",
        ),
    ],
)
def test_what_remains_is_said_in_words(
    footprint: Footprint, age: float, words: str, fate: str
) -> None:
    assert words == footprint.in_words()
    assert fate == footprint.fate(age)


def test_process_needs_nothing_but_the_standard_library() -> None:
    code = f"import sys, runpy; runpy.run_path({cleanup_process.__file__!r}); print(*sys.modules)"
    command = (sys.executable, "-I", "-S", "-c", code)
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert not [name for name in run.stdout.split() if name.startswith(("ryu", "os_ken"))]
    assert os.path.basename(cleanup_process.__file__) == "cleanup_process.py"
