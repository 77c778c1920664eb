"""`connect: service`: the switch is asked to connect to us, and the management socket stands by."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from os_ken.lib import hub

from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.config.endpoint import ServiceEndpoint
from ryu_droplog.config.settings import Bridge
from ryu_droplog.connections import peer_owner
from ryu_droplog.connections.connector import Connector, NewReconciler, Session
from ryu_droplog.connections.peer_owner import owner_of_peer
from ryu_droplog.locks.bridge_claims import Claims, Trust
from ryu_droplog.locks.run_directory import user
from ryu_droplog.model.errors import SwitchError, why
from ryu_droplog.ovsdb.controller_row import ServiceRow
from ryu_droplog.text.phrases import without_name

LOG = logging.getLogger(__name__)

ACCEPT_TIME = 5.0
"""Seconds that the switch has to connect after the row is there."""
HANDSHAKE_TIME = 3.0
"""Seconds that it then has for OpenFlow's handshake: it is on this host."""
BACKLOG = 64
UNRECOGNISED_TIME = 60.0
"""Seconds between two lines about others who connect."""
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0
"""Seconds on the management socket until the row is tried again."""
LOOK_TIME = 3.0
"""Seconds between two looks at whether somebody limits our row."""
_LOOPBACK = "127.0.0.1"


class ServiceConnector(Connector):
    """Keeps one bridge connected by TCP, through a Controller row of our own."""

    def __init__(
        self,
        bridge: Bridge,
        endpoint: ServiceEndpoint,
        begin: NewReconciler,
        claims: Claims,
        clean_up: CleanUpClient,
        wanted_room: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(bridge, endpoint.management, begin, claims, wanted_room)
        self._clean_up = clean_up
        self._database = endpoint.database
        self._management = endpoint.management.path
        self._socket = socket.create_server((_LOOPBACK, 0), backlog=BACKLOG)
        self._next: socket.socket | None = None
        """A connection of the switch's that came while another one was served."""
        self._unrecognised = 0
        self._unrecognised_logged = -UNRECOGNISED_TIME
        target = f"tcp:{_LOOPBACK}:{self._socket.getsockname()[1]}"
        self._peer = f"our Controller row {target}"
        try:
            self._row = ServiceRow(endpoint.database, bridge.name, target)
        except BaseException:
            self._socket.close()
            raise

    def run(self) -> None:
        """Stay connected until `stop`: by the row, or while that is not to be had, without it."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._stopping:
            began = time.monotonic()
            trouble = self._by_row()
            if self._stopping:
                self._log_end()
                break
            if time.monotonic() - began > LONGEST_PAUSE:
                backoff.reset()
            seconds = backoff.failed()
            self._say(f"{trouble}; taking the management socket for {backoff.full:g} s")
            self._by_management_socket(seconds)
        self._keep(None)
        self._socket.close()
        try:
            self._row.remove()
            self._clean_up.write(self._will_key(), self._database, b"")
        except SwitchError as error:
            LOG.warning("%s: our Controller row may be left: %s", self._bridge.name, error)

    def discard(self) -> None:
        self._socket.close()

    def _by_row(self) -> str:
        """One connection that the row brings, from beginning to end; returns why it ended."""
        try:
            self._row.ensure()
            self._clean_up.write(self._will_key(), self._database, self._row.will())
        except SwitchError as error:
            return str(error)
        deadline = time.monotonic() + ACCEPT_TIME
        self._connected = False
        trouble = f"the switch does not connect to us within {ACCEPT_TIME:g} s"
        while not self._connected and not self._stopping:
            sock = self._accept(deadline)
            if sock is None:
                break
            self._by = "through"
            session = Session(
                sock,
                self._peer,
                self._find,
                self._greet,
                self._claims,
                Trust.LOCAL,
                handshake_time=HANDSHAKE_TIME,
            )
            watcher = start(self._watch_beside, session)
            self._serve(session)
            join([watcher])
            failure = session.failure and without_name(self._bridge.name, session.failure)
            trouble = failure or f"the connection through {self._peer} has ended"
        return trouble

    def _watch_beside(self, session: Session) -> None:
        """Turn others away who connect, and say when somebody limits our row.

        Neutron's log driver limits all rows.
        """
        said = None
        next_look = 0.0
        while not session.ended:
            hub.sleep(0.2)
            with suppress(TimeoutError):
                for _ in range(BACKLOG):
                    self._keep(self._accept_one(0.0) or self._next)
            if time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + LOOK_TIME
            with suppress(SwitchError):
                limit = self._row.limit()
                if limit is not None and limit != said:
                    LOG.warning(
                        "%s: somebody limits our Controller row to %d packet-ins a second",
                        self._bridge.name,
                        limit,
                    )
                said = limit

    def _will_key(self) -> str:
        return f"{self._bridge.name} Controller"

    def _accept(self, deadline: float) -> socket.socket | None:
        """The next connection of the switch's, until the deadline (monotonic, seconds)."""
        sock, self._next = self._next, None
        while sock is None and not self._stopping and time.monotonic() < deadline:
            with suppress(TimeoutError):
                sock = self._accept_one(min(deadline - time.monotonic(), 0.5))
        return sock

    def _accept_one(self, seconds: float) -> socket.socket | None:
        """The next connection; None where it is not the switch's, and was closed.

        Raises TimeoutError when nobody connects in time.
        """
        # At 0 eventlet would accept a socket that blocks all threads.
        self._socket.settimeout(max(seconds, 0.001))
        try:
            sock = self._socket.accept()[0]
        except TimeoutError:
            raise
        except OSError as error:  # no descriptors or no memory for another socket
            LOG.warning("%s: cannot accept a connection: %s", self._bridge.name, why(error))
            hub.sleep(0.5)
            return None
        if self._is_the_switch(sock):
            return sock
        sock.close()
        return None

    def _is_the_switch(self, sock: socket.socket) -> bool:
        """Whether the other end is root's, or of the user who has the management socket."""
        try:
            owner = owner_of_peer(sock)
        except OSError as error:
            self._log_unrecognised(
                f"whose it is cannot be read from {peer_owner.TABLE}: {why(error)}"
            )
            return False
        owners = {0}
        with suppress(OSError):
            owners.add(os.stat(self._management).st_uid)
        if owner not in owners:
            whose = "nobody any more" if owner is None else user(owner)
            self._log_unrecognised(f"it is of {whose}, and not of the switch")
        return owner in owners

    def _log_unrecognised(self, reason: str) -> None:
        self._unrecognised += 1
        if time.monotonic() - self._unrecognised_logged >= UNRECOGNISED_TIME:
            self._unrecognised_logged = time.monotonic()
            LOG.warning(
                "%s: a connection to our service port was closed: %s (%d so far)",
                self._bridge.name,
                reason,
                self._unrecognised,
            )

    def _keep(self, sock: socket.socket | None) -> None:
        """Hold a connection until the present one ends; only the latest counts."""
        former, self._next = self._next, sock
        if former is not None and former is not sock:
            former.close()

    def _by_management_socket(self, seconds: float) -> None:
        over: Any = hub.Queue()

        def end() -> None:
            try:
                over.get(timeout=seconds)
            except hub.QueueEmpty:
                session = self._session
                if session is not None:
                    session.stop()

        timer = start(end)
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            trouble = self._once()
            if self._stopping or time.monotonic() >= deadline:
                break
            self._complain(trouble)
            self._rest(min(1.0, max(deadline - time.monotonic(), 0.0)))
        over.put(True)
        join([timer])
