"""The forward server: each mode, acknowledgements, TLS, a shared key, and a crash."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import ssl
from typing import Any

import msgpack

from .fluent import Entry, FluentServer

EVENT_TIME = 0  # the type of msgpack's extension
SECONDS, NANOSECONDS = 1_700_000_000, 123_456_789


def entries(count: int) -> bytes:
    """`count` entries one after the other, as PackedForward has them."""
    time = SECONDS.to_bytes(4, "big") + NANOSECONDS.to_bytes(4, "big")
    return b"".join(
        msgpack.packb([msgpack.ExtType(EVENT_TIME, time), {"number": number}])
        for number in range(count)
    )


def answer(client: socket.socket) -> Any:
    """The next message of the server's."""
    unpacker = msgpack.Unpacker()
    while True:
        unpacker.feed(client.recv(65536))
        for message in unpacker:
            return message


def send_packed(client: socket.socket, count: int, chunk: str, compressed: bool = False) -> None:
    """Send a PackedForward and wait for its acknowledgement."""
    packed = gzip.compress(entries(count)) if compressed else entries(count)
    option: dict[str, Any] = {"size": count, "chunk": chunk}
    if compressed:
        option["compressed"] = "gzip"
    client.sendall(msgpack.packb(["ovs.drop", packed, option]))
    assert answer(client) == {"ack": chunk}


def expected(number: int, count: int, chunk: str, mode: str = "packed") -> Entry:
    """What the server makes of an entry of `send_packed`."""
    return Entry("ovs.drop", SECONDS, NANOSECONDS, {"number": number}, chunk, mode, count)


def test_packed_entries_are_acknowledged_and_outlive_a_crash() -> None:
    with FluentServer() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            send_packed(client, 3, "first")
        server.restart()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            send_packed(client, 2, "second", compressed=True)
        assert server.read(5) == [
            *(expected(number, 3, "first") for number in range(3)),
            *(expected(number, 2, "second", "compressed") for number in range(2)),
        ]


def test_a_message_without_a_chunk_is_taken() -> None:
    with FluentServer(unix=True) as server, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.path))
        client.sendall(msgpack.packb(["ovs.drop", SECONDS, {"number": 1}, {}]))
        assert server.read(1) == [
            Entry("ovs.drop", SECONDS, None, {"number": 1}, None, "message", None)
        ]


def test_tls_asks_for_a_clients_certificate() -> None:
    with FluentServer(tls=True, client_certificate=True) as server:
        assert server.certificates is not None
        context = ssl.create_default_context(cafile=server.certificates.ca)
        context.load_cert_chain(
            server.certificates.client_certificate, server.certificates.client_key
        )
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            send_packed(client, 1, "only")
        assert server.read(1) == [expected(0, 1, "only")]


def test_a_shared_key_and_a_password_open_it() -> None:
    with (
        FluentServer(shared_key="key", users={"user": "word"}) as server,
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        kind, option = answer(client)
        assert kind == "HELO"
        salt = os.urandom(16)

        def digest(*parts: bytes) -> str:
            return hashlib.sha512(b"".join(parts)).hexdigest()

        own = digest(salt, b"node.test", option["nonce"], b"key")
        password = digest(option["auth"], b"user", b"word")
        client.sendall(msgpack.packb(["PING", "node.test", salt, own, "user", password]))
        kind, opened, reason, name, theirs = answer(client)
        assert (kind, opened, reason, name) == ("PONG", True, "", "receiver.test")
        assert theirs == digest(salt, b"receiver.test", option["nonce"], b"key")
        send_packed(client, 1, "only")
        assert server.read(1) == [expected(0, 1, "only")]
