"""Other runs of this program that have flows on a bridge: at work, or dead. Pure.

A run that is at work starts the leases of its flows anew, again and again; the flows of one that is
dead end with their leases, and its meters stay. So a run is at work if, within the longest lease
seen of it, a flow monitor tells of a flow that it added or renewed, or if a flow of it is new, or
stands longer than its lease allows. If nothing of this is seen for so long, it is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ryu_droplog.model import cookie
from ryu_droplog.openflow import flow_stats
from ryu_droplog.openflow.flow_stats import Event, Flow, Update, effect_of

SLACK = 2.0
"""Seconds more than a lease: Open vSwitch looks for flows that have ended about once a second."""


class Lease(NamedTuple):
    """How long a flow stands if nobody renews it."""

    since: float
    """When it was first seen, or last known to be renewed."""
    seconds: int
    """Its hard timeout; 0: it has none."""


@dataclass
class OtherRun:
    """Another run, as far as it was seen. Times are in seconds, of the clock of `OtherRuns`."""

    run: int
    default: float
    """Its lease, in seconds, as long as no flow of it was seen."""
    since: float
    """When it was first seen, or last known to be at work."""
    at_work: bool = False
    """Whether it was seen at work; if not, it may be either."""
    flows: dict[int, Lease] = field(default_factory=dict)
    """Its flows, by cookie."""
    meters: int = 0
    longest: int = 0
    """The longest lease that was seen of it."""

    @property
    def lease(self) -> float:
        """How long it may take to renew its flows, in seconds."""
        return self.longest or self.default

    @property
    def due(self) -> float:
        """When it is dead if it was not seen at work before."""
        return self.since + self.lease + SLACK

    def sign(self, now: float) -> None:
        """It was seen at work."""
        self.at_work, self.since = True, now


def run_of(flow: Flow) -> int | None:
    """The run that added a flow; None: it is not one of this program's."""
    return flow_stats.run_of(flow.cookie, flow.effect)


class OtherRuns:
    """All other runs that have something on one bridge."""

    def __init__(
        self,
        dead: Collection[int],
        lease: float,
        clock: Callable[[], float],
    ) -> None:
        """`dead` are runs that are known to be: this one, and the last one with its lock.

        `lease`, in seconds, is that of a run of which no flow was seen.
        """
        self._dead = dead
        self._lease = lease
        self._clock = clock
        self._runs: dict[int, OtherRun] = {}

    def __contains__(self, run: int | None) -> bool:
        """Whether what belongs to this run is to be left alone."""
        return run in self._runs

    @property
    def seen(self) -> list[OtherRun]:
        """The runs that are at work, or may be."""
        return list(self._runs.values())

    def due(self) -> float | None:
        """When to look again, for one may be dead by then; None: there are none."""
        return min((other.due for other in self._runs.values()), default=None)

    def see(self, flows: Iterable[Flow], meters: Iterable[int]) -> set[int]:
        """Take all that is on the bridge: flows, and the runs of meters, one for each.

        Returns the runs that are dead. What they left is for the caller to remove; they are
        forgotten here.
        """
        now = self._clock()
        flows_of: dict[int, dict[int, int]] = {}
        for flow in flows:
            run = run_of(flow)
            if run is not None:
                flows_of.setdefault(run, {})[flow.cookie] = flow.hard_timeout
        meters_of: dict[int, int] = {}
        for run in meters:
            meters_of[run] = meters_of.get(run, 0) + 1
        present = flows_of.keys() | meters_of.keys()
        over = {run for run in present if run in self._dead}
        for run in present - over:
            self._update(run, flows_of.get(run, {}), meters_of.get(run, 0), now)
        self._runs = {run: other for run, other in self._runs.items() if run in present}
        late = {run for run, other in self._runs.items() if now >= other.due}
        for run in late:
            del self._runs[run]
        return over | late

    def note(self, update: Update) -> bool:
        """Take a change of a flow by others; whether another run of this program made it."""
        run = cookie.run_of(update.cookie)
        if run is None or (
            flow_stats.run_of(update.cookie, effect_of(update.instructions)) is None
        ):
            return False
        if update.event == Event.DELETED:
            return run in self._runs
        if run not in self._dead:
            now = self._clock()
            other = self._runs.setdefault(run, OtherRun(run, self._lease, now))
            other.sign(now)
            if update.cookie in other.flows:
                other.flows[update.cookie] = other.flows[update.cookie]._replace(since=now)
        return True

    def _update(self, run: int, flows: dict[int, int], meters: int, now: float) -> None:
        seen_before = run in self._runs
        other = self._runs.setdefault(run, OtherRun(run, self._lease, now))
        for number, seconds in flows.items():
            lease = other.flows.get(number)
            if lease is None:
                if seen_before:  # it was added after the first look
                    other.sign(now)
                other.flows[number] = Lease(now, seconds)
            elif seconds and now >= lease.since + seconds + SLACK:
                other.sign(now)
                other.flows[number] = Lease(now, seconds)
        for number in other.flows.keys() - flows.keys():
            del other.flows[number]
        other.meters = meters
        other.longest = max([other.longest, *flows.values()])
