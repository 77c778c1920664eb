"""The room of a bridge's connections, one after the other: wanted, enlarged, told."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ryu_droplog.concurrency.threads import start
from ryu_droplog.connections.socket_enlarging import enlarge
from ryu_droplog.connections.socket_room import Room
from ryu_droplog.openflow.connection import Connection


class RoomKeeper:
    """Enlarges in a thread of its own, so that no reader waits for it."""

    def __init__(self, wanted: Callable[[], int], say: Callable[[str], None]) -> None:
        """`wanted`: bytes, 0: leave it; `say` gets what is to be known, from that thread."""
        self._wanted = wanted
        self._say = say
        self._changing = threading.Lock()
        self._connection: Connection | None = None
        self.room: Room | None = None
        """Of the connection that there is; None: there is none, or nothing was tried yet."""

    def begin(self, connection: Connection) -> None:
        """Take a connection whose handshake is complete: before, its other end is nobody's."""
        self._connection = connection
        self.again()

    def again(self) -> None:
        """Have it done, as it is wanted now; never waits."""
        start(self._make)

    def end(self) -> None:
        """The connection has ended."""
        with self._changing:
            self._connection = self.room = None

    def _make(self) -> None:
        with self._changing:
            connection = self._connection
            if connection is None:
                return
            self.room = room = enlarge(connection.socket, self._wanted())
            connection.may_rest = room.enlarged
        text = room.in_words()
        if text and not connection.stopped:
            self._say(text)
