"""Where one OpenFlow message ends and the next begins. Pure: bytes in, messages out.

The length in a header has 16 bits, and Open vSwitch lets it overflow: a PacketIn of 65,536 bytes
or more says its length modulo 65,536 (openvswitch/ovs-issues#371). What is in the PacketIn tells
its true length: it ends where the frame does, of which the switch never sends a part, and the
frame's own length, `total_len`, has its place in front of it.

`total_len` overflows too, with a frame of 65,536 bytes or more. No frame is shorter than an
Ethernet header, so that the largest frame without a tag (an MTU of 65,535) is still told from a
short one; between a frame of 14 to 17 bytes and one with a tag of 65,550 to 65,553, what follows
decides: the next message begins behind it, or does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.packet import headers

HEADER = Struct("!BBHI")
"""Version, type, length and xid of a message (OpenFlow 1.3.5 section 7.1)."""
PACKET_IN = headers.OPENFLOW_1_3_PACKET_IN
"""Version and type of OFPT_PACKET_IN, OpenFlow 1.3."""

# A header, and what has the place of a PacketIn's total_len in any other message.
_HEAD = Struct("!HH8xH")
# ofp_packet_in (section 7.4.1): header, buffer_id, total_len, reason, table_id, cookie; the
# match's type and length. The match is padded to 8; two bytes of padding and the frame follow.
_PACKET_IN = Struct("!HH8xH12xH")
_MATCH_START = 24
_FRAME_PAD = 2
_MODULUS = 1 << 16
_SHORTEST_FRAME = 14
_LONGEST_DOUBTFUL = 17
"""A `total_len` up to this may be that of a frame of 65,536 bytes more."""
_MOST_KINDS = 30
"""Types of message in OpenFlow 1.3, 0 to 29 (section 7.1)."""


def message_length(data: bytes | bytearray, offset: int) -> int:
    """The true length of the message that begins at `offset`; 0: its beginning has to come first.

    Raises SwitchError when it says that it is shorter than its header.
    """
    there = len(data) - offset
    if there < HEADER.size:
        return 0
    version, kind, length, _ = HEADER.unpack_from(data, offset)
    if version << 8 | kind == PACKET_IN:
        if there < _PACKET_IN.size:
            return 0
        if _has_wrapped(data, offset):
            return int(length) + _MODULUS
    if length < HEADER.size:
        raise SwitchError(f"it sent a message of type {kind} that says it has {length} bytes")
    return int(length)


def _has_wrapped(data: bytes | bytearray, offset: int) -> bool:
    """Whether a PacketIn has 65,536 bytes more than it says."""
    _, length, total, match = _PACKET_IN.unpack_from(data, offset)
    true = _MATCH_START + (match + 7) // 8 * 8 + _FRAME_PAD + total
    if true != length or total > _LONGEST_DOUBTFUL:
        return bool(true == length + _MODULUS)
    follows = data[offset + length : offset + length + HEADER.size]
    return bool(total < _SHORTEST_FRAME) or not _may_begin_a_message(follows)


def _may_begin_a_message(data: bytes | bytearray) -> bool:
    """Whether these bytes, up to eight, can be the beginning of a message from a switch."""
    if len(data) < HEADER.size:
        return not data or data[0] == PACKET_IN >> 8
    version, kind, _, _ = HEADER.unpack_from(data)
    return bool(version == PACKET_IN >> 8 and kind < _MOST_KINDS)


class Framer:
    """Cuts what comes from a connection into messages, in time linear in the bytes.

    It holds the beginning of one message at most: 65,535 bytes, or 131,071 of a PacketIn.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        """The beginning of a message whose end is still to come."""
        self._held = 0
        self._needed = 0
        """Bytes with which there is something to do."""

    def feed(self, chunk: bytes) -> Iterator[list[bytes] | bytes]:
        """The messages that are whole with `chunk`, in order: lists of PacketIns, or another one.

        The iterator has to be used up before the next call, or dropped with the connection. Raises
        SwitchError when a message says that it is shorter than its header.
        """
        if self._parts:
            self._parts.append(chunk)
            self._held += len(chunk)
            if self._held < self._needed:
                return
            chunk = b"".join(self._parts)
            self._parts = []
        packet_ins: list[bytes] = []
        unpack, size = _HEAD.unpack_from, _HEAD.size
        offset, end = 0, len(chunk)
        while end - offset >= size:
            kind, length, total = unpack(chunk, offset)
            # All but a few PacketIns end where their header says (see `message_length`).
            if kind != PACKET_IN or not _LONGEST_DOUBTFUL < total < length:
                length = message_length(chunk, offset)
                if not length:
                    break
            following = offset + length
            if following > end:
                break
            if kind == PACKET_IN:
                packet_ins.append(chunk[offset:following])
            else:
                if packet_ins:
                    yield packet_ins
                    packet_ins = []
                yield chunk[offset:following]
            offset = following
        if packet_ins:
            yield packet_ins
        # What is shorter than a PacketIn's head: a barrier reply, an echo request.
        while (length := message_length(chunk, offset)) and offset + length <= end:
            yield chunk[offset : offset + length]
            offset += length
        if offset < end:
            self._parts = [chunk[offset:]]
            self._held = end - offset
            self._needed = max(length, self._held + 1)
