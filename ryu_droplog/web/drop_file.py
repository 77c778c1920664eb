"""One drop as a capture file, and as the hexadecimal text of its bytes. Pure."""

from __future__ import annotations

from ryu_droplog import __version__
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of
from ryu_droplog.sinks import pcapng_blocks as blocks
from ryu_droplog.text.printable import printable

_PER_LINE = 16


def pcapng_of(record: Record) -> bytes:
    """The drop as a pcapng file with one packet, whose comment says where and why."""
    data, port = record.frame.data, record.port
    where = f"bridge {record.bridge}" + (f", port {port.number}" if port else "")
    name = (port.name if port else "") or record.bridge
    nanoseconds = blocks.nanoseconds_of(seconds_of(record.time))
    comment = f"{printable(record.drop_reason)} SIGNATURE={printable(record.signature)}"
    length = max(record.frame.length, len(data))
    return b"".join(
        (
            blocks.section(f"ryu_droplog {__version__}"),
            blocks.interface(name, where, 0),
            blocks.packet(0, nanoseconds, len(data), length, blocks.rest_of_packet(data, comment)),
        )
    )


def hexadecimal(data: bytes) -> list[str]:
    """Lines of 16 bytes: offset, bytes, and what of them is printable ASCII."""
    lines = []
    for offset in range(0, len(data), _PER_LINE):
        part = data[offset : offset + _PER_LINE]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{offset:04x}  {part.hex(' '):<{_PER_LINE * 3}} {shown}")
    return lines
