"""Messages of RFC 5424 over a Unix socket, UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425).

Nothing acknowledges them. What was handed to a connection that breaks has failed; what waits is
sent when there is a connection again. A message that UDP loses is lost without a word.
"""

from __future__ import annotations

import errno
import os
import socket
from _socket import getaddrinfo
from _socket import socket as Socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import why
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk, NotSent
from ryu_droplog.sinks.forwarding import ForwardingSink
from ryu_droplog.sinks.receiver_address import ReceiverAddress
from ryu_droplog.sinks.stream import LOOK, Stream
from ryu_droplog.sinks.syslog import Syslog
from ryu_droplog.sinks.syslog_message import Origin, SyslogMessages, octet_counted
from ryu_droplog.sinks.syslog_options import SyslogOptions
from ryu_droplog.sinks.tls import client_context


class Stopped(Exception):
    """Some messages were sent, and the rest can be sent again."""

    def __init__(self, sent: int, text: str) -> None:
        super().__init__(text)
        self.sent = sent


class Transport(Protocol):
    """A way for messages."""

    def is_closed(self) -> bool:
        """Whether the receiver has gone; waits for nothing."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Send messages, in order.

        Raises Stopped where it is known how many the receiver has nothing of, else OSError.
        """

    def close(self) -> None:
        """Let go of it."""


class ForwardedSyslog(Syslog, ForwardingSink):
    """RFC 5424 to any receiver."""

    CHUNK_DROPS = 500  # so many fail when a connection breaks

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        options: SyslogOptions = spec.options
        self._options = options
        encode = context.encoder(options.encode, options.payload, "bare")
        origin = Origin(context.node, os.getpid(), options.facility)
        messages = SyslogMessages(origin, encode, context.explain, options.message_bytes)
        self._message = messages.message
        self._transport: Transport | None = None
        self._chunk = ""
        self._done = 0
        """Messages of that chunk that are sent."""

    def encode(self, drop: Drop) -> bytes:
        return self._message(drop)

    def send(self, chunk: Chunk) -> None:
        if chunk.id != self._chunk:
            self._chunk, self._done = chunk.id, 0
        transport = self._connected()
        try:
            transport.send(chunk.items[self._done :])
        except Stopped as error:
            self._done += error.sent
            self.disconnect()
            raise NotSent(str(error)) from error
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._transport = None

    def _connected(self) -> Transport:
        if self._transport is not None and self._transport.is_closed():
            self.disconnect()
        if self._transport is None:
            try:
                self._transport = self._connect()
            except OSError as error:
                raise NotSent(f"{self._options.to}: {why(error)}") from error
        return self._transport

    def _connect(self) -> Transport:
        address = self._options.address
        if address.scheme in ("udp", "unix"):
            try:
                return _Datagrams(address, lambda: self.gives_up)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:  # there is a stream at that path
                    raise
        tls = client_context(self._options.tls) if address.scheme == "tls" else None
        return _Frames(Stream(address, lambda: self.gives_up, tls))


class _Frames:
    """Octet-counted messages in a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def is_closed(self) -> bool:
        self._stream.take_early()  # nothing that a receiver could say has a meaning
        return self._stream.is_closed()

    def send(self, messages: Sequence[bytes]) -> None:
        self._stream.send(b"".join(map(octet_counted, messages)))

    def close(self) -> None:
        self._stream.close()


class _Datagrams:
    """A message a datagram. One that nobody took is found out when the next one is sent."""

    def __init__(self, address: ReceiverAddress, gives_up: Callable[[], bool]) -> None:
        self._address = address
        self._gives_up = gives_up
        self._socket = _datagram_socket(address)

    def is_closed(self) -> bool:
        return False  # the next `send` tells

    def send(self, messages: Sequence[bytes]) -> None:
        for position, message in enumerate(messages):
            try:
                self._send(message)
            except OSError as error:
                raise Stopped(position, f"{self._address}: {why(error)}") from error

    def close(self) -> None:
        self._socket.close()

    def _send(self, message: bytes) -> None:
        while True:
            try:
                self._socket.send(message)
            except TimeoutError:  # a daemon that does not read
                if self._gives_up():
                    raise
            else:
                return


def _datagram_socket(address: ReceiverAddress) -> Socket:
    """A connected one; raises OSError."""
    places: Sequence[Any] = [(socket.AF_UNIX, socket.SOCK_DGRAM, 0, "", address.path)]
    if address.scheme == "udp":
        places = getaddrinfo(address.host, address.port, 0, socket.SOCK_DGRAM)
    family, kind, protocol, _, place = places[0]
    made = Socket(family, kind, protocol)
    try:
        made.connect(place)
        made.settimeout(LOOK)
    except BaseException:
        made.close()
        raise
    return made
