"""The program's side of the clean-up process: keeps it informed, and keeps it running.

See `cleanup_process.py`. One that was killed, or that hangs, is replaced,
and the new one gets all that the former one had.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from os_ken.lib import hub

from ryu_droplog.cleanup import cleanup_process
from ryu_droplog.cleanup.cleanup_process import Address, Footprint
from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.model.errors import why

LOG = logging.getLogger(__name__)

# The package, and the virtual environment that it is in, may be upgraded or removed while the
# program runs; another clean-up process can be started even then.
_SCRIPT = os.open(cleanup_process.__file__, os.O_RDONLY | os.O_CLOEXEC)
_PYTHON = os.path.realpath(sys.executable)  # a virtual environment has links to it

WRITE_TIME = 2.0
"""Seconds that `write` waits until all is on its way."""
PING_TIME = 5.0
"""Seconds between two questions whether the other process still listens."""
HANG_TIME = 15.0
"""Seconds after which one that does not answer is replaced."""
LONG_LIFE = 60.0
"""Seconds of life after which the next death is taken for the first."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds until another is started: none at first, then these."""
RESULT_TIME = 2.0
"""Seconds that are waited for the first results when the program stops."""
EXIT_TIME = 1.0
"""Seconds that are waited for the other process when it has nothing more to do."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Undo:
    """How to undo what was added to one bridge."""

    def __init__(self, address: Address | None, messages: bytes, footprint: Footprint) -> None:
        self.address = address
        self.messages = messages
        self.footprint = footprint
        self.renewed = time.monotonic()
        self.now = False
        """Whether the other process is to carry it out already."""
        self.outcome = ""
        self.why = ""

    def in_words(self, outcome: str, why: str) -> str:
        fate = self.footprint.fate(time.monotonic() - self.renewed)
        return cleanup_process.in_words(outcome, why, self.footprint, fate)


class CleanUpClient:
    """Keeps a process informed of what to undo when this one cannot.

    The process is started with the first `write`. All methods may be called from any thread of
    the hub; `look` has to be called a few times a second.
    """

    def __init__(self) -> None:
        self._undos: dict[str, _Undo] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Any = None
        self._unsent = bytearray()
        self._received = b""
        self._started = 0.0
        self._next_start = 0.0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._lost = False
        """Whether one was lost that had not lived for long."""
        self._starts = 0
        self._pinged: float | None = None
        """When the question was asked that is not yet answered."""
        self._next_ping = 0.0

    def write(
        self,
        name: str,
        address: Address | None,
        messages: bytes | None,
        footprint: Footprint = Footprint(),  # noqa: B008  a NamedTuple does not change
    ) -> None:
        """Set what to send when this process cannot; replaces what was set before under this name.

        `address` is the path of a Unix socket, or host and port; None: it cannot be reached, and
        the footprint can only be reported. `messages` are whole OpenFlow 1.3 messages from the
        hello to a barrier request, or one JSON-RPC request to the database; empty: nothing is left
        to undo; None: as before, and the leases were just renewed. `footprint` is what there is,
        at most.
        """
        with self._lock:
            if messages:
                self._undos[name] = _Undo(address, messages, footprint)
                self._queue(self._line(name))
            elif messages is not None:
                if self._undos.pop(name, None) is None:
                    return
                self._queue({"name": name, "address": None, "messages": ""})
            elif name in self._undos:
                undo = self._undos[name]
                if undo.address is None and not any(footprint[:3]):
                    del self._undos[name]  # nothing is there, and nobody could look again
                    self._queue({"name": name, "address": None, "messages": ""})
                else:
                    undo.footprint, undo.renewed = footprint, time.monotonic()
                    self._queue({"name": name, **footprint._asdict()})
        deadline = time.monotonic() + WRITE_TIME
        while self._unsent and time.monotonic() < deadline:
            hub.sleep(0.01)
            with self._lock:
                self._send()

    def carry_out(self, name: str) -> None:
        """Have the other process carry out what is set under this name, if anything is."""
        with self._lock:
            undo = self._undos.get(name)
            if undo is not None and not undo.now:
                undo.now = True
                self._queue({"name": name, "now": True})

    def look(self) -> None:
        """Check that the other process lives and answers, and log what it has done."""
        with self._lock:
            self._receive()
            self._log_outcomes()
            now = time.monotonic()
            if self._process is None:
                if self._undos and now >= self._next_start:
                    self._start()
            elif self._pinged is not None:
                if now > self._pinged + HANG_TIME:
                    self._lose(f"does not answer for {HANG_TIME:g} s")
            elif now >= self._next_ping:
                self._pinged, self._next_ping = now, now + PING_TIME
                self._queue({"ping": 0})
            self._send()

    def state(self) -> dict[str, Any]:
        """For `status`: its process id or None, whether it is needed, and how often it was lost."""
        process = self._process
        return {
            "pid": process.pid if process is not None else None,
            "needed": bool(self._undos),
            "restarts": max(self._starts - 1, 0),
        }

    def close(self) -> bool:
        """Leave all that is not undone to the other process; whether nothing may be left.

        Logs what is not yet undone. Waits for the first results, and no longer.
        """
        with self._lock:
            deadline = time.monotonic() + RESULT_TIME
            self._next_start = 0.0
            while self._waits() and time.monotonic() < deadline:
                if self._process is None and time.monotonic() >= self._next_start:
                    self._start()
                self._send()
                self._leave()
                hub.sleep(0.01)
                self._receive()
                self._log_outcomes(last=True)
            self._leave()
            process, sock = self._process, self._socket
            self._process = self._socket = None
            if sock is not None:
                sock.close()  # from now on it logs itself what it has done
            clean = self._log_rest(process)
        if process is not None and not self._undos:
            deadline = time.monotonic() + EXIT_TIME
            while process.poll() is None and time.monotonic() < deadline:
                hub.sleep(0.01)
            if process.poll() is None:
                process.kill()  # it is stopped (SIGSTOP), and has nothing to undo
        return clean

    # With the lock held

    def _leave(self) -> None:
        """Have the other process carry everything out as soon as it has all of it."""
        if self._socket is not None and not self._unsent:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def _waits(self) -> bool:
        """Whether a first result is still to come."""
        return any(not undo.outcome for undo in self._undos.values())

    def _log_outcomes(self, *, last: bool = False) -> None:
        """Log what is done or given up; `last`: nothing is tried again."""
        for name, undo in list(self._undos.items()):
            if undo.outcome == cleanup_process.DONE:
                LOG.info("%s: %s", name, undo.in_words(undo.outcome, undo.why))
                del self._undos[name]
            elif undo.outcome == cleanup_process.LEFT and not last:
                LOG.warning("%s: %s", name, undo.in_words(undo.outcome, undo.why))
                undo.outcome = ""  # it is tried once more when the program ends

    def _log_rest(self, process: subprocess.Popen[bytes] | None) -> bool:
        """Log what is not undone; whether nothing may be left."""
        clean = True
        for name, undo in self._undos.items():
            outcome, reason = (
                undo.outcome or cleanup_process.TRYING,
                undo.why or "no answer yet",
            )
            if process is None and outcome != cleanup_process.LEFT:
                outcome, reason = cleanup_process.LEFT, "the clean-up process does not run"
            gone = outcome == cleanup_process.GONE
            level = logging.INFO if gone else logging.WARNING
            LOG.log(level, "%s: %s", name, undo.in_words(outcome, reason))
            clean = clean and gone
        return clean

    def _line(self, name: str) -> dict[str, Any]:
        undo = self._undos[name]
        messages = undo.messages.hex()
        where = {"name": name, "address": undo.address, "messages": messages}
        return {**where, **undo.footprint._asdict()}

    def _queue(self, message: dict[str, Any]) -> None:
        if self._process is None:
            if self._undos and time.monotonic() >= self._next_start:
                self._start()  # and tells it everything
            return
        self._unsent += json.dumps(message).encode() + b"\n"
        self._send()

    def _send(self) -> None:
        try:
            while self._unsent and self._socket is not None:
                del self._unsent[: self._socket.send(self._unsent[:65536])]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(f"has ended ({why(error)})")

    def _receive(self) -> None:
        """Take all that the other process has said."""
        while self._socket is not None:
            try:
                chunk = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._lose("has ended")
                return
            *lines, self._received = (self._received + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "pong" in message:
            self._pinged = None
            return
        undo = self._undos.get(message["name"])
        if undo is not None:
            undo.outcome, undo.why = message["outcome"], message["why"]

    def _lose(self, how: str) -> None:
        """Let go of a process that is of no use any more, and start another, at once or later."""
        process, sock = self._process, self._socket
        self._process = self._socket = None
        self._unsent.clear()
        assert process is not None
        process.kill()  # before its connection breaks: one that hangs must not wake up and clean
        sock.close()
        process.wait()
        ended = (cleanup_process.DONE, cleanup_process.LEFT)
        if all(undo.outcome in ended for undo in self._undos.values()):
            return  # it has done its work
        now = time.monotonic()
        if now > self._started + LONG_LIFE:
            self._backoff.reset()
            self._lost = False
        pause = self._backoff.failed() if self._lost else 0.0
        self._lost = True
        self._next_start = now + pause
        when = f"in {self._backoff.full:g} s" if pause else "now"
        LOG.warning("the clean-up process (%d) %s: another is started %s", process.pid, how, when)
        if now >= self._next_start:
            self._start()

    def _start(self) -> None:
        """Start the other process, and tell it all that is known."""
        command = [_PYTHON, "-I", "-S", f"/dev/fd/{_SCRIPT}"]
        errors = _lasting_errors()
        if errors is None:
            command.append("--syslog")
        self._started = time.monotonic()
        try:
            mine, other = socket.socketpair()
            # eventlet's sockets do not block, and the other process would inherit that.
            os.set_blocking(other.fileno(), True)
            with other, _signals_blocked():
                self._process = subprocess.Popen(
                    command,
                    stdin=other.fileno(),
                    stdout=other.fileno(),
                    stderr=subprocess.DEVNULL if errors is None else errors,
                    pass_fds=(_SCRIPT,),
                    start_new_session=True,
                )
        except OSError as error:  # too many open files, say
            self._next_start = self._started + self._backoff.failed()
            LOG.warning(
                "the clean-up process cannot be started (%s): next try in %g s",
                why(error),
                self._backoff.full,
            )
            return
        mine.setblocking(False)
        self._socket = mine
        self._received, self._pinged, self._next_ping = b"", None, self._started + PING_TIME
        self._starts += 1
        for name, undo in self._undos.items():
            self._unsent += json.dumps(self._line(name)).encode() + b"\n"
            if undo.now:
                self._unsent += json.dumps({"name": name, "now": True}).encode() + b"\n"
        self._send()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals that end a program, so that a new process starts with them blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lasting_errors() -> int | None:
    """Standard error, where a process may hold it after the program has ended; None: it may not.

    The reader of a pipe would wait for its end. A file, a terminal and the journal do not
    (JOURNAL_STREAM: systemd.exec(5)).
    """
    try:
        status = os.fstat(2)
    except OSError:  # it is closed
        return None
    journal = os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    lasting = stat.S_ISREG(status.st_mode) or os.isatty(2) or journal
    return 2 if lasting else None
