"""Where switches come in: one thread accepts, and shakes hands with all of them at once.

Whoever has connected costs a socket and one message's worth of memory until he has proved to be a
switch, and only for a while. Where too many are there, the one goes that has been silent for the
longest, of the host that has most: so a host that opens very many gets in nobody's way but its own.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeAlias

from ryu_droplog.config.endpoint import TcpEndpoint
from ryu_droplog.connections.shared_port import port_shared
from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.openflow.handshake import Handshake

LOG = logging.getLogger(__name__)

HANDSHAKE_TIME = 10.0
"""Seconds that a switch has for OpenFlow's handshake."""
ACCEPT_TIME = 0.001
"""Seconds that one who was there a moment ago is waited for."""
BACKLOG = 64
LOOK_TIME = 0.2
"""Seconds between two looks at the clock."""
READ_SIZE = 16 * 1024
MOST_UNSENT = 64 * 1024
"""Bytes that a peer may leave unread."""
MOST_TAKEN = 8 * 1024 * 1024
"""Bytes that all handshakes together may have taken in: a port of a switch has 64."""
_TAKEN_AT_ONCE = 16
"""Connections that are accepted before those that are there have their turn again."""

Host: TypeAlias = str


class Arrival:
    """A connection whose handshake is under way."""

    def __init__(self, sock: socket.socket, host: Host, now: float) -> None:
        self.sock = sock
        self.host = host
        self.handshake = Handshake()
        self.deadline = now + HANDSHAKE_TIME
        self.heard = now
        """When something came last."""
        self.taken = 0
        """Bytes that came."""
        self.unsent = bytearray(self.handshake.greeting())


class Handshakes:
    """A listening socket, and the connections that came in and are not through yet."""

    def __init__(
        self,
        listening: socket.socket,
        most: int,
        admit: Callable[[socket.socket, Host, Handshake], None],
        turn_away: Callable[[Host, str], None],
    ) -> None:
        """`listening` is of `listen_on`, and is closed in the end.

        `admit` gets the sockets whose handshake is complete, and must not wait; `turn_away` the
        host and the reason of every other end. At most `most` handshakes are under way at once.
        """
        self.most = most
        self._admit = admit
        self._turn_away = turn_away
        self._arrivals: set[Arrival] = set()
        self._selector = selectors.DefaultSelector()
        self._full_until = 0.0
        self._socket = listening
        self._next: deque[socket.socket] = deque()
        """Sockets to listen on instead, one after the other."""
        self._selector.register(self._socket, selectors.EVENT_READ)

    @property
    def waiting(self) -> int:
        """Connections whose handshake is under way."""
        return len(self._arrivals)

    def listen_at(self, listening: socket.socket) -> None:
        """Listen there from the next `turn` on, instead; may be called from any thread.

        The connections that are there stay.
        """
        self._next.append(listening)

    def turn(self) -> None:
        """Do what there is to do; returns after `LOOK_TIME` at the latest."""
        while self._next:
            self._change_over(self._next.popleft())
        for key, events in self._selector.select(LOOK_TIME):
            arrival: Arrival | None = key.data
            if arrival is None:
                self._accept()
            elif arrival in self._arrivals:
                self._go_on(arrival, events)
        now = time.monotonic()
        for arrival in list(self._arrivals):
            if now > arrival.deadline:
                self._refuse(arrival, f"no OpenFlow handshake within {HANDSHAKE_TIME:g} s")
        if self._full_until and now >= self._full_until:
            self._full_until = 0.0
            self._selector.register(self._socket, selectors.EVENT_READ)

    def close(self) -> None:
        """End all that is not through; only when nobody is in `turn`."""
        for arrival in list(self._arrivals):
            self._drop(arrival)
            arrival.sock.close()
        self._selector.close()
        for sock in (self._socket, *self._next):
            sock.close()

    def _change_over(self, listening: socket.socket) -> None:
        """Take those who wait at the former socket, then listen at the other.

        Who comes to the former one in the very moment of its end is reset, and has to try again.
        """
        if not self._full_until:
            self._accept(BACKLOG + 1)
        if self._full_until:  # it cannot accept now, and is not registered
            self._full_until = 0.0
        else:
            self._selector.unregister(self._socket)
        self._socket.close()
        self._socket = listening
        self._selector.register(self._socket, selectors.EVENT_READ)

    def _accept(self, at_once: int = _TAKEN_AT_ONCE) -> None:
        for _ in range(at_once):
            try:
                sock, address = self._socket.accept()
            except (TimeoutError, ConnectionError):
                return
            except OSError as error:  # no descriptors or no memory for another socket
                LOG.warning("cannot accept a connection: %s; trying again", why(error))
                self._selector.unregister(self._socket)
                self._full_until = time.monotonic() + 1.0
                return
            sock.setblocking(False)
            arrival = Arrival(sock, address[0], time.monotonic())
            self._arrivals.add(arrival)
            self._selector.register(sock, selectors.EVENT_READ, arrival)
            self._go_on(arrival, selectors.EVENT_WRITE)
            if len(self._arrivals) > self.most:
                self._refuse(
                    self._least_wanted(), f"more than {self.most} connections without a handshake"
                )

    def _go_on(self, arrival: Arrival, events: int) -> None:
        """Read and write what can be; hand the connection on when its handshake is complete."""
        try:
            if events & selectors.EVENT_READ:
                self._read(arrival)
            if arrival.unsent:
                with suppress(BlockingIOError):
                    del arrival.unsent[: arrival.sock.send(arrival.unsent)]
        except OSError as error:
            arrival.handshake.refusal = arrival.handshake.refusal or why(error)
        handshake = arrival.handshake
        if handshake.refusal is None and len(arrival.unsent) > MOST_UNSENT:
            handshake.refusal = "it does not read what it is sent"
        if handshake.refusal is not None:
            self._refuse(arrival, handshake.refusal)
        elif handshake.features is not None and not arrival.unsent:
            self._drop(arrival)
            arrival.sock.setblocking(True)
            self._admit(arrival.sock, arrival.host, handshake)
        else:
            wanted = selectors.EVENT_WRITE if arrival.unsent else 0
            self._selector.modify(arrival.sock, selectors.EVENT_READ | wanted, arrival)

    def _read(self, arrival: Arrival) -> None:
        handshake = arrival.handshake
        if handshake.features is not None:
            return  # what comes behind the handshake is not for us
        try:
            chunk = arrival.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        if not chunk:
            handshake.refusal = "it has hung up during the handshake"
            return
        arrival.heard = time.monotonic()
        arrival.taken += len(chunk)
        arrival.unsent += handshake.receive(chunk)
        if sum(one.taken for one in self._arrivals) > MOST_TAKEN:
            largest = max(self._arrivals, key=lambda one: one.taken)
            largest.handshake.refusal = f"its handshake has {largest.taken} bytes"
            if largest is not arrival:
                self._refuse(largest, largest.handshake.refusal)

    def _least_wanted(self) -> Arrival:
        hosts = Counter(arrival.host for arrival in self._arrivals)
        most = max(hosts.values())
        candidates: Iterator[Arrival] = (a for a in self._arrivals if hosts[a.host] == most)
        return min(candidates, key=lambda arrival: arrival.heard)

    def _refuse(self, arrival: Arrival, reason: str) -> None:
        self._drop(arrival)
        arrival.sock.close()
        self._turn_away(arrival.host, reason)

    def _drop(self, arrival: Arrival) -> None:
        self._arrivals.discard(arrival)
        self._selector.unregister(arrival.sock)


def listen_on(endpoint: TcpEndpoint, beside: socket.socket | None = None) -> socket.socket:
    """A socket that listens there, for `Handshakes`; `beside` may hold the same port.

    Raises ConfigError: cannot listen.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with port_shared(*((sock, beside) if beside is not None else ())):
            sock.bind((endpoint.host, endpoint.port))
            sock.listen(BACKLOG)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise ConfigError(f"cannot listen on {endpoint}: {why(error)}") from error
        raise
    # With a timeout of 0 eventlet would accept sockets that block all threads.
    sock.settimeout(ACCEPT_TIME)
    return sock
