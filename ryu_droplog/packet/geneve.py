"""A drop log of the OpFlex agent's switch: a Geneve datagram in, its record and the frame out.

What the agent keeps of a dropped packet in its tunnel metadata comes as options of class 0xffff;
this module turns them into the OXM fields that a PacketIn of the same packet has, so that whatever
is behind it need not know which way a drop came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.packet import headers

TABLE_MAX = 255
"""Highest number of a table (OpenFlow 1.3.5 section 7.1: uint8_t)."""


class DropLog(NamedTuple):
    """What the headers of a datagram say of a drop."""

    vni: int
    """24 bits: 1 for the integration bridge, 2 for the access bridge."""
    table_id: int
    """0 to 255."""
    metadata: bytes
    """The record as OXM fields: registers, conntrack fields, tun_metadata12 to 14."""


def header_length(datagram: bytes) -> int:
    """Bytes of the Geneve header with its options; the dropped frame is behind it.

    :raises MalformedMessage: when the datagram ends before, or is no Geneve of version 0
    """
    size = len(datagram)
    if size < headers.GENEVE_LENGTH:
        raise MalformedMessage(
            f"datagram has {size} bytes, expected at least the {headers.GENEVE_LENGTH} of a "
            "geneve header"
        )
    first = datagram[0]
    if first >> headers.GENEVE_VERSION_SHIFT:
        raise MalformedMessage(
            f"geneve version is {first >> headers.GENEVE_VERSION_SHIFT}, expected 0"
        )
    length = headers.GENEVE_LENGTH + (first & headers.GENEVE_OPTIONS_MASK) * headers.GENEVE_UNIT
    if length > size:
        raise MalformedMessage(f"geneve options end at byte {length}, but {size} bytes are there")
    return length


def without_cut(datagram: bytes) -> bytes | None:
    """A datagram whose end was not captured, with no more options than those that are whole.

    Where the header with its options is whole, all is as it was; where it is not, nothing is left
    of the frame. None where not even the fixed part of the header is there.
    """
    size, end = len(datagram), headers.GENEVE_LENGTH
    if size < end:
        return None
    first = datagram[0]
    if end + (first & headers.GENEVE_OPTIONS_MASK) * headers.GENEVE_UNIT <= size:
        return datagram
    option = headers.GENEVE_OPTION
    while end + option.size <= size:
        _, _, length = option.unpack_from(datagram, end)
        behind = (
            end + option.size + (length & headers.GENEVE_OPTION_LENGTH_MASK) * headers.GENEVE_UNIT
        )
        if behind > size:
            break
        end = behind
    units = (end - headers.GENEVE_LENGTH) // headers.GENEVE_UNIT
    return bytes([first & ~headers.GENEVE_OPTIONS_MASK | units]) + datagram[1:end]


def parse(header: bytes) -> DropLog | None:
    """Read a Geneve header with all of its options; None when it is of no drop log.

    Options that are not known are stepped over. Of an option that stands twice, the last counts.

    :param header: as long as `header_length` says
    :raises MalformedMessage: when an option's length leads past the header, or a value is none that
        can be
    """
    _, _, protocol, vni_reserved = headers.GENEVE.unpack_from(header)
    fields: dict[int, bytes] = {}
    for option_class, kind, value in _options(header):
        if option_class == headers.GENEVE_CLASS_OPFLEX:
            fields[kind] = value
    record = fields.get(headers.GENEVE_OPTION_TABLE)
    if protocol != headers.ETHERTYPE_TRANSPARENT_ETHERNET or record is None:
        return None
    table_id = int.from_bytes(record, "big")
    if not record or table_id > TABLE_MAX:
        table = f"table {table_id}" if record else "no table"
        raise MalformedMessage(f"drop log names {table}, expected 0 to {TABLE_MAX}")
    return DropLog(vni_reserved >> headers.GENEVE_VNI_SHIFT, table_id, _as_oxm(fields))


def _options(header: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Class, type and value of each option (RFC 8926 section 3.5)."""
    start, end = headers.GENEVE_LENGTH, len(header)
    while start < end:
        option_class, kind, length = headers.GENEVE_OPTION.unpack_from(header, start)
        value = start + headers.GENEVE_OPTION.size
        start = value + (length & headers.GENEVE_OPTION_LENGTH_MASK) * headers.GENEVE_UNIT
        if start > end:
            raise MalformedMessage(
                f"geneve option {option_class:#06x}/{kind} ends at byte {start}, "
                f"but the options end at {end}"
            )
        yield option_class, kind, header[value:start]


def _as_oxm(fields: dict[int, bytes]) -> bytes:
    """The agent's options as the switch has them in a PacketIn: by type, where it has a field."""
    parts = []
    for kind, value in fields.items():
        field = headers.GENEVE_OPTION_FIELDS.get(kind)
        if field is not None and len(value) == field.length:
            number = field.number << headers.OXM_FIELD_SHIFT
            parts.append(headers.OXM.pack(headers.OXM_CLASS_NXM_1, number, field.width))
            parts.append(value[-field.width :])
    return b"".join(parts)
