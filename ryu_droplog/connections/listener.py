"""Takes switches that connect to us: only complete handshakes of bridges that are asked for.

A switch is not asked who it is, and anybody who reaches the port may call himself as he likes. So
only an entry that says `connect: listen` is served here under its name, and the entry `*` takes
names alone that no entry has; `claims` sees to it that a bridge that we reach ourselves is never
kept out. Who comes in costs no thread until he has a bridge, and the number of those is bounded.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ryu_droplog.concurrency.threads import Group
from ryu_droplog.config.endpoint import TcpEndpoint
from ryu_droplog.config.settings import ANY_BRIDGE, Arrivals, Bridge
from ryu_droplog.connections.connector import NewReconciler, Session
from ryu_droplog.connections.entries import waiting_entry
from ryu_droplog.connections.handshakes import Handshakes
from ryu_droplog.connections.peer_log import PeerLog
from ryu_droplog.locks.bridge_claims import Claims, Trust
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.openflow.handshake import Handshake
from ryu_droplog.reconcile.reconciler import Reconciler

LOG = logging.getLogger(__name__)

REVIEW_TIME = 1.0
"""Seconds between two looks at what other processes of this program reach."""
RETURNS = 0.5
"""Sessions a second that a host may begin, once it has begun as many as there may be bridges."""
HOSTS = 256
"""Hosts whose sessions are counted."""


class Listener:
    """A port for switches, and the sessions with those who came."""

    def __init__(
        self,
        endpoint: TcpEndpoint,
        listening: socket.socket,
        arrivals: Arrivals,
        bridges: Sequence[Bridge],
        begin: NewReconciler,
        has_room: Callable[[str], bool],
        claims: Claims,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`listening` listens at `endpoint`; it is closed when `run` returns.

        `has_room` says whether there may be a bridge of the entry `*` with that name, too.
        """
        self.endpoint = endpoint
        self.log = PeerLog(clock)
        self._arrivals = arrivals
        self._bridges = bridges
        self._begin = begin
        self._has_room = has_room
        self._claims = claims
        self._clock = clock
        self._sessions: list[Session] = []
        self._threads = Group()
        self._begun: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By host: how many sessions it may begin now, as of when."""
        self._stopping = False
        self._listening = listening
        self._entrance = Handshakes(listening, arrivals.connections, self._admit, self.log.refuse)

    def run(self) -> None:
        """Accept until `stop`."""
        LOG.info("listening on %s", self.endpoint)
        next_review = 0.0
        while not self._stopping:
            self._entrance.turn()
            if self._clock() >= next_review:
                next_review = self._clock() + REVIEW_TIME
                self._claims.review()
        self._entrance.close()
        self._threads.join()

    def stop(self) -> None:
        """Make `run` return, after our flows were taken back from all who are connected."""
        self._stopping = True
        for session in list(self._sessions):
            session.stop()

    @property
    def held(self) -> socket.socket:
        """The socket that listens, or is to listen next."""
        return self._listening

    def move(self, endpoint: TcpEndpoint, listening: socket.socket) -> None:
        """Listen elsewhere; the switches that are connected stay so."""
        self.endpoint, self._listening = endpoint, listening
        self._entrance.listen_at(listening)
        LOG.info("listening on %s", endpoint)

    def discard(self) -> None:
        """Close what `run` was to serve; only where it never runs."""
        self._entrance.close()

    def change(self, bridges: Sequence[Bridge], arrivals: Arrivals) -> None:
        """Take other bridges; those that are no longer asked for are left as they were found."""
        self._bridges, self._arrivals = bridges, arrivals
        self._entrance.most = arrivals.connections
        for session in list(self._sessions):
            if session.name is not None and self._find(session.name) is None:
                session.stop()

    def state(self) -> dict[str, Any]:
        """Who is there, for `status`."""
        return {
            "handshakes": self._entrance.waiting,
            "connections": len(self._sessions),
            "refused": self.log.refused,
        }

    def _admit(self, sock: socket.socket, host: str, handshake: Handshake) -> None:
        """Begin a session with a switch, in threads of its own, or refuse it."""
        try:
            session = self._session(sock, host, handshake)
        except SwitchError as error:
            sock.close()
            self.log.refuse(host, str(error))
            return
        self._sessions.append(session)
        if self._stopping:  # `stop` may have gone through the sessions before this one
            session.stop()
        self._threads.start(self._serve, session, host)

    def _session(self, sock: socket.socket, host: str, handshake: Handshake) -> Session:
        features = handshake.features
        assert features is not None
        name = features.local_name
        bridge = waiting_entry(self._bridges, name)
        if not features.datapath_id:
            raise SwitchError(f"{name} has the datapath id 0, which is nobody's")
        if not self._may_begin(host):
            raise SwitchError(f"it begins more than {RETURNS:g} sessions a second")
        trust = Trust.ACCEPTED
        if bridge.name == ANY_BRIDGE:
            trust = Trust.ANYONE
            if not self._has_room(name):
                raise SwitchError(
                    f"{name} is one too many: no more bridges that no entry names may be connected"
                    f" than {self._arrivals.bridges} (listen.bridges)"
                )
        session = Session(
            sock, f"tcp:{host}", self._find, self._greet, self._claims, trust, handshake
        )
        session.claim(name, features.datapath_id)
        return session

    def _may_begin(self, host: str) -> bool:
        most = float(self._arrivals.bridges + len(self._bridges))
        now = self._clock()
        left, since = self._begun.get(host, (most, now))
        left = min(most, left + RETURNS * (now - since))
        may = left >= 1
        self._begun[host] = left - may, now
        self._begun.move_to_end(host)
        if len(self._begun) > HOSTS:
            self._begun.popitem(last=False)
        return may

    def _serve(self, session: Session, host: str) -> None:
        try:
            session.serve()
        finally:
            self._sessions.remove(session)
            if session.failure is not None:
                self.log.refuse(host, session.failure)
            else:
                self.log.say(host, f"the connection of {session.name} has ended")

    def _greet(
        self, connection: Connection, bridge: Bridge, name: str
    ) -> tuple[Reconciler, Callable[..., None]]:
        self.log.say(str(connection.address).removeprefix("tcp:"), f"{name} has connected")
        return self._begin(connection, bridge, name)

    def _find(self, name: str) -> Bridge | None:
        with suppress(SwitchError):
            return waiting_entry(self._bridges, name)
        return None
