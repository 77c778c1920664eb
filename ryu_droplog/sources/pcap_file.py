"""pcap and pcapng files, and streams of these: packets with their time and link type.

What is compressed by gzip is read as it comes: no more of it is in memory than one record.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, Literal, NamedTuple, Protocol, cast

import pcapng
from pcapng.blocks import BasePacketBlock, InterfaceStatistics

from ryu_droplog.model.errors import DropLogError

LARGEST = 16 * 1024 * 1024
"""Bytes of a record or block, at most: what claims to be larger is damaged, and is not read."""
INTERFACES = 10_000
"""Interfaces that a section of a pcapng file describes, at most."""
LATEST = 253_370_764_800
"""Seconds since the epoch, the year 9999: what is later is no time, and counts as none."""

_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")
_LINK_TYPE_MASK = 0xFFFF  # above: the length of an FCS (draft-ietf-opsawg-pcap section 4)
_EXPECTED = "expected pcap or pcapng"
_GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_PCAP_HEADER = 24
"""Bytes before the first record."""
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_NANOSECONDS = 0xA1B23C4D
_PCAP = tuple(magic.to_bytes(4, order) for magic in (0xA1B2C3D4, _NANOSECONDS) for order in _ORDERS)


class CaptureError(DropLogError):
    """What is read is no capture, or is damaged from some place on."""


class Packet(NamedTuple):
    """A captured packet."""

    time: float
    """Seconds since the epoch; 0 where the capture has none that can be."""
    link_type: int
    data: bytes
    cut: bool = False
    """Whether the packet was longer than what was captured of it (the snap length)."""


def packets(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a capture, one after the other; the file need not be one that can seek.

    Raises CaptureError where it is damaged: what came before is good.
    """
    stream = _Stream(file)
    magic = stream.peek()
    if magic.startswith(_GZIP):
        stream = _Stream(_Gunzip(_Whole(magic, file)))
        magic = stream.peek()
    if magic == _PCAPNG:
        yield from _pcapng(stream)
    elif magic in _PCAP:
        yield from _pcap(stream)
    elif not magic:
        raise CaptureError(f"it is empty; {_EXPECTED}")
    else:
        raise CaptureError(f"it begins with {magic.hex()}; {_EXPECTED}")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer only at the end."""


class _Whole:
    """A file whose first bytes were read already, with them."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first = first
        self._file = file

    def read(self, size: int) -> bytes:
        first, self._first = self._first[:size], self._first[size:]
        return first or self._file.read(size)


class _Gunzip:
    """What gzip has compressed; raises CaptureError where it is damaged, or ends too soon."""

    def __init__(self, file: _Whole) -> None:
        self._file = gzip.GzipFile(fileobj=cast(IO[bytes], file), mode="rb")

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except EOFError as error:
            raise CaptureError("it is cut: the compressed data has no end") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CaptureError(f"what gzip has compressed is damaged: {error}") from error


class _Stream:
    """Reads whole pieces of a reasonable size, or raises CaptureError; b"" at the end.

    The end is where a record may begin, and nowhere else.
    """

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._first = b""
        self._position = 0
        self._between = False
        self.ended = False
        """Whether all was read, up to the end of the last record."""

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
        self.ended = self._between and size > 0 and not data
        self._between = False
        if len(data) < size and not self.ended:
            raise CaptureError(f"it is cut, in the middle of a record at byte {self._position}")
        return data

    def begin_record(self) -> None:
        """What is read next is the beginning of a record."""
        self._between = True

    def tell(self) -> int:
        """How many bytes were read."""
        return self._position


def _pcap(stream: _Stream) -> Iterator[Packet]:
    """draft-ietf-opsawg-pcap sections 4 and 5."""
    head = stream.read(_PCAP_HEADER)
    order = "<" if head[0] != 0xA1 else ">"
    magic, link_type = struct.unpack(f"{order}I16xI", head)
    record = struct.Struct(f"{order}IIII")
    units = 1e9 if magic == _NANOSECONDS else 1e6
    link_type &= _LINK_TYPE_MASK
    while True:
        stream.begin_record()
        header = stream.read(record.size)
        if not header:
            return
        second, part, captured, length = record.unpack(header)
        data = stream.read(captured)
        yield Packet(_time(second + part / units), link_type, data, captured < length)


def _pcapng(stream: _Stream) -> Iterator[Packet]:
    scanner = pcapng.FileScanner(stream)
    blocks = iter(scanner)
    while True:
        try:
            stream.begin_record()
            block = next(blocks, None)
            if block is None and not stream.ended:  # the library takes an empty block for the end
                raise CaptureError("a block has less in it than it says")
            if block is None:
                return
            packet = _packet(block) if isinstance(block, BasePacketBlock) else None
        except CaptureError:
            raise
        except Exception as error:  # the library raises what it meets: KeyError, struct.error, ...
            raise CaptureError(f"it is damaged: {_text(error)}") from error
        if packet is not None:
            yield packet
        elif isinstance(block, InterfaceStatistics):
            scanner.current_section.interface_stats.clear()  # which it would hold for ever
        elif len(scanner.current_section.interfaces) > INTERFACES:
            raise CaptureError(f"it describes more than {INTERFACES} interfaces")


def _packet(block: BasePacketBlock) -> Packet:
    offset = block.interface.options.get("if_tsoffset", 0)
    time = _time(float(getattr(block, "timestamp", 0.0)) + offset)
    data = block.packet_data
    return Packet(time, block.interface.link_type, data, len(data) < block.packet_len)


def _time(seconds: float) -> float:
    return seconds if 0 <= seconds < LATEST else 0.0


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
