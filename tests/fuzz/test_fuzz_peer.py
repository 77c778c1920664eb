"""Whoever connects to `listen`, and whatever it says: the program goes on, within bounds.

The program itself runs, under each hub, and every conversation goes over a socket of its own, from
an address of its own: a switch that answers soundly for a while, and then as it likes. After each,
the program must shake hands with the next one at once; time of the processor, memory, threads and
lines of log have bounds; at the end SIGTERM ends it. `lasting` says how to let it run for long.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lasting import examples, lasting

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import openflow_bytes as wire
from fake_switch import FakeSwitch, flow, requests, update

QUIET = 0.05
"""Seconds without a request, after which a peer goes on."""
PATIENCE = 30.0
"""Wall-clock seconds in which the program must have done something, on a busy machine."""
MOST_TIME = 5.0
"""Seconds of the processor that one conversation may cost."""
MOST_MEMORY = 150 * 1024 * 1024
"""Bytes that the program may grow by."""
MOST_THREADS = 24
"""Threads that the program may have: its own, and those of the few conversations that end."""
MOST_LINES = 12
"""Lines of log that one conversation may bring."""
NAMES = 8
"""Bridges that the peers say they are."""


class Twist(NamedTuple):
    """Answer the next request, but for this."""

    position: int
    """In parts of a thousand of the answer."""
    value: bytes
    """What stands there instead."""
    cut: bool
    """Whether the answer ends there."""
    more: bool
    """Whether a multipart reply says that more follows, and is sent again."""


class Say(NamedTuple):
    """Say something, with the xid of the last request or without one."""

    message: bytes
    asked: bool


class Answer(NamedTuple):
    """Answer so many requests soundly."""

    requests: int


Step = Twist | Say | Answer

LENGTHS = st.sampled_from([b"\0\0", b"\0\1", b"\0\4", b"\0\7", b"\xff\xff", b"\xff\xf8", b"\0\x40"])
VALUES = st.one_of(LENGTHS, LENGTHS, st.binary(min_size=1, max_size=8))
TWISTS = st.builds(Twist, st.integers(0, 999), VALUES, st.booleans(), st.booleans())
KINDS = st.one_of(st.integers(0, 29), st.integers(0, 255))
QUEUE_REPLY = bytes.fromhex(
    "041700300000000100000001000000000000000100000001"
    "002000000000000000010000000000000000000000000000"
)
BODIES = st.one_of(
    st.binary(max_size=120),
    st.just(bytes(5000)),
    st.just(QUEUE_REPLY[8:]),
    st.just(b"ONF\0" + struct.pack("!I", 1870) + bytes(64)),
)
UPDATES = st.builds(
    lambda table_id, priority, event, instructions: wire.multipart(
        0xFFFF, update(table_id, priority, event, instructions), 0
    ),
    st.integers(0, 255),
    st.sampled_from([0, 1, 5, 65535]),
    st.integers(0, 5),
    st.binary(max_size=64),
)
REMOVED = struct.pack("!QHBBIIHHQQ", 0x4000D407ABCD0104, 1, 2, 4, 0, 0, 0, 0, 2**63, 6)
MESSAGES = st.one_of(
    st.builds(wire.message, KINDS, BODIES, st.integers(0, 3), st.sampled_from([4, 4, 4, 1, 5, 6])),
    st.builds(
        wire.multipart,
        st.one_of(st.integers(0, 14), st.just(0xFFFF)),
        BODIES,
        st.integers(0, 3),
        st.integers(0, 1),
    ),
    UPDATES,
    UPDATES,
    st.just(wire.message(wire.FLOW_REMOVED, REMOVED)),
    st.builds(wire.packet_in, st.binary(max_size=90), st.binary(max_size=40)),
    st.just(wire.packet_in(bytes(65_500))),
    st.just(QUEUE_REPLY),
    st.binary(max_size=60),
)
SAYINGS = st.builds(Say, MESSAGES, st.booleans())
STEPS = st.one_of(TWISTS, SAYINGS, SAYINGS, st.builds(Answer, st.sampled_from([1, 1, 2, 4, 9, 30])))
FLOWS = st.sampled_from([b"", flow(0), flow(0) + flow(1, 0, 0, b""), flow(3, 5, 0xD407 << 32)])
CONVERSATIONS = st.tuples(
    st.sampled_from([0, 0, 1, 3, 6, 6, 12, 30]),  # requests that are answered soundly first
    st.lists(STEPS, min_size=1, max_size=6),
    FLOWS,
)


class Victim:
    """The program, listening for any switch, and what it has used."""

    def __init__(self, hub: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="droplog-fuzz-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = self.folder / "droplog.yaml"
        config.write_text(
            f'run_directory: {self.folder}/run\nlisten: {self.port}\nbridges: [{{name: "*"}}]\n'
        )
        self.log = self.folder / "log"
        self._conversations = 0
        script = Path(sys.executable).parent / "ryu-droplog"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [script, "run", "--config", config],
                env={**os.environ, "OSKEN_HUB_TYPE": hub},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            self.greet()
        except BaseException:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.memory = self.used("VmRSS") * 1024

    def connect(self) -> socket.socket:
        """From an address of its own."""
        source = (
            f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"
        )
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))

    def greet(self) -> None:
        """Shake hands as an honest switch does, as far as the first request."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self.connect() as sock:
                    sock.sendall(wire.hello(4))
                    kinds = [message[1] for message in _first(requests(sock, PATIENCE), 2)]
                    assert [0, 5] == kinds
                return
            except ConnectionError:  # it does not listen yet
                assert time.monotonic() < deadline, self.said()
                time.sleep(0.05)

    def said(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace")

    def used(self, name: str) -> int:
        """A number of proc_pid_status(5)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith(f"{name}:")]
        return int(line.split()[1])

    def processor_time(self) -> float:
        """Seconds of the processor that it has used (proc_pid_stat(5))."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def talk(self, sound: int, steps: list[Step], flows: bytes) -> None:
        """One conversation, from its first byte to its last."""
        self._conversations += 1
        number = self._conversations % NAMES
        switch = FakeSwitch(b"br-fuzz%d" % number, 0x1000 + number, flows)
        with self.connect() as sock, suppress(ConnectionError, TimeoutError):
            if sound:
                sock.sendall(wire.hello(4))
            play(sock, switch, [Answer(sound), *steps] if sound else steps)

    def check(self, before: float, lines: int) -> None:
        """What must hold after a conversation that began at that time, with so many lines."""
        assert self.process.poll() is None, self.said()
        self.greet()
        assert self.processor_time() - before < MOST_TIME
        assert self.used("VmRSS") * 1024 < self.memory + MOST_MEMORY
        deadline = time.monotonic() + PATIENCE
        while self.used("Threads") > MOST_THREADS and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.used("Threads") <= MOST_THREADS
        said = self.said()
        assert said.count("\n") - lines <= MOST_LINES, said[-5000:]
        assert "Traceback" not in said, said[-5000:]
        assert all(line.isprintable() and len(line) < 500 for line in said.splitlines())

    def end(self) -> None:
        """SIGTERM ends it in good order; what it left on a peer that has gone, it says."""
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(PATIENCE) in (0, 1)
            assert "Traceback" not in self.said()
        finally:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.folder)


def _first(messages: Iterator[bytes], count: int) -> list[bytes]:
    return [next(messages, b"\xff\xff") for _ in range(count)]


def play(sock: socket.socket, switch: FakeSwitch, steps: list[Step]) -> None:
    """Say and answer what the steps say."""
    asked = requests(sock, QUIET)
    xid = 0
    for step in steps:
        if isinstance(step, Say):
            message = step.message
            if step.asked:
                message = message[:4] + xid.to_bytes(4, "big") + message[8:]
            sock.sendall(message)
            continue
        for _ in range(step.requests if isinstance(step, Answer) else 1):
            request = next(asked, None)
            if request is None:
                asked = requests(sock, QUIET)
                break
            xid = int.from_bytes(request[4:8], "big")
            answer = switch.answer(request)
            sock.sendall(twisted(answer, step) if isinstance(step, Twist) else answer)


def twisted(answer: bytes, twist: Twist) -> bytes:
    """An answer that is not what it should be; its own length is right where it was cut."""
    if not answer:
        return twist.value
    place = len(answer) * twist.position // 1000
    found = answer[:place] + twist.value
    if not twist.cut:
        return found + answer[place + len(twist.value) :]
    if len(found) >= 8:
        found = found[:2] + len(found).to_bytes(2, "big") + found[4:]
    if twist.more and len(found) >= 16 and found[1] == wire.MULTIPART_REPLY:
        found = (found[:10] + b"\0\1" + found[12:]) * 50
    return found


HUBS = ["eventlet", "native"][: 2 if version("os-ken") >= "4" else 1]
"""Those that this os-ken has."""


@pytest.fixture(scope="module", params=HUBS)
def victim(request: pytest.FixtureRequest) -> Iterator[Victim]:
    started = Victim(request.param)
    yield started
    started.end()


@lasting
@given(CONVERSATIONS)
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example((0, [Say(QUEUE_REPLY, False)], b""))
@example((30, [Say(QUEUE_REPLY, False)], b""))
@example((30, [Say(wire.message(wire.ECHO_REQUEST) * 8000, False)], b""))
@example((30, [Say(wire.multipart(0xFFFF, update(3, 5), 0) * 2000, False)], b""))
@example((30, [Say(wire.message(wire.FLOW_REMOVED, REMOVED) * 2000, False)], b""))
@example((6, [Twist(999, bytes(8), True, True)], b""))
def test_any_peer_is_outlived_within_bounds(
    victim: Victim, conversation: tuple[int, list[Step], bytes]
) -> None:
    before, lines = victim.processor_time(), victim.said().count("\n")
    victim.talk(*conversation)
    victim.check(before, lines)


def test_seed_is_a_switch_that_gets_a_flow(victim: Victim) -> None:
    """The mutations start from conversations that the program takes to their end."""
    switch = FakeSwitch(b"br-sound", 0x77)

    def answer(sock: socket.socket) -> None:
        with suppress(OSError):  # the program may end the conversation
            for request in requests(sock, PATIENCE):
                sock.sendall(switch.answer(request))

    with victim.connect() as sock:
        sock.sendall(wire.hello(4))
        answering = threading.Thread(target=answer, args=(sock,), daemon=True)
        answering.start()
        deadline = time.monotonic() + PATIENCE
        while "br-sound: watching " not in victim.said() and time.monotonic() < deadline:
            time.sleep(QUIET)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        answering.join(PATIENCE)
    assert "br-sound: watching " in victim.said()
