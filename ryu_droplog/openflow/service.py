"""`connect: service`: the switch is asked to connect to us, and the management socket stands by."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from typing import Any

from os_ken.lib import hub

from ryu_droplog.endpoint import ServiceEndpoint
from ryu_droplog.errors import SwitchError
from ryu_droplog.openflow.claims import Claims
from ryu_droplog.openflow.link import Link, NewProgrammer, Session
from ryu_droplog.openflow.ovsdb import ServiceRow
from ryu_droplog.openflow.threads import start
from ryu_droplog.openflow.will import LastWill
from ryu_droplog.phrases import without_name
from ryu_droplog.settings import Bridge

LOG = logging.getLogger(__name__)

ACCEPT_TIME = 5.0
"""Seconds that the switch has to connect after the row is there."""
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0
"""Seconds on the management socket until the row is tried again; doubles each time."""
LOOK_TIME = 3.0
"""Seconds between two looks at whether somebody limits our row."""
_LOOPBACK = "127.0.0.1"


class ServiceLink(Link):
    """Keeps one bridge connected by TCP, through a Controller row of our own."""

    def __init__(
        self,
        bridge: Bridge,
        endpoint: ServiceEndpoint,
        begin: NewProgrammer,
        claims: Claims,
        will: LastWill,
    ) -> None:
        super().__init__(bridge, endpoint.management, begin, claims)
        self._will = will
        self._database = endpoint.database
        self._socket = socket.create_server((_LOOPBACK, 0), backlog=1)
        target = f"tcp:{_LOOPBACK}:{self._socket.getsockname()[1]}"
        self._row = ServiceRow(endpoint.database, bridge.name, target)

    def run(self) -> None:
        """Stay connected until `stop`: by the row, or while that is not to be had, without it."""
        pause = FIRST_PAUSE
        while not self._stopping:
            began = time.monotonic()
            trouble = self._by_row()
            if self._stopping:
                self._say_farewell()
                break
            if time.monotonic() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            self._say(f"{trouble}; taking the management socket for {pause:g} s")
            self._by_management_socket(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._socket.close()
        try:
            self._row.remove()
            self._will.write(self._will_key(), self._database, b"")
        except SwitchError as error:
            LOG.warning("%s: our Controller row may be left: %s", self._bridge.name, error)

    def _by_row(self) -> str:
        """One connection that the row brings, from beginning to end; returns why it ended."""
        try:
            self._row.ensure()
            self._will.write(self._will_key(), self._database, self._row.will())
        except SwitchError as error:
            return str(error)
        sock = self._accept()
        if sock is None:
            return f"the switch does not connect to us within {ACCEPT_TIME:g} s"
        peer = "a service connection"
        session = Session(sock, peer, self._find, self._greet, self._claims)
        watcher = start(self._watch_limit, session)
        self._serve(session)
        hub.joinall([watcher])
        failure = session.failure and without_name(self._bridge.name, session.failure)
        return failure or "the service connection has ended"

    def _watch_limit(self, session: Session) -> None:
        """Say when somebody limits our row, as Neutron's log driver does with all rows."""
        said = None
        next_look = 0.0
        while not session.ended:
            hub.sleep(0.2)
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

    def _accept(self) -> socket.socket | None:
        deadline = time.monotonic() + ACCEPT_TIME
        self._socket.settimeout(0.5)
        while not self._stopping and time.monotonic() < deadline:
            try:
                return self._socket.accept()[0]
            except TimeoutError:
                continue
        return None

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
        hub.joinall([timer])
