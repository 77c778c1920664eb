"""Carries a plan out on one connection, keeps it true, and takes it back.

Everything that others do to the flows of the bridge comes in through a flow monitor. A flow of
ours that somebody's new flow contends with goes at once; it comes back, after a pause that grows,
where the plan still has a place for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from os_ken.lib import hub

from ryu_droplog import cookie
from ryu_droplog.errors import SwitchRefusal
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.channel import Channel, error_text
from ryu_droplog.openflow.counters import Counters, FlowRemoved
from ryu_droplog.openflow.flows import Event, Flow, Update, effect_of, parse_updates
from ryu_droplog.openflow.introduction import Facts, introduce
from ryu_droplog.openflow.messages import MissFlow
from ryu_droplog.openflow.plan import (
    PRIORITY_MAX,
    Plan,
    Snapshot,
    TablePlan,
    Verdict,
    is_ours,
    plan,
)
from ryu_droplog.openflow.requests import (
    dump,
    first_meter,
    leftover,
    meter_drops,
    meter_ids,
)
from ryu_droplog.openflow.standing import Standing
from ryu_droplog.pipelines import Pipeline
from ryu_droplog.settings import Lease, Meter

LOG = logging.getLogger(__name__)

ASK_AGAIN = 7.0
"""Seconds until a bridge whose controller is asked on a miss is looked at again."""
LAST_COUNTS_TIME = 0.5
"""Seconds that the last counts of our flows are waited for when the program stops."""
FAREWELL_TIME = 3.0
"""Seconds that a switch has to answer when the program stops."""

_EXPERIMENTER_HEADER = 8  # experimenter and type, before the updates of a flow monitor message


class _Reading:
    """A wish to have the counters read now."""

    def __init__(self) -> None:
        self.done: Any = hub.Queue()


class Programmer:
    """Adds, renews and removes our flows on one bridge, over one connection."""

    def __init__(
        self,
        channel: Channel,
        bridge: str,
        pipeline: Pipeline,
        meter: Meter,
        lease: Lease,
        generation: int,
        counters: Counters,
        on_names: Callable[[Mapping[int, str]], None],
        bequeath: Callable[[bytes], None],
        asks_on_miss: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_names` gets the table names that the bridge itself has, before any flow is added.

        `bequeath` gets the messages that take everything back if the program is killed, whenever
        they change. `asks_on_miss` tells whether the bridge sends an unmatched packet to a
        controller of its own.
        """
        self._channel = channel
        self._bridge = bridge
        self._pipeline = pipeline
        self._meter = meter
        self._lease = lease
        self._generation = generation
        self._meter_base = first_meter(generation)
        self._counters = counters
        self._on_names = on_names
        self._bequeath = bequeath
        self._asks_on_miss = asks_on_miss
        self._clock = clock
        self.at_work = True
        """False when `run` has ended."""
        self._plan = Plan(False, [])
        self._inbox: Any = hub.Queue()
        self._handlers: dict[type, Callable[[Any], None]] = {
            bytes: self._handle_updates,
            FlowRemoved: self._handle_removed,
            _Reading: self._handle_reading,
        }
        self._stopping = False
        self._standing: dict[int, Standing] = {}
        self._meters: set[int] = set()
        self._bundle_id = 0
        self._ask_again = 0.0
        """When to ask again whether a miss goes to a controller; 0: it does not."""
        self._awaited: set[int] = set()
        """Cookies of flows whose last count is still to come."""
        self._changed = False
        self._lowest_change: dict[int, int] = {}
        """By table, the lowest priority of somebody's changes since the flows were dumped."""
        self._facts = Facts({}, {}, has_meters=False, monitored=False)
        self._said: object = None

    # Called from other threads

    def flow_updates(self, body: bytes) -> None:
        """Take the body of a flow monitor message; never blocks."""
        self._inbox.put(body)

    def flow_removed(self, removed: FlowRemoved) -> None:
        """Take the news that a flow has ended; never blocks."""
        self._inbox.put(removed)

    def read_counters(self, seconds: float) -> bool:
        """Have the counters read now; whether that was done within so many seconds."""
        reading = _Reading()
        if not self.at_work:
            return False
        self._inbox.put(reading)
        try:
            return bool(reading.done.get(timeout=seconds))
        except hub.QueueEmpty:
            return False

    def stop(self) -> None:
        """Make `run` take everything back and return."""
        self._stopping = True
        self._inbox.put(None)

    def describe(self) -> list[dict[str, Any]]:
        """The tables of the last plan, each with what is done about it, for `status`."""
        described = []
        for table in self._plan.tables:
            standing = self._standing.get(table.table_id)
            watched = standing is not None and standing.flow is not None
            row = asdict(table) | {"verdict": table.verdict.value, "watched": watched}
            if standing is not None and standing.refusal:
                row["refusal"] = standing.refusal
            described.append(row)
        return described

    # The programmer's own thread

    def run(self) -> None:
        """Program the bridge until `stop`; raises SwitchError when the switch will not have it."""
        try:
            self._run()
        finally:
            self.at_work = False

    def _run(self) -> None:
        self._facts = introduce(self._channel, self._bridge)
        self._on_names(self._facts.names)
        if not self._facts.has_meters and not self._meter.required:
            LOG.warning(
                "%s: the switch has no meters: a flood of drops will keep ovs-vswitchd busy",
                self._bridge,
            )
        self._replan(first=True)
        renewal = self._clock() + self._lease.renew
        while not self._stopping:
            self._wait(min([renewal, *self._retries()]) - self._clock())
            now = self._clock()
            if self._stopping:
                break
            if now >= renewal:
                self._renew()
                renewal = now + self._lease.renew
                if self._changed or not self._facts.monitored:
                    self._replan()
            elif any(retry <= now for retry in self._retries()):
                self._replan()
        self._take_back()

    def _wait(self, seconds: float) -> None:
        """Handle what comes in until the time is over or something needs doing."""
        try:
            news = self._inbox.get(timeout=max(seconds, 0.001))
        except hub.QueueEmpty:
            return
        self._handle(news)
        self._handle_waiting()

    def _handle_waiting(self) -> None:
        while True:
            try:
                news = self._inbox.get(block=False)
            except hub.QueueEmpty:
                return
            self._handle(news)

    def _handle(self, news: object) -> None:
        if news is not None:
            self._handlers[type(news)](news)

    def _handle_updates(self, body: bytes) -> None:
        contended: dict[int, str] = {}
        for update in parse_updates(body[_EXPERIMENTER_HEADER:]):
            why = self._contention(update)
            if why:
                contended.setdefault(update.table_id, why)
        if contended:
            self._withdraw(contended)

    def _handle_removed(self, removed: FlowRemoved) -> None:
        if cookie.of_run(removed.cookie, self._generation):
            table_id = removed.table_id
            self._counters.flow(removed.cookie, table_id, self._name(table_id), removed.packets)
            self._counters.end_flow(removed.cookie)
            self._awaited.discard(removed.cookie)

    def _handle_reading(self, reading: _Reading) -> None:
        self._read_counters()
        reading.done.put(True)

    def _contention(self, update: Update) -> str | None:
        """Why somebody's change means that our flow there must go; None when it may stay."""
        self._changed = True
        lowest = self._lowest_change.get(update.table_id, update.priority)
        self._lowest_change[update.table_id] = min(lowest, update.priority)
        standing = self._standing.get(update.table_id)
        if standing is None or standing.flow is None:
            return None
        ours = standing.flow
        if update.cookie == ours.cookie:
            if update.event == Event.DELETED:
                return "was removed"
            # After a pause of the monitor our own addition is told like anyone's.
            whole = cookie.SIGNATURE in effect_of(update.instructions).controller_ids
            return None if whole else "was changed"
        if ours.priority - 1 <= update.priority <= ours.priority:
            return f"was contended with at priority {update.priority}"
        return None

    def _withdraw(self, reasons: Mapping[int, str]) -> None:
        """Take our flows of these tables away at once, and put off the next try."""
        now = self._clock()
        gone = []
        for table_id, why in reasons.items():
            standing = self._standing[table_id]
            if standing.flow is None:
                continue
            gone.append(standing.flow)
            standing.put_off(now)
            name = self._name(table_id)
            LOG.info(
                "%s: our flow in %s %s; next try in %g s", self._bridge, name, why, standing.pause
            )
        self._channel.exchange([flow.delete(self._channel) for flow in gone])

    def _retries(self) -> list[float]:
        """When the tables that wait for another try may have it."""
        retries = [
            standing.not_before
            for standing in self._standing.values()
            if standing.flow is None and standing.not_before
        ]
        return [*retries, self._ask_again] if self._ask_again else retries

    def _name(self, table_id: int) -> str:
        return self._pipeline.table_name(table_id, self._facts.names)

    # Planning and carrying out

    def _replan(self, *, first: bool = False) -> None:
        self._changed = False
        self._lowest_change.clear()
        flows = dump(self._channel)
        if first:
            self._sweep(flow for flow in flows if is_ours(flow))
        self._handle_waiting()  # a large bridge takes a while to dump
        self._forget_lost_meters()
        made = plan(self._pipeline, self._snapshot(flows))
        now = self._clock()
        self._plan = made
        self._write_will(made)
        planned = {table.table_id for table in made.tables}
        for table_id, standing in self._standing.items():
            if table_id not in planned:
                self._remove(standing)
                standing.leave()
        for table in made.tables:
            standing = self._standing.setdefault(table.table_id, Standing())
            if not standing.fits(table, made.managed):
                self._remove(standing)
            if table.verdict is Verdict.LEAVE:
                standing.leave()
            elif standing.flow is None and now >= standing.not_before:
                self._handle_waiting()
                if self._lowest_change.get(table.table_id, PRIORITY_MAX + 1) <= table.priority:
                    standing.put_off(now, "it was changed while the plan was made")
                else:
                    self._add(table, standing, made.managed)
        self._say(made)

    def _snapshot(self, flows: list[Flow]) -> Snapshot:
        facts = self._facts
        asks = self._asks_on_miss()
        self._ask_again = self._clock() + ASK_AGAIN if asks else 0.0
        return Snapshot(flows, facts.names, facts.limits, facts.monitored, asks)

    def _forget_lost_meters(self) -> set[int]:
        """Note which of our meters somebody has deleted: their tables need new ones."""
        lost = self._meters - set(meter_ids(self._channel)) if self._meters else set()
        self._meters -= lost
        tables = {meter_id - self._meter_base for meter_id in lost}
        self._counters.forget_meters(tables)
        return tables

    def _sweep(self, leftovers: Iterable[Flow]) -> None:
        """Remove what a run that crashed left: flows that live on their lease, and meters."""
        channel = self._channel
        removals = [leftover(flow).delete(channel) for flow in leftovers]
        found = meter_ids(channel) if self._facts.has_meters else []
        self._meters = {meter for meter in found if 0 <= meter - self._meter_base < 256}
        self._read_meters()  # they counted on while the connection was away
        self._meters.clear()
        removals += [messages.delete_meter(channel, meter) for meter in found]
        if removals:
            LOG.info("%s: removing %d leftovers", self._bridge, len(removals))
            channel.exchange(removals)

    def _add(self, table: TablePlan, standing: Standing, managed: bool) -> None:
        now = self._clock()
        try:
            meter_id = self._provide_meter(table.table_id)
        except SwitchRefusal as error:
            standing.put_off(now, str(error))
            return
        standing.additions += 1
        flow = self._new_flow(table, managed, meter_id, standing.additions)
        self._bundle_id += 1
        # The flow counts as ours from before it stands, so that no change by others is missed.
        standing.flow = flow
        errors = [
            answer.error
            for answer in self._channel.exchange(flow.add(self._channel, self._bundle_id))
            if answer.error
        ]
        if errors:
            standing.put_off(now, error_text(errors[0]))
        else:
            standing.stands(now)

    def _new_flow(
        self, table: TablePlan, managed: bool, meter_id: int | None, addition: int
    ) -> MissFlow:
        generation = self._generation | addition & cookie.ADDITION_MASK
        return MissFlow(
            table_id=table.table_id,
            priority=table.priority,
            shadow=table.verdict is Verdict.SHADOW,
            flow_cookie=cookie.Cookie(not managed, generation, table.table_id).pack(),
            meter_id=meter_id,
            lease=self._lease.duration,
        )

    def _provide_meter(self, table_id: int) -> int | None:
        """The table's meter, made if need be; None: it may go without, and the switch has none.

        Raises SwitchRefusal when it may not, or when the switch refuses.
        """
        if not self._facts.has_meters:
            if self._meter.required:
                raise SwitchRefusal("the switch has no meters, and meter.required is true")
            return None
        meter_id = self._meter_base + table_id
        if meter_id not in self._meters:
            rate, burst = self._meter.rate, self._meter.burst
            channel = self._channel
            [answer] = channel.exchange([messages.add_meter(channel, meter_id, rate, burst)])
            if answer.error:
                raise SwitchRefusal(f"the switch refuses the meter: {error_text(answer.error)}")
            self._meters.add(meter_id)
            self._counters.forget_meters([table_id])
        return meter_id

    def _remove(self, standing: Standing) -> None:
        if standing.flow is not None:
            self._channel.exchange([standing.flow.delete(self._channel)])
            standing.flow = None

    def _renew(self) -> None:
        """Start all leases anew; find out which flows and meters are gone."""
        held = {table: s.flow for table, s in self._standing.items() if s.flow is not None}
        channel = self._channel
        channel.exchange([flow.renew(channel) for flow in held.values()])
        present = self._read_counters()
        gone = {t: "is gone" for t, flow in held.items() if flow.cookie not in present}
        for table_id in self._forget_lost_meters():
            if table_id in held:
                gone.setdefault(table_id, "has lost its meter")
        if gone:
            self._withdraw(gone)

    def _read_counters(self) -> set[int]:
        """Bring the ledger up to date; returns the cookies of our flows that are there."""
        flows = dump(self._channel, cookie.FAMILY, cookie.FAMILY_MASK)
        for flow in flows:
            if cookie.of_run(flow.cookie, self._generation):
                name = self._name(flow.table_id)
                self._counters.flow(flow.cookie, flow.table_id, name, flow.packets)
        self._read_meters()
        return {flow.cookie for flow in flows}

    def _read_meters(self) -> None:
        drops = meter_drops(self._channel, sorted(self._meters))
        for meter_id, packets in drops.items():
            table_id = meter_id - self._meter_base
            self._counters.meter(table_id, self._name(table_id), packets)

    def _take_back(self) -> None:
        """Remove every flow and meter that this program added; the counters' last state counts."""
        channel = self._channel
        self._read_counters()
        held = [s.flow for s in self._standing.values() if s.flow is not None]
        self._awaited = {flow.cookie for flow in held}
        channel.exchange([flow.delete(channel) for flow in held], FAREWELL_TIME)
        self._await_last_counts()
        self._read_meters()
        removals = [messages.delete_meter(channel, meter) for meter in sorted(self._meters)]
        channel.exchange(removals, FAREWELL_TIME)
        self._bequeath(b"")
        LOG.info("%s: removed what we added, %d in all", self._bridge, len(held))

    def _await_last_counts(self) -> None:
        """FLOW_REMOVED comes some milliseconds after the answer to the barrier."""
        deadline = self._clock() + LAST_COUNTS_TIME
        while self._awaited and self._clock() < deadline:
            self._wait(LAST_COUNTS_TIME / 10)

    def _write_will(self, made: Plan) -> None:
        """Say how to take back all that stands and all that is about to be added."""
        channel = self._channel
        held = [s.flow for s in self._standing.values() if s.flow is not None]
        removals = [flow.delete(channel) for flow in held]
        for table in made.watched:
            next_addition = self._standing.setdefault(table.table_id, Standing()).additions + 1
            flow = self._new_flow(table, made.managed, None, next_addition)
            removals.append(flow.delete(channel))
        tables = {flow.table_id for flow in held} | {table.table_id for table in made.watched}
        meters = self._meters | {self._meter_base + table_id for table_id in tables}
        removals += [messages.delete_meter(channel, meter) for meter in sorted(meters)]
        self._bequeath(messages.script(channel, removals))

    def _say(self, made: Plan) -> None:
        """Tell what is watched and what is not, when that has changed."""
        watched = [t.name for t in made.watched if self._standing[t.table_id].flow is not None]
        left = [f"{t.name} ({t.why})" for t in made.tables if t.verdict is Verdict.LEAVE]
        refused = [
            f"{t.name} ({self._standing[t.table_id].refusal})"
            for t in made.watched
            if self._standing[t.table_id].refusal
        ]
        said = (watched, left, refused)
        if said == self._said:
            return
        self._said = said
        LOG.info("%s: watching %s", self._bridge, ", ".join(watched) or "no table")
        if left:
            LOG.info("%s: left alone: %s", self._bridge, "; ".join(left))
        if refused:
            LOG.warning("%s: not watched for now: %s", self._bridge, "; ".join(refused))
