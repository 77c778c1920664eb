"""What a bridge's reconciler may want: plain data, carried out in order by whoever drives it.

A command with a tag is answered by an event with the same tag (`events.py`); one without is not.
None of them can change or remove a flow of anyone else's but `RewriteFlows`, which names the flow
by its whole cookie and is sent only where the user asks for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ryu_droplog.cleanup.cleanup_process import Footprint
from ryu_droplog.model.location import DropFlow
from ryu_droplog.openflow.flow_stats import Flow

Tag: TypeAlias = Hashable
"""What an answer is told by; the reconciler makes it, and nobody else looks into it."""


class FlowEntry(NamedTuple):
    """A flow of ours as it is sent to the switch, or was."""

    table_id: int
    priority: int
    match: bytes
    """The OXM fields, raw, network byte order; empty: a table-miss flow, at priority 0."""
    cookie: int
    """64 bits, by `model/cookie.py`."""
    lease: int
    """Seconds from the last renewal to its end: the hard timeout."""
    meter_id: int | None = None
    """Of the action that sends packets to the program."""
    actions: bytes = b""
    """Raw; what is done to a packet before it is sent to the program."""
    tells: bool = True
    """Whether packets are sent to the program; False: they are dropped and counted, and the
    `actions` hold a note (NXAST_NOTE) by which the flow is known for ours."""


class OwnerFlow(NamedTuple):
    """A drop flow of the owner's that is told by its whole cookie."""

    table_id: int
    priority: int
    match: bytes
    cookie: int
    actions: bytes
    """The owner's own, raw."""
    meter_id: int | None = None


class AddFlows(NamedTuple):
    """Add flows of ours, each only where it replaces and overlaps nothing.

    One that fails leaves nothing behind; the others are added all the same. `Answered` has the
    refusals by position.
    """

    tag: Tag
    flows: Sequence[FlowEntry]
    instead_of: Mapping[int, FlowEntry] = {}
    """By position, the flow of ours that goes at the same moment, in the same bundle."""


class RenewFlows(NamedTuple):
    """Start leases anew; nothing happens to a flow that is gone, or to anyone else's."""

    flows: Sequence[FlowEntry]
    odd: bool
    """Whether this renewal has another max_len than the one before: so that flow monitors tell."""


class DeleteFlows(NamedTuple):
    """Remove flows of ours; nothing happens where one is gone. `Answered` if it has a tag."""

    flows: Sequence[FlowEntry]
    tag: Tag = None


class RewriteFlows(NamedTuple):
    """Give drop flows of the owner's an action that sends their packets to the program.

    `restore`: take it away again.
    """

    tag: Tag
    flows: Sequence[OwnerFlow]
    restore: bool = False


class AddMeter(NamedTuple):
    """Make a meter of ours."""

    tag: Tag
    meter_id: int
    rate: int
    """Packets a second that pass."""
    burst: int
    """Packets."""


class ModifyMeters(NamedTuple):
    """Give meters of ours another rate; they go on counting."""

    meter_ids: Sequence[int]
    rate: int
    burst: int


class DeleteMeters(NamedTuple):
    """Remove meters of ours. `Answered` if it has a tag."""

    meter_ids: Sequence[int]
    tag: Tag = None


class ReadFlows(NamedTuple):
    """Have flows described: `FlowsRead`."""

    tag: Tag
    table_id: int | None
    """None: of all tables."""


class ReadCounts(NamedTuple):
    """Have the counters of flows read: `CountsRead`."""

    tag: Tag
    table_id: int | None
    """None: of all tables."""
    ours: bool
    """True: of our flows alone; False: of the drops of others, and of `cookies`."""
    cookies: frozenset[int] = frozenset()
    """Cookies of flows that are counted although they are no plain drops."""


class ReadMeters(NamedTuple):
    """Have meters read: `MetersRead`."""

    tag: Tag
    meter_ids: Sequence[int]


class ListMeters(NamedTuple):
    """Have the meters of this program listed, of whatever run: `MetersListed`."""

    tag: Tag


class AskMiss(NamedTuple):
    """Ask whether a miss goes to a controller of the bridge's own: `MissAnswered`, some time."""


class AskOwner(NamedTuple):
    """Ask the owner's database what it calls these flows: `NamesLearned` if that is news."""

    flows: Sequence[Flow]


class LearnDrops(NamedTuple):
    """Tell the reader of PacketIns which drops our flows are above, before these are added."""

    drops: Mapping[tuple[int, int], DropFlow]
    """By table and slot."""
    rewritten: Mapping[int, DropFlow]
    """Drops that tell the program themselves, by cookie."""


class CountPackets(NamedTuple):
    """Enter packets in the books."""

    table_id: int
    name: str
    """Of the table."""
    counted: int = 0
    """By our flows."""
    metered: int = 0
    """Dropped by the table's meter."""
    explicit: int = 0
    """By drops of the owner's that are not logged."""


class CountersRead(NamedTuple):
    """What `ReadingWanted` has asked for is in the books."""

    tag: Tag


class LogLine(NamedTuple):
    """A line for the program's log, about this bridge."""

    level: int
    """As in `logging`."""
    text: str


class RegisterCleanUp(NamedTuple):
    """What the clean-up process does if the program is killed.

    It removes these flows and meters, and restores these flows of the owner's.
    """

    flows: Sequence[FlowEntry]
    rewritten: Sequence[OwnerFlow]
    meter_ids: Sequence[int]
    footprint: Footprint


class LeasesBegun(NamedTuple):
    """The clean-up process has the same to do as before, and all leases have just begun anew."""

    footprint: Footprint


class WakeAt(NamedTuple):
    """Have `TimePassed` come at that time, of the clock of `step`; the latest one holds."""

    time: float


class Ended(NamedTuple):
    """Nothing of ours is left on the bridge; or it is uncertain, for the reason given."""

    failure: str = ""


Command: TypeAlias = (
    AddFlows
    | RenewFlows
    | DeleteFlows
    | RewriteFlows
    | AddMeter
    | ModifyMeters
    | DeleteMeters
    | ReadFlows
    | ReadCounts
    | ReadMeters
    | ListMeters
    | AskMiss
    | AskOwner
    | LearnDrops
    | CountPackets
    | CountersRead
    | LogLine
    | RegisterCleanUp
    | LeasesBegun
    | WakeAt
    | Ended
)
