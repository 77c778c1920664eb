"""A server of Fluentd's forward protocol that does what the test says, wrong things too."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgpack

PATIENCE = 20.0

Behaviour = Callable[["ForwardServer", socket.socket], None]


class ForwardServer:
    """Each connection gets the next of the behaviours, the last one again and again."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours) or [acknowledging]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp:127.0.0.1:{self._listening.getsockname()[1]}"
        self.messages: list[Any] = []
        """[tag, entries, option] of each message that came whole."""
        self.connections = 0
        self._unpackers: dict[socket.socket, Any] = {}
        self.ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> ForwardServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ending.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while not self.ending.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            behaviour = self._behaviours[min(self.connections, len(self._behaviours) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(behaviour, connection), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, behaviour: Behaviour, connection: socket.socket) -> None:
        connection.settimeout(0.05)
        self._unpackers[connection] = msgpack.Unpacker(raw=False, strict_map_key=False)
        with connection, contextlib.suppress(ConnectionError):
            behaviour(self, connection)

    def next(self, connection: socket.socket) -> Any:
        """The next message; ConnectionError at the end of the connection, or of the test."""
        unpacker = self._unpackers[connection]
        for message in unpacker:
            return message
        while not self.ending.is_set():
            with contextlib.suppress(TimeoutError):
                data = connection.recv(65536)
                if not data:
                    break
                unpacker.feed(data)
                for message in unpacker:
                    return message
        raise ConnectionError("it has ended")

    def take(self, connection: socket.socket) -> Any:
        """The next message, which is kept in `messages`."""
        message = self.next(connection)
        self.messages.append(message)
        return message

    @property
    def events(self) -> list[Any]:
        """[time, record] of all messages."""
        return [
            event
            for message in self.messages
            for event in msgpack.Unpacker(io.BytesIO(message[1]), raw=False)
        ]


def send(connection: socket.socket, answer: Any) -> None:
    """Send an answer."""
    connection.sendall(msgpack.packb(answer))


def acknowledging(server: ForwardServer, connection: socket.socket) -> None:
    """Take each message and acknowledge it."""
    while True:
        message = server.take(connection)
        if "chunk" in message[2]:
            send(connection, {"ack": message[2]["chunk"]})


def twice(server: ForwardServer, connection: socket.socket) -> None:
    """Acknowledge each message twice."""
    while True:
        chunk = server.take(connection)[2]["chunk"]
        send(connection, {"ack": chunk})
        send(connection, {"ack": chunk})


def silent(server: ForwardServer, connection: socket.socket) -> None:
    """Take messages, and never say anything."""
    while True:
        server.take(connection)


def deaf(server: ForwardServer, connection: socket.socket) -> None:
    """Read nothing."""
    server.ending.wait(PATIENCE)


def cutting(server: ForwardServer, connection: socket.socket) -> None:
    """Read some bytes of a message, and end the connection hard."""
    with contextlib.suppress(TimeoutError):
        connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def closing_unacknowledged(server: ForwardServer, connection: socket.socket) -> None:
    """Take a message, and close."""
    server.take(connection)


def answering(data: bytes) -> Behaviour:
    """Take a message, and say this."""

    def behave(server: ForwardServer, connection: socket.socket) -> None:
        server.take(connection)
        connection.sendall(data)
        server.ending.wait(PATIENCE)

    return behave
