"""Names and sizes of a bridge's tables: OFPMP_TABLE_FEATURES (OpenFlow 1.3.5 section 7.3.5.5).

Open vSwitch describes 254 tables with some kilobytes of properties each; only the fixed part of an
entry is read here.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.text.printable import word

# ofp_table_features: length, table_id, pad, name, metadata_match, metadata_write, config,
# max_entries. The properties follow.
_TABLE_FEATURES = Struct("!HB5x32sQQII")
_UNLIMITED = 1_000_000
"""What Open vSwitch says of a table without a flow_limit (ofproto/ofproto.c)."""


def parse_table_features(bodies: Iterable[bytes]) -> tuple[dict[int, str], dict[int, int]]:
    """The names of the tables that have one, and max_entries of those that are limited.

    Takes the bodies of the replies, without multipart headers. A name `table<n>` is the switch's
    own default and does not count. Raises SwitchError when a length contradicts the bytes.
    """
    names: dict[int, str] = {}
    limits: dict[int, int] = {}
    for body in bodies:
        offset = 0
        while offset < len(body):
            if len(body) - offset < _TABLE_FEATURES.size:
                raise SwitchError("a description of the tables is cut")
            length, table_id, raw, _, _, _, limit = _TABLE_FEATURES.unpack_from(body, offset)
            if length < _TABLE_FEATURES.size or offset + length > len(body):
                raise SwitchError(f"table {table_id}'s description says it has {length} bytes")
            name = word(raw.split(b"\0")[0].decode("utf-8", "backslashreplace"))
            if name and name != f"table{table_id}":
                names[table_id] = name
            if limit < _UNLIMITED:
                limits[table_id] = limit
            offset += length
    return names, limits
