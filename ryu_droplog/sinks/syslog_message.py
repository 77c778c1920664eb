"""RFC 5424: a drop as a syslog message with structured data.

Pure: a Drop in, bytes out. The text behind the structured data is what the sink's encoding makes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ryu_droplog.model.drop import Arp, Drop, Explain, IPv4, IPv6, Tcp, Udp
from ryu_droplog.model.location import Location
from ryu_droplog.packet.packet_in import context
from ryu_droplog.records.context import Encode
from ryu_droplog.records.times import rfc3339
from ryu_droplog.sinks.line import (
    IPV4_TEXT,
    IPV6_TEXT,
    MAC_TEXT,
    PROTOCOL_NAMES,
    LocationTexts,
)
from ryu_droplog.sinks.syslog_facilities import FACILITIES, INFORMATIONAL, WARNING
from ryu_droplog.text.printable import printable

SD_ID = "ryu_droplog@32473"
"""Name of the structured data; 32473 is the enterprise number for documentation (RFC 5612)."""
APPLICATION = "ryu_droplog"

_VALUE_LENGTH = 255
"""Characters of a value in structured data that are shown."""
_HOST_LENGTH, _MESSAGE_ID_LENGTH, _NAME_LENGTH = 255, 32, 32  # RFC 5424 section 6
_NIL = "-"
_NOT_PRINTABLE = re.compile(r"[^!-~]")  # PRINTUSASCII
_NOT_IN_NAME = re.compile(r"[^!#-<>-\\^-~]")  # SD-NAME: no '=', space, ']', '"' either
_ESCAPED = re.compile(r'["\\\]]')  # section 6.3.3
_MICROSECONDS = len("1970-01-01T00:00:00.000000")


class Origin(NamedTuple):
    """Who sends the messages."""

    host: str
    """Name of this machine."""
    process: int
    """Its process id."""
    facility: str = "daemon"
    """A key of `FACILITIES`."""


class SyslogMessages:
    """Makes messages; for one thread at a time, as `encode` is."""

    def __init__(self, origin: Origin, encode: Encode, explain: Explain, limit: int) -> None:
        """`limit` is how many bytes a message has at most, SMALLEST to LONGEST."""
        facility = FACILITIES[origin.facility] << 3
        host = _header_field(origin.host, _HOST_LENGTH)
        self._before = {
            severity: f"<{facility | severity}>1 ".encode() for severity in (WARNING, INFORMATIONAL)
        }
        self._behind = f"Z {host} {APPLICATION} {origin.process} ".encode()
        self._encode = encode
        self._explain = explain
        self._limit = limit

    def message(self, drop: Drop) -> bytes:
        """The message, without a frame around it.

        Of one that would be longer than the limit, the end is cut, and the structured data says in
        `truncated` how many bytes its text had; where they themselves would take all the room,
        that is all that they say.
        """
        head = self._head(drop)
        data = self._data(drop)
        text = self._encode(drop)
        message = b"%b[%b] %b" % (head, data, text)
        if len(message) <= self._limit:
            return message
        said = b' truncated="%d"' % len(text)
        if len(head) + len(data) + len(said) + len("[] ") > self._limit:
            data = SD_ID.encode()
        message = b"%b[%b%b] %b" % (head, data, said, text)
        return message[: self._limit].decode(errors="ignore").encode()

    def _head(self, drop: Drop) -> bytes:
        reason = drop.location.reason
        return b"".join(
            (
                self._before[INFORMATIONAL if reason == "PERMIT" else WARNING],
                rfc3339(drop.time)[:_MICROSECONDS].encode(),
                self._behind,
                _header_field(reason, _MESSAGE_ID_LENGTH).encode(),
                b" ",
            )
        )

    def _data(self, drop: Drop) -> bytes:
        pairs = {**_packet(drop), **self._explain(drop)}
        text = _LOCATION_DATA[drop.location] + "".join(
            parameter(name, value) for name, value in pairs.items()
        )
        return text.encode()


def octet_counted(message: bytes) -> bytes:
    """The message in the frame that a stream has (RFC 6587 section 3.4.1, RFC 5425)."""
    return b"%d %b" % (len(message), message)


def parameter(name: str, value: object) -> str:
    """` name="value"` of structured data, escaped as section 6.3.3 says.

    A character that a name cannot have becomes `_`; what of a value is not printable is escaped
    as Python does it first.
    """
    text = value if isinstance(value, str) else str(value)
    if not (text.isascii() and text.isalnum() and len(text) <= _VALUE_LENGTH):
        text = _ESCAPED.sub(r"\\\g<0>", printable(text, _VALUE_LENGTH))
    name = _NOT_IN_NAME.sub("_", name)[:_NAME_LENGTH] or "_"
    return f' {name}="{text}"'


def _header_field(text: str, limit: int) -> str:
    """A field of the header: printable ASCII without spaces."""
    return _NOT_PRINTABLE.sub("_", text)[:limit] or _NIL


def _location_data(location: Location) -> str:
    pairs: dict[str, object] = {
        "bridge": location.bridge,
        "table": location.table,
        "table_id": location.table_id,
        "drop_reason": location.drop_reason,
        "policy": location.policy,
        "source_tenant": location.source_tenant,
        "destination_tenant": location.destination_tenant,
    }
    flow = location.flow
    if flow is not None:
        pairs |= {
            "flow_cookie": f"{flow.cookie:#x}",
            "flow_priority": flow.priority,
            "flow_match": flow.match,
            **{f"flow_{name}": value for name, value in flow.names.items()},
        }
    parameters = (parameter(name, value) for name, value in pairs.items() if value or value == 0)
    return SD_ID + "".join(parameters)


_LOCATION_DATA = LocationTexts(_location_data)
"""What the structured data of all drops of a location begin with."""


def _packet(drop: Drop) -> dict[str, object]:
    l3, l4 = drop.l3, drop.l4
    pairs: dict[str, object] = {}
    in_port = context(drop.metadata).in_port
    if in_port:
        pairs["in_port"] = in_port
    if drop.smac:
        pairs["smac"] = MAC_TEXT[drop.smac]
    if drop.dmac:
        pairs["dmac"] = MAC_TEXT[drop.dmac]
    if isinstance(l3, Arp):
        pairs |= {"src": IPV4_TEXT[l3.sender_ip], "dst": IPV4_TEXT[l3.target_ip]}
    elif isinstance(l3, IPv4 | IPv6):
        text = IPV4_TEXT if isinstance(l3, IPv4) else IPV6_TEXT
        pairs |= {
            "src": text[l3.src],
            "dst": text[l3.dst],
            "protocol": PROTOCOL_NAMES.get(drop.protocol, drop.protocol),
        }
    if isinstance(l4, Tcp | Udp):
        pairs |= {"sport": l4.src_port, "dport": l4.dst_port}
    if drop.repeated:
        pairs["repeated"] = drop.repeated
    return pairs
