"""OpenFlow's handshake as the controller's side has it. Pure: bytes in, bytes to send out.

It needs no thread, no clock and no socket of its own, and nothing is parsed but what is written
here. Whoever has a socket does this, within whatever time it gives a switch::

    handshake = Handshake()
    sock.sendall(handshake.greeting())
    while not handshake.done:
        chunk = sock.recv(4096)
        if not chunk:
            ...  # it has hung up
        sock.sendall(handshake.receive(chunk))  # may be nothing
    if handshake.features is None:
        ...  # handshake.refusal says why, in words for a log
    else:
        ...  # Connection(sock, peer, handshake, ...) goes on from here, with handshake.rest

Of a peer that is not a switch no more is held than one message and what it says of its ports, and
what it is sent is never longer than what it sent, but for two requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.framing import HEADER, message_length
from ryu_droplog.openflow.replies import (
    LOCAL_PORT,
    MULTIPART,
    MULTIPART_MORE,
    echo_reply,
    error_of,
    error_text,
    ports_of,
)
from ryu_droplog.packet import headers

VERSION = headers.OPENFLOW_VERSION
"""OpenFlow 1.3."""
MOST_PORTS = 1 << 16
"""Ports of one switch; Open vSwitch has numbers for 65,279 and LOCAL."""

_HELLO, _ERROR, _ECHO_REQUEST = 0, 1, 2
_FEATURES_REQUEST, _FEATURES_REPLY = 5, 6
_MULTIPART_REQUEST, _MULTIPART_REPLY = 18, 19
_ASYNCHRONOUS = (10, 11, 12)  # packet-in, flow-removed, port-status: may come at any time

# Hello elements (section 7.5.1): type, length without padding, padded to 8; bitmaps of versions.
_ELEMENT = Struct("!HH")
_VERSION_BITMAP = 1
_FIRST_WITH_ELEMENTS = 4
_BITMAP = Struct("!I")
# ofp_switch_features (section 7.3.1): datapath_id, n_buffers, n_tables, auxiliary_id, pad,
# capabilities, reserved.
_FEATURES = Struct("!8xQIBB2xII")
_PORT_DESCRIPTION = 13

_HELLO_XID, _FEATURES_XID, _PORTS_XID = 1, 2, 3


@dataclass(frozen=True)
class Features:
    """What a switch says of itself in the handshake."""

    datapath_id: int
    n_tables: int
    ports: Mapping[int, str]
    """The names of its ports by OpenFlow port number, as the switch has them."""

    @property
    def local_name(self) -> str:
        """The name of the LOCAL port: the bridge's, of which 15 bytes have room; "" without one."""
        return self.ports.get(LOCAL_PORT, "")


class Handshake:
    """One handshake: hello, OFPT_FEATURES_REQUEST, OFPMP_PORT_DESC, each waiting for the other."""

    def __init__(self) -> None:
        self.features: Features | None = None
        """What the switch is, once the handshake is complete."""
        self.refusal: str | None = None
        """Why there will be no connection, in words for a log; never more than a line."""
        self._buffer = bytearray()
        self._needed = 0
        self._step: Callable[[int, int, int, bytes], bytes] = self._hello
        self._datapath_id = self._n_tables = 0
        self._ports: dict[int, str] = {}
        self._described = 0

    @property
    def done(self) -> bool:
        """Whether nothing more is to come: the handshake is complete, or refused."""
        return self.features is not None or self.refusal is not None

    @property
    def rest(self) -> bytes:
        """What the switch has sent behind the handshake's last message."""
        return bytes(self._buffer)

    def greeting(self) -> bytes:
        """The hello to send first: OpenFlow 1.3 and no other version."""
        bitmap = _ELEMENT.pack(_VERSION_BITMAP, _ELEMENT.size + _BITMAP.size)
        return _message(_HELLO, _HELLO_XID, bitmap + _BITMAP.pack(1 << VERSION))

    def receive(self, data: bytes) -> bytes:
        """Take what has come, in pieces of any size; returns what is to be sent now.

        Raises nothing, whatever the bytes; once `done`, what comes is kept as `rest`.
        """
        self._buffer += data
        if self.done or len(self._buffer) < self._needed:
            return b""
        answers = []
        offset, end = 0, len(self._buffer)
        try:
            while not self.done:
                length = message_length(self._buffer, offset)
                if not length or offset + length > end:
                    self._needed = max(length, end - offset + 1)
                    break
                message = bytes(self._buffer[offset : offset + length])
                offset += length
                answers.append(self._take(message))
        except SwitchError as error:
            self.refusal = str(error)
        del self._buffer[:offset]
        return b"".join(answers)

    def _take(self, message: bytes) -> bytes:
        version, kind, _, xid = HEADER.unpack_from(message)
        if kind == _ERROR:
            raise SwitchError(f"it refuses the handshake: {error_text(error_of(message))}")
        if self._step != self._hello:
            if version != VERSION:
                raise SwitchError(f"it sent a message of OpenFlow version {version}, not {VERSION}")
            if kind == _ECHO_REQUEST:
                return echo_reply(message)
            if kind in _ASYNCHRONOUS:
                return b""
        return self._step(kind, version, xid, message)

    def _hello(self, kind: int, version: int, xid: int, message: bytes) -> bytes:
        if kind != _HELLO:
            raise SwitchError(f"it began with a message of type {kind}, not with a hello")
        versions = _versions(version, message)
        if VERSION not in versions:
            offered = ", ".join(f"1.{number - 1}" for number in sorted(versions)) or "no version"
            raise SwitchError(
                f"the bridge does not speak OpenFlow 1.3, but {offered}"
                " (ovs-vsctl add bridge NAME protocols OpenFlow13)"
            )
        self._step = self._features
        return _message(_FEATURES_REQUEST, _FEATURES_XID)

    def _features(self, kind: int, version: int, xid: int, message: bytes) -> bytes:
        if (kind, xid) != (_FEATURES_REPLY, _FEATURES_XID):
            raise SwitchError(f"it sent a message of type {kind}, not its features")
        if len(message) != _FEATURES.size:
            raise SwitchError(f"its features have {len(message)} bytes, expected {_FEATURES.size}")
        self._datapath_id, _, self._n_tables, *_ = _FEATURES.unpack(message)
        self._step = self._port_description
        request = MULTIPART.pack(_PORT_DESCRIPTION, 0)
        return _message(_MULTIPART_REQUEST, _PORTS_XID, request)

    def _port_description(self, kind: int, version: int, xid: int, message: bytes) -> bytes:
        body_at = HEADER.size + MULTIPART.size
        if (kind, xid) != (_MULTIPART_REPLY, _PORTS_XID) or len(message) < body_at:
            raise SwitchError(f"it sent a message of type {kind}, not its ports")
        multipart, flags = MULTIPART.unpack_from(message, HEADER.size)
        if multipart != _PORT_DESCRIPTION:
            raise SwitchError(f"it sent a multipart reply of type {multipart}, not its ports")
        ports = ports_of(message[body_at:])
        if flags & MULTIPART_MORE and not ports:
            raise SwitchError(
                "it sent a part of its ports that is empty, and said that more follow"
            )
        self._ports.update(ports)
        self._described += len(ports)
        if self._described > MOST_PORTS:
            raise SwitchError(f"it has more than {MOST_PORTS} ports")
        if not flags & MULTIPART_MORE:
            self.features = Features(self._datapath_id, self._n_tables, self._ports)
        return b""


def _versions(version: int, hello: bytes) -> set[int]:
    """The versions that a hello offers (section 6.3.1); raises SwitchError: it contradicts itself.

    A version bitmap counts; without one, all up to the version in the header.
    """
    versions: set[int] = set()
    offset = HEADER.size if version >= _FIRST_WITH_ELEMENTS else len(hello)
    while offset < len(hello):
        if len(hello) - offset < _ELEMENT.size:
            raise SwitchError("its hello has an element that is cut")
        kind, length = _ELEMENT.unpack_from(hello, offset)
        if length < _ELEMENT.size or offset + length > len(hello):
            raise SwitchError(f"its hello has an element that says it has {length} bytes")
        if kind == _VERSION_BITMAP:
            # Bitmaps behind the first are of versions from 32 on, which nobody has.
            bitmap = int.from_bytes(hello[offset + _ELEMENT.size : offset + length][:4], "big")
            versions.update(bit for bit in range(1, 32) if bitmap >> bit & 1)
        offset += (length + 7) // 8 * 8
    return versions or set(range(1, min(version, 31) + 1))


def _message(kind: int, xid: int, body: bytes = b"") -> bytes:
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), xid) + body
