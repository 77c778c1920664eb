"""Packet events as they come over the socket: JSON arrays of objects, one after another.

What the OpFlex agent's exporter sends (its packet events): arrays of up to 10 objects with nothing
in between, every value a string. Pure: bytes in, packet events out; no socket, no clock.
"""

from __future__ import annotations

import calendar
import re
import time
from datetime import datetime, timezone
from typing import Annotated

from msgspec import DecodeError, Meta, Struct, json

from ryu_droplog.model.errors import DropLogError

MAX_ARRAY = 1 << 20
"""Bytes that an array may have; an exporter's has about 3000."""
MAX_DEPTH = 16
"""How deep arrays and objects may lie in one another; an exporter's are two deep."""
MAX_FIELD = 4096
"""Characters that a field may have; the longest, a drop reason, has a policy's name in it."""

_Text = Annotated[str, Meta(max_length=MAX_FIELD)]


class StreamError(DropLogError):
    """What came over the socket is no array of packet events."""

    events: list[PacketEvent]
    """Those of the arrays that were whole before the mistake, and were not given yet."""


_KEYS = {
    "time_stamp": "TimeStamp",
    "drop_reason": "DropReason",
    "source_mac": "SourceMac",
    "destination_mac": "DestinationMac",
    "ether_type": "EtherType",
    "source_ip": "SourceIP",
    "destination_ip": "DestinationIP",
    "ip_proto": "IPProto",
    "source_port": "SourcePort",
    "destination_port": "DestinationPort",
}


class PacketEvent(Struct, frozen=True, rename=_KEYS, gc=False):
    """A packet event; what is absent is an empty string."""

    time_stamp: _Text = ""
    """As strftime writes it: `Tue Feb 20 07:59:16 UTC 2024`."""
    drop_reason: _Text = ""
    """Bridge prefix, table, and `MISS`, `DENY` or `PERMIT`: `Acc-SEC_GROUP_IN_TABLE MISS`."""
    source_mac: _Text = ""
    destination_mac: _Text = ""
    ether_type: _Text = ""
    """`IPv4`, `IPv6`, `ARP` or another name, the innermost one."""
    source_ip: _Text = ""
    destination_ip: _Text = ""
    ip_proto: _Text = ""
    source_port: _Text = ""
    destination_port: _Text = ""


_decode = json.Decoder(list[PacketEvent]).decode

_OUTSIDE, _OPENED, _INSIDE, _STRING, _ESCAPE = range(5)
_SIGNS = (
    re.compile(rb"[^ \t\r\n]"),
    re.compile(rb"[^ \t\r\n]"),
    re.compile(rb'["\[\]{}]'),
    re.compile(rb'["\\]'),
    re.compile(rb"[\x00-\xff]"),
)
"""For each state, what means something in it."""
_CLOSES = {b"]": b"[", b"}": b"{"}


class StreamReader:
    """Takes the bytes of one connection as they come, and gives whole packet events.

    It looks for the end of an array, and leaves all else to the JSON decoder; a byte is looked at
    once, however the stream is split.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._begin = 0
        """Where in it the array begins."""
        self._seen = 0
        """How far it was looked at."""
        self._open = bytearray()
        """The brackets that wait for theirs."""
        self._state = _OUTSIDE

    @property
    def unfinished(self) -> bool:
        """True when an array has begun and not ended."""
        return self._state != _OUTSIDE

    def feed(self, data: bytes) -> list[PacketEvent]:
        """The packet events of the arrays that end within `data`.

        Raises StreamError where the stream is something else, or an array is longer than
        MAX_ARRAY; the reader is of no use then. What was good before the mistake is in the
        error's `events`.
        """
        events: list[PacketEvent] = []
        self._held += data
        try:
            while self._seen < len(self._held):
                self._step(events)
        except StreamError as error:
            error.events = events
            raise
        del self._held[: self._begin]
        self._seen -= self._begin
        self._begin = 0
        return events

    def _step(self, events: list[PacketEvent]) -> None:
        """Look as far as the next sign that means something, or to the end of what is held."""
        sign = _SIGNS[self._state].search(self._held, self._seen)
        self._seen = sign.end() if sign else len(self._held)
        if self._state == _OUTSIDE:
            self._begin = self._seen
        if self._seen - self._begin > MAX_ARRAY:
            raise StreamError(f"an array has more than {MAX_ARRAY} bytes; expected it to end")
        if sign is None:
            return
        which = sign[0]
        if self._state == _OUTSIDE:
            self._begin -= 1
            self._open = bytearray(b"[")
            self._state = _OPENED
            if which != b"[":
                raise StreamError(f"got {which!r}; expected an array, which begins with [")
        elif self._state == _OPENED and which not in (b"{", b"]"):
            raise StreamError(
                f"got {which!r} in an array; expected an object, which begins with {{"
            )
        elif self._state == _STRING:
            self._state = _ESCAPE if which == b"\\" else _INSIDE
        elif self._state == _ESCAPE or which == b'"':
            self._state = _STRING
        else:
            self._state = _INSIDE
            self._bracket(which, events)

    def _bracket(self, which: bytes, events: list[PacketEvent]) -> None:
        if which in _CLOSES.values():
            self._open += which
            if len(self._open) > MAX_DEPTH:
                raise StreamError(f"more than {MAX_DEPTH} levels deep; expected 2")
        elif not self._open.endswith(_CLOSES[which]):
            raise StreamError(
                f"got {which!r} without {_CLOSES[which]!r}; expected an array of objects"
            )
        else:
            self._open.pop()
            if not self._open:
                self._end_array(events)

    def _end_array(self, events: list[PacketEvent]) -> None:
        array = bytes(self._held[self._begin : self._seen])
        self._begin, self._state = self._seen, _OUTSIDE
        try:
            events += _decode(array)
        except (DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise StreamError(f"{error}; expected an array of packet events") from None


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME_STAMP = re.compile(
    rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>{'|'.join(_MONTHS)}) (?P<day> [1-9]|\d\d?)"
    r" (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) (?P<zone>\S{1,32}) (?P<year>\d{4})",
    re.ASCII,
)


def parse_time(text: str) -> float | None:
    """Seconds since the epoch of a TimeStamp; None if it is none, or its zone is not known.

    The zones known are UTC, GMT and those of this machine; an abbreviation says nothing elsewhere.
    The names of days and months are English, whatever the locale.
    """
    match = _TIME_STAMP.fullmatch(text)
    if match is None:
        return None
    year, day = int(match["year"]), int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    try:
        # strftime may write a leap second; it is the next minute's first.
        date = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            day,
            hour,
            minute,
            min(second, 59),
            tzinfo=timezone.utc,
        )
    except ValueError:
        return None
    if second > 60:
        return None
    utc = calendar.timegm(date.timetuple()) + (second == 60)
    offset = _offset(match["zone"], utc)
    return None if offset is None else float(utc + offset)


def _offset(zone: str, local: int) -> int | None:
    """Seconds from a time of `zone`, the local clock showing `local`, to UTC; None: unknown."""
    standard, summer = time.tzname
    if zone == standard == summer and time.timezone != time.altzone:
        broken = time.gmtime(local)
        return int(time.mktime((*broken[:8], -1))) - local
    if zone == standard:
        return time.timezone
    if zone == summer and time.daylight:
        return time.altzone
    return 0 if zone in ("UTC", "GMT") else None
