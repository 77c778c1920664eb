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


class NotAcknowledged(Exception):
    """The chunk was sent, as a whole or in part, and nobody said that it was taken."""


class Rejected(Exception):
    """The receiver will never take the chunk, however often it is sent."""


class Fate(Enum):
    """What became of a chunk."""

    WRITTEN = "written"
    FAILED = "failed"
    EXPIRED = "expired"
    GIVEN_UP = "given up"
    """The sink was to end before it arrived."""
