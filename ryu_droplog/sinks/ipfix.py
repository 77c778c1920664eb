"""Drops as flow records for a collector: IPFIX (RFC 7011) over UDP or TCP."""

from __future__ import annotations

import errno
import os
import socket
import time
from _socket import getaddrinfo
from _socket import socket as Socket
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct
from typing import Annotated, Any

from pydantic import Field

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.config.endpoint import parse_connect
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import why
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import checked_by
from ryu_droplog.schema.units import Duration
from ryu_droplog.sinks import ipfix_records
from ryu_droplog.sinks.base import BatchSink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.ipfix_records import MESSAGE, SET, VERSION, Record

PORT = 4739
"""IANA's port of IPFIX, for UDP and TCP."""
UDP_OVERHEAD = 48
"""Bytes of an IPv6 and a UDP header: a message and they are together one packet."""
TCP_MESSAGE = 16_384
"""Bytes of a message over TCP at most."""
SEND_TIME = 0.5
"""Seconds that a send may take before it is looked whether to stop."""
CONNECT_TIME = 5.0
"""Seconds that a connection may take."""
REFUSAL_TIME = 0.1
"""Seconds that the refusal of a datagram (ICMP) is waited for when a collector is tried."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries of a collector that is not there."""
_SEQUENCE = 2**32
_TIMEVAL = Struct("@ll")
_REFUSAL_TIMEVAL = _TIMEVAL.pack(0, round(REFUSAL_TIME * 1_000_000))


def _check_collector(text: str) -> None:
    scheme, _, rest = text.partition(":")
    if scheme not in ("udp", "tcp"):
        raise ValueError("udp:HOST:PORT or tcp:HOST:PORT")
    try:
        parse_connect(f"tcp:{rest}")
    except ValueError as error:
        raise ValueError(str(error).replace("tcp:", f"{scheme}:")) from None


class Ipfix(BatchSink):
    """An exporting process with one transport session."""

    BATCH = 2_000

    class Options(SinkOptions):
        """The keys of such a sink."""

        to: Annotated[
            str, checked_by(_check_collector), Expected("udp:HOST:PORT or tcp:HOST:PORT")
        ] = Field(
            description="the collector: `udp:HOST:PORT` or `tcp:HOST:PORT`",
            examples=[f"udp:127.0.0.1:{PORT}"],
        )
        observation_domain: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
            default=1,
            description="the observation domain, by which collectors tell exporters apart",
        )
        template_interval: Annotated[float, Duration("1s", "1h")] = Field(
            default=60.0,
            description="over UDP, templates are sent again after this time",
            examples=["1m"],
        )
        mtu: Annotated[int, Field(ge=576, le=65_535)] = Field(
            default=1500, description="over UDP, bytes that a packet to the collector may have"
        )

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        options = spec.options
        self._to: str = options.to
        self._is_udp = options.to.startswith("udp:")
        self._domain: int = options.observation_domain
        self._interval: float = options.template_interval
        self._most = options.mtu - UDP_OVERHEAD if self._is_udp else TCP_MESSAGE
        self._record = ipfix_records.record_maker(context.bridges)
        self._templates = ipfix_records.templates()
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._socket: Socket | None = None
        self._sequence = 0
        """Data records that the session has had, modulo 2^32."""
        self._next_templates = 0.0

    def encode(self, drop: Drop) -> Record:
        return self._record(drop)

    def write(self, items: Sequence[Record]) -> int:
        """Send all; while the collector is not there, try again until the sink ends."""
        done = 0
        while done < len(items):
            sets, count = self._sets(items, done)
            if not self._deliver(sets, count):
                break
            done += count
        return done

    def try_again(self) -> None:
        """Look whether the collector is there again."""
        try:
            if self._socket is None:
                self._connect()
        except OSError as error:
            self._failed(error)
        else:
            self.note(None)

    def finish(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _sets(self, items: Sequence[Record], start: int) -> tuple[bytes, int]:
        """Data sets of as many records as a message may have, at least one, in their order."""
        parts: list[bytes] = []
        room = self._most - MESSAGE.size
        here, length, count = start, 0, 0
        template = -1
        while start + count < len(items):
            record = items[start + count]
            more = len(record.data) + (SET.size if record.template != template else 0)
            if more > room and count:
                break
            if record.template != template:
                parts += _set(template, items[here : start + count], length)
                template, here, length = record.template, start + count, 0
            room -= more
            length += len(record.data)
            count += 1
        parts += _set(template, items[here : start + count], length)
        return b"".join(parts), count

    def _deliver(self, sets: bytes, count: int) -> bool:
        """Send a message with so many data records; False: it was not, and the sink ends."""
        while True:
            try:
                if self._socket is None:
                    self._connect()
                elif not self._is_udp:
                    _raise_end(self._socket)
                elif time.monotonic() >= self._next_templates:
                    self._send_templates(self._socket)
                self._send(self._socket, self._message(sets))
            except OSError as error:
                if self.ending.wait(self._failed(error)):
                    return False
            else:
                self._sequence = (self._sequence + count) % _SEQUENCE
                self._backoff.reset()
                self.note(None)
                return True

    def _failed(self, error: OSError) -> float:
        """The collector is not there: say so; returns how long to wait before the next try."""
        self.finish()
        known = error.strerror if isinstance(error, socket.gaierror) else why(error)
        self.note(f"{self._to}: {known}")
        return self._backoff.failed()

    def _message(self, sets: bytes) -> bytes:
        return (
            MESSAGE.pack(
                VERSION,
                MESSAGE.size + len(sets),
                int(time.time()) & 0xFFFFFFFF,
                self._sequence,
                self._domain,
            )
            + sets
        )

    def _connect(self) -> None:
        """Open the session and send the templates; over UDP they show whether anybody listens.

        Over TCP the sequence numbers begin anew (RFC 7011 section 3.1).
        """
        host, _, port = self._to.split(":", 1)[1].rpartition(":")
        kind = socket.SOCK_DGRAM if self._is_udp else socket.SOCK_STREAM
        failure: OSError | None = None
        for family, _, _, _, address in getaddrinfo(host.strip("[]"), int(port), 0, kind):
            sock = Socket(family, kind)
            try:
                self._open(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                self._socket = sock
                return
        raise failure or OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))

    def _open(self, sock: Socket, address: Any) -> None:
        _set_timeout(sock, CONNECT_TIME)
        sock.connect(address)
        _set_timeout(sock, SEND_TIME)
        if not self._is_udp:
            self._sequence = 0
        self._send_templates(sock)
        if self._is_udp:
            _raise_refusal(sock)

    def _send_templates(self, sock: Socket) -> None:
        self._send(sock, self._message(self._templates))
        self._next_templates = time.monotonic() + self._interval

    def _send(self, sock: Socket | None, message: bytes) -> None:
        """Send a message whole. One that was cut ends the session, for nobody could read on."""
        assert sock is not None
        sent = 0
        while sent < len(message):
            try:
                sent += sock.send(message[sent:] if sent else message)
            except BlockingIOError as error:  # it does not read
                if self.ending.is_set():
                    raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from error


def _set(template: int, records: Sequence[Record], length: int) -> list[bytes]:
    """A data set; nothing of no records."""
    if not records:
        return []
    return [SET.pack(template, SET.size + length), *[record.data for record in records]]


def _set_timeout(sock: Socket, seconds: float) -> None:
    """For what the kernel may wait for in this thread alone, whatever the hub: see socket(7)."""
    whole = int(seconds)
    timeout = _TIMEVAL.pack(whole, round((seconds - whole) * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _REFUSAL_TIMEVAL)


def _raise_refusal(sock: Socket) -> None:
    """Raise OSError where the host says soon that nobody listens (ICMP, RFC 1122 section 4.1.3)."""
    with suppress(BlockingIOError):
        sock.recv(1)


def _raise_end(sock: Socket) -> None:
    """Raise OSError where the collector has ended the connection; it never sends anything."""
    with suppress(BlockingIOError):
        if not sock.recv(1, socket.MSG_DONTWAIT):
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
