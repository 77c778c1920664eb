"""A sink as the configuration describes it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from ryu_droplog.config.filter_spec import FilterSpec


class QueueSpec(NamedTuple):
    """What waits for a sink."""

    drops: int = 100_000
    """Drops at most."""
    overflow: Literal["newest", "oldest"] = "newest"
    """Which are refused while it is full."""


class SinkSpec(NamedTuple):
    """One sink: the keys that all have, and those of its type."""

    name: str
    type: str
    options: Any
    filters: tuple[FilterSpec, ...] = ()
    queue: QueueSpec = QueueSpec()
