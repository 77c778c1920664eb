"""What the program and an observer say to each other on the Unix socket.

Lines of JSON. The program greets; the observer sends one request; the program answers with records,
each a line as the encoding `native` has it, and with lines that begin with `{"control":`, which are
no records. The socket is `<run directory>/<process id>.observe`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ryu_droplog import __version__
from ryu_droplog.observe.query import Query, QueryError
from ryu_droplog.text.printable import MESSAGE, printable

PROTOCOL = 1
"""Version of all this; the other side has to have the same."""
SUFFIX = ".observe"
REQUEST_SIZE = 64 * 1024
"""Bytes of a request at most."""
REQUEST_TIME = 10.0
"""Seconds in which it must have come."""
CONTROL = b'{"control":'


class Control(Struct, omit_defaults=True):
    """What is said beside records; one of these at a time."""

    protocol: int = 0
    """The greeting: what the program speaks, with the two that follow."""
    program: str = ""
    """Version of ryu_droplog."""
    pid: int = 0
    lost: int = 0
    """So many drops are missing here, because the observer or the program was too slow for them."""
    error: str = ""
    """Nothing more comes, because of that."""
    end: bool = False
    """All that was asked for has been said."""
    status: dict[str, Any] | None = None
    """The answer to a request for the status."""


class _Line(Struct):
    control: Control


class Request(Struct, omit_defaults=True):
    """What an observer asks, once."""

    protocol: int
    query: Query | None = None
    status: bool = False


def control(**told: Any) -> bytes:
    """A line that is no record."""
    return msgspec.json.encode(_Line(Control(**told))) + b"\n"


def read_control(line: bytes) -> Control:
    """What such a line says; raises ValueError."""
    return msgspec.json.decode(line, type=_Line).control


def read_request(line: bytes) -> Request:
    """What is asked; raises QueryError, which says what is wrong."""
    try:
        spoken = msgspec.json.decode(line, type=_Spoken).protocol
        if spoken != PROTOCOL:
            raise QueryError(mismatch(spoken))
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise QueryError(f"the request cannot be read: {printable(str(error), MESSAGE)}") from None
    if (request.query is None) is not request.status:
        raise QueryError("the request cannot be read: it asks for neither records nor the status")
    return request


def mismatch(spoken: int) -> str:
    """What is wrong where the two speak different versions, as the program sees it."""
    return (
        f"the running program (ryu_droplog {__version__}) speaks version {PROTOCOL} of the"
        f" observers' protocol, the command version {spoken}; use the command that belongs to the"
        " program"
    )


class _Spoken(Struct):
    protocol: int
