"""Packet events to whoever listens at a Unix stream socket: JSON arrays, one behind the other.

As the OpFlex agent's exporter sends them (opflex, agent-ovs/ovs/PacketLogHandler.cpp); but none is
cut, and none is lost when the listener goes away in the middle of an array.
"""

from __future__ import annotations

import socket
import time
from _socket import socket as Socket
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct as Layout
from typing import Annotated

import msgspec
from msgspec import Struct
from pydantic import Field

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Arp, Drop, IPv4, Tcp, Udp
from ryu_droplog.model.errors import why
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.schema.fields import checked_by
from ryu_droplog.schema.socket_path import check_socket_path
from ryu_droplog.sinks import line
from ryu_droplog.sinks.base import BatchSink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.line import DROP_REASON_TEXT, IPV4_TEXT, IPV6_TEXT, MAC_TEXT

ARRAY = 10
"""Events in an array, at most."""
RETRY = 2.0
"""Seconds between two tries to reach the listener."""
SEND_TIME = 0.5
"""Seconds that a listener may keep the thread from looking whether to stop."""

_TIMEVAL = Layout("@ll")


class PacketEvent(Struct):
    """A drop as its listeners know it; what is absent is empty."""

    TimeStamp: str
    DropReason: str
    SourceMac: str
    DestinationMac: str
    EtherType: str
    SourceIP: str = ""
    DestinationIP: str = ""
    IPProto: str = ""
    SourcePort: str = ""
    DestinationPort: str = ""


_ENCODER = msgspec.json.Encoder()


def packet_event(drop: Drop) -> bytes:
    """One JSON object, without a newline, keys in the order of `PacketEvent`."""
    event = PacketEvent(
        _time_text(int(drop.time)),
        DROP_REASON_TEXT[drop.location],
        MAC_TEXT[drop.smac] if drop.smac else "",
        MAC_TEXT[drop.dmac] if drop.dmac else "",
        line.ethertype_name(drop.ethertype) if drop.ethertype >= 0 else "",
    )
    l3, l4 = drop.l3, drop.l4
    if isinstance(l3, Arp):
        event.SourceIP, event.DestinationIP = IPV4_TEXT[l3.sender_ip], IPV4_TEXT[l3.target_ip]
    elif l3 is not None:
        text = IPV4_TEXT if isinstance(l3, IPv4) else IPV6_TEXT
        event.SourceIP, event.DestinationIP = text[l3.src], text[l3.dst]
        event.IPProto = line.PROTOCOL_TEXT[drop.protocol]
    if isinstance(l4, Tcp | Udp):
        event.SourcePort, event.DestinationPort = str(l4.src_port), str(l4.dst_port)
    return _ENCODER.encode(event)


@lru_cache(maxsize=4)
def _time_text(second: int) -> str:
    """Local time, as date(1) writes it in the C locale."""
    return time.strftime("%a %b %d %H:%M:%S %Z %Y", time.localtime(second))


class PacketEvents(BatchSink):
    """The client of a listener for packet events; a permitted packet is none."""

    LOGS = False
    ENCODES_EARLY = True

    class Options(SinkOptions):
        """The keys of such a sink."""

        socket: Annotated[str, checked_by(check_socket_path)] = Field(
            description="path of the Unix socket where the listener is",
            examples=["/run/events.sock"],
        )

    def __init__(self, spec: SinkSpec, context: SinkContext, retry: float = RETRY) -> None:
        """`retry` in seconds."""
        super().__init__(spec, context)
        self._path: str = spec.options.socket
        self._retry = retry
        self._socket: Socket | None = None

    def wants(self, drop: Drop) -> bool:
        return drop.location.reason != "PERMIT"

    def encode(self, drop: Drop) -> bytes:
        return packet_event(drop)

    def write(self, items: Sequence[bytes]) -> int:
        """Send arrays until all are through; gives up only when the program stops."""
        for start in range(0, len(items), ARRAY):
            if not self._deliver(b"[" + b",".join(items[start : start + ARRAY]) + b"]"):
                return start
        return len(items)

    def _deliver(self, array: bytes) -> bool:
        """Send an array whole; one that was cut begins anew, for nobody could read it."""
        while True:
            try:
                if self._socket is None:
                    self._socket = self._connect()
                self._send(self._socket, array)
            except OSError as error:
                self.finish()
                self.note(why(error))
                if self.ending.wait(self._retry):
                    return False
            else:
                self.note(None)
                return True

    def _connect(self) -> Socket:
        sock = Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            timeout = _TIMEVAL.pack(0, round(SEND_TIME * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            sock.connect(self._path)
        except OSError:
            sock.close()
            raise
        return sock

    def _send(self, sock: Socket, array: bytes) -> None:
        sent = 0
        while sent < len(array):
            try:
                sent += sock.send(array[sent:])
            except BlockingIOError:  # it does not read
                if self.ending.is_set():
                    raise

    def finish(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
