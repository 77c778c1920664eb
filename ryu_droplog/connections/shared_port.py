"""A second socket on a port that is held, for the moment in which it takes over from the first.

A reload may change the address and keep the port: the new socket is bound beside the old one, which
goes only when nothing else can fail. So nothing is lost between them, and nothing has to be bound
again where the reload is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol


class Shareable(Protocol):
    """A socket; of the standard library, of eventlet, or the one that both are made of."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


@contextmanager
def port_shared(*sockets: Shareable) -> Iterator[None]:
    """Let these sockets bind to one port, and listen there, while the block lasts.

    They do so by SO_REUSEPORT (socket(7)), which lets sockets of the same user in and nobody else,
    and on Linux counts only while a socket is bound: it is taken away again.
    """
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        yield
    finally:
        for sock in sockets:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
