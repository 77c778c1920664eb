"""Carries a plan out on one connection, keeps it true, and takes it back.

Everything that others do to the flows of the bridge comes in through a flow monitor. A flow of
ours that somebody's new flow contends with goes at once; it comes back, after a pause that grows,
where the plan still has a place for it. Whatever else changes is planned with at once, as far as
planning does not take more than its share of the time (pace.py).
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from os_ken.lib import hub

from ryu_droplog.cleanup.cleanup_process import Footprint
from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchRefusal, SwitchTimeout
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.capture_match import matches
from ryu_droplog.openflow.connection import ANSWER_TIME, Connection, error_text
from ryu_droplog.openflow.flow_removed import FlowRemoved
from ryu_droplog.openflow.flow_stats import (
    EXPERIMENTER_HEADER,
    Count,
    Event,
    Flow,
    Update,
    count_of,
    effect_of,
    is_ours,
    parse_updates,
)
from ryu_droplog.openflow.messages import OurFlow
from ryu_droplog.openflow.requests import (
    dump,
    dump_counts,
    exchange_many,
    port_names,
)
from ryu_droplog.openflow.session_setup import Facts, introduce
from ryu_droplog.ovsdb.miss_controller import MissAnswer
from ryu_droplog.reconcile.changes import Changes
from ryu_droplog.reconcile.contention import Contention
from ryu_droplog.reconcile.context import ReconcilerContext
from ryu_droplog.reconcile.counters import Counters, DropCount
from ryu_droplog.reconcile.desired_state import (
    DesiredFlow,
    DesiredState,
    FlowKey,
    Slots,
    wanted_flows,
)
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, Place
from ryu_droplog.reconcile.inbox import Inbox
from ryu_droplog.reconcile.meters import Meters
from ryu_droplog.reconcile.owner_flow_rewrite import OwnerFlowRewrite
from ryu_droplog.reconcile.owner_names import OwnerNames
from ryu_droplog.reconcile.pace import SHARE, Pace
from ryu_droplog.reconcile.plan_report import coming, describe, news
from ryu_droplog.reconcile.planner import Plan, Snapshot, plan
from ryu_droplog.reconcile.sweeper import Sweeper
from ryu_droplog.text import phrases

LOG = logging.getLogger(__name__)

LAST_COUNTS_TIME = 0.5
"""Seconds that the last counts of our flows are waited for when the program stops."""
STOP_TIME = 3.0
"""Seconds that a switch has to answer when the program stops."""
TABLES_TOLD = 8
"""Tables of which it is told one by one that a flow of ours gave way."""
_REMOVED_SIZE = 100
"""Bytes that the news of a flow's end takes."""
LONG_WAIT = 1.0
"""Seconds until the next plan from which on it is said which tables wait for it."""
SAYINGS, SAYINGS_TIME = 20, 60.0
"""How often it is said in so many seconds what is watched; later changes are told together."""


class _Reading:
    """A wish to have the counters read now."""

    def __init__(self) -> None:
        self.done: Any = hub.Queue()


class _Told:
    """The news that others have told more: the owner's words for its flows, who gets its misses."""


class _Change(NamedTuple):
    """OtherRun settings."""

    bridge: Bridge
    settings: Settings


class Reconciler:
    """Adds, renews and removes our flows on one bridge, over one connection."""

    def __init__(
        self,
        connection: Connection,
        bridge: Bridge,
        name: str,
        settings: Settings,
        generation: int,
        counters: Counters,
        around: ReconcilerContext,
        dead: Collection[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is the bridge's: `bridge` may stand for any.

        `dead` are generations of other runs that are known to have ended.
        """
        self._connection = connection
        self._bridge = name
        self._wish = bridge.explicit_drops
        self._unmetered = not settings.meter.required
        """Whether flows are added where the switch has no meters."""
        self._lease = settings.lease
        self._capture = _capture(settings)
        self._generation = generation
        self._counters = counters
        self._context = around
        self._clock = clock
        self.at_work = True
        """False when `run` has ended."""
        self._ended: float | None = None
        """When it has; what is told of the bridge is of that time from then on."""
        self._pipeline = around.pipeline([])
        self._plan = Plan(False, [])
        self._inbox = Inbox()
        self._handlers: dict[type, Callable[[Any], None]] = {
            bytes: self._handle_updates,
            FlowRemoved: self._handle_removed,
            _Reading: self._handle_reading,
            _Told: self._handle_told,
            _Change: self._handle_change,
        }
        self._stopping = False
        self._standing: dict[FlowKey, DesiredState] = {}
        self._contention = Contention(self._standing)
        self._slots = Slots()
        self._rewritten = OwnerFlowRewrite(connection)
        self._meters = Meters(connection, settings.meter, generation, counters, self._name)
        self._bundle_id = 0
        self._renewal = 0.0
        self._look_again = math.inf
        """When to plan anew although no flow has changed."""
        self._pace = Pace(clock)
        self._sweeper = Sweeper(
            connection,
            name,
            generation,
            dead,
            settings.lease.duration,
            self._meters,
            self._rewritten,
            clock,
        )
        self._words = OwnerNames(around, lambda: self._inbox.put(_Told()))
        self._misses = MissAnswer(around.asks_on_miss, lambda: self._inbox.put(_Told()), clock)
        self._awaited: set[int] = set()
        """Cookies of flows whose last count is still to come."""
        self._changes = Changes()
        """What others have changed since the flows were dumped."""
        self._facts = Facts({}, {}, has_meters=False, monitored=False)
        self._said: list[str] = []
        self._sayings: deque[float] = deque(maxlen=SAYINGS)

    # Called from other threads

    def flow_updates(self, body: bytes) -> None:
        """Take the body of a flow monitor message; never blocks. Raises SwitchError: too many."""
        self._inbox.put_of_switch(body, len(body))

    def flow_removed(self, removed: FlowRemoved) -> None:
        """Take the news that a flow has ended; never blocks. Raises SwitchError: too many."""
        self._inbox.put_of_switch(removed, _REMOVED_SIZE)

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

    def change(self, bridge: Bridge, settings: Settings) -> None:
        """Go on with other settings; never blocks. Flows that stay are not touched."""
        self._inbox.put(_Change(bridge, settings))

    def stop(self) -> None:
        """Make `run` take everything back and return."""
        self._stopping = True
        self._inbox.put(None)

    def describe(self) -> dict[str, Any]:
        """What is done about the bridge, for `status`."""
        now = self._clock() if self._ended is None else self._ended
        told = describe(self._plan, dict(self._standing), self._rewritten.places, now)
        return {
            "pipeline": self._pipeline.name,
            **told,
            "coming": coming(self._plan, self._pipeline, self._pace.tables, self._name, now),
            "other_runs": self._sweeper.describe(now),
        }

    # The reconciler's own thread

    def run(self) -> None:
        """Program the bridge until `stop`; raises SwitchError when the switch will not have it."""
        try:
            self._run()
        finally:
            self._ended = self._clock()
            self.at_work = False
            self._words.stop()
            self._misses.stop()

    def _run(self) -> None:
        self._facts = introduce(self._connection, self._bridge)
        self._context.learn_names(self._facts.names)
        self._meters.available = self._facts.has_meters
        if not self._facts.has_meters and self._unmetered:
            LOG.warning(
                "%s: the switch has no meters: a flood of drops will keep ovs-vswitchd busy",
                self._bridge,
            )
        self._misses.ask_now()
        self._replan(first=True)
        self._renewal = self._clock() + self._lease.renew
        while not self._stopping:
            alarms = self._renewal, self._next_plan(), self._misses.due()
            self._wait(min(alarms) - self._clock())
            now = self._clock()
            if self._stopping:
                break
            if now >= self._misses.due():
                self._misses.ask()
            if now >= self._renewal:
                self._renew()
                self._renewal = now + self._lease.renew
                self._misses.ask()
                if self._facts.monitored:
                    self._words.ask_again()
                    self._say(self._plan)
                else:
                    self._replan()
            elif now >= self._next_plan():
                self._replan()
        self._take_back()

    def _next_plan(self) -> float:
        """When to plan anew."""
        retries = [standing.retry for standing in self._standing.values()]
        wanted = [self._look_again, self._sweeper.due(), *retries]
        when = min(one for one in wanted if one is not None)
        due = self._pace.due()
        return min(self._pace.afford(when), math.inf if due is None else due)

    def _wait(self, seconds: float) -> None:
        """Handle what comes in until the time is over or something needs doing."""
        try:
            news = self._inbox.get(max(seconds, 0.001))
        except hub.QueueEmpty:
            return
        self._handle(news)
        self._handle_waiting()

    def _handle_waiting(self) -> None:
        """Handle what has come in so far, and no more: an owner may never rest."""
        for _ in range(self._inbox.qsize()):
            try:
                news = self._inbox.get(0)
            except hub.QueueEmpty:
                return
            self._handle(news)

    def _handle(self, news: object) -> None:
        if news is not None:
            self._handlers[type(news)](news)

    def _handle_updates(self, body: bytes) -> None:
        if self._stopping and not self._rewritten.places:
            return  # what we take back is ours alone, whatever they do
        contended: dict[FlowKey, str] = {}
        for update in parse_updates(body[EXPERIMENTER_HEADER:]):
            self._take_news(update)
            self._changes.note(update)
            self._rewritten.note(update)
            if update.event == Event.DELETED and self._sweeper.note(update):
                continue  # it was in our way
            for key, why in self._contention.find(update):
                contended.setdefault(key, why)
        if contended:
            self._withdraw(contended)

    def _take_news(self, update: Update) -> None:
        """Have a plan made, if the change is of a kind that a plan depends on."""
        others = self._sweeper.note(update)
        effect = effect_of(update.instructions)
        ours = (
            cookie.SIGNATURE in effect.controller_ids and cookie.run_of(update.cookie) is not None
        )
        if ours and not (others and update.event == Event.DELETED):
            return  # as good as absent, but for one that was in the way and is gone
        leads_to = {step.table_id for step in effect.steps}
        for table_id in self._pace.news({update.table_id, *leads_to}):
            self._announce(table_id, self._clock())

    def _announce(self, table_id: int, now: float) -> None:
        """Say that a table has come into use and must wait, if that is so."""
        wait = (self._pace.due() or now) - now
        if wait > LONG_WAIT and coming(
            self._plan, self._pipeline, {table_id: now}, self._name, now
        ):
            LOG.info(
                "%s: %s has come into use: it is not watched before the next plan, in %.0f s"
                " (planning takes %d %% of the time at most)",
                self._bridge,
                self._name(table_id),
                wait,
                100 * SHARE,
            )

    def _handle_removed(self, removed: FlowRemoved) -> None:
        if cookie.of_run(removed.cookie, self._generation):
            table_id = removed.table_id
            self._counters.flow(removed.cookie, table_id, self._name(table_id), removed.packets)
            self._counters.end_flow(removed.cookie)
            self._awaited.discard(removed.cookie)

    def _handle_reading(self, reading: _Reading) -> None:
        self._read_counters()
        reading.done.put(True)

    def _handle_told(self, told: _Told) -> None:
        self._look_again = self._clock()

    def _handle_change(self, change: _Change) -> None:
        settings = change.settings
        self._wish, self._lease = change.bridge.explicit_drops, settings.lease
        self._unmetered = not settings.meter.required
        self._meters.change(settings.meter)
        self._capture = _capture(settings)
        self._look_again = self._clock()
        self._pace.waive()
        self._renewal = min(self._renewal, self._clock() + self._lease.renew)

    def _withdraw(self, reasons: Mapping[FlowKey, str]) -> None:
        """Take these flows of ours away at once, and put off the next try."""
        now = self._clock()
        gone: list[OurFlow] = []
        told: dict[int, list[str]] = {}
        for key, why in reasons.items():
            standing = self._standing[key]
            if standing.flow is None:
                continue
            gone.append(standing.flow)
            standing.put_off(now, why)
            told.setdefault(key.table_id, []).append(f"{why}; next try in {standing.pause:g} s")
        exchange_many(self._connection, [flow.delete(self._connection) for flow in gone])
        if len(told) > TABLES_TOLD:
            LOG.info(
                "%s: %d flows of ours in %d tables gave way; they are tried again soon",
                self._bridge,
                len(gone),
                len(told),
            )
            return
        for table_id, whys in told.items():
            others = f" (and {len(whys) - 1} more there)" if len(whys) > 1 else ""
            name = self._name(table_id)
            LOG.info("%s: our flow in %s %s%s", self._bridge, name, whys[0], others)

    def _name(self, table_id: int) -> str:
        return self._pipeline.table_name(table_id, self._facts.names)

    # Planning and carrying out

    def _replan(self, *, first: bool = False) -> None:
        began = self._clock()
        self._pace.taken_up()
        self._look_again = math.inf
        self._changes.clear()
        flows = dump(self._connection)
        self._sweeper.look(flows, first=first)
        self._handle_waiting()  # a large bridge takes a while to dump
        self._meters.forget_lost()
        self._pipeline = self._context.pipeline(flows)
        self._context.learn_ports(port_names(self._connection))
        made = plan(self._pipeline, self._snapshot(flows), self._wish, self._context.is_drop)
        made = self._sweeper.spare(made)
        if self._context.has_database:
            self._words.ask(made, flows)
        self._plan = made
        wanted = {one.key: one for one in wanted_flows(made, self._slots, self._capture)}
        self._write_will(made, wanted.values())
        took = self._clock() - began
        self._pace.took(took)
        LOG.debug("%s: planned with %d flows in %.3f s", self._bridge, len(flows), took)
        self._count_explicit(count_of(flow) for flow in flows if not is_ours(flow))
        self._words.hand_on(made, wanted.values())
        self._rewritten.follow(made.explicit, self._meters.provide)
        for key, standing in list(self._standing.items()):
            if key not in wanted:
                self._remove(standing)
                standing.leave()
                # What is known of a table is kept: there are not many.
                if key.slot and self._clock() >= standing.not_before:
                    del self._standing[key]
        for key, one in wanted.items():
            standing = self._standing.setdefault(key, DesiredState(one))
            if not standing.fits(one, made.managed):
                self._remove(standing)
            standing.want(one, self._clock())
            self._contention.note(key, one)
            if standing.flow is not None and standing.flow.lease != self._lease.duration:
                self._add(standing, made.managed)
            if standing.flow is None and self._clock() >= standing.not_before:
                self._handle_waiting()
                in_the_way = self._sweeper.in_the_way(one)
                if in_the_way:
                    standing.wait(self._clock(), in_the_way)
                elif self._was_changed(one):
                    standing.put_off(self._clock(), "it was changed while the plan was made")
                else:
                    self._add(standing, made.managed)
        self._slots.keep(self._standing.__contains__)
        self._count_remains()
        self._pace.carried_out()
        self._misses.ask()
        self._say(made)

    def _was_changed(self, wanted: DesiredFlow) -> bool:
        """Whether the place of a flow to be added is no longer what was planned with."""
        return self._changes.any(wanted.key.table_id, wanted.contends)

    def _snapshot(self, flows: list[Flow]) -> Snapshot:
        facts = self._facts
        asks = self._misses.asks
        return Snapshot(flows, facts.names, facts.limits, facts.monitored, asks)

    def _add(self, standing: DesiredState, managed: bool) -> None:
        """Add a flow as it is wanted; one of ours that stands there goes at the same moment."""
        now = self._clock()
        wanted = standing.wanted
        try:
            meter_id = self._meters.provide(wanted.key.table_id)
        except SwitchRefusal as error:
            self._remove(standing)
            standing.put_off(now, str(error))
            return
        standing.additions += 1
        flow = self._new_flow(wanted, managed, meter_id, standing.additions)
        self._bundle_id += 1
        # The flow counts as ours from before it stands, so that no change by others is missed.
        former, standing.flow = standing.flow, flow
        adding = flow.add(self._connection, self._bundle_id, instead_of=former)
        errors = [answer.error for answer in self._connection.exchange(adding) if answer.error]
        if errors:
            if former is not None:
                self._connection.exchange([former.delete(self._connection)])
            standing.put_off(now, error_text(errors[0]))
        else:
            standing.stands(now)

    def _new_flow(
        self, wanted: DesiredFlow, managed: bool, meter_id: int | None, addition: int
    ) -> OurFlow:
        table_id, slot = wanted.key
        generation = self._generation | addition & cookie.ADDITION_MASK
        return OurFlow(
            table_id=table_id,
            priority=wanted.priority,
            match=wanted.match,
            flow_cookie=cookie.Cookie(not managed, generation, table_id, slot).pack(),
            meter_id=meter_id,
            lease=self._lease.duration,
            actions=wanted.actions,
        )

    def _remove(self, standing: DesiredState) -> None:
        if standing.flow is not None:
            self._connection.exchange([standing.flow.delete(self._connection)])
            standing.flow = None

    def _held(self) -> dict[FlowKey, OurFlow]:
        return {key: one.flow for key, one in self._standing.items() if one.flow is not None}

    def _renew(self) -> None:
        """Start all leases anew; find out which flows and meters are gone."""
        held = self._held()
        connection = self._connection
        exchange_many(connection, [flow.renew(connection) for flow in held.values()])
        present = self._read_counters()
        gone = {key: "is gone" for key, flow in held.items() if flow.cookie not in present}
        for table_id in self._meters.forget_lost():
            for key in held:
                if key.table_id == table_id:
                    gone.setdefault(key, "has lost its meter")
        if gone:
            self._withdraw(gone)
        self._count_remains()

    def _read_counters(self, answer_time: float = ANSWER_TIME) -> set[int]:
        """Bring the books up to date; returns the cookies of our flows that are there."""
        theirs = {drop.flow.cookie for drop in self._plan.explicit if drop.flow.instructions}
        theirs |= {flow.cookie for flow in self._rewritten.places.values()}

        def wanted(number: int) -> bool:
            return number & cookie.FAMILY_MASK == cookie.FAMILY or number in theirs

        present = set()
        others = []
        for count in dump_counts(self._connection, wanted, answer_time):
            if cookie.of_run(count.cookie, self._generation):
                present.add(count.cookie)
                name = self._name(count.table_id)
                self._counters.flow(count.cookie, count.table_id, name, count.packets)
            else:
                others.append(count)
        self._count_explicit(others)
        self._meters.read(answer_time)
        return present

    def _count_explicit(self, counts: Iterable[Count]) -> None:
        """Take what all drop flows of others have counted, in tables where that is a loss."""
        lossy, rewritten = self._plan.lossy, self._rewritten.places
        known = {drop.place for drop in self._plan.explicit}
        drops = []
        for count in counts:
            place = Place(count.table_id, count.priority, count.match)
            if count.table_id in lossy and (count.plain or place in known):
                tells = place in rewritten
                drops.append(DropCount(place, count.cookie, count.packets, count.plain, tells))
        self._counters.explicit(drops, self._name)

    def _take_back(self) -> None:
        """Remove every flow and meter that this program added; the counters' last state counts.

        Raises SwitchError when that is not certain: then it is for the clean-up process to do.
        """
        connection = self._connection
        with suppress(SwitchTimeout):  # a slow switch may still have the time to remove them
            self._read_counters(STOP_TIME)
        held = list(self._held().values())
        self._awaited = {flow.cookie for flow in held}
        answers = exchange_many(connection, [flow.delete(connection) for flow in held], STOP_TIME)
        restored = len(self._rewritten.places)
        self._rewritten.restore(list(self._rewritten.places), STOP_TIME)
        self._await_last_counts()
        self._meters.read(STOP_TIME)
        answers += self._meters.remove(STOP_TIME)
        errors = [answer.error for answer in answers if answer.error]
        if errors:
            raise SwitchRefusal(f"the switch refuses to remove it: {error_text(errors[0])}")
        self._context.register_clean_up(b"", Footprint())
        what = phrases.count(len(held), "flow") if held else "no flow was there"
        LOG.info("%s: removed what was added: %s", self._bridge, what)
        if restored:
            LOG.info(
                "%s: restored %s of the owner's", self._bridge, phrases.count(restored, "drop flow")
            )

    def _await_last_counts(self) -> None:
        """FLOW_REMOVED comes some milliseconds after the answer to the barrier."""
        deadline = self._clock() + LAST_COUNTS_TIME
        while self._awaited and self._clock() < deadline:
            self._wait(LAST_COUNTS_TIME / 10)

    def _write_will(self, made: Plan, wanted: Collection[DesiredFlow]) -> None:
        """Say how to take back all that stands and all that is about to be added."""
        connection = self._connection
        held = self._held()
        removals = [flow.delete(connection) for flow in held.values()]
        for one in wanted:
            standing = self._standing.get(one.key)
            additions = standing.additions if standing else 0
            removals.append(
                self._new_flow(one, made.managed, None, additions + 1).delete(connection)
            )
        restorals = self._rewritten.will(made.explicit)
        tables = {key.table_id for key in held} | {one.key.table_id for one in wanted}
        tables |= {
            drop.flow.table_id for drop in made.explicit if drop.method is CaptureMethod.MODIFY
        }
        meters = self._meters.removals(tables)
        flows = len(held.keys() | {one.key for one in wanted})
        footprint = Footprint(flows, len(meters), len(restorals), self._lease.duration)
        script = messages.script(connection, removals + restorals + meters)
        self._context.register_clean_up(script, footprint)

    def _count_remains(self) -> None:
        """Say how much stands now that all leases have begun anew, or flows were added."""
        changed = len(self._rewritten.places)
        footprint = Footprint(len(self._held()), self._meters.count, changed, self._lease.duration)
        self._context.register_clean_up(None, footprint)

    def _say(self, made: Plan) -> None:
        """Tell what is watched and what is not, as far as that has changed."""
        told = news(made, self._pipeline, self._standing, self._rewritten.places)
        now = self._clock()
        if told == self._said or (
            len(self._sayings) == SAYINGS and now - self._sayings[0] < SAYINGS_TIME
        ):
            return
        self._sayings.append(now)
        for text in told:
            if text not in self._said:
                LOG.info("%s: %s", self._bridge, text)
        self._said = told


def _capture(settings: Settings) -> Sequence[bytes] | None:
    """Matches of what the switch is to capture; None: everything."""
    return None if settings.flows is None else matches(settings.flows)
