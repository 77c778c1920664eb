"""What a storm's control may learn and want beyond `events.py` and `commands.py`: plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ryu_droplog.processing.loud_flows import Loudness
from ryu_droplog.processing.summaries import Summary
from ryu_droplog.reconcile.commands import (
    AddFlows,
    DeleteFlows,
    ReadMeters,
    Tag,
    WakeAt,
)
from ryu_droplog.reconcile.desired_state import FlowKey
from ryu_droplog.reconcile.events import (
    Answered,
    CountsRead,
    FlowEnded,
    FlowsChanged,
    MetersRead,
)


class Figures(NamedTuple):
    """A table's books at one moment, in packets since the program started."""

    counted: int
    """By our flows that send what they drop."""
    seen: int
    """Rate-limited, received, or on their way to be."""


class Below(Protocol):
    """A flow of ours that sends what it drops, such as `FlowEntry` and `OurFlow` describe it."""

    @property
    def table_id(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def match(self) -> bytes: ...
    @property
    def cookie(self) -> int: ...
    @property
    def actions(self) -> bytes: ...


class Looked(NamedTuple):
    """It was looked whether a meter may drop: as often as `WakeAt` asks for."""

    arrived: int
    """PacketIns of the bridge since the program started."""
    loudness: Mapping[int, Loudness]
    """What was seen since the last look, by table."""
    flows: Mapping[FlowKey, Below]
    """Our flows on the switch that send what they drop."""
    figures: Mapping[int, Figures]
    """By table; of those with summary flows at least."""


class FlowsLeft(NamedTuple):
    """These flows of ours are about to go, and summary flows above them have to go first."""

    keys: Collection[FlowKey]


class RoomWanted(NamedTuple):
    """A flow of ours is about to be added, where no summary flow may be in its way."""

    flow: Below


class SessionEnded(NamedTuple):
    """The connection has ended; what is left on the switch is removed over the next one."""


class Finished(NamedTuple):
    """All flows of ours are removed, and their last counts are in the books."""

    figures: Mapping[int, Figures]


StormEvent: TypeAlias = (
    Looked
    | FlowsLeft
    | RoomWanted
    | SessionEnded
    | Finished
    | Answered
    | CountsRead
    | FlowEnded
    | FlowsChanged
    | MetersRead
)


class Watch(NamedTuple):
    """Look for loud flows in the drops of the bridge, or stop looking."""

    watching: bool


class ReadCountsOf(NamedTuple):
    """Have the counters of these flows of ours read, each by its whole cookie: `CountsRead`."""

    tag: Tag
    flows: Sequence[Below]


class Tell(NamedTuple):
    """Enter a loud flow's packets in the books, and have them told."""

    summary: Summary


StormCommand: TypeAlias = AddFlows | DeleteFlows | ReadMeters | ReadCountsOf | Tell | Watch | WakeAt
