"""A time limit for a whole request to the API server.

The limits of urllib3 are for each step: a server that sends a byte now and then is waited for
without end, in its headers, in its body and within a chunk of it. Here the connection is shut down
when the time is over, which ends whatever step it is in.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MAX_REFUSAL = 64 << 10
"""Bytes of a refusal that are read; a Status of meta/v1 has some hundred."""

_begun = threading.local()
"""`limit`: that of the request which this thread is making."""


class Limit:
    """Ends a request that is not done in time; begun at once, ended by `end`."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        """The time was over, and the connection was shut down."""
        self._until = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._over = False
        self._sockets: list[socket.socket] = []
        self._wait(seconds)

    @contextlib.contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """Connections that this thread makes or uses in the meantime are this request's."""
        _begun.limit = self
        try:
            yield
        finally:
            _begun.limit = None

    def extend(self, seconds: float) -> None:
        """The request has so much time from now on."""
        self._until = time.monotonic() + seconds

    def hold(self, sock: socket.socket | None) -> None:
        """Shut this one down, too, when the time is over, or at once if it is."""
        with self._lock:
            if sock is not None and not self._over:
                self._sockets.append(sock)
                if self.passed:
                    _shut_down(sock)

    def end(self) -> None:
        """The request is done: its connection may be another's from now on."""
        with self._lock:
            self._over = True
            self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            left = self._until - time.monotonic()
            if self._over:
                return
            if left > 0:
                self._wait(left)
                return
            self.passed = True
            for sock in self._sockets:
                _shut_down(sock)


def _shut_down(sock: socket.socket) -> None:
    # Not TLS's own shutdown, which would speak to the server first; a socket that was handed on to
    # TLS is closed here, and its successor is held, too.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _hold(sock: Any) -> None:
    limit = getattr(_begun, "limit", None)
    if limit is not None:
        limit.hold(sock)


class _Http(HTTPConnection):
    def _new_conn(self) -> Any:
        sock = super()._new_conn()
        _hold(sock)
        return sock

    def request(self, *arguments: Any, **options: Any) -> Any:
        _hold(self.sock)  # of a connection that was kept
        return super().request(*arguments, **options)


class _Https(HTTPSConnection):
    def _new_conn(self) -> Any:
        sock = super()._new_conn()
        _hold(sock)
        return sock

    def connect(self) -> Any:
        super().connect()
        _hold(self.sock)

    def request(self, *arguments: Any, **options: Any) -> Any:
        _hold(self.sock)
        return super().request(*arguments, **options)


class _Bounded:
    """A pool whose refusals have a bound: the official client reads them whole, to quote them."""

    def urlopen(self, *arguments: Any, **options: Any) -> Any:
        response = super().urlopen(*arguments, **options)  # type: ignore[misc]
        if not 200 <= response.status <= 299:
            response.read = functools.partial(response.read, MAX_REFUSAL)
        return response


class _HttpPool(_Bounded, HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(_Bounded, HTTPSConnectionPool):
    ConnectionCls = _Https


POOLS = {"http": _HttpPool, "https": _HttpsPool}
"""For a urllib3.PoolManager's `pool_classes_by_scheme`."""
