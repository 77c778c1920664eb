"""The formats of lines under the same lookup as the encodings of records.

Without what ends a line, and in ASCII, as files have them.
"""

from __future__ import annotations

from ryu_droplog.model.drop import Drop
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.sinks.formats import Encoding, text_format


def opflex(context: EncoderContext) -> Encode:
    """The drop line of the OpFlex agent."""
    return _lines("opflex", context)


def extended(context: EncoderContext) -> Encode:
    """That line, and what else is known."""
    return _lines("extended", context)


def json(context: EncoderContext) -> Encode:
    """The JSON object of the `json` format, which is not the record."""
    return _lines("json", context)


def _lines(name: Encoding, context: EncoderContext) -> Encode:
    form = text_format(name, context.explain, context.identify)
    spell = getattr(form, context.line_style)

    def encode(drop: Drop) -> bytes:
        text: str = spell(drop)
        return text.encode("ascii", "backslashreplace")

    return encode
