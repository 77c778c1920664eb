"""OTLP over HTTP/1.1 with protobuf: a request a POST, the standard library's `http.client`."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any

from ryu_droplog import __version__
from ryu_droplog.model.errors import why
from ryu_droplog.sinks.delivery import NotAcknowledged, NotSent
from ryu_droplog.sinks.otlp_options import OtlpOptions
from ryu_droplog.sinks.otlp_response import check_http
from ryu_droplog.sinks.receiver_address import ReceiverAddress
from ryu_droplog.sinks.stream import Stream
from ryu_droplog.sinks.tls import client_context

_LARGEST_ANSWER = 4_194_304
_GZIP_LEVEL = 1  # a record is so like the one before that more costs much and saves little


class HttpExporter:
    """A connection to the receiver, for one thread; kept open between requests."""

    def __init__(self, options: OtlpOptions, gives_up: Callable[[], bool]) -> None:
        """`gives_up` says whether to stop waiting."""
        self._options = options
        self._gives_up = gives_up
        self._stream: Stream | None = None
        self._headers: dict[str, str] = {}

    def export(self, request: bytes) -> str:
        """Send a serialised request; returns what the receiver warns of, if anything.

        Raises as `check_http`; NotSent where there is no connection, OSError and NotAcknowledged
        where it breaks, and ConfigError for files that cannot be read.
        """
        if self._options.compression == "gzip":
            request = gzip.compress(request, _GZIP_LEVEL)
        try:
            stream = self._connected()
        except OSError as error:
            raise NotSent(f"{self._options.endpoint}: {why(error)}") from error
        where = self._options.where
        connection = HTTPConnection(where.host, where.port)
        connection.sock = _Adapter(
            stream, time.monotonic() + self._options.timeout
        )  # as much of one as it needs
        keeps = False
        try:
            connection.request("POST", where.path, request, self._headers)
            response = connection.getresponse()
            body = response.read(_LARGEST_ANSWER)
            if response.length:
                raise NotAcknowledged(f"its answer lacks {response.length} bytes")
            keeps = not response.will_close and response.isclosed()
        except HTTPException as error:
            raise NotAcknowledged(f"its answer is no HTTP: {error!r}") from error
        finally:
            if not keeps:
                self.close()
        return check_http(response.status, response.getheader("retry-after"), body)

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _connected(self) -> Stream:
        if self._stream is not None and self._is_over(self._stream):
            self.close()
        if self._stream is None:
            options = self._options
            where = options.where
            self._headers = {
                "content-type": "application/x-protobuf",
                "user-agent": f"ryu_droplog/{__version__}",
                **({"content-encoding": "gzip"} if options.compression == "gzip" else {}),
                **options.all_headers(),
            }
            tls = client_context(options.tls) if where.is_tls else None
            address = ReceiverAddress("tls" if where.is_tls else "tcp", where.host, where.port)
            self._stream = Stream(address, self._gives_up, tls)
        return self._stream

    def _is_over(self, stream: Stream) -> bool:
        """Whether the receiver has closed the connection, or says what nobody asked for."""
        return stream.is_closed() or bool(stream.take_early())


class _Adapter:
    """What `http.client` uses of a socket."""

    def __init__(self, stream: Stream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._stream.send(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._stream, self._deadline))

    def close(self) -> None:
        """The stream is its exporter's."""


class _Reader(io.RawIOBase):
    def __init__(self, stream: Stream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._rest or self._stream.receive(self._deadline)
        except ConnectionError:  # the end, which `http.client` knows to be right or wrong
            return 0
        count = min(len(data), len(buffer))
        buffer[:count], self._rest = data[:count], data[count:]
        return count
