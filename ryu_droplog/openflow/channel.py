"""A connection to one bridge: os-ken's handshake and dispatch over a reader that takes batches.

os-ken's own reader asks the socket for each message twice, builds an object for it and waits on a
queue of 128. Here one read takes what the socket holds, and packet-ins leave the buffer as bytes.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import Any

# os_ken.controller.controller cannot be imported before this (os-ken 4).
from os_ken.base import app_manager  # noqa: F401
from os_ken.controller import ofp_event, ofp_handler
from os_ken.controller.controller import Datapath
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, register_instance
from os_ken.lib import hub
from os_ken.ofproto import ofproto_parser, ofproto_v1_3

from ryu_droplog.errors import SwitchError, SwitchTimeout
from ryu_droplog.openflow.counters import FlowRemoved, parse_flow_removed
from ryu_droplog.printable import printable

LOG = logging.getLogger(__name__)

READ_SIZE = 256 * 1024
"""Bytes asked of the socket at once."""
READER_NICE = -10
"""Niceness of a reading thread, where root may set it: it does little, and must not wait long."""
ANSWER_TIME = 10.0
"""Seconds that a switch has for its answers."""

_HEADER = Struct("!BBHI")  # version, type, length, xid (OpenFlow 1.3.5 section 7.1)
_MULTIPART = Struct("!HH4x")  # type, flags (section 7.3.5)
_ELEMENT = Struct("!HH")  # of a hello: type, length (section 7.5.1)
_PACKET_IN = ofproto_v1_3.OFPT_PACKET_IN
_FLOW_REMOVED = ofproto_v1_3.OFPT_FLOW_REMOVED
_MULTIPART_REPLY = ofproto_v1_3.OFPT_MULTIPART_REPLY
_RAW_MULTIPARTS = (
    ofproto_v1_3.OFPMP_FLOW,
    ofproto_v1_3.OFPMP_TABLE_FEATURES,
    ofproto_v1_3.OFPMP_EXPERIMENTER,
)
"""Replies that are handed on as bytes: large ones, of which os-ken would make very many objects."""
_MULTIPART_BODY = _HEADER.size + _MULTIPART.size

PacketIns = Callable[[Sequence[bytes], float], None]
"""Takes whole PacketIn messages, and the time at which they were read (seconds since the epoch)."""


@dataclass
class Answer:
    """What the switch said to one message."""

    error: Any = None
    """os-ken's OFPErrorMsg, if it was refused."""
    messages: list[Any] = field(default_factory=list)
    """Replies that os-ken parsed."""
    bodies: list[bytes] = field(default_factory=list)
    """Bodies of raw multipart replies, in order."""


class _Exchange:
    """Messages that were sent together, until the barrier behind them is answered."""

    def __init__(self, xids: Sequence[int], barrier: int) -> None:
        self.answers = {xid: Answer() for xid in xids}
        self.barrier = barrier
        self.done: Any = hub.Queue()


class _UnixSocket:
    """Lets os-ken set TCP_NODELAY on a Unix socket, which has no such thing."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if level != socket.IPPROTO_TCP:
            self._sock.setsockopt(level, option, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def new_handshake() -> Any:
    """os-ken's own handlers for hello, features, echo and errors, without its listening server.

    It is not registered as the service `ofp_event`: other applications in the same process do not
    see our connections.
    """
    handshake = ofp_handler.OFPHandler()
    register_instance(handshake)
    return handshake


class Channel(Datapath):  # type: ignore[misc]
    """One OpenFlow 1.3 connection.

    `serve` reads until the connection ends. `exchange` may be called from any other thread of the
    hub once `ready` has been called.
    """

    supported_ofp_version = frozenset({ofproto_v1_3.OFP_VERSION})

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        handshake: Any,
        on_packet_ins: PacketIns,
        on_ready: Callable[[Channel], None],
        on_flow_updates: Callable[[bytes], None],
        on_flow_removed: Callable[[FlowRemoved], None],
    ) -> None:
        """`peer` is the other end, as the user wrote it. The callbacks run in the reader's thread.

        on_ready comes once, after the handshake; on_flow_updates gets the body of each flow
        monitor message.
        """
        self._exchanges: dict[int, _Exchange] = {}
        super().__init__(_UnixSocket(sock) if sock.family == socket.AF_UNIX else sock, peer)
        self.set_version(ofproto_v1_3.OFP_VERSION)
        self.ofp_brick = handshake
        self._on_packet_ins = on_packet_ins
        self._on_ready = on_ready
        self._on_flow_updates = on_flow_updates
        self._on_flow_removed = on_flow_removed
        self.refusal: str | None = None
        """Why the switch refused the handshake, if it did."""

    # Sending and waiting

    def exchange(self, messages: Sequence[Any], answer_time: float = ANSWER_TIME) -> list[Answer]:
        """Send messages with a barrier behind them, and return an answer for each.

        Raises SwitchTimeout when the barrier's reply does not come within `answer_time` seconds,
        SwitchError when the connection ends first.
        """
        xids = [self.set_xid(message) for message in messages]
        barrier = self.ofproto_parser.OFPBarrierRequest(self)
        exchange = _Exchange(xids, self.set_xid(barrier))
        for xid in (*xids, exchange.barrier):
            self._exchanges[xid] = exchange
        try:
            if self.state == DEAD_DISPATCHER:
                raise SwitchError(f"{self.address}: the connection has ended")
            for message in (*messages, barrier):
                self.send_msg(message)
            if not exchange.done.get(timeout=answer_time):
                raise SwitchError(
                    f"{self.address}: the connection ended before the switch answered"
                )
        except hub.QueueEmpty:
            raise SwitchTimeout(
                f"{self.address}: no answer from the switch within {answer_time:g} s"
            ) from None
        finally:
            for xid in (*xids, exchange.barrier):
                self._exchanges.pop(xid, None)
        return [exchange.answers[xid] for xid in xids]

    def stop(self) -> None:
        """End the connection: `serve` returns soon after."""
        self.set_state(DEAD_DISPATCHER)
        with suppress(OSError):  # it may have ended already
            self.socket.shutdown(socket.SHUT_RDWR)

    # Reading

    def serve(self) -> None:
        """Shake hands, then read until the connection ends or `stop` is called."""
        sender = hub.spawn(self._send_loop)
        self.send_msg(self.ofproto_parser.OFPHello(self))
        try:
            self._recv_loop()
        finally:
            self.close()
            self.send(b"", close_socket=True)  # os-ken's sender ends only with a message
            hub.joinall([sender])
            self.socket.close()
            self.is_active = False
            for exchange in list(self._exchanges.values()):
                exchange.done.put(False)

    def _recv_loop(self) -> None:
        rest = b""
        cooperative = hub.HUB_TYPE == "eventlet"
        if not cooperative:
            with suppress(OSError):  # only root may
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), READER_NICE)
        while self.state != DEAD_DISPATCHER:
            try:
                chunk = self.socket.recv(READ_SIZE)
            except TimeoutError:
                continue
            except OSError:
                return
            if not chunk:
                return
            rest = self._take(rest + chunk, time.time())
            if cooperative:
                hub.sleep(0)

    def _take(self, data: bytes, now: float) -> bytes:
        """Handle all whole messages in `data`, in order; return what is left."""
        offset, end = 0, len(data)
        packet_ins: list[bytes] = []
        while end - offset >= _HEADER.size:
            version, kind, length, xid = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                self.refusal = f"it sent a message of type {kind} that says it has {length} bytes"
                self.stop()
                return b""
            if length > end - offset:
                break
            message = data[offset : offset + length]
            offset += length
            if kind == _PACKET_IN:
                packet_ins.append(message)
                continue
            if packet_ins:
                self._on_packet_ins(packet_ins, now)
                packet_ins = []
            self._take_other(version, kind, length, xid, message)
        if packet_ins:
            self._on_packet_ins(packet_ins, now)
        return data[offset:]

    def _take_other(self, version: int, kind: int, length: int, xid: int, message: bytes) -> None:
        if kind == _FLOW_REMOVED:
            try:
                self._on_flow_removed(parse_flow_removed(message))
            except SwitchError as error:
                self.refusal = str(error)
                self.stop()
            return
        if kind == ofproto_v1_3.OFPT_HELLO and not _hello_is_sound(message):
            self.refusal = "its hello has an element without a length"
            self.stop()
            return
        exchange = self._exchanges.get(xid)
        if kind == _MULTIPART_REPLY and length >= _MULTIPART_BODY:
            multipart, _ = _MULTIPART.unpack_from(message, _HEADER.size)
            if multipart in _RAW_MULTIPARTS:
                body = message[_MULTIPART_BODY:]
                if exchange is not None and xid in exchange.answers:
                    exchange.answers[xid].bodies.append(body)
                if multipart == ofproto_v1_3.OFPMP_EXPERIMENTER:
                    self._on_flow_updates(body)
                return
        before = self.state
        parsed = ofproto_parser.msg(self, version, kind, length, xid, message)
        if parsed is None:
            return
        if kind == ofproto_v1_3.OFPT_HELLO and not self._speaks(parsed):
            self.stop()
            return
        self._dispatch(parsed)
        if exchange is not None:
            if xid == exchange.barrier:
                exchange.done.put(True)
            elif kind == ofproto_v1_3.OFPT_ERROR:
                exchange.answers[xid].error = parsed
            else:
                exchange.answers[xid].messages.append(parsed)
        elif kind == ofproto_v1_3.OFPT_ERROR and before != MAIN_DISPATCHER:
            self.refusal = error_text(parsed)
        if before != MAIN_DISPATCHER and self.state == MAIN_DISPATCHER:
            self._on_ready(self)

    def _speaks(self, hello: Any) -> bool:
        """Whether the switch offers OpenFlow 1.3; if not, the refusal says what it offers."""
        elements = getattr(hello, "elements", ())  # OpenFlow 1.0 has none
        versions = {version for element in elements for version in element.versions}
        versions = versions or set(range(1, hello.version + 1))
        if self.ofproto.OFP_VERSION in versions:
            return True
        offered = ", ".join(f"1.{version - 1}" for version in sorted(versions))
        self.refusal = (
            f"the bridge does not speak OpenFlow 1.3, but {offered}"
            " (ovs-vsctl add bridge NAME protocols OpenFlow13)"
        )
        return False

    def _dispatch(self, message: Any) -> None:
        """What os-ken's own reader does with a message."""
        event = ofp_event.ofp_msg_to_ev(message)
        self.ofp_brick.send_event_to_observers(event, self.state)
        for handler in self.ofp_brick.get_handlers(event, self.state):
            try:
                handler(event)
            except Exception:  # one odd message must not end the reader
                LOG.exception(
                    "%s: os-ken could not handle %s", self.address, type(message).__name__
                )


def _hello_is_sound(message: bytes) -> bool:
    """Whether os-ken's parser, which trusts their lengths, comes to an end of the elements."""
    offset = _HEADER.size
    while offset + _ELEMENT.size <= len(message):
        _, length = _ELEMENT.unpack_from(message, offset)
        if length < _ELEMENT.size:
            return False
        offset += length
    return True


def error_text(error: Any) -> str:
    """An OFPErrorMsg in the specification's words: `OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP`."""
    if error.type == ofproto_v1_3.OFPET_EXPERIMENTER:
        return f"experimenter error {error.exp_type} of {error.experimenter:#x}"
    if error.type == ofproto_v1_3.OFPET_HELLO_FAILED:
        return f"it refuses OpenFlow 1.3 ({printable(error.data.decode('ascii', 'replace'))})"
    kind = ofproto_v1_3.ofp_error_type_to_str(error.type)
    code = ofproto_v1_3.ofp_error_code_to_str(error.type, error.code)
    return f"{kind.split('(')[0]}, {code.split('(')[0]}"
