"""Keeps bridges connected: tries, waits longer each time, tries again, and says each thing once.

Who connects to us is the matter of `listener`.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from os_ken.lib import hub

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.config.endpoint import TcpEndpoint, UnixEndpoint
from ryu_droplog.config.settings import ANY_BRIDGE, Bridge
from ryu_droplog.connections.presence import cannot_connect
from ryu_droplog.connections.reach import CONNECTING, REFUSED, STEADY, UNREACHABLE, Trouble
from ryu_droplog.connections.room_keeper import RoomKeeper
from ryu_droplog.locks.bridge_claims import Claim, Claims, Trust
from ryu_droplog.model.bridge_name import port_name_of
from ryu_droplog.model.errors import DropLogError, SwitchError
from ryu_droplog.openflow.connection import Connection, new_handshake
from ryu_droplog.openflow.flow_removed import FlowRemoved
from ryu_droplog.openflow.handshake import Handshake
from ryu_droplog.reconcile.reconciler import Reconciler
from ryu_droplog.text.phrases import without_name

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds until the next try to connect."""
CONNECT_TIME = 5.0
"""Seconds that a connection may take."""
HANDSHAKE_TIME = 15.0
"""Seconds that a switch may take for OpenFlow's handshake."""
STOP_TIME = 7.0
"""Seconds that a connected switch has when the program stops, for all that it is asked."""
REASONS = 64
"""Reasons that a connector remembers to have told, for a bridge that is refused."""

NewReconciler = Callable[[Connection, Bridge, str], tuple[Reconciler, Callable[..., None]]]
"""Makes what a connected bridge needs: its reconciler, and what takes its PacketIns."""


class Session:
    """One connection from its first byte to its last."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        find: Callable[[str], Bridge | None],
        begin: NewReconciler,
        claims: Claims,
        trust: Trust,
        handshake: Handshake | None = None,
        handshake_time: float = HANDSHAKE_TIME,
    ) -> None:
        """`find` gives the settings of a bridge by the name of its LOCAL port; empty: it has none.

        `handshake` was completed over this socket; without one the switch has `handshake_time`
        seconds for it.
        """
        self.peer = peer
        self.failure: str | None = None
        """Why the connection was of no use, if it was not."""
        self.ended = False
        self._find = find
        self._begin = begin
        self._claims = claims
        self._trust = trust
        self._name: str | None = None
        self._claim: Claim | None = None
        self._reconciler: Reconciler | None = None
        self._take: Callable[..., None] | None = None
        self._thread: Any = None
        self._stopping = False
        self._handshake_time = None if handshake is not None else handshake_time
        self._connection = Connection(
            sock,
            peer,
            handshake or new_handshake(),
            on_packet_ins=self._packet_ins,
            on_ready=self._ready,
            on_flow_updates=self._flow_updates,
            on_flow_removed=self._flow_removed,
        )

    def serve(self) -> None:
        """Stay until the connection ends or `stop` is called."""
        watchdog = start(self._watch_handshake) if self._handshake_time is not None else None
        try:
            self._connection.serve()
        except Exception as error:  # whatever a switch sends ends its own connection, and no other
            LOG.exception("%s: the connection has failed", self.peer)
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            if self._reconciler is not None:
                self._reconciler.stop()
            join([thread for thread in (watchdog, self._thread) if thread is not None])
            if self._claim is not None:
                self._claims.release(self._claim)
            self.failure = self.failure or self._connection.refusal
            self.ended = True

    @property
    def name(self) -> str | None:
        """The bridge's name: its entry's, or (`*`) its LOCAL port's; None until it is known."""
        return self._name

    def stop(self) -> None:
        """Take our flows back, then end the connection."""
        self._stopping = True
        if self._reconciler is not None:
            self._reconciler.stop()
            start(self._end_in_time)
        else:
            self._connection.stop()

    def _end_in_time(self) -> None:
        """End the connection of a switch that does not answer: others are to clean up there."""
        deadline = time.monotonic() + STOP_TIME
        while not self.ended and time.monotonic() < deadline:
            hub.sleep(0.1)
        if not self.ended:
            self.failure = f"no answer from the switch within {STOP_TIME:g} s"
            self._connection.stop()

    def claim(self, port_name: str, datapath_id: int) -> Bridge:
        """Claim the bridge whose LOCAL port has that name; gives back its settings.

        Raises SwitchError when it is not asked for, or somebody else has it.
        """
        bridge = self._find(port_name)
        if bridge is None:
            if not port_name:
                raise SwitchError("the bridge there has no LOCAL port, which would tell its name")
            raise SwitchError(f"the bridge there is called {port_name!r}, and is not asked for")
        if self._claim is None:
            name = port_name if bridge.name == ANY_BRIDGE else bridge.name
            self._claim = self._claims.take(
                name, datapath_id, self.peer, self._trust, self._yield_bridge
            )
            self._name = name
        return bridge

    def _yield_bridge(self, reason: str) -> None:
        """End at once: a connection that is trusted more has the bridge."""
        self.failure = reason
        self._stopping = True
        self._connection.stop()

    def _watch_handshake(self) -> None:
        assert self._handshake_time is not None
        deadline = time.monotonic() + self._handshake_time
        while self._connection.is_active and self._thread is None and not self._stopping:
            if time.monotonic() > deadline:
                self.failure = f"no OpenFlow handshake within {self._handshake_time:g} s"
                self._connection.stop()
            hub.sleep(0.1)

    # In the reader's thread

    def _packet_ins(self, messages: Sequence[bytes], now: float) -> None:
        if self._take is not None:
            self._take(messages, now)

    def _flow_updates(self, body: bytes) -> None:
        if self._reconciler is not None:
            self._reconciler.flow_updates(body)

    def _flow_removed(self, removed: FlowRemoved) -> None:
        if self._reconciler is not None:
            self._reconciler.flow_removed(removed)

    def _ready(self, connection: Connection) -> None:
        try:
            bridge = self.claim(connection.name, connection.id)
        except SwitchError as error:
            self.failure = str(error)
            connection.stop()
            return
        if self._stopping:
            connection.stop()
            return
        assert self._name is not None
        self._reconciler, self._take = self._begin(connection, bridge, self._name)
        self._thread = start(self._program, self._reconciler)

    # In the reconciler's thread

    def _program(self, reconciler: Reconciler) -> None:
        try:
            reconciler.run()
        except DropLogError as error:
            if not self._connection.stopped and not self.failure:
                self.failure = str(error)
        except Exception as error:
            LOG.exception("%s: reconciling the flows of the bridge has failed", self.peer)
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            self._connection.stop()


class Connector:
    """Keeps one bridge connected through its management socket or by TCP outward."""

    def __init__(
        self,
        bridge: Bridge,
        endpoint: UnixEndpoint | TcpEndpoint,
        begin: NewReconciler,
        claims: Claims,
        wanted_room: Callable[[], int] = lambda: 0,
    ) -> None:
        """`wanted_room`: bytes that the switch's end of a management socket is to hold; 0: any."""
        self._bridge = bridge
        self._endpoint = endpoint
        self.room_keeper = RoomKeeper(wanted_room, self._say)
        self._begin = begin
        self._claims = claims
        self._session: Session | None = None
        self._stopping = False
        self._wake: Any = hub.Queue()
        self.trouble: Trouble | None = None
        """Why the last connection is none any more, or could not be had; None: there was none."""
        self._said: set[str] = set()
        """What was said since the bridge was connected last."""
        self._failure: str | None = None
        self._by = "to"
        """`to` what the connection leads, or `through` what it has come."""
        self._connected = False
        """Whether the last connection got as far as a bridge that is ours to watch."""

    def run(self) -> None:
        """Connect, stay, connect again, until `stop`."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._stopping:
            began = time.monotonic()
            trouble = self._once()
            if self._stopping:
                self._log_end()
                break
            lived = self._connected and self._failure is None
            if time.monotonic() - began > (STEADY if lived else LONGEST_PAUSE):
                backoff.reset()
            self._complain(trouble)
            self._rest(backoff.failed())

    def discard(self) -> None:
        """Let go of what `run` was to use; only where it never runs."""

    def stop(self) -> None:
        """Make `run` return, after our flows were taken back."""
        self._stopping = True
        self._wake.put(None)
        if self._session is not None:
            self._session.stop()

    def _once(self) -> str:
        """One connection from beginning to end; returns why it ended."""
        self._connected = False
        try:
            sock = connect(self._endpoint)
        except OSError as error:
            self.trouble = Trouble(UNREACHABLE, cannot_connect(self._endpoint, error))
            return self.trouble.text
        trust = Trust.LOCAL if isinstance(self._endpoint, UnixEndpoint) else Trust.OUTWARD
        self._by = "to"
        session = Session(sock, str(self._endpoint), self._find, self._greet, self._claims, trust)
        self._serve(session)
        return self.trouble.text if self.trouble else ""

    def _serve(self, session: Session) -> None:
        self._session = session
        self._connected = False
        began = time.monotonic()
        if self._stopping:
            session.stop()
        session.serve()
        self.room_keeper.end()
        self._session = None
        self._failure = session.failure
        ended = f"the connection to {session.peer} has ended"
        failure = session.failure and without_name(self._bridge.name, session.failure)
        was_good = session.failure is None or time.monotonic() - began > STEADY
        if self._connected and was_good:
            self._said.clear()
            self.trouble = Trouble(CONNECTING, failure or ended)
        else:
            self.trouble = Trouble(REFUSED if failure else CONNECTING, failure or ended)

    def _log_end(self) -> None:
        if self._failure and self._connected:  # where nothing was begun, nothing is left
            failure = without_name(self._bridge.name, self._failure)
            LOG.warning("%s: the bridge could not be cleaned: %s", self._bridge.name, failure)

    def _rest(self, seconds: float) -> None:
        """Do nothing until the time is over or `stop` is called."""
        with suppress(hub.QueueEmpty):
            self._wake.get(timeout=max(seconds, 0.001))

    def _find(self, port_name: str) -> Bridge | None:
        """Our bridge, where it is the one there.

        A bridge without a LOCAL port is known by its management socket, which Open vSwitch gives
        the whole name.
        """
        name = self._bridge.name
        told = port_name == port_name_of(name)
        return self._bridge if told or (not port_name and self._is_socket_of(name)) else None

    def _is_socket_of(self, name: str) -> bool:
        endpoint = self._endpoint
        return (
            isinstance(endpoint, UnixEndpoint) and os.path.basename(endpoint.path) == f"{name}.mgmt"
        )

    def _greet(
        self, connection: Connection, bridge: Bridge, name: str
    ) -> tuple[Reconciler, Callable[..., None]]:
        self._connected = True
        self._say(f"connected {self._by} {connection.address}")
        self.room_keeper.begin(connection)
        return self._begin(connection, bridge, name)

    def _complain(self, trouble: str) -> None:
        """Say why there is no connection: each reason once, until there has been one again."""
        state = self.trouble.state if self.trouble else CONNECTING
        level = logging.INFO if state == CONNECTING else logging.WARNING
        # Why a socket is not there may change with each try while Open vSwitch starts.
        topic = state if state == UNREACHABLE else trouble
        self._say(f"{trouble}; trying again", level, topic)

    def _say(self, text: str, level: int = logging.INFO, topic: str = "") -> None:
        topic = topic or text
        if topic not in self._said:
            if len(self._said) >= REASONS:
                self._said.clear()
            self._said.add(topic)
            LOG.log(level, "%s: %s", self._bridge.name, text)


def connect(endpoint: UnixEndpoint | TcpEndpoint) -> socket.socket:
    """Open a stream socket; raises OSError, within `CONNECT_TIME` seconds."""
    if isinstance(endpoint, TcpEndpoint):
        return socket.create_connection((endpoint.host, endpoint.port), CONNECT_TIME)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_TIME)
    try:
        sock.connect(os.fspath(endpoint.path))
    except BaseException:
        sock.close()
        raise
    return sock
