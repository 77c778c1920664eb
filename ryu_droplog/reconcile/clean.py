"""`ryu-droplog clean`: remove what dead runs of this program have left, and nothing else.

Whether a run is dead is not seen at once (other_runs.py), so this may take as long as its leases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from os_ken.lib import hub

from ryu_droplog.locks.bridge_claims import Claims, at_work, holder
from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import Connection, error_text
from ryu_droplog.openflow.flow_stats import EXPERIMENTER_HEADER, Flow, parse_updates
from ryu_droplog.openflow.requests import dump, meter_ids, run_of_meter
from ryu_droplog.reconcile.other_runs import OtherRuns, run_of
from ryu_droplog.reconcile.owner_flow_rewrite import OwnerFlowRewrite
from ryu_droplog.reconcile.sweeper import left_by
from ryu_droplog.text.phrases import count

PROGRESS = 10.0
"""Seconds between two messages on how long the look still takes."""

_MONITOR_ID = 1


@dataclass
class Cleaned:
    """What was done on a bridge."""

    flows: int = 0
    meters: int = 0
    restored: int = 0
    """Drop flows of the owner's that had got an action of this program's."""
    at_work: Collection[int] = ()
    """Generations of runs that are at work there, and were left alone."""


class Cleaning:
    """One visit to a bridge; `updates` is to be given the messages of its flow monitor."""

    def __init__(
        self,
        bridge: str,
        run_directory: str,
        say: Callable[[str], None],
        *,
        force: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`say` shows the user what takes so long. `force`: all runs are taken for dead."""
        self._bridge = bridge
        self._run_directory = run_directory
        self._say = say
        self._force = force
        self._clock = clock
        self._updates: Any = hub.Queue()

    def updates(self, body: bytes) -> None:
        """Take the body of a flow monitor message; never blocks."""
        self._updates.put(body)

    def __call__(self, connection: Connection) -> Cleaned:
        """Look as long as it takes, and remove what is left by dead runs.

        Raises SwitchError when a running program with the same run directory has the bridge, and
        when the switch has no flow monitor and something is there that may be in use.
        """
        held = holder(self._run_directory, connection.id)
        if held is not None:
            raise SwitchError(f"{self._bridge}: {at_work(held.process)}")
        claims = Claims(self._run_directory)
        claim = claims.take(self._bridge, connection.id, str(connection.address))
        try:
            return self._clean(connection, claims.dead(connection.id))
        finally:
            claims.release(claim)

    def _clean(self, connection: Connection, dead: Collection[int]) -> Cleaned:
        [monitor] = connection.exchange([messages.monitor_flows(connection, _MONITOR_ID)])
        flows, meters = dump(connection), meter_ids(connection)
        runs = {run for run in map(run_of, flows) if run is not None}
        # No flow, no lease: what has only meters left was at work long ago.
        dead = {*dead, *({run_of_meter(meter) for meter in meters} - runs)}
        if self._force:
            dead |= runs
        if monitor.error and runs - dead:
            raise SwitchError(
                f"{self._bridge}: no flow monitor ({error_text(monitor.error)}) would tell whether"
                f" the flows of {_names(runs - dead)} are in use: --force removes them"
            )
        others = OtherRuns(dead, 0.0, self._clock)
        done = Cleaned()
        self._remove(connection, others, flows, meters, done)
        self._announce(others, flows)
        said = self._clock()
        while waiting := [other for other in others.seen if not other.at_work]:
            now = self._clock()
            due = max(other.due for other in waiting)
            if now >= said + PROGRESS:
                said = now
                self._say(f"{self._bridge}: looking for {due - now:.0f} s more")
            self._take_updates(others, min(min(o.due for o in waiting), said + PROGRESS) - now)
            if self._clock() >= min(other.due for other in waiting):
                self._remove(connection, others, dump(connection), meter_ids(connection), done)
        done.at_work = [other.run for other in others.seen]
        return done

    def _take_updates(self, others: OtherRuns, seconds: float) -> None:
        """Take what the flow monitor tells next; return when the time is over."""
        try:
            body = self._updates.get(timeout=max(seconds, 0.01))
        except hub.QueueEmpty:
            return
        for update in parse_updates(body[EXPERIMENTER_HEADER:]):
            others.note(update)

    def _remove(
        self,
        connection: Connection,
        others: OtherRuns,
        flows: list[Flow],
        meters: list[int],
        done: Cleaned,
    ) -> None:
        """Remove what the runs have left that are dead by now."""
        over = others.see(flows, map(run_of_meter, meters))
        left = left_by(over, flows, meters, alone=not others.seen)
        done.restored += left.remove(connection, OwnerFlowRewrite(connection))
        done.flows += len(left.flows)
        done.meters += len(left.meters)

    def _announce(self, others: OtherRuns, flows: list[Flow]) -> None:
        if not others.seen:
            return
        seconds = max(other.due for other in others.seen) - self._clock()
        held = sum(run_of(flow) in others for flow in flows)
        runs = _names([other.run for other in others.seen])
        self._say(
            f"{self._bridge}: {count(held, 'flow')} of {runs}:"
            f" looking for up to {seconds:.0f} s whether a program renews them"
            " (--force removes them at once)"
        )


def _names(runs: Collection[int]) -> str:
    return ", ".join(cookie.generation_text(run) for run in sorted(runs))
