"""Encoded documents of flows: what the packets of a flow have in common is encoded once.

Of two packets of a flow, most of a document is the same. When a flow's second packet comes, its
document is encoded with marks where packets differ: times, bytes, and the fields of a `Layout`.
What stands between the marks is kept, and filled in for that packet and for every later one, which
is not decoded any more.
"""

from __future__ import annotations

import os
import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from msgspec import Raw, Struct, msgpack

from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.packet.deep.walk import Walk
from ryu_droplog.records.context import Encode, EncoderContext, Identities
from ryu_droplog.records.json_text import to_json, utf8_to_json
from ryu_droplog.records.layouts import FIELDS, Layout, layout_of
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Acknowledged, Record

FLOW_CACHE_SIZE = 4_096
"""Flows that are remembered at most, with some kilobytes each, those of which one packet came
with some hundred bytes. When there are more, all are forgotten."""

Document = Callable[[Record, Walk], Any]
"""What is encoded of a record. Its time, observed time and the bytes of its frame, and fields of
its packet, may be passed on and not looked into: they may be marks."""

_NONCE = b"\0" + os.urandom(8).hex().encode()
"""Begins a mark. No text in JSON has a zero byte in it; of text in msgpack nobody can guess the
rest."""
_MARK = re.compile(_NONCE + rb"(\d+);")
_MARKS: list[Any] = [Raw(b"%b%d;" % (_NONCE, number)) for number in range(3 + FIELDS)]
"""What stands in a document for values: three, and then the fields of a layout."""
_TIME, _OBSERVED, _DATA, *_FIELD_MARKS = _MARKS


class Template(Struct, frozen=True, eq=False):
    """What the documents of a flow have in common, and what of it may change meanwhile."""

    form: bytes
    """The document, `%b` in place of what differs."""
    values: Callable[[tuple[bytes, ...]], Any]
    """From the encoded values of all marks to those of the form, in its order."""
    headers_end: int
    """Where the last header of the frame ends."""
    known: int
    """`BridgeDirectory.changes` before it was made."""
    owner: Mapping[str, str | int]
    """What the bridge's owner had noted of the packet."""
    in_port: int
    ends: Identities
    """Whose the packet was."""
    keys: tuple[str, str]
    """Its signature and its problem."""
    acknowledged: Acknowledged | None
    """What the baseline said of them."""


_UNKNOWN = Template(b"", itemgetter(0), 0, 0, {}, 0, (None, None), ("", ""), None)
"""Of a flow of which nothing is remembered."""


class FlowDocuments:
    """Encodes documents of drops; for one thread at a time."""

    def __init__(
        self, context: EncoderContext, document: Document, encode: Callable[[Any], bytes]
    ) -> None:
        """`encode` takes what msgspec does, and raises UnicodeEncodeError where it cannot."""
        self._document = document
        self._encode = encode
        self._explain = context.explain
        self._identify = context.identify
        self._bridges = context.bridges
        self._find_known = context.baseline.find
        self._maker = RecordMaker(context)
        self._templates: dict[tuple[Any, ...], Template | None] = {}
        self._read_at: float | None = None
        self._time = self._observed = b""

    @property
    def remembered(self) -> int:
        """Flows that are remembered."""
        return len(self._templates)

    def encode(self, drop: Drop) -> bytes:
        """The document of a drop. Raises what `encode` raises."""
        layout = layout_of(drop)
        if layout is None or drop.repeated:
            return self._encode(self.plain(drop))
        frame = drop.frame
        flow = drop.location, drop.metadata, len(frame), layout, layout.common(frame)
        template = self._templates.get(flow, _UNKNOWN)
        if template is _UNKNOWN:  # most flows of a scan never come again
            if len(self._templates) >= FLOW_CACHE_SIZE:
                self._templates.clear()
            self._templates[flow] = None
            return self._encode(self.plain(drop))
        if (
            template is None
            or template.known != self._bridges.changes
            or template.owner != self._explain(drop)
            or template.ends != self._identify(drop, template.in_port)
            or template.acknowledged is not self._find_known(*template.keys, drop.time)
        ):
            template = self._template(drop, layout)
            if template is None:
                return self._encode(self.plain(drop))
            self._templates[flow] = template
        if drop.time != self._read_at:
            self._read_at = drop.time
            self._time, self._observed = map(self._encode, self._maker.times(drop.time))
        data = b2a_base64(self._maker.payload(frame, template.headers_end), newline=False)
        values = (
            self._time,
            self._observed,
            self._encode(data.decode("ascii")),
            *map(self._encode, layout.read(frame)),
        )
        made: bytes = template.form % template.values(values)
        return made

    def plain(self, drop: Drop) -> Any:
        """The document of a drop, made anew and not encoded."""
        record, walk = self._maker.make(drop)
        data: Any = b2a_base64(record.frame.data, newline=False).decode("ascii")
        record.frame.data = data or b""  # in msgpack, too
        return self._document(record, walk)

    def _template(self, drop: Drop, layout: Layout) -> Template | None:
        """The template of the drop's flow; None where its packet has not what the layout says."""
        known = self._bridges.changes
        walk, headers_end = decode(drop.frame)
        for (*layers, field), mark, value in zip(
            layout.paths, _FIELD_MARKS, layout.read(drop.frame), strict=False
        ):
            layer: Any = walk.packet
            for name in layers:
                layer = getattr(layer, name, None)
            if getattr(layer, field, None) != value:
                return None
            setattr(layer, field, mark)
        record = self._maker.record(drop, walk, headers_end)
        if not record.frame.data:
            return None
        record.time, record.observed_time, record.frame.data = _TIME, _OBSERVED, _DATA
        parts = _MARK.split(self._encode(self._document(record, walk)))
        form = b"%b".join([part.replace(b"%", b"%%") for part in parts[::2]])
        values = itemgetter(*map(int, parts[1::2]))
        in_port = record.port.number if record.port is not None else 0
        ends = self._identify(drop, in_port)
        if ends != _ends_of(record):  # they have just changed
            return None
        keys = record.signature, record.problem
        return Template(
            form,
            values,
            headers_end,
            known,
            record.owner,
            in_port,
            ends,
            keys,
            record.acknowledged,
        )


def _ends_of(record: Record) -> Identities:
    source, destination = record.source, record.destination
    return (
        source.identity if source is not None else None,
        destination.identity if destination is not None else None,
    )


def in_json(context: EncoderContext, document: Document) -> Encode:
    """Documents in JSON, in ASCII on one line, whatever the names in them."""
    documents = FlowDocuments(context, document, utf8_to_json)

    def encode(drop: Drop) -> bytes:
        try:
            return documents.encode(drop)
        except UnicodeEncodeError:
            return to_json(documents.plain(drop))

    return encode


def in_msgpack(context: EncoderContext, document: Document) -> Encode:
    """The same in msgpack. Raises UnicodeEncodeError for what UTF-8 cannot have."""
    return FlowDocuments(context, document, msgpack.Encoder().encode).encode
