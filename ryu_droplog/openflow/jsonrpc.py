"""One question to a daemon of Open vSwitch or OVN, JSON-RPC 1.0 (RFC 7047 section 4).

Not the `ovs` library: its `transact_block` waits for ever for a daemon that hangs.
"""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any, NamedTuple

from ryu_droplog.errors import SwitchError, why

PATIENCE = 3.0
"""Seconds that a daemon has for each step of its answer."""
ANSWER_SIZE = 64 * 1024 * 1024
"""Bytes that an answer has at most."""


def encode(method: str, params: list[Any]) -> bytes:
    """The bytes of a request."""
    return json.dumps({"method": method, "params": params, "id": 0}).encode()


class Credentials(NamedTuple):
    """Files for a connection by `ssl:` (PEM)."""

    private_key: str
    certificate: str
    ca_certificate: str


def call(
    address: str, method: str, params: list[Any], credentials: Credentials | None = None
) -> Any:
    """The result that the daemon answers.

    `address` is the path of its socket, or `unix:PATH`, `tcp:HOST:PORT`, `ssl:HOST:PORT` (ovsdb(7),
    connection methods). Raises SwitchError when it is not there, does not answer in time, or
    answers with an error.
    """
    if address.startswith("/"):
        address = f"unix:{address}"
    answer = bytearray()
    try:
        with _connect(address, credentials) as sock:
            sock.sendall(encode(method, params))
            while (reply := _whole(answer)) is None:
                chunk = sock.recv(65536)
                if not chunk or len(answer) > ANSWER_SIZE:
                    raise SwitchError(f"{address}: the answer is cut")
                answer += chunk
    except ValueError as error:
        raise SwitchError(f"{address}: {error}") from error
    except OSError as error:
        raise SwitchError(f"{address}: {why(error)}") from error
    if reply.get("error"):
        raise SwitchError(f"{address}: {method} is refused: {reply['error']}")
    return reply.get("result")


def _connect(address: str, credentials: Credentials | None) -> socket.socket:
    """A connection whose every step has `PATIENCE`; raises OSError, ValueError: no such method."""
    kind, _, where = address.partition(":")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(PATIENCE)
            sock.connect(where)
        except BaseException:
            sock.close()
            raise
        return sock
    if kind not in ("tcp", "ssl"):
        raise ValueError(f"cannot connect by {kind!r}, only by unix, tcp or ssl")
    host, _, port = where.rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
    if kind == "tcp":
        return sock
    try:
        return _context(credentials).wrap_socket(sock)
    except BaseException:
        sock.close()
        raise


def _context(credentials: Credentials | None) -> ssl.SSLContext:
    """As OVSDB does it: both sides show a certificate of one authority, and names do not count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if credentials is not None:
        context.load_verify_locations(credentials.ca_certificate)
        context.load_cert_chain(credentials.certificate, credentials.private_key)
    return context


def _whole(answer: bytearray) -> dict[str, Any] | None:
    """The JSON object, once all of it is there."""
    if not answer.rstrip().endswith(b"}"):
        return None
    try:
        reply = json.loads(answer)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) else None
