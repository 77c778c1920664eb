"""The encoding `native`: the record as docs/record.md has it."""

from __future__ import annotations

from ryu_droplog.model.drop import Drop
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.msgpack_map import pack_record


def encoder(context: EncoderContext) -> Encode:
    """The record, as docs/record.md has it, a JSON object a drop."""
    maker = RecordMaker(context)

    def encode(drop: Drop) -> bytes:
        return to_json(maker.make(drop).record)

    return encode


def packer(context: EncoderContext) -> Encode:
    """The same object in msgpack. Raises UnicodeEncodeError for what UTF-8 cannot have."""
    maker = RecordMaker(context)

    def encode(drop: Drop) -> bytes:
        return pack_record(maker.make(drop).record)

    return encode
