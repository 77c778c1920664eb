"""What is sent to a receiver, and what may have become of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple


class Chunk(NamedTuple):
    """Encoded drops that are sent, and acknowledged, together."""

    id: str
    """32 hex digits, the same whenever it is sent, after a restart too."""
    items: Sequence[Any]
    """What `encode` made of each."""


class NotSent(Exception):
    """The receiver has nothing of the chunk: there was no way to it, say."""

    def __init__(self, text: str, after: float = 0.0) -> None:
        """`after` is how many seconds from now the receiver wants to be left alone."""
        super().__init__(text)
        self.after = after


class NotAcknowledged(Exception):
    """The chunk was sent, as a whole or in part, and nobody said that it was taken."""


class Rejected(Exception):
    """The receiver will never take the chunk, however often it is sent."""


class PartlyRejected(Exception):
    """The receiver has taken the chunk but for some drops, which it will never take."""

    def __init__(self, number: int, text: str) -> None:
        """`number` of drops; which of them, nobody says: the last ones are counted."""
        super().__init__(text)
        self.number = number


class Fate(Enum):
    """What became of a chunk."""

    WRITTEN = "written"
    FAILED = "failed"
    EXPIRED = "expired"
    GIVEN_UP = "given up"
    """The sink was to end before it arrived."""
