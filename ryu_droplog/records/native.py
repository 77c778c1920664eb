"""The encoding `native`: the record as docs/record.md has it."""

from __future__ import annotations

from ryu_droplog.packet.deep.walk import Walk
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.record import Record
from ryu_droplog.records.templates import in_json, in_msgpack


def encoder(context: EncoderContext) -> Encode:
    """The record, as docs/record.md has it, a JSON object a drop."""
    return in_json(context, _document)


def packer(context: EncoderContext) -> Encode:
    """The same object in msgpack. Raises UnicodeEncodeError for what UTF-8 cannot have."""
    return in_msgpack(context, _document)


def _document(record: Record, walk: Walk) -> Record:
    return record
