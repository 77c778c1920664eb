"""One who observes, as the program sees him: a socket, a request, and what is still to be sent."""

from __future__ import annotations

from _socket import socket as Socket
from collections import deque
from collections.abc import Iterator

from ryu_droplog.observe.filters import Predicate
from ryu_droplog.observe.protocol import REQUEST_SIZE, REQUEST_TIME, control
from ryu_droplog.observe.query import Query

OUTBOX = 256 * 1024
"""Bytes that wait for an observer at most; what comes meanwhile is lost for him, and counted."""
PATIENCE = 600.0
"""Seconds after which one who takes nothing that waits for him is given up."""
_READ = 65_536
_CONTROL = 128
"""Bytes that a line about losses takes at most."""


class Observer:
    """One connection. Nothing here waits; for the observers' thread alone."""

    def __init__(self, sock: Socket, now: float) -> None:
        """`now` by a clock that is never set, as everywhere here."""
        self.socket = sock
        self.query: Query | None = None
        self.matches: Predicate = lambda record: True
        self.until = float("inf")
        """When what he asked for is over, of drops that are to come."""
        self.history: Iterator[bool] | None = None
        """Sends what is there already, a step at a time; says of each whether it got on."""
        self.held = 0
        """Drops that are kept for him in memory meanwhile."""
        self.live = False
        """Whether he gets what comes."""
        self.left: int | None = None
        """How many records he still gets; None: any number."""
        self.gone = False
        self._request = bytearray()
        self._request_by = now + REQUEST_TIME
        self._asked = False
        self._outbox: deque[bytes] = deque()
        self._waiting = 0
        self._lost = 0
        self._progress = now
        self._ending = False

    def request(self) -> bytes | None:
        """Read what has come: the request once it is whole; None: not yet, or not again.

        A request that is too long is cut, so that it cannot be read.
        """
        try:
            data = self.socket.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return None
        if self._asked:  # whatever else he says, nobody reads it
            return None
        self._request += data
        line, end, _ = self._request.partition(b"\n")
        if not end and len(self._request) <= REQUEST_SIZE:
            return None
        self._asked = True
        self._request = bytearray()
        return bytes(line[:REQUEST_SIZE])

    @property
    def has_room(self) -> bool:
        """Whether another record can wait for him."""
        return self._waiting < OUTBOX

    def offer(self, line: bytes) -> None:
        """Send a record, or count it as lost where too much waits already."""
        if self._waiting + len(line) > OUTBOX and self._waiting:
            self._lost += 1
            return
        self._tell_losses()
        self.say(line)

    def lose(self, number: int) -> None:
        """Count drops that he did not get."""
        self._lost += number

    def say(self, line: bytes) -> None:
        """Send a line, however much waits."""
        self._outbox.append(line)
        self._waiting += len(line)

    def end(self, last: bytes | None = None) -> None:
        """Send what waits, then `last` (that all was said, without), and hang up."""
        if not self._ending:
            self._tell_losses()
            self.say(control(end=True) if last is None else last)
            self._ending = True
            self.live, self.history, self.held = False, None, 0

    def flush(self, now: float) -> None:
        """Send as much as the socket takes."""
        if self._lost and self._waiting + _CONTROL <= OUTBOX:
            self._tell_losses()
        while self._outbox:
            data = self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox)
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self.gone = True
                return
            self._progress = now
            self._outbox.clear()
            self._waiting = len(data) - sent
            if self._waiting:
                self._outbox.append(data[sent:])
                break
        if self._ending and not self._outbox:
            self.gone = True

    @property
    def waits_to_send(self) -> bool:
        """Whether something waits for room in the socket."""
        return bool(self._outbox)

    def look_at_time(self, now: float) -> None:
        """End what is over, and give up who does not ask or does not read."""
        if not self._asked:
            self.gone = self.gone or now > self._request_by
        elif self._outbox and now > self._progress + PATIENCE:
            self.gone = True
        elif not self._outbox:
            self._progress = now
        if self.live and now > self.until:
            self.end()

    def _tell_losses(self) -> None:
        if self._lost:
            self.say(control(lost=self._lost))
            self._lost = 0
