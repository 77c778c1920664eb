"""What a bridge's reconciler may learn: plain data, each of it one event.

Events are all that a reconciler goes by, beside the settings it has and the time it is given. An
answer to a command comes back as an event that names the command by its tag; whatever else happens
meanwhile comes in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.openflow.flow_stats import Count, Flow, Update
from ryu_droplog.reconcile.commands import Tag


class FlowsChanged(NamedTuple):
    """What the flow monitor tells, in its order: changes by anyone, this program included.

    What is on the switch when the monitor begins comes first, as if it had just been added.
    """

    updates: Sequence[Update]


class MonitorStarted(NamedTuple):
    """All flows that were there when the monitor began have been told: the mirror is whole."""


class MonitorPaused(NamedTuple):
    """The switch tells of no additions and changes for a while: too much was unread."""


class MonitorResumed(NamedTuple):
    """All that has changed in the pause has been told."""


class MonitorLost(NamedTuple):
    """No flow monitor tells of changes from now on."""

    why: str


class FlowEnded(NamedTuple):
    """A flow of ours has ended, by its lease or by whomever (OFPT_FLOW_REMOVED)."""

    cookie: int
    table_id: int
    packets: int
    """What it had counted in all."""


class Answered(NamedTuple):
    """The switch has carried out a command, or has refused it."""

    tag: Tag
    refusals: Mapping[int, str]
    """Why, by the number within the command of what was refused; empty: all was carried out."""


class FlowsRead(NamedTuple):
    """The flows that `ReadFlows` asked for, as of some moment since."""

    tag: Tag
    flows: Sequence[Flow]


class CountsRead(NamedTuple):
    """What flows have counted since each was added: the answer to `ReadCounts`."""

    tag: Tag
    counts: Sequence[Count]


class MetersRead(NamedTuple):
    """How many packets meters have dropped since each was made: the answer to `ReadMeters`."""

    tag: Tag
    drops: Mapping[int, int]
    """By meter id; a meter that is not on the switch is absent."""


class MetersListed(NamedTuple):
    """The meters of this program that are on the switch, of whatever run: to `ListMeters`."""

    tag: Tag
    meter_ids: Sequence[int]


class MissAnswered(NamedTuple):
    """Whether the bridge sends an unmatched packet to a controller of its own.

    From Open vSwitch's database and `ofproto/trace`, to `AskMiss`.
    """

    asks: bool


class NamesLearned(NamedTuple):
    """The owner's database says more of its flows than before, to `AskOwner`."""


class SettingsChanged(NamedTuple):
    """Other settings, to go on with."""

    bridge: Bridge
    settings: Settings


class ReadingWanted(NamedTuple):
    """The books are to be brought up to date now; `CountersRead` with this tag says when."""

    tag: Tag


class TimePassed(NamedTuple):
    """It has become the time that was asked for, or later."""


class StopWanted(NamedTuple):
    """All that was added is to be removed."""


Event: TypeAlias = (
    FlowsChanged
    | MonitorStarted
    | MonitorPaused
    | MonitorResumed
    | MonitorLost
    | FlowEnded
    | Answered
    | FlowsRead
    | CountsRead
    | MetersRead
    | MetersListed
    | MissAnswered
    | NamesLearned
    | SettingsChanged
    | ReadingWanted
    | TimePassed
    | StopWanted
)
