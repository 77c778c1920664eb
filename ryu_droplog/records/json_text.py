"""JSON in ASCII, on one line, whatever the names in it."""

from __future__ import annotations

import codecs
import json
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()
_ESCAPE = "ryu_droplog.json"
_REPLACEMENT = "\\ufffd"
"""Of half a surrogate pair, which no JSON reader need take (RFC 8259 section 8.2)."""


def to_json(value: Any) -> bytes:
    r"""Encode what msgspec can, in ASCII: all other characters are `\uXXXX`."""
    try:
        return utf8_to_json(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
        return text.encode("ascii", _ESCAPE)


def utf8_to_json(value: Any) -> bytes:
    """The same; raises UnicodeEncodeError for text that UTF-8 cannot have."""
    data = _ENCODER.encode(value)
    return data if data.isascii() else data.decode().encode("ascii", _ESCAPE)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(map(_escape, characters)), error.end


def _escape(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return _REPLACEMENT
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


codecs.register_error(_ESCAPE, _escaped)
