"""One loud flow that steps aside, and its summary flow: what is known of both."""

from __future__ import annotations

from dataclasses import dataclass

from ryu_droplog.processing.loud_flows import LoudFlow
from ryu_droplog.processing.summaries import Sample, Summary
from ryu_droplog.reconcile.commands import FlowEntry
from ryu_droplog.reconcile.desired_state import FlowKey


@dataclass
class SummaryFlow:
    """A summary flow from before it is added to after its last count. Times are in seconds."""

    flow: LoudFlow
    sample: Sample
    below: FlowKey
    """The flow of ours that it is above."""
    within: bytes
    """The match of that flow."""
    entry: FlowEntry
    since: float
    """When it was added."""
    loud: float
    """When it was loud last."""
    read: float
    """When it was read last."""
    counted: int = 0
    """As it was read last."""
    entered: int = 0
    """How many of these are in the books."""
    told: int = 0
    """How many of these were told."""
    rate: float = 0.0
    """Packets a second between the last two readings."""
    gone: bool = False
    """Whether it is no longer on the switch, or is about to go."""
    forgotten: float = 0.0
    """When nothing more is expected of it; 0: it is there."""

    def count(self, packets: int, now: float) -> int:
        """It has counted so many in all; gives back how many are new."""
        more = max(packets - self.counted, 0)
        if now > self.read:
            self.rate = more / (now - self.read)
        self.counted, self.read = self.counted + more, now
        return more

    def enter(self, told: int) -> Summary | None:
        """Take all that it has counted as entered, and so many as told; what is new, if any."""
        more = self.counted - self.entered
        self.entered = self.counted
        self.told += told
        if not (more or told):
            return None
        return Summary(self.flow, self.sample, told, credited=more - told)
