"""A connection to one bridge: one read takes what the socket holds, packet-ins leave it as bytes.

os-ken builds the messages that are sent. Nothing that comes is given to its parsers: what may come
is listed in `Connection._take_other`, and each kind is read by code of ours that checks every
length.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_3 as of
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.model.errors import SwitchError, SwitchTimeout, why
from ryu_droplog.openflow.flow_removed import FlowRemoved, parse_flow_removed
from ryu_droplog.openflow.framing import HEADER, Framer
from ryu_droplog.openflow.handshake import MOST_PORTS, VERSION, Handshake
from ryu_droplog.openflow.read_pace import ReadPace
from ryu_droplog.openflow.replies import (
    MULTIPART,
    SwitchErrorMessage,
    echo_reply,
    error_of,
    error_text,
    multipart_of,
    port_status_of,
)

__all__ = ["ANSWER_TIME", "Answer", "Connection", "error_text", "new_handshake"]

READ_SIZE = 256 * 1024
"""Bytes asked of the socket at once."""
READER_NICE = -10
"""Niceness of a reading thread, where root may set it: it does little, and must not wait long."""
ANSWER_TIME = 10.0
"""Seconds that a switch has for its answers."""
SOCKET_TIME = 5.0
"""Seconds that a switch may take to read what it is sent."""
MOST_ANSWERED = 256 * 1024 * 1024
"""Bytes of the answers to one exchange. A flow takes 100 to 300: this is a million flows."""
MOST_UNREAD = 64
"""Echo replies that may wait for a switch to read them."""
END_TIME = 2.0
"""Seconds that the sending thread has to end, once its socket is closed."""

_MONITOR = of.ONFMP_FLOW_MONITOR.to_bytes(4, "big")
_MONITOR_UPDATE = b"ONF\0" + _MONITOR
"""Experimenter and type, in front of the updates of a flow monitor (ONF extension 187)."""

PacketIns = Callable[[Sequence[bytes], float], None]
"""Takes whole PacketIn messages, and the time at which they were read (seconds since the epoch)."""


@dataclass
class Answer:
    """What the switch said to one message."""

    error: SwitchErrorMessage | None = None
    """Why it was refused, if it was."""
    bodies: list[bytes] = field(default_factory=list)
    """Bodies of multipart replies without their headers, or other replies as whole messages."""


class _Exchange:
    """Messages that were sent together, until the barrier behind them is answered."""

    def __init__(self, requests: dict[int, bytes], barrier: int) -> None:
        """`requests` has the bytes of each message by its xid."""
        self.answers = {xid: Answer() for xid in requests}
        self.barrier = barrier
        self.done: Any = hub.Queue()
        self._expected = {xid: _reply_to(request) for xid, request in requests.items()}
        self._size = 0

    def take(self, xid: int, kind: int, message: bytes) -> None:
        """Take a reply; raises SwitchError when it is not what the request asks for."""
        self._size += len(message)
        if self._size > MOST_ANSWERED:
            raise SwitchError(f"it answered with more than {MOST_ANSWERED} bytes")
        expected = self._expected.get(xid, (of.OFPT_BARRIER_REPLY, None))
        multipart, body = multipart_of(message) if kind == of.OFPT_MULTIPART_REPLY else (None, b"")
        if expected != (kind, multipart):
            raise SwitchError(f"it answered with a message of type {kind} that was not asked for")
        if xid == self.barrier:
            self.done.put(True)
        else:
            self.answers[xid].bodies.append(message if multipart is None else body)

    def refuse(self, xid: int, error: SwitchErrorMessage) -> None:
        """Take an error; raises SwitchError when the barrier itself is refused."""
        if xid == self.barrier:
            raise SwitchError(f"it refuses a barrier: {error_text(error)}")
        self.answers[xid].error = error


_REPLIES = {
    of.OFPT_EXPERIMENTER: of.OFPT_EXPERIMENTER,
    of.OFPT_GET_CONFIG_REQUEST: of.OFPT_GET_CONFIG_REPLY,
    of.OFPT_MULTIPART_REQUEST: of.OFPT_MULTIPART_REPLY,
}
"""The type of the reply to a request of that type; others are answered by an error, or not."""


def _reply_to(request: bytes) -> tuple[int | None, int | None]:
    """Type, and multipart type, of the reply to a request."""
    kind = request[1]
    if kind != of.OFPT_MULTIPART_REQUEST:
        return _REPLIES.get(kind), None
    return of.OFPT_MULTIPART_REPLY, MULTIPART.unpack_from(request, HEADER.size)[0]


def new_handshake() -> Handshake:
    """What a `Connection` over a fresh connection begins with."""
    return Handshake()


class Connection(ProtocolDesc):  # type: ignore[misc]
    """One OpenFlow 1.3 connection.

    `serve` reads until the connection ends. `exchange` may be called from any other thread of the
    hub once `on_ready` has been called.
    """

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        handshake: Handshake,
        on_packet_ins: PacketIns,
        on_ready: Callable[[Connection], None],
        on_flow_updates: Callable[[bytes], None],
        on_flow_removed: Callable[[FlowRemoved], None],
    ) -> None:
        """`peer` is the other end, as the user wrote it. The callbacks run in the reader's thread.

        `handshake` is new, or was completed over this very socket. on_ready comes once, after it;
        on_flow_updates gets the body of each flow monitor message. A SwitchError that a callback
        raises ends the connection.
        """
        super().__init__(VERSION)
        self.socket = sock
        self.address = peer
        self.is_active = True
        """Whether the connection is still to be served."""
        self.id = 0
        """The datapath id, once the handshake is complete."""
        self.ports: dict[int, str] = {}
        """The names of the bridge's ports by OpenFlow port number, as last reported."""
        self.name = ""
        """The name of the LOCAL port in the handshake: 15 bytes of the bridge's; "" without one."""
        self.refusal: str | None = None
        """Why the connection was ended, in words; None: it was stopped, or the switch hung up."""
        self.may_rest = False
        """Whether the reader rests while PacketIns keep coming; set where the switch has room."""
        self._pace = ReadPace()
        self._handshake = handshake
        self._on_packet_ins = on_packet_ins
        self._on_ready = on_ready
        self._on_flow_updates = on_flow_updates
        self._on_flow_removed = on_flow_removed
        self._framer = Framer()
        self._exchanges: dict[int, _Exchange] = {}
        self._xid = random.randrange(1, 1 << 31)
        self._stopped = False
        self._outbox: Any = hub.Queue()
        if sock.family != socket.AF_UNIX:
            with suppress(OSError):  # it may have ended already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(SOCKET_TIME)

    # Sending and waiting

    def set_xid(self, message: Any) -> int:
        """Give a message of os-ken's the next xid; 0 is what comes unasked."""
        self._xid = self._xid % of.MAX_XID + 1
        message.set_xid(self._xid)
        return self._xid

    def exchange(self, messages: Sequence[Any], answer_time: float = ANSWER_TIME) -> list[Answer]:
        """Send messages with a barrier behind them, and return an answer for each.

        Raises SwitchTimeout when the barrier's reply does not come within `answer_time` seconds,
        SwitchError when the connection ends first.
        """
        barrier = self.ofproto_parser.OFPBarrierRequest(self)
        packed: dict[int, bytes] = {}
        for message in (*messages, barrier):
            xid = self.set_xid(message)
            message.serialize()
            packed[xid] = bytes(message.buf)
        *xids, last = packed
        exchange = _Exchange({xid: packed[xid] for xid in xids}, last)
        for xid in packed:
            self._exchanges[xid] = exchange
        try:
            if self._stopped:
                raise SwitchError(f"{self.address}: the connection has ended")
            self._outbox.put(b"".join(packed.values()))
            if not exchange.done.get(timeout=answer_time):
                raise SwitchError(
                    f"{self.address}: the connection ended before the switch answered"
                )
        except hub.QueueEmpty:
            raise SwitchTimeout(
                f"{self.address}: no answer from the switch within {answer_time:g} s"
            ) from None
        finally:
            for xid in packed:
                self._exchanges.pop(xid, None)
        return [exchange.answers[xid] for xid in xids]

    @property
    def stopped(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self._stopped

    def stop(self) -> None:
        """End the connection: `serve` returns soon after."""
        self._stopped = True
        with suppress(OSError):  # it may have ended already
            self.socket.shutdown(socket.SHUT_RDWR)

    # Reading

    def serve(self) -> None:
        """Shake hands, then read until the connection ends or `stop` is called."""
        sender = start(self._send)
        try:
            self._read()
        except SwitchError as error:
            self.refusal = str(error)
        finally:
            self.stop()
            self._outbox.put(None)
            join([sender], END_TIME)
            self.socket.close()
            self.is_active = False
            for exchange in list(self._exchanges.values()):
                exchange.done.put(False)

    def _send(self) -> None:
        """Write what `exchange` and `_take_other` have put, in a thread of its own."""
        try:
            while (data := self._outbox.get()) is not None:
                self.socket.sendall(data)
        except TimeoutError:
            self.refusal = f"it did not read what it was sent within {SOCKET_TIME:g} s"
        except OSError as error:
            if not self._stopped:
                self.refusal = f"sending failed: {why(error)}"
        self.stop()

    def _read(self) -> None:
        cooperative = hub.HUB_TYPE == "eventlet"
        if not cooperative:
            with suppress(OSError):  # only root may
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), READER_NICE)
        early = self._shake_hands()
        if early:
            self._take(early, time.time())
        while not self._stopped:
            chunk = self._receive()
            if not chunk:
                return
            packet_ins_only = self._take(chunk, time.time())
            rest = 0.0
            if self.may_rest:
                rest = self._pace.rest(
                    time.monotonic(),
                    packet_ins_only=packet_ins_only,
                    full=len(chunk) == READ_SIZE,
                    asked=bool(self._exchanges),
                )
            if rest or cooperative:
                hub.sleep(rest)

    def _receive(self) -> bytes:
        """What the socket holds; empty when the connection has ended."""
        while not self._stopped:
            try:
                return self.socket.recv(READ_SIZE)
            except TimeoutError:
                continue
            except OSError:
                break
        return b""

    def _shake_hands(self) -> bytes:
        """Do the handshake; returns what the switch has sent since, b"" when it is refused."""
        handshake = self._handshake
        if not handshake.done:
            self._outbox.put(handshake.greeting())
        while not handshake.done:
            chunk = self._receive()
            if not chunk:
                return b""
            self._answer(handshake.receive(chunk))
        features = handshake.features
        if features is None:
            self.refusal = handshake.refusal
            self._stopped = True
            return b""
        self.id, self.name = features.datapath_id, features.local_name
        self.ports.update(features.ports)
        self._on_ready(self)
        return handshake.rest

    def _take(self, chunk: bytes, now: float) -> bool:
        """Handle all messages that are whole with `chunk`, in order; raises SwitchError.

        Returns whether all of them were PacketIns.
        """
        packet_ins_only = True
        for item in self._framer.feed(chunk):
            if isinstance(item, list):
                self._on_packet_ins(item, now)
            else:
                packet_ins_only = False
                self._take_other(item)
        return packet_ins_only

    def _take_other(self, message: bytes) -> None:
        """Handle what is no PacketIn of OpenFlow 1.3; raises SwitchError: it makes no sense."""
        version, kind, _, xid = HEADER.unpack_from(message)
        if version != VERSION:
            raise SwitchError(f"it sent a message of OpenFlow version {version}, not {VERSION}")
        exchange = self._exchanges.get(xid)
        if kind == of.OFPT_FLOW_REMOVED:
            self._on_flow_removed(parse_flow_removed(message))
        elif kind == of.OFPT_PORT_STATUS:
            self._take_port_status(message)
        elif kind == of.OFPT_ECHO_REQUEST:
            self._answer(echo_reply(message))
        elif kind == of.OFPT_ERROR:
            if exchange is not None:
                exchange.refuse(xid, error_of(message))
        elif kind in _REPLIES.values() or kind == of.OFPT_BARRIER_REPLY:
            # Of no exchange: an answer that came too late, or what the switch says unasked.
            if exchange is not None:
                exchange.take(xid, kind, message)
            if kind == of.OFPT_MULTIPART_REPLY and (exchange is not None or not xid):
                self._take_flow_updates(message)
        else:
            raise SwitchError(f"it sent a message of type {kind}, which was not asked for")

    def _take_flow_updates(self, message: bytes) -> None:
        multipart, body = multipart_of(message)
        if multipart == of.OFPMP_EXPERIMENTER and body.startswith(_MONITOR_UPDATE):
            self._on_flow_updates(body)

    def _take_port_status(self, message: bytes) -> None:
        status = port_status_of(message)
        if status.name is None:
            self.ports.pop(status.number, None)
        elif status.number in self.ports or len(self.ports) < MOST_PORTS:
            self.ports[status.number] = status.name

    def _answer(self, data: bytes) -> None:
        """Send what was asked for, unless the switch asks for more than it reads."""
        if self._outbox.qsize() > MOST_UNREAD:
            raise SwitchError("it does not read what it asks for")
        if data:
            self._outbox.put(data)
