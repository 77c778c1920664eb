"""Where a JSON text ends in a stream of them: JSON-RPC 1.0 puts nothing in between.

Pure: bytes in, whole texts out; no socket, no clock. A byte is looked at once, however the stream
is split, and nothing is parsed before it is known to be of a bounded size and depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_DEPTH = 16
"""How deep arrays and objects may lie in one another; the answers of OVSDB are 8 deep."""

_OUTSIDE, _INSIDE, _STRING, _ESCAPE = range(4)
_IN_BETWEEN = (
    re.compile(rb"[ \t\r\n]*"),
    re.compile(rb'(?:[^"\[\]{}]+|"[^"\\]*")*'),  # plain texts are stepped over as a whole
    re.compile(rb'[^"\\]*'),
    re.compile(b""),
)
"""For each state, what stands before the next sign that means something; each always matches."""


class JsonStream:
    """Takes bytes as they come, and gives the objects in them, each as a whole."""

    def __init__(self, size: int, depth: int = MAX_DEPTH) -> None:
        """`size` is how many bytes may come in all (see `renew`), `depth` how deep an object is."""
        self._left = size
        self._size = size
        self._max_depth = depth
        self._held = bytearray()
        self._seen = 0
        """How far it was looked at."""
        self._depth = 0
        self._state = _OUTSIDE

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The objects that end within `data`, not yet parsed: their brackets fit in number alone.

        Raises ValueError for what is too large or too deep, or is no object.
        """
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"the answer has more than {self._size} bytes")
        self._held += data
        while self._seen < len(self._held):
            passed = _IN_BETWEEN[self._state].match(self._held, self._seen)
            assert passed is not None
            sign = bytes(self._held[passed.end() : passed.end() + 1])
            self._seen = passed.end() + len(sign)
            if sign and self._ends(sign):
                yield bytes(self._held[: self._seen]).lstrip()
                self._forget()
            elif self._state == _OUTSIDE:
                self._forget()

    def renew(self) -> None:
        """Have the bytes count anew: each message of a connection that lasts may have as many."""
        self._left = self._size

    def _ends(self, sign: bytes) -> bool:
        """Take the next sign that means something; whether an object ends with it."""
        if self._state == _STRING:
            self._state = _ESCAPE if sign == b"\\" else _INSIDE
        elif self._state == _ESCAPE:
            self._state = _STRING
        elif self._state == _OUTSIDE and sign != b"{":
            raise ValueError(f"got {sign!r}; expected a JSON object, which begins with {{")
        elif sign == b'"':
            self._state = _STRING
        elif sign in b"[{":
            self._state = _INSIDE
            self._depth += 1
            if self._depth > self._max_depth:
                raise ValueError(f"the answer is more than {self._max_depth} levels deep")
        else:
            self._depth -= 1
            if self._depth == 0:
                self._state = _OUTSIDE
                return True
        return False

    def _forget(self) -> None:
        del self._held[: self._seen]
        self._seen = 0
