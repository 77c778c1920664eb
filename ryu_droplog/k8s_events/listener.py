"""The Unix stream socket to which exporters of packet events connect.

One thread serves all connections; what they send is handed on, and never waited for.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ryu_droplog.k8s_events.event_counters import EventCounters
from ryu_droplog.k8s_events.stream import PacketEvent, StreamError, StreamReader
from ryu_droplog.model.errors import DropLogError, why

LOG = logging.getLogger(__name__)

MODE = 0o600
"""Of the socket: who may write to it can make Events; exporters run as root."""
MAX_CONNECTIONS = 64
PATIENCE = 60.0
"""Seconds that an array may take to end. Between arrays a connection may be silent for ever."""
POLL = 0.5
"""Seconds between two looks at what is unfinished."""
LOCK_TIME = 0.5
"""Seconds that a lock is waited for; others like us have it for a moment only."""
READ = 65536
BACKLOG = 16

GARBAGE, UNFINISHED, TOO_MANY, CUT = "garbage", "unfinished", "too many", "cut"
"""Why a connection is dropped; `CUT`: it ended within an array."""

Take = Callable[[list[PacketEvent]], None]


class ListenerError(DropLogError):
    """The socket cannot be had."""


class _Visitor:
    """A connection."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.connection = connection
        self.reader = StreamReader()
        self.heard = now
        """When the last array ended, or the one that is unfinished began."""


class Listener:
    """Reads packet events from all who connect, in the thread of whoever calls `run`."""

    def __init__(
        self,
        path: str,
        take: Take,
        counters: EventCounters,
        *,
        patience: float = PATIENCE,
        connections: int = MAX_CONNECTIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the socket at `path`, an absolute one. `take` must not wait.

        A socket that nobody listens on any more is replaced. Raises ListenerError.
        """
        self._path = Path(path)
        self._take = take
        self._counters = counters
        self._patience = patience
        self._connections = connections
        self._clock = clock
        self._visitors: dict[int, _Visitor] = {}
        """By file descriptor."""
        try:
            self._socket, self._identity = _bind(self._path)
        except OSError as error:
            raise ListenerError(f"{path}: cannot listen: {why(error)}") from error
        self._wakes, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._stopping = False

    def run(self) -> None:
        """Serve until `stop`; then the socket is gone, unless somebody else replaced it."""
        try:
            while not self._stopping:
                for key, _ in self._selector.select(POLL):
                    if key.fileobj is self._socket:
                        self._accept()
                    elif key.fd in self._visitors:
                        self._read(key.fd)
                self._look_at_unfinished()
        finally:
            self.close()

    def stop(self) -> None:
        """Make `run` return soon; may be called by a signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    def close(self) -> None:
        """End all connections and remove the socket, if it is still ours."""
        for descriptor in list(self._visitors):
            self._end(descriptor)
        self._selector.close()
        for end in (self._socket, self._wakes, self._wake):
            end.close()
        with contextlib.suppress(OSError), _locked(self._path.parent):
            if _identity(self._path) == self._identity:
                self._path.unlink()

    def _accept(self) -> None:
        try:
            connection = self._socket.accept()[0]
        except BlockingIOError:
            return
        except OSError as error:  # no descriptors left, say: the backlog waits
            LOG.warning("%s: cannot accept a connection: %s", self._path, why(error))
            time.sleep(POLL / 5)
            return
        self._counters.connect()
        if len(self._visitors) >= self._connections:
            self._counters.drop(TOO_MANY)
            LOG.warning("%s: more than %d connections", self._path, self._connections)
            connection.close()
            return
        connection.setblocking(False)
        self._visitors[connection.fileno()] = _Visitor(connection, self._clock())
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, descriptor: int) -> None:
        visitor = self._visitors[descriptor]
        try:
            data = visitor.connection.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if visitor.reader.unfinished:
                self._counters.drop(CUT)
            self._end(descriptor)
            return
        if not visitor.reader.unfinished:
            visitor.heard = self._clock()
        try:
            events = visitor.reader.feed(data)
        except StreamError as error:
            LOG.warning("%s: a connection is dropped: %s", self._path, error)
            self._counters.drop(GARBAGE)
            events = error.events
            self._end(descriptor)
        if events:
            visitor.heard = self._clock()
            self._counters.receive(len(events))
            self._take(events)

    def _look_at_unfinished(self) -> None:
        limit = self._clock() - self._patience
        for descriptor, visitor in list(self._visitors.items()):
            if visitor.reader.unfinished and visitor.heard < limit:
                LOG.warning("%s: a connection is dropped: an array does not end", self._path)
                self._counters.drop(UNFINISHED)
                self._end(descriptor)

    def _end(self, descriptor: int) -> None:
        visitor = self._visitors.pop(descriptor)
        self._selector.unregister(visitor.connection)
        visitor.connection.close()


def _bind(path: Path) -> tuple[socket.socket, tuple[int, int]]:
    path.parent.mkdir(0o755, parents=True, exist_ok=True)
    with _locked(path.parent):
        _clear(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~MODE)
        try:
            listening.bind(os.fspath(path))
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
        finally:
            os.umask(before)
        return listening, _identity(path)


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on; raises ListenerError where something else is."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenerError(f"{path}: is there, and no socket; expected a socket or nothing")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # its backlog is full
            pass
    raise ListenerError(f"{path}: another process listens there already")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others like us from looking at a socket and replacing it at the same time.

    Whoever may read the directory may have its lock for ever, so it is not waited for without end:
    who does not get it goes on without.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    deadline = time.monotonic() + LOCK_TIME
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(LOCK_TIME / 50)
        yield
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
