"""Syslog: lines to the local daemon as RFC 3164 has them, or RFC 5424 to whoever takes it.

`Syslog` stands for both. The first is here; the second is in `sinks.syslog_forwarding`.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from _socket import socket as Socket
from collections.abc import Sequence
from contextlib import closing, suppress
from logging.handlers import SysLogHandler
from typing import Any

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import why
from ryu_droplog.sinks.base import BatchSink, Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.formats import text_format
from ryu_droplog.sinks.syslog_options import SyslogOptions


def _probe(address: str) -> None:
    """Connect to a daemon's socket, of either kind, and let go of it; raises OSError."""
    with closing(Socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        found = sock.connect_ex(address)
    if found == errno.EPROTOTYPE:
        with closing(Socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
            found = sock.connect_ex(address)
    if found:
        raise OSError(found, os.strerror(found))


def _ascii(text: str) -> str:
    """The line as in a file: the handler's own encoding would refuse some characters."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


class _Handler(SysLogHandler):
    """The standard library's handler; only, a message that cannot be sent raises its OSError."""

    ident = "ryu_droplog: "

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # logging calls this while the error is being handled


class Syslog(Sink):
    """Messages to a syslog daemon or server, by RFC 3164 or RFC 5424.

    Making one makes one of its two subclasses."""

    Options = SyslogOptions

    def __new__(cls, spec: SinkSpec, *others: Any) -> Syslog:
        if cls is not Syslog:
            return super().__new__(cls)
        if spec.options.is_rfc3164:
            return super().__new__(LocalSyslog)
        from ryu_droplog.sinks.syslog_forwarding import ForwardedSyslog

        return super().__new__(ForwardedSyslog)


class LocalSyslog(Syslog, BatchSink):
    """Lines without time and severity, facility daemon, severity info."""

    ENCODES_EARLY = True

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self._address: str = spec.options.address.path
        self._form = text_format(spec.options.encode, context.explain, context.identify).bare
        self._handler: _Handler | None = None

    def encode(self, drop: Drop) -> str:
        return _ascii(self._form(drop))

    def write(self, items: Sequence[str]) -> int:
        for position, text in enumerate(items):
            try:
                self._send(text)
            except OSError as error:
                self.finish()
                self.note(f"{self._address}: {why(error)}")
                return position
        self.note(None)
        return len(items)

    def start(self) -> None:
        """Begin to write; where the daemon is not there yet, that is said, and tried again."""
        self.try_again()
        super().start()

    def try_again(self) -> None:
        """Connect to the daemon; whether it can be is told as of any sink that cannot write."""
        try:
            _probe(self._address)  # the handler's own first connection fails in silence
            self._connect()
        except OSError as error:
            self.note(f"{self._address}: {why(error)}")
        else:
            self.note(None)

    def _connect(self) -> _Handler:
        self._handler = _Handler(self._address, SysLogHandler.LOG_DAEMON)
        return self._handler

    def _send(self, text: str) -> None:
        record = logging.LogRecord("ryu_droplog", logging.INFO, "", 0, text, None, None)
        if self._handler is not None:
            with suppress(OSError):
                self._handler.emit(record)  # handle() would take a lock that belongs to the hub
                return
            self.finish()  # the daemon may have been started anew
        self._connect().emit(record)

    def finish(self) -> None:
        if self._handler is not None:
            self._handler.close()
            self._handler = None
