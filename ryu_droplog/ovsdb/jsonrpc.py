"""One question to a daemon of Open vSwitch or OVN, JSON-RPC 1.0 (RFC 7047 section 4).

Not the `ovs` library: its `transact_block` waits for ever for a daemon that hangs, its parser in
Python looks at each character by itself, and neither has a bound on the size of an answer.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
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

_ID = 0


def encode(method: str, params: list[Any]) -> bytes:
    """The bytes of a request."""
    return json.dumps({"method": method, "params": params, "id": _ID}).encode()


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
    if address.startswith("/"):
        address = f"unix:{address}"
    shown = printable(address)
    deadline = until(PATIENCE) if deadline is None else deadline
    try:
        with _connect(address, credentials, deadline) as sock:
            _send(sock, encode(method, params), deadline)
            reply = _reply(sock, deadline, size)
    except TimeoutError as error:
        raise SwitchError(f"{shown}: no whole answer in time") from error
    except (ssl.SSLError, socket.gaierror, ValueError) as error:  # errno would not say why
        raise SwitchError(f"{shown}: {printable(str(error), MESSAGE)}") from error
    except OSError as error:
        raise SwitchError(f"{shown}: {why(error)}") from error
    if reply.get("error"):
        refusal = printable(str(reply["error"]), MESSAGE)
        raise SwitchError(f"{shown}: {method} is refused: {refusal}")
    return reply.get("result")


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


def _reply(sock: socket.socket, deadline: float, size: int) -> dict[str, Any]:
    """The reply to our request; what else comes is answered, or passed over."""
    stream = JsonStream(size)
    while True:
        sock.settimeout(_left(deadline))
        data = sock.recv(READ)
        if not data:
            raise ValueError("the connection ended before the answer did")
        for text in stream.feed(data):
            message = json.loads(text.decode("utf-8", "replace"))
            if message.get("method") == "echo" and message.get("id") is not None:
                answer = {"result": message.get("params"), "error": None, "id": message["id"]}
                _send(sock, json.dumps(answer).encode(), deadline)  # RFC 7047 section 4.1.11
            elif "method" not in message and message.get("id") == _ID:
                return dict(message)
        time.sleep(0)  # under eventlet, others have their turn


def _context(credentials: Credentials | None) -> ssl.SSLContext:
    """As OVSDB does it: both sides show a certificate of one authority, and names do not count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if credentials is not None:
        context.load_verify_locations(credentials.ca_certificate)
        context.load_cert_chain(credentials.certificate, credentials.private_key)
    return context
