"""The blocks of a capture file, as bytes: draft-ietf-opsawg-pcapng-04, little-endian.

python-pcapng reads what is written here (the tests have it do so).
"""

from __future__ import annotations

from struct import Struct

from ryu_droplog.text.printable import printable

_NANOSECONDS = 1_000_000_000  # in a second
_LATEST = 2**33
"""Seconds since the epoch, of the year 2242: nanoseconds of what is later have no room."""
ALIGNMENT = 4
COMMENT = 60_000
"""Bytes of a comment at most; the length of an option has 16 bits."""

# Block types, sections 4.1, 4.2 and 4.3: section header, interface description, enhanced packet.
_SHB, _IDB, _EPB = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LINKTYPE_ETHERNET = 1
_UNKNOWN_LENGTH = -1
# Options, sections 3.5, 4.1, 4.2: end of options, comment, user application, name and description
# of an interface, resolution of its timestamps (9: 10^-9 s).
_END, _COMMENT, _SHB_USERAPPL = 0, 1, 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _RESOLUTION = 2, 3, 9, b"\x09"

_OPTION = Struct("<HH")
_BLOCK = Struct("<II")
_TRAILER = Struct("<I")
_SECTION = Struct("<IHHq")
_INTERFACE = Struct("<HHI")
_PACKET = Struct("<IIIIIII")
_PACKET_OVERHEAD = _PACKET.size + _TRAILER.size
_END_OF_OPTIONS = _OPTION.pack(_END, 0)


def section(application: str) -> bytes:
    """What a file begins with; `application` wrote it."""
    body = _SECTION.pack(_BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(_SHB, body + _text(_SHB_USERAPPL, application) + _END_OF_OPTIONS)


def interface(name: str, description: str, snaplen: int) -> bytes:
    """An Ethernet interface, the next number of its section; `snaplen` 0: no limit."""
    body = _INTERFACE.pack(_LINKTYPE_ETHERNET, 0, snaplen)
    body += _text(_IF_NAME, name) + _text(_IF_DESCRIPTION, description)
    return _block(_IDB, body + _option(_IF_TSRESOL, _RESOLUTION) + _END_OF_OPTIONS)


def rest_of_packet(data: bytes, comment: str) -> bytes:
    """What is behind the head of a packet's block: its bytes and a comment."""
    text = comment.encode("utf-8", "backslashreplace")[:COMMENT]
    return b"".join((data, bytes(-len(data) % ALIGNMENT), _option(_COMMENT, text), _END_OF_OPTIONS))


def nanoseconds_of(time: float) -> int:
    """Seconds since the epoch as `packet` takes them; what has no room becomes the nearest."""
    seconds = min(max(time, 0.0), _LATEST)
    second = int(seconds)
    return second * _NANOSECONDS + round((seconds - second) * _NANOSECONDS)


def packet(interface_id: int, nanoseconds: int, captured: int, length: int, rest: bytes) -> bytes:
    """A packet of `length` bytes on the wire, of which `captured` are there; see `rest_of_packet`.

    `nanoseconds` since the epoch, 64 bits.
    """
    total = _PACKET_OVERHEAD + len(rest)
    high, low = nanoseconds >> 32 & 0xFFFFFFFF, nanoseconds & 0xFFFFFFFF
    head = _PACKET.pack(_EPB, total, interface_id, high, low, captured, length)
    return b"".join((head, rest, _TRAILER.pack(total)))


def _block(kind: int, body: bytes) -> bytes:
    total = _BLOCK.size + len(body) + _TRAILER.size
    return _BLOCK.pack(kind, total) + body + _TRAILER.pack(total)


def _text(code: int, text: str) -> bytes:
    return _option(code, printable(text).encode("utf-8"))


def _option(code: int, value: bytes) -> bytes:
    return b"".join((_OPTION.pack(code, len(value)), value, bytes(-len(value) % ALIGNMENT)))
