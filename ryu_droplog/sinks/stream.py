"""A connection to a receiver, over TCP, TLS or a Unix socket, that never waits for too long.

The sockets are those of `_socket`, and TLS is put on them by hand: what the modules `socket` and
`ssl` make are green ones under eventlet, and belong to its hub's thread.
"""

from __future__ import annotations

import _socket
import socket
import time
from _socket import socket as Socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ryu_droplog.sinks.receiver_address import ReceiverAddress

if TYPE_CHECKING:
    from ssl import MemoryBIO, SSLContext, SSLObject

CONNECT_TIME = 5.0
"""Seconds that each address of a receiver has to answer."""
STALL_TIME = 30.0
"""Seconds that a receiver may read nothing at all of what is sent."""
LOOK = 0.2
"""Seconds between two looks whether to give up."""
PIECE = 65_536
"""Bytes that are handed over, or taken, at once."""


class Stream:
    """A connection. Every method raises OSError when it is broken, and TimeoutError among them."""

    def __init__(
        self,
        address: ReceiverAddress,
        gives_up: Callable[[], bool],
        tls: SSLContext | None = None,
        connect_time: float = CONNECT_TIME,
    ) -> None:
        """Connect; with `tls`, and the handshake of it. `gives_up` ends every wait."""
        self._gives_up = gives_up
        self._tls: SSLObject | None = None
        self._in: MemoryBIO | None = None
        self._out: MemoryBIO | None = None
        self._early = bytearray()
        """What has come and was not asked for yet."""
        self._socket = _connect(address, connect_time)
        try:
            self._socket.settimeout(LOOK)
            if tls is not None:
                self._start_tls(tls, address.host, time.monotonic() + connect_time)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes, stall_time: float = STALL_TIME) -> None:
        """Hand all bytes over; whatever is raised, the last of them was not."""
        view = memoryview(data)
        if self._tls is None:
            self._send_plain(view, stall_time)
            return
        for start in range(0, len(view), PIECE):
            self._tls.write(view[start : start + PIECE])
            self._flush(stall_time)

    def receive(self, deadline: float) -> bytes:
        """What comes next, one byte at least; ConnectionError where the other side has closed.

        `deadline` is a moment of the monotonic clock.
        """
        if self._early:
            return self.take_early()
        if self._tls is None:
            return self._receive_plain(deadline)
        return self._decrypt(deadline)

    def take_early(self) -> bytes:
        """What `is_closed` or `listen` has found; empty: nothing."""
        data = bytes(self._early)
        self._early.clear()
        return data

    def listen(self, seconds: float) -> None:
        """Wait for so long whether something comes, which is kept for `take_early`."""
        with suppress(TimeoutError):
            self._early += self.receive(time.monotonic() + seconds)

    def is_closed(self) -> bool:
        """Whether the other side has closed the connection; waits for nothing.

        What it has sent meanwhile is kept for `receive` and `take_early`.
        """
        self._socket.settimeout(0)
        try:
            while True:
                data = self._socket.recv(PIECE)
                if not data:
                    return True
                if self._tls is None:
                    self._early += data
                else:
                    assert self._in is not None
                    self._in.write(data)
                if len(self._early) > PIECE:
                    return True  # nobody sends that much without having been asked
        except BlockingIOError:
            return self._tls is not None and self._is_closed_inside()
        except OSError:
            return True
        finally:
            with suppress(OSError):
                self._socket.settimeout(LOOK)

    def close(self) -> None:
        """Let go of the connection; TLS says so to the other side, and does not wait for it."""
        if self._tls is not None:
            with suppress(OSError):
                self._tls.unwrap()
            with suppress(OSError):
                self._flush(0.0)
        self._socket.close()

    # Plain

    def _send_plain(self, view: memoryview, stall_time: float) -> None:
        sent, deadline = 0, time.monotonic() + stall_time
        while sent < len(view):
            try:
                sent += self._socket.send(view[sent : sent + PIECE])
            except TimeoutError:
                self._go_on(deadline, "it does not read what is sent to it")
            else:
                deadline = time.monotonic() + stall_time

    def _receive_plain(self, deadline: float) -> bytes:
        while True:
            try:
                data = self._socket.recv(PIECE)
            except TimeoutError:
                self._go_on(deadline, "it does not answer")
            else:
                if not data:
                    raise ConnectionError("it has closed the connection")
                return data

    def _go_on(self, deadline: float, problem: str) -> None:
        if self._gives_up():
            raise TimeoutError("given up, for the sink ends")
        if time.monotonic() >= deadline:
            raise TimeoutError(problem)

    # TLS

    def _start_tls(self, context: SSLContext, host: str, deadline: float) -> None:
        import ssl

        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(deadline - time.monotonic())
                self._in.write(self._receive_plain(deadline))
            except ssl.SSLError as error:
                with suppress(OSError):
                    self._flush(LOOK)  # the other side is told why, too
                raise ConnectionError(tls_reason(error)) from error
            else:
                self._flush(deadline - time.monotonic())
                return

    def _flush(self, stall_time: float) -> None:
        assert self._out is not None
        data = self._out.read()
        if data:
            self._send_plain(memoryview(data), stall_time)

    def _decrypt(self, deadline: float) -> bytes:
        import ssl

        assert self._tls is not None
        assert self._in is not None
        while True:
            try:
                data = self._tls.read(PIECE)
            except ssl.SSLWantReadError:
                self._flush(max(deadline - time.monotonic(), LOOK))
                self._in.write(self._receive_plain(deadline))
            except ssl.SSLError as error:
                raise ConnectionError(tls_reason(error)) from error
            else:
                if not data:
                    raise ConnectionError("it has closed the connection")
                return data

    def _is_closed_inside(self) -> bool:
        """Read what came encrypted: tickets, which are nothing, or the notice that it closes."""
        import ssl

        assert self._tls is not None
        try:
            while True:
                data = self._tls.read(PIECE)
                if not data:
                    return True
                self._early += data
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            return True


def tls_reason(error: OSError) -> str:
    """Why TLS did not come about, in words."""
    text = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
    what = "its certificate is not accepted: " if hasattr(error, "verify_message") else ""
    return f"tls: {what}{text.replace('_', ' ').lower()}"


def _connect(address: ReceiverAddress, seconds: float) -> Socket:
    """Connect to the first address that answers; raises the last one's OSError."""
    places: list[Any]
    if address.scheme == "unix":
        places = [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", address.path)]
    else:
        try:
            places = _socket.getaddrinfo(address.host, address.port, 0, socket.SOCK_STREAM)
        except OSError as error:
            raise OSError(f"the name cannot be resolved: {error.args[-1]}") from error
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, place in places:
        connection = Socket(family, kind, protocol)
        try:
            connection.settimeout(seconds)
            connection.connect(place)
            if family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            failure = TimeoutError("no answer") if isinstance(error, TimeoutError) else error
        else:
            return connection
    raise failure
