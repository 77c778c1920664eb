"""An OpenFlow 1.3 PacketIn: bytes in, the frame and what the switch knew of it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.packet import headers

_MATCH_START = headers.PACKET_IN_LENGTH - headers.MATCH_HEADER_LENGTH


class PacketIn(Struct, frozen=True, gc=False):
    """A PacketIn as far as a drop needs it (OpenFlow 1.3.5 section 7.4.1)."""

    reason: int
    """Why the packet was sent: 0 OFPR_NO_MATCH, 1 OFPR_ACTION, 2 OFPR_INVALID_TTL."""
    table_id: int
    """Number of the table that sent it, 0 to 255."""
    cookie: int
    """Cookie of the flow that sent it, 64 bits."""
    metadata: bytes
    """The OXM fields of the match, raw: without the match's type, length and padding."""
    frame: bytes
    """The Ethernet frame, as much of it as the switch sent."""


def parse(message: bytes) -> PacketIn:
    """Take one whole PacketIn apart, from its OpenFlow header to the end of the frame.

    The OXM fields are not looked at: see `oxm_fields`.

    :raises MalformedMessage: when `message` is no OpenFlow 1.3 PacketIn, or a length in it does
        not agree with the bytes that are there; nothing else is raised, whatever the bytes
    """
    size = len(message)
    if size < headers.PACKET_IN_LENGTH:
        raise MalformedMessage(
            f"packet-in has {size} bytes, expected at least {headers.PACKET_IN_LENGTH}"
        )
    kind, length, reason, table_id, cookie, match_type, match_length = (
        headers.PACKET_IN.unpack_from(message)
    )
    if kind != headers.OPENFLOW_1_3_PACKET_IN:
        raise MalformedMessage(
            f"message has version and type {kind:#06x}, "
            f"expected {headers.OPENFLOW_1_3_PACKET_IN:#06x} (packet-in of openflow 1.3)"
        )
    if length != size & 0xFFFF:  # Open vSwitch lets the length of a large one overflow
        raise MalformedMessage(f"packet-in says it has {length} bytes, but {size} are there")
    if match_type != headers.MATCH_TYPE_OXM:
        raise MalformedMessage(
            f"packet-in has a match of type {match_type}, expected {headers.MATCH_TYPE_OXM} (oxm)"
        )
    if match_length < headers.MATCH_HEADER_LENGTH:
        raise MalformedMessage(
            f"packet-in has a match of {match_length} bytes, "
            f"expected at least {headers.MATCH_HEADER_LENGTH}"
        )
    match_end = _MATCH_START + match_length
    padded_length = (match_length + headers.MATCH_ALIGNMENT - 1) & -headers.MATCH_ALIGNMENT
    frame_start = _MATCH_START + padded_length + headers.PACKET_IN_PAD_LENGTH
    if frame_start > size:
        raise MalformedMessage(
            f"packet-in has a match of {match_length} bytes, "
            f"which does not fit into the {size} bytes of the message"
        )
    return PacketIn(
        reason,
        table_id,
        cookie,
        message[headers.PACKET_IN_LENGTH : match_end],
        message[frame_start:],
    )


class OxmField(NamedTuple):
    """One field of a match (OpenFlow 1.3.5 section 7.2.3.2)."""

    oxm_class: int
    """Whose field it is: 0x8000 OpenFlow basic, 0 and 1 Nicira, 0xffff an experimenter's."""
    field: int
    """Number of the field within its class, 0 to 127."""
    value: bytes
    """Network byte order, without the number of an experimenter."""
    mask: bytes | None
    """As long as the value; None where the whole value counts."""


def oxm_fields(metadata: bytes) -> Iterator[OxmField]:
    """Go through the OXM fields of a match in the order of the wire; raises on no content.

    What is not known is handed out like all else. A field whose length leads past the end ends the
    way; one that is too short for its experimenter's number, or whose value and mask are not
    equally long, is stepped over.
    """
    start = 0
    end = len(metadata)
    while start + headers.OXM_LENGTH <= end:
        oxm_class, field_and_mask, length = headers.OXM.unpack_from(metadata, start)
        value_start = start + headers.OXM_LENGTH
        start = value_start + length
        if start > end:
            return
        if oxm_class == headers.OXM_CLASS_EXPERIMENTER:
            value_start += headers.OXM_EXPERIMENTER_LENGTH
            if value_start > start:
                continue
        field = field_and_mask >> headers.OXM_FIELD_SHIFT
        if not field_and_mask & headers.OXM_HAS_MASK:
            yield OxmField(oxm_class, field, metadata[value_start:start], None)
            continue
        half, odd = divmod(start - value_start, 2)
        if not odd:
            middle = value_start + half
            yield OxmField(oxm_class, field, metadata[value_start:middle], metadata[middle:start])


class DropRecord(NamedTuple):
    """What the OpFlex agent records of a drop on its way to EXP_DROP_TABLE.

    The numbers are as they were recorded: a value has up to 255 bytes. None where absent.
    """

    table_id: int | None
    """The table that dropped the packet (tun_metadata12)."""
    reason: int | None
    """Why it was captured (tun_metadata13): 0 MISS, 1 DENY, 2 PERMIT."""
    policy: int | None
    """Cookie of the policy that denied or permitted it (tun_metadata14)."""
    source_group: int
    """Register 0; 0: none."""
    destination_group: int
    """Register 2; 0: none."""


def drop_record(metadata: bytes) -> DropRecord:
    """Read a drop's record from the OXM fields of a PacketIn's match; raises nothing."""
    found: dict[int, int] = {}
    for oxm_class, field, value, _mask in oxm_fields(metadata):
        if oxm_class != headers.OXM_CLASS_NXM_1 or not value:
            continue
        found[field] = int.from_bytes(value, "big")
    return DropRecord(
        found.get(headers.NXM_TUN_METADATA_TABLE),
        found.get(headers.NXM_TUN_METADATA_REASON),
        found.get(headers.NXM_TUN_METADATA_POLICY),
        found.get(headers.OPFLEX_SOURCE_GROUP, 0),
        found.get(headers.OPFLEX_DESTINATION_GROUP, 0),
    )


class Context(NamedTuple):
    """What the switch knew of a packet when it was dropped; 0 where it said nothing."""

    in_port: int
    """OpenFlow port number."""
    metadata: int
    """The pipeline's metadata, 64 bits."""
    ct_state: int
    """Bits of ovs-fields(7): see `headers.CT_STATE_*`."""
    ct_mark: int
    registers: Mapping[int, int]
    """The registers that are not 0, by number; 32 bits each."""


@lru_cache(maxsize=4)  # a line asks twice of its packet
def context(metadata: bytes) -> Context:
    """Read the OXM fields of a PacketIn's match; raises on no content.

    :param metadata: the OXM fields, without header and padding
    """
    found: dict[tuple[int, int], int] = {}
    for oxm_class, field, value, _mask in oxm_fields(metadata):
        found[oxm_class, field] = int.from_bytes(value, "big")
    registers = {
        field: value
        for (oxm_class, field), value in found.items()
        if oxm_class == headers.OXM_CLASS_NXM_1 and field < headers.NXM_REGISTERS
    }
    return Context(
        found.get((headers.OXM_CLASS_BASIC, headers.OXM_IN_PORT), 0),
        found.get((headers.OXM_CLASS_BASIC, headers.OXM_METADATA), 0),
        found.get((headers.OXM_CLASS_NXM_1, headers.NXM_CT_STATE), 0),
        found.get((headers.OXM_CLASS_NXM_1, headers.NXM_CT_MARK), 0),
        registers,
    )
