"""pcap and pcapng files, and streams of these: packets with their time and link type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

import dpkt.pcap
import pcapng
from pcapng.blocks import BasePacketBlock, SimplePacket

from ryu_droplog.errors import DropLogError

LARGEST = 16 * 1024 * 1024
"""Bytes of a record or block, at most: what claims to be larger is damaged, and is not read."""

_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_PCAP = tuple(magic.to_bytes(4, order) for magic in (0xA1B2C3D4, 0xA1B23C4D) for order in _ORDERS)


class CaptureError(DropLogError):
    """What is read is no capture, or is damaged from some place on."""


class Packet(NamedTuple):
    """A captured packet."""

    time: float
    """Seconds since the epoch."""
    link_type: int
    data: bytes


def packets(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a capture, one after the other; the file need not be one that can seek.

    Raises CaptureError where it is damaged: what came before is good.
    """
    stream = _Stream(file)
    magic = stream.peek()
    if magic == _PCAPNG:
        yield from _pcapng(stream)
    elif magic in _PCAP:
        yield from _pcap(stream)
    elif not magic:
        raise CaptureError("it is empty; expected pcap or pcapng")
    else:
        raise CaptureError(f"it begins with {magic.hex()}; expected pcap or pcapng")


class _Stream:
    """Reads whole pieces of a reasonable size, or raises CaptureError; b"" at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._first = b""
        self._position = 0

    def peek(self) -> bytes:
        """The first four bytes, which are read again."""
        self._first = self._file.read(len(_PCAPNG))
        return self._first

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST:
            raise CaptureError(f"a block of {size} bytes at byte {self._position} cannot be right")
        data, self._first = self._first[:size], self._first[size:]
        data += self._file.read(size - len(data))
        self._position += len(data)
        if 0 < len(data) < size:
            raise CaptureError(f"it is cut, in the middle of a record at byte {self._position}")
        return data

    def tell(self) -> int:
        """How many bytes were read."""
        return self._position


def _pcap(stream: _Stream) -> Iterator[Packet]:
    try:
        reader = dpkt.pcap.Reader(stream)
        link_type = reader.datalink()
        for time, data in reader:
            yield Packet(float(time), link_type, data)
    except dpkt.dpkt.Error as error:
        raise CaptureError(f"it is damaged: {error or type(error).__name__}") from error


def _pcapng(stream: _Stream) -> Iterator[Packet]:
    try:
        for block in pcapng.FileScanner(stream):
            if isinstance(block, (BasePacketBlock, SimplePacket)):
                time = float(getattr(block, "timestamp", 0.0))
                yield Packet(time, block.interface.link_type, block.packet_data)
    except CaptureError:
        raise
    except Exception as error:  # the library raises what it meets: KeyError, struct.error, ...
        raise CaptureError(f"it is damaged: {error or type(error).__name__}") from error
