"""The clean-up process: removes what the program added, when the program itself cannot.

Flows end with their lease, but a meter has no lease. So a small process of its own holds, for each
bridge, the messages that undo all that this program added. It sends them when its connection to
the program breaks, or when it is told to, and tries for as long as a lease lasts at least. It is
this very file, run without the package, and needs nothing but the standard library. The program's
side is `cleanup_client.py`.

Standard input has a JSON object a line:

    {"name", "address", "messages", "flows", "meters", "changed", "lease"}   replaces that name
    {"name", "flows", "meters", "changed", "lease"}    the leases have just been started anew
    {"name", "now": true}                              clean this one up now
    {"ping": n}                                        answered with {"pong": n}

`address` is the path of a Unix socket, [host, port], or null where it cannot be reached;
`messages`, in hex, are whole OpenFlow 1.3 messages from the hello to a barrier request, or one
JSON-RPC request to the database; empty: nothing is left to clean up. As long as the program reads
it, standard output has {"name", "outcome", "why"}, with an outcome of `trying`, `gone`, `done` or
`left`; after that, the same is logged as text: on standard error, or by syslog(3) with the argument
`--syslog`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import socket
import sys
import syslog
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

LOG = logging.getLogger(__name__)

Address = str | tuple[str, int]

ANSWER_TIME = 10.0
"""Seconds that a switch or database has for everything in one try."""
SHORTEST_TIME = 60.0
"""Seconds that are spent on trying where the lease is shorter."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two tries; doubles each time.

This script runs without the package, and so without its `Backoff`; it needs no jitter, because it
tries the few bridges of one dead program only."""
LOG_TIME = 1.0
"""Seconds that are waited until a line is logged: a terminal or a syslog daemon may hang."""
ANSWER_SIZE = 1 << 20
"""Bytes that an answer has at most."""

TRYING, GONE, DONE, LEFT = "trying", "gone", "done", "left"
"""Outcomes: a try has failed; it has failed, as the bridge is not there; all done; given up."""

_OPENFLOW_1_3 = 4
_HEADER_LENGTH = 8  # version, type, length, xid (OpenFlow 1.3.5 section 7.1)
_HELLO, _ERROR, _BARRIER_REPLY, _METER_MOD = 0, 1, 21, 29  # section 7.1
_VERSION_BITMAP = 1  # OFPHET_VERSIONBITMAP, section 7.5.1
_WRONG_VERSION = {(0, 0), (1, 0)}  # OFPHFC_INCOMPATIBLE, OFPBRC_BAD_VERSION, section 7.5.4
_NO_SUCH_METER = {(12, 2), (12, 3)}  # OFPMMFC_INVALID_METER, OFPMMFC_UNKNOWN_METER
_BAD_TYPE = (1, 1)  # OFPBRC_BAD_TYPE: a switch without meters
_NOT_1_3 = "the bridge does not speak OpenFlow 1.3"
_SWITCH_IS_GONE = (ConnectionRefusedError, FileNotFoundError)


class Footprint(NamedTuple):
    """What of this program's is on a bridge, at most."""

    flows: int = 0
    meters: int = 0
    changed: int = 0
    """Drop flows of the bridge's owner that have an action of ours."""
    lease: int = 0
    """Seconds after which flows end that are not renewed."""

    def in_words(self) -> str:
        """`2 flows, 1 meter`."""
        kinds = zip(self[:3], ("flow", "meter", "changed drop flow"), strict=True)
        parts = [f"{count} {word}{'s' * (count != 1)}" for count, word in kinds if count]
        return ", ".join(parts) or "what was added"

    def fate(self, age: float) -> str:
        """What becomes of it if nobody removes it; `age`: seconds since the last renewal."""
        rest = self.lease - age
        ends = f"by themselves within {math.ceil(rest)} s" if rest > 0 else "with their lease"
        parts = []
        if self.flows == 1:
            end_of_one = ends.replace("themselves", "itself").replace("their", "its")
            parts.append(f"1 flow ends {end_of_one}")
        elif self.flows:
            parts.append(f"{self.flows} flows end {ends}")
        for count, word in ((self.meters, "meter"), (self.changed, "changed drop flow")):
            if count:
                parts.append(f"{count} {word}{'s stay' if count > 1 else ' stays'}")
        if not parts:
            return "it stays"
        if self.meters or self.changed:
            parts[-1] += " until the next start, ryu-droplog clean, or a restart of ovs-vswitchd"
        return ", ".join(parts)


class Failure(Exception):
    """A try to clean up has failed."""

    def __init__(self, why: str, *, gone: bool = False) -> None:
        """`gone`: nobody listens at the management socket, so that the bridge is not there."""
        super().__init__(why)
        self.gone = gone


def carry_out(address: Address, messages: bytes) -> None:
    """Send the messages, and see that they were carried out; raises Failure."""
    deadline = time.monotonic() + ANSWER_TIME
    try:
        with _connect(address) as sock:
            sock.settimeout(ANSWER_TIME)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(messages)  # what it says before it breaks off is worth reading
            if messages.startswith(b"{"):
                _await_database(sock, deadline)
            else:
                _await_switch(sock, deadline)
    except TimeoutError:
        raise Failure(f"no answer within {ANSWER_TIME:g} s") from None
    except OSError as error:
        why = f"cannot connect: {error.strerror or error}"
        gone = isinstance(address, str) and isinstance(error, _SWITCH_IS_GONE)
        raise Failure(why, gone=gone) from error


def _connect(address: Address) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, ANSWER_TIME)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(ANSWER_TIME)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _more(sock: socket.socket, answer: bytearray, deadline: float) -> None:
    """Read on; raises Failure when the other side has ended the connection or says too much."""
    rest = deadline - time.monotonic()
    if rest <= 0:
        raise TimeoutError
    sock.settimeout(rest)
    try:
        chunk = sock.recv(65536)
    except ConnectionResetError:
        chunk = b""
    if not chunk:
        raise Failure("the connection ended before the answer")
    answer += chunk
    if len(answer) > ANSWER_SIZE:
        raise Failure("the answer is too long")


def _await_database(sock: socket.socket, deadline: float) -> None:
    answer = bytearray()
    while True:
        _more(sock, answer, deadline)
        with contextlib.suppress(ValueError, RecursionError):
            reply = json.loads(answer)
            break
    results = reply.get("result") if isinstance(reply, dict) else None
    errors = [result for result in results or () if isinstance(result, dict) and "error" in result]
    if not isinstance(results, list) or errors or reply.get("error"):
        raise Failure("the database refuses")


def _await_switch(sock: socket.socket, deadline: float) -> None:
    """Read up to the reply to the barrier; raises Failure where anything was refused."""
    answer = bytearray()
    refusal = None
    while True:
        while len(answer) < _HEADER_LENGTH:
            _more(sock, answer, deadline)
        version, kind, length = answer[0], answer[1], int.from_bytes(answer[2:4], "big")
        if length < _HEADER_LENGTH:
            raise Failure("what answers there does not speak OpenFlow")
        while len(answer) < length:
            _more(sock, answer, deadline)
        message = bytes(answer[:length])
        del answer[:length]
        if kind == _HELLO and not _offers_1_3(message):
            raise Failure(_NOT_1_3)
        if kind == _ERROR:
            refusal = refusal or _refusal(message)
        if (version, kind) == (_OPENFLOW_1_3, _BARRIER_REPLY):
            break
    if refusal is not None:
        raise Failure(refusal)


def _offers_1_3(hello: bytes) -> bool:
    """Whether a switch that greets so takes OpenFlow 1.3 (section 7.5.1)."""
    offset = _HEADER_LENGTH
    while offset + 4 <= len(hello):
        kind = int.from_bytes(hello[offset : offset + 2], "big")
        length = int.from_bytes(hello[offset + 2 : offset + 4], "big")
        if kind == _VERSION_BITMAP and length >= 8:
            bitmap = int.from_bytes(hello[offset + 4 : offset + 8], "big")
            return bool(bitmap >> _OPENFLOW_1_3 & 1)
        if length < 4:
            break
        offset += -(-length // 8) * 8
    return hello[0] >= _OPENFLOW_1_3


def _refusal(error: bytes) -> str | None:
    """What a switch refuses (section 7.5.4); None: something that is not there anyway."""
    kind, code = int.from_bytes(error[8:10], "big"), int.from_bytes(error[10:12], "big")
    if (kind, code) in _WRONG_VERSION:
        raise Failure(_NOT_1_3)
    if (kind, code) in _NO_SUCH_METER:
        return None
    if (kind, code) == _BAD_TYPE and error[13:14] == bytes([_METER_MOD]):
        return None
    return f"the switch refuses: error of type {kind}, code {code}"


class Task:
    """What is to be undone on one bridge."""

    def __init__(self, name: str, address: Address | None, messages: bytes) -> None:
        self.name = name
        self.address = address
        self.messages = messages
        self.footprint = Footprint()
        self.renewed = time.monotonic()
        self.replaced = threading.Event()
        """Set when the program has said something else about this name."""
        self.thread: threading.Thread | None = None

    def describe(self, message: Mapping[str, Any]) -> None:
        """Take how much there is, at most, and that the leases have begun anew."""
        self.footprint = Footprint(*(int(message.get(field, 0)) for field in Footprint._fields))
        self.renewed = time.monotonic()

    def fate(self) -> str:
        """What becomes of it if it is not cleaned up."""
        return self.footprint.fate(time.monotonic() - self.renewed)


class CleanUp:
    """Keeps what the program sends, and carries it out when the program ends or asks for it."""

    def __init__(self, *, to_syslog: bool) -> None:
        self._to_syslog = to_syslog
        self._tasks: dict[str, Task] = {}
        self._threads: list[threading.Thread] = []
        """All that were ever begun: the last has ended before this process does."""
        self._lock = threading.Lock()
        self._left = False

    def run(self) -> int:
        """Serve until the program has ended, then clean up; exit status 1: something is left."""
        rest = b""
        while chunk := _read():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        self._take(rest)  # the last line may be cut
        for task in self._tasks.values():
            self._begin(task)
        for thread in self._threads:
            thread.join()
        return int(self._left)

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
            message = json.loads(line)
            if "ping" in message:
                self._report({"pong": message["ping"]})
                return
            name = message["name"]
            if "messages" in message:
                self._replace(name, message)
            elif message.get("now"):
                self._begin(self._tasks[name])
            else:
                self._tasks[name].describe(message)

    def _replace(self, name: str, message: Mapping[str, Any]) -> None:
        address = message["address"]
        if isinstance(address, list):
            host, port = address
            address = (str(host), int(port))
        task = Task(name, address, bytes.fromhex(message["messages"]))
        task.describe(message)
        former = self._tasks.pop(name, None)
        if former is not None:
            former.replaced.set()
        if task.messages:
            self._tasks[name] = task

    def _begin(self, task: Task) -> None:
        if task.thread is None:
            task.thread = threading.Thread(target=self._work, args=(task,))
            self._threads.append(task.thread)
            task.thread.start()

    def _work(self, task: Task) -> None:
        """Try until it is done, or a lease is over."""
        deadline = time.monotonic() + max(task.footprint.lease, SHORTEST_TIME)
        pause, failure = FIRST_PAUSE, None
        reported: set[str] = set()
        while not task.replaced.is_set():
            if task.address is None:
                failure = Failure("it cannot be reached: it connects to the program")
                break
            try:
                carry_out(task.address, task.messages)
            except Failure as error:
                failure = error
            else:
                self._conclude(task, DONE, "")
                return
            if str(failure) not in reported:
                reported.add(str(failure))
                self._conclude(task, GONE if failure.gone else TRYING, str(failure))
            rest = deadline - time.monotonic()
            if rest <= 0:
                break
            task.replaced.wait(min(pause, rest))
            pause = min(2 * pause, LONGEST_PAUSE)
        if failure is not None and not failure.gone and not task.replaced.is_set():
            self._left = True
            task.thread = None  # it may be tried once more
            self._conclude(task, LEFT, str(failure))

    def _conclude(self, task: Task, outcome: str, why: str) -> None:
        """Report to the program; where it has ended, log the outcome."""
        if self._report({"name": task.name, "outcome": outcome, "why": why}):
            return
        level, text = logging.WARNING, in_words(outcome, why, task.footprint, task.fate())
        if outcome == DONE:
            level = logging.INFO
        self._log(level, f"{task.name}: {text}")

    def _report(self, message: Mapping[str, Any]) -> bool:
        """Whether the program still listens."""
        with self._lock:
            try:
                return os.write(1, json.dumps(message).encode() + b"\n") > 0
            except OSError:
                return False

    def _log(self, level: int, text: str) -> None:
        """Log a line, waiting `LOG_TIME` at most: other bridges must not wait for a reader."""
        thread = threading.Thread(target=self._write_log, args=(level, text), daemon=True)
        thread.start()
        thread.join(LOG_TIME)

    def _write_log(self, level: int, text: str) -> None:
        if self._to_syslog:
            severity = syslog.LOG_INFO if level == logging.INFO else syslog.LOG_WARNING
            syslog.syslog(severity, text)
        else:
            LOG.log(level, "%s", text)


def in_words(outcome: str, why: str, footprint: Footprint, fate: str) -> str:
    """The line that is logged of a bridge."""
    if outcome == DONE:
        return f"the clean-up process cleaned up {footprint.in_words()}"
    if outcome == LEFT:
        return f"the clean-up process could not clean up {footprint.in_words()} ({why}): {fate}"
    seconds = max(footprint.lease, SHORTEST_TIME)
    tries = f"the clean-up process keeps trying for {seconds:.0f} s"
    if outcome == GONE:
        return f"the bridge is not there ({why}), nor is what was added to it; {tries}"
    return f"not yet cleaned up: {footprint.in_words()} ({why}); {tries}. Failing that, {fate}"


def _read() -> bytes:
    try:
        return os.read(0, 1 << 16)
    except ConnectionResetError:  # the program was killed with something unread
        return b""


def main() -> None:
    """Run as a process of its own; ends some time after the program."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)  # it ends after the program, not before it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    os.chdir("/")
    os.set_blocking(0, True)
    logging.raiseExceptions = False  # standard error may be a terminal that is gone
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    to_syslog = "--syslog" in sys.argv[1:]
    if to_syslog:
        syslog.openlog("ryu-droplog", syslog.LOG_PID, syslog.LOG_DAEMON)
    # At once: Python's own exit would wait for the threads that log.
    os._exit(CleanUp(to_syslog=to_syslog).run())


if __name__ == "__main__":
    main()
