"""The web server: uvicorn with bounds, and the reader of records beside it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.web.admission import Address, Hosts, Tls, Tokens
from ryu_droplog.web.guard import Guard

HEAD_TIME = 10.0
"""Seconds in which the head of a request must have come."""
HEAD = 16_384
"""Bytes of the head of a request at most."""
CONNECTIONS = 256
"""At most; further ones are answered with 503."""
_GRACE = 1


class _Protocol(H11Protocol):
    """HTTP/1.1, and the end of connections that begin a request and do not finish it."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_TIME, transport.close)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._forget()
        elif self._late is None and (before is None or before.response_complete):
            self._late = self.loop.call_later(HEAD_TIME, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def listen(address: Address) -> socket.socket:
    """A socket that listens there; raises ConfigError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigError(f"--listen: {address}: {why(error)}") from error
    return listening


def serve(
    app: Any,
    listening: socket.socket,
    hosts: Hosts,
    tokens: Tokens | None,
    login: bytes,
    tls: Tls | None,
    on_ready: Callable[[], None],
) -> None:
    """Answer until SIGTERM or SIGINT; raises ConfigError where the files of TLS are no good."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        Guard(app, hosts, tokens, login, secure=tls is not None),
        http=_Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=HEAD,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE,
        **_tls(tls),
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS: {error}") from error

    class _Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    with suppress(KeyboardInterrupt):  # uvicorn raises a signal again that it was ended by
        _Server(config).run(sockets=[listening])


def _tls(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    told: dict[str, Any] = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    if tls.client_ca is not None:
        told |= {"ssl_ca_certs": tls.client_ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return told
