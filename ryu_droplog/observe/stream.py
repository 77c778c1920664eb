"""Records from wherever they come: the running program, a file, a topic; each as a `Record`."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.query import Query
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of
from ryu_droplog.text.printable import plain_data


class Lost(NamedTuple):
    """Drops that are missing here, because somebody was too slow for them."""

    number: int


class Unreadable(NamedTuple):
    """Something that is no record."""

    reason: str


Said = Record | Lost | Unreadable | None
"""None: for a while nothing came."""


class _OpenvSwitch(Struct):
    record: Record


class _Ecs(Struct):
    """Of a document of the encoding `ecs`, what matters: it has the whole record in it."""

    openvswitch: _OpenvSwitch


_SUSPICIOUS = re.compile(rb"[^ -~\t\r\n]|\\[^\\\"/]")
"""What may stand for a character that is not fit for a terminal: beyond ASCII, or escaped."""
_RECORD = msgspec.json.Decoder(Record)
_ECS = msgspec.json.Decoder(_Ecs)


def read_record(line: bytes) -> Record | Unreadable:
    """A record as `native` and `ecs` have it; whoever wrote it, its texts are fit to be shown."""
    if _SUSPICIOUS.search(line):
        try:
            line = json.dumps(plain_data(json.loads(line))).encode()
        except (ValueError, RecursionError) as error:
            return Unreadable(str(error))
    try:
        return _RECORD.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        reason = str(error)
    try:
        return _ECS.decode(line).openvswitch.record
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Unreadable(reason)


def chosen(said: Iterable[Said], query: Query, now: float) -> Iterator[Said]:
    """Of records in their order, those that a query asks for, as the running program would.

    `now` is in seconds since the epoch: these are old records, and all that is known of when is the
    time that is written. Ends where all that is asked for was found. Raises QueryError.
    """
    matches = predicate(query.conditions)
    oldest = None if query.since is None else now - query.since
    newest = None if query.until is None else now - query.until
    last: deque[Record] | None = None if query.last is None else deque(maxlen=query.last)
    left = query.first
    for one in said:
        if not isinstance(one, Record):
            if one is None and last:  # what is there has been read: now comes what is new
                yield from last
                last = None
            yield one
            continue
        if oldest is not None or newest is not None:
            at = seconds_of(one.time)
            if (oldest is not None and at < oldest) or (newest is not None and at > newest):
                continue
        if not matches(one):
            continue
        if last is not None:
            last.append(one)
            continue
        yield one
        if left is not None:
            left -= 1
            if left == 0:
                return
    yield from last or ()
