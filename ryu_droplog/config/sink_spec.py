"""A sink as the configuration has it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from ryu_droplog.config.filter_spec import FilterSpec
from ryu_droplog.plugins.sink_options import SinkOptions


class QueueSpec(Struct, frozen=True):
    """The drops that wait for a sink."""

    drops: int = 100_000
    """Drops that wait at most, 1 to 10,000,000."""
    overflow: Literal["newest", "oldest"] = "newest"
    """Which drops are refused while the queue is full."""


class SinkSpec(Struct, frozen=True):
    """One sink: what every sink has, and the options of its type."""

    name: str
    """1 to 64 letters, digits and `._-`, different for each sink."""
    type: str
    """A name in `plugins.parts.SINKS`."""
    filters: tuple[FilterSpec, ...] = ()
    """What does not go to this sink."""
    queue: QueueSpec = QueueSpec()
    new_only: bool = False
    """Whether what the baseline has does not go to this sink."""
    options: Any = SinkOptions()
    """An instance of the class `Options` of the type."""
    title: str = ""
    """What it is called instead of its name, where it has none of the user's."""
