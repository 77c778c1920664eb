"""Questions to a daemon of Open vSwitch or OVN, JSON-RPC 1.0 (RFC 7047 section 4).

Not the `ovs` library: its `transact_block` waits for ever for a daemon that hangs, its parser in
Python looks at each character by itself, and neither has a bound on the size of an answer.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

from ryu_droplog.model.errors import SwitchError, why
from ryu_droplog.ovsdb.json_stream import JsonStream
from ryu_droplog.text.printable import MESSAGE, printable

PATIENCE = 3.0
"""Seconds that a daemon of this host has for its whole answer, from the connection on."""
CONNECT_TIME = 3.0
"""Seconds of them in which the connection must come about."""
ANSWER_SIZE = 4 * 1024 * 1024
"""Bytes that all that is read may have: rows of a few thousand interfaces, or a long trace."""
READ = 64 * 1024
"""Bytes of a read; as many are looked at before others have their turn."""

ECHO_TIME = 1.0
"""Seconds at least to answer the question whether we live."""


def encode(method: str, params: list[Any], number: int = 0) -> bytes:
    """The bytes of a request; its reply has the same number."""
    return json.dumps({"method": method, "params": params, "id": number}).encode()


class Credentials(NamedTuple):
    """Files for a connection by `ssl:` (PEM)."""

    private_key: str
    certificate: str
    ca_certificate: str


def until(seconds: float) -> float:
    """The deadline of what begins now and may take so long, by the monotonic clock."""
    return time.monotonic() + seconds


def call(
    address: str,
    method: str,
    params: list[Any],
    credentials: Credentials | None = None,
    *,
    deadline: float | None = None,
    size: int = ANSWER_SIZE,
) -> Any:
    """The result that the daemon answers.

    `address` is the path of its socket, or `unix:PATH`, `tcp:HOST:PORT`, `ssl:HOST:PORT` (ovsdb(7),
    connection methods). `deadline` (see `until`) is for all of it, `PATIENCE` from now if None; a
    HOST that is a name takes as long as the resolver does before that. `size` bounds the bytes that
    are read. Raises SwitchError when it is not there, does not answer in time, answers with an
    error, or sends anything else.
    """
    deadline = until(PATIENCE) if deadline is None else deadline
    with closing(Connection(address, credentials, deadline=deadline, size=size)) as connection:
        return connection.request(method, params, deadline)


class Connection:
    """A connection that lasts for several requests, and takes notifications. For one thread.

    Connecting, `request` and `notifications` raise SwitchError where the daemon is not there any
    more, does not answer in time, or sends something else; the connection is then of no use.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials | None = None,
        *,
        deadline: float,
        size: int = ANSWER_SIZE,
    ) -> None:
        """Connect; all parameters as for `call`."""
        if address.startswith("/"):
            address = f"unix:{address}"
        self._shown = printable(address)
        self._stream = JsonStream(size)
        self._requests = 0
        self._notifications: deque[dict[str, Any]] = deque()
        with self._errors():
            self._socket = _connect(address, credentials, deadline)

    def close(self) -> None:
        """Give it up."""
        self._socket.close()

    def interrupt(self) -> None:
        """End it from another thread, any one: who uses it gets SwitchError, and has to close."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def request(self, method: str, params: list[Any], deadline: float) -> Any:
        """The result that is answered; notifications that come before are kept."""
        number = self._requests
        self._requests += 1
        with self._errors():
            _send(self._socket, encode(method, params, number), deadline)
            reply = self._reply(number, deadline)
        if reply.get("error"):
            refusal = printable(str(reply["error"]), MESSAGE)
            raise SwitchError(f"{self._shown}: {method} is refused: {refusal}")
        return reply.get("result")

    def notifications(self, deadline: float) -> list[dict[str, Any]]:
        """What was sent without being asked for; waits for the first; empty: none came in time."""
        while not self._notifications:
            with self._errors():
                try:
                    replies = self._read(deadline)
                except TimeoutError:
                    break
                if replies:
                    raise ValueError("got a reply to nothing that was asked")
        notifications = list(self._notifications)
        self._notifications.clear()
        self._stream.renew()
        return notifications

    def _reply(self, number: int, deadline: float) -> dict[str, Any]:
        while True:
            for reply in self._read(deadline):
                if reply.get("id") == number:
                    return reply

    def _read(self, deadline: float) -> list[dict[str, Any]]:
        """Read once: the replies in it. Notifications are kept, and questions answered."""
        replies = []
        self._socket.settimeout(_left(deadline))
        data = self._socket.recv(READ)
        if not data:
            raise ValueError("the connection ended before the answer did")
        for text in self._stream.feed(data):
            message = json.loads(text.decode("utf-8", "replace"))
            if "method" not in message:
                replies.append(message)
            elif message["method"] == "echo" and message.get("id") is not None:
                answer = {"result": message.get("params"), "error": None, "id": message["id"]}
                # section 4.1.11
                _send(self._socket, json.dumps(answer).encode(), max(deadline, until(ECHO_TIME)))
            elif message.get("id") is None:
                self._notifications.append(message)
        time.sleep(0)  # under eventlet, others have their turn
        return replies

    @contextmanager
    def _errors(self) -> Iterator[None]:
        shown = self._shown
        try:
            yield
        except TimeoutError as error:
            raise SwitchError(f"{shown}: no whole answer in time") from error
        except (ssl.SSLError, socket.gaierror, ValueError) as error:  # errno would not say why
            raise SwitchError(f"{shown}: {printable(str(error), MESSAGE)}") from error
        except OSError as error:
            raise SwitchError(f"{shown}: {why(error)}") from error


def _connect(address: str, credentials: Credentials | None, deadline: float) -> socket.socket:
    """A connection; raises OSError, ValueError: no such method, no such address."""
    kind, _, where = address.partition(":")
    places: list[tuple[socket.AddressFamily, Any]]
    if kind == "unix":
        places = [(socket.AF_UNIX, where)]
    elif kind in ("tcp", "ssl"):
        host, _, port = where.rpartition(":")
        if not 0 < int(port) < 65536:
            raise ValueError(f"got the port {port}; expected 1 to 65535")
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        places = [(family, place) for family, _, _, _, place in found]
    else:
        raise ValueError(f"cannot connect by {kind!r}, only by unix, tcp or ssl")
    sock = _first(places, min(deadline, until(CONNECT_TIME)))
    if kind != "ssl":
        return sock
    try:
        sock.settimeout(_left(deadline))
        return _context(credentials).wrap_socket(sock)
    except BaseException:
        sock.close()
        raise


def _first(places: list[tuple[socket.AddressFamily, Any]], deadline: float) -> socket.socket:
    """A connection to the first of these addresses that takes one; raises the last's OSError."""
    failure = OSError("no address")
    for family, place in places:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(place)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _left(deadline: float) -> float:
    """Seconds until then; raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no whole answer in time")
    return left


def _send(sock: socket.socket, data: bytes, deadline: float) -> None:
    """Like sendall, whose limit eventlet and TLS begin anew with every part."""
    while data:
        sock.settimeout(_left(deadline))
        data = data[sock.send(data) :]


def _context(credentials: Credentials | None) -> ssl.SSLContext:
    """As OVSDB does it: both sides show a certificate of one authority, and names do not count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if credentials is not None:
        context.load_verify_locations(credentials.ca_certificate)
        context.load_cert_chain(credentials.certificate, credentials.private_key)
    return context
