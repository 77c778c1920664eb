"""Reconciles a bridge with its desired state over one connection, and removes all of it at the end.

All changes that others make to the flows of the bridge arrive through a flow monitor. A flow of
ours with which somebody's new flow conflicts is removed at once; it is added again, after a pause
that grows, where the plan still has a place for it. Any other change leads to a new plan at once,
as long as planning does not take more than its share of the time (pace.py).
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
    run_of,
)
from ryu_droplog.openflow.messages import OurFlow
from ryu_droplog.openflow.requests import (
    dump,
    dump_counts,
    exchange_many,
    port_names,
)
from ryu_droplog.openflow.session_setup import SessionFacts, set_up_session
from ryu_droplog.ovsdb.miss_controller import MissAnswer
from ryu_droplog.reconcile.changes import Changes
from ryu_droplog.reconcile.contention import Contention
from ryu_droplog.reconcile.context import ReconcilerContext
from ryu_droplog.reconcile.counters import Counters, DropCount
from ryu_droplog.reconcile.desired_state import (
    DesiredFlow,
    FlowKey,
    FlowState,
    Slots,
    desired_flows,
)
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, Place
from ryu_droplog.reconcile.inbox import Inbox
from ryu_droplog.reconcile.meters import Meters
from ryu_droplog.reconcile.owner_flow_rewrite import OwnerFlowRewrite
from ryu_droplog.reconcile.owner_names import OwnerNames
from ryu_droplog.reconcile.pace import SHARE, Pace
from ryu_droplog.reconcile.plan_report import coming, describe, summarise
from ryu_droplog.reconcile.planner import Plan, Snapshot
from ryu_droplog.reconcile.planner import plan as make_plan
from ryu_droplog.reconcile.storm_driver import StormDriver, StormParts
from ryu_droplog.reconcile.sweeper import Sweeper
from ryu_droplog.text import phrases

LOG = logging.getLogger(__name__)

LAST_COUNTS_TIME = 0.5
"""Seconds that the last counts of our flows are waited for when the program stops."""
STOP_TIME = 3.0
"""Seconds that a switch has to answer when the program stops."""
TABLES_NAMED = 8
"""Tables up to which each is named whose flow of ours was removed for an owner's change."""
_REMOVED_SIZE = 100
"""Bytes that a FLOW_REMOVED counts for in the inbox."""
LONG_WAIT = 1.0
"""Seconds until the next plan from which on it is said which tables wait for it."""
SUMMARIES, SUMMARIES_TIME = 20, 60.0
"""How often what is watched is logged in so many seconds; later changes are logged together."""


class _ReadCounters:
    """A request to read the counters now; `done` gets True when that is so."""

    def __init__(self) -> None:
        self.done: Any = hub.Queue()


class _PlanAnew:
    """The owner's names of its flows, or who gets the bridge's misses, are known better now."""


class _NewSettings(NamedTuple):
    """Other settings, to go on with."""

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
        context: ReconcilerContext,
        storm: StormParts,
        dead: Collection[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is the bridge's: `bridge` may stand for any.

        `dead` are generations of other runs that are known to have ended.
        """
        self._connection = connection
        self._bridge = name
        self._explicit_drops = bridge.explicit_drops
        self._without_meters = not settings.meter.required
        """Whether flows are added where the switch has no meters."""
        self._lease = settings.lease
        self._capture = _capture(settings)
        self._generation = generation
        self._counters = counters
        self._context = context
        self._clock = clock
        self.at_work = True
        """False when `run` has ended."""
        self._ended: float | None = None
        """When `run` ended; `describe` is of that time from then on."""
        self._pipeline = context.pipeline([])
        self._plan = Plan(False, [])
        self._inbox = Inbox()
        self._handlers: dict[type, Callable[[Any], None]] = {
            bytes: self._handle_updates,
            FlowRemoved: self._handle_removed,
            _ReadCounters: self._handle_read_counters,
            _PlanAnew: self._handle_plan_anew,
            _NewSettings: self._handle_new_settings,
        }
        self._stopping = False
        self._states: dict[FlowKey, FlowState] = {}
        self._contention = Contention(self._states)
        self._slots = Slots()
        self._rewritten = OwnerFlowRewrite(connection)
        self._meters = Meters(connection, settings.meter, generation, counters, self._name)
        self._undo = b""
        """What the clean-up process would send, but for the removal of summary flows."""
        self._storm_control = storm.control
        self._storm = StormDriver(
            connection,
            name,
            storm,
            counters,
            self._meters,
            self._name,
            self._register_summary_flows,
            clock,
        )
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
        self._owner_names = OwnerNames(context, lambda: self._inbox.put(_PlanAnew()))
        self._misses = MissAnswer(context.asks_on_miss, lambda: self._inbox.put(_PlanAnew()), clock)
        self._awaited: set[int] = set()
        """Cookies of flows whose last count is still to come."""
        self._changes = Changes()
        """What others have changed since the flows were dumped."""
        self._facts = SessionFacts({}, {}, has_meters=False, monitored=False)
        self._summary: list[str] = []
        self._summary_times: deque[float] = deque(maxlen=SUMMARIES)

    # Called from other threads

    def flow_updates(self, body: bytes) -> None:
        """Take the body of a flow monitor message; never blocks. Raises SwitchError: too many."""
        self._inbox.put_of_switch(body, len(body))

    def flow_removed(self, removed: FlowRemoved) -> None:
        """Take the news that a flow has ended; never blocks. Raises SwitchError: too many."""
        self._inbox.put_of_switch(removed, _REMOVED_SIZE)

    def read_counters(self, seconds: float) -> bool:
        """Have the counters read now; whether that was done within so many seconds."""
        request = _ReadCounters()
        if not self.at_work:
            return False
        self._inbox.put(request)
        try:
            return bool(request.done.get(timeout=seconds))
        except hub.QueueEmpty:
            return False

    def change(self, bridge: Bridge, settings: Settings) -> None:
        """Go on with other settings; never blocks. Flows that stay are not touched."""
        self._inbox.put(_NewSettings(bridge, settings))

    def stop(self) -> None:
        """Make `run` remove all that it added, and return."""
        self._stopping = True
        self._inbox.put(None)

    def describe(self) -> dict[str, Any]:
        """What is done about the bridge, for `status`."""
        now = self._clock() if self._ended is None else self._ended
        description = describe(self._plan, dict(self._states), self._rewritten.places, now)
        return {
            "pipeline": self._pipeline.name,
            **description,
            "coming": coming(self._plan, self._pipeline, self._pace.tables, self._name, now),
            "other_runs": self._sweeper.describe(now),
            "summarised": self._storm.describe(now),
        }

    # The reconciler's own thread

    def run(self) -> None:
        """Reconcile the bridge until `stop`; raises SwitchError when the switch refuses."""
        try:
            self._run()
        finally:
            self._ended = self._clock()
            self.at_work = False
            self._owner_names.stop()
            self._misses.stop()

    def _run(self) -> None:
        self._facts = set_up_session(self._connection, self._bridge)
        self._context.learn_names(self._facts.names)
        self._meters.available = self._facts.has_meters
        if not self._facts.has_meters and self._without_meters:
            LOG.warning(
                "%s: the switch has no meters: a flood of drops will keep ovs-vswitchd busy",
                self._bridge,
            )
        self._misses.ask_now()
        self._replan(first=True)
        self._renewal = self._clock() + self._lease.renew
        while not self._stopping:
            alarms = self._renewal, self._next_plan(), self._misses.due(), self._storm.due
            self._wait(min(alarms) - self._clock())
            now = self._clock()
            if self._stopping:
                break
            if now >= self._storm.due:
                self._look_for_storm()
            if now >= self._misses.due():
                self._misses.ask()
            if now >= self._renewal:
                self._renew()
                self._renewal = now + self._lease.renew
                self._misses.ask()
                if self._facts.monitored:
                    self._owner_names.ask_again()
                    self._log_summary(self._plan)
                else:
                    self._replan()
            elif now >= self._next_plan():
                self._replan()
        self._remove_everything()

    def _next_plan(self) -> float:
        """When to plan anew."""
        retries = [state.retry for state in self._states.values()]
        times = [self._look_again, self._sweeper.due(), *retries]
        when = min(moment for moment in times if moment is not None)
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
            return  # what is being removed is ours alone, whatever others do
        contended: dict[FlowKey, str] = {}
        updates = list(parse_updates(body[EXPERIMENTER_HEADER:]))
        self._storm.changed(updates)
        for update in updates:
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
        ours = run_of(update.cookie, effect) is not None
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
            self._awaited.discard(removed.cookie)
            if cookie.is_summary(removed.cookie):
                self._storm.ended(removed)
                return
            table_id = removed.table_id
            self._counters.flow(removed.cookie, table_id, self._name(table_id), removed.packets)
            self._counters.end_flow(removed.cookie)

    def _handle_read_counters(self, request: _ReadCounters) -> None:
        self._read_counters()
        request.done.put(True)

    def _handle_plan_anew(self, request: _PlanAnew) -> None:
        self._look_again = self._clock()

    def _handle_new_settings(self, change: _NewSettings) -> None:
        settings = change.settings
        self._explicit_drops, self._lease = change.bridge.explicit_drops, settings.lease
        self._without_meters = not settings.meter.required
        self._meters.change(settings.meter)
        self._capture = _capture(settings)
        self._storm_control.change(settings)
        self._look_again = self._storm.due = self._clock()
        self._pace.waive()
        self._renewal = min(self._renewal, self._clock() + self._lease.renew)

    def _withdraw(self, reasons: Mapping[FlowKey, str]) -> None:
        """Remove these flows of ours at once, and put off the next try."""
        now = self._clock()
        gone: list[OurFlow] = []
        reasons_by_table: dict[int, list[str]] = {}
        for key, why in reasons.items():
            state = self._states[key]
            if state.flow is None:
                continue
            gone.append(state.flow)
            state.put_off(now, why)
            reasons_by_table.setdefault(key.table_id, []).append(
                f"{why}; next try in {state.backoff.full:g} s"
            )
        removals = [flow.delete(self._connection) for flow in gone]
        exchange_many(self._connection, [*self._storm.leave(reasons.keys()), *removals])
        if len(reasons_by_table) > TABLES_NAMED:
            LOG.info(
                "%s: %d of our flows in %d tables were removed because of changes by others; they"
                " are added again soon",
                self._bridge,
                len(gone),
                len(reasons_by_table),
            )
            return
        for table_id, whys in reasons_by_table.items():
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
        plan = make_plan(
            self._pipeline, self._snapshot(flows), self._explicit_drops, self._context.is_drop
        )
        plan = self._sweeper.spare(plan)
        if self._context.has_database:
            self._owner_names.ask(plan, flows)
        self._plan = plan
        desired = {flow.key: flow for flow in desired_flows(plan, self._slots, self._capture)}
        self._register_undo(plan, desired.values())
        took = self._clock() - began
        self._pace.took(took)
        LOG.debug("%s: planned with %d flows in %.3f s", self._bridge, len(flows), took)
        self._count_explicit(count_of(flow) for flow in flows if not is_ours(flow))
        self._owner_names.hand_on(plan, desired.values())
        self._rewritten.follow(plan.explicit, self._meters.provide)
        for key, state in list(self._states.items()):
            if key not in desired:
                self._remove(state)
                state.stop_desiring()
                # What is known of a table is kept: there are not many.
                if key.slot and self._clock() >= state.not_before:
                    del self._states[key]
        for key, flow in desired.items():
            state = self._states.setdefault(key, FlowState(flow))
            if not state.fits(flow, plan.managed):
                self._remove(state)
            state.desire(flow, self._clock())
            self._contention.note(key, flow)
            if state.flow is not None and state.flow.lease != self._lease.duration:
                self._add(state, plan.managed)
            if state.flow is None and self._clock() >= state.not_before:
                self._handle_waiting()
                in_the_way = self._sweeper.in_the_way(flow)
                if in_the_way:
                    state.wait(self._clock(), in_the_way)
                elif self._was_changed(flow):
                    state.put_off(self._clock(), "it was changed while the plan was made")
                else:
                    self._add(state, plan.managed)
        self._slots.keep(self._states.__contains__)
        self._count_remains()
        self._pace.carried_out()
        self._misses.ask()
        self._log_summary(plan)

    def _was_changed(self, desired: DesiredFlow) -> bool:
        """Whether the place of a flow to be added is no longer what was planned with."""
        return self._changes.any(desired.key.table_id, desired.contends)

    def _snapshot(self, flows: list[Flow]) -> Snapshot:
        facts = self._facts
        asks = self._misses.asks
        return Snapshot(flows, facts.names, facts.limits, facts.monitored, asks)

    def _add(self, state: FlowState, managed: bool) -> None:
        """Add a flow as desired; one of ours that is there is removed in the same bundle."""
        now = self._clock()
        desired = state.desired
        try:
            meter_id = self._meters.provide(desired.key.table_id)
        except SwitchRefusal as error:
            self._remove(state)
            state.put_off(now, str(error))
            return
        state.additions += 1
        flow = self._new_flow(desired, managed, meter_id, state.additions)
        self._bundle_id += 1
        # The flow counts as ours from before it is added, so that no change by others is missed.
        former, state.flow = state.flow, flow
        exchange_many(self._connection, self._storm.make_room(flow))
        adding = flow.add(self._connection, self._bundle_id, instead_of=former)
        errors = [answer.error for answer in self._connection.exchange(adding) if answer.error]
        if errors:
            if former is not None:
                self._connection.exchange([former.delete(self._connection)])
            state.put_off(now, error_text(errors[0]))
        else:
            state.added(now)

    def _new_flow(
        self, desired: DesiredFlow, managed: bool, meter_id: int | None, addition: int
    ) -> OurFlow:
        table_id, slot = desired.key
        generation = self._generation | addition & cookie.ADDITION_MASK
        return OurFlow(
            table_id=table_id,
            priority=desired.priority,
            match=desired.match,
            flow_cookie=cookie.Cookie(not managed, generation, table_id, slot).pack(),
            meter_id=meter_id,
            lease=self._lease.duration,
            actions=desired.actions,
        )

    def _remove(self, state: FlowState) -> None:
        if state.flow is not None:
            above = self._storm.leave([state.desired.key])
            exchange_many(self._connection, [*above, state.flow.delete(self._connection)])
            state.flow = None

    def _held(self) -> dict[FlowKey, OurFlow]:
        return {key: state.flow for key, state in self._states.items() if state.flow is not None}

    def _renew(self) -> None:
        """Start all leases anew; find out which flows and meters are gone."""
        held = self._held()
        connection = self._connection
        renewals = [flow.renew(connection) for flow in held.values()]
        exchange_many(connection, [*renewals, *self._storm.renewals()])
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

        def is_counted(number: int) -> bool:
            return number & cookie.FAMILY_MASK == cookie.FAMILY or number in theirs

        present = set()
        others, summary_flows = [], []
        for count in dump_counts(self._connection, is_counted, answer_time):
            if not cookie.of_run(count.cookie, self._generation):
                others.append(count)
            elif cookie.is_summary(count.cookie):
                summary_flows.append(count)
            else:
                present.add(count.cookie)
                name = self._name(count.table_id)
                self._counters.flow(count.cookie, count.table_id, name, count.packets)
        self._count_explicit(others)
        self._meters.read(answer_time)
        self._storm.counted(summary_flows)
        return present

    def _count_explicit(self, counts: Iterable[Count]) -> None:
        """Take what all drop flows of others have counted, in tables where that is a loss."""
        lossy, rewritten = self._plan.lossy, self._rewritten.places
        planned = {drop.place for drop in self._plan.explicit}
        drops = []
        for count in counts:
            place = Place(count.table_id, count.priority, count.match)
            if count.table_id in lossy and (count.plain or place in planned):
                tells = place in rewritten
                drops.append(DropCount(place, count.cookie, count.packets, count.plain, tells))
        self._counters.explicit(drops, self._name)

    def _remove_everything(self) -> None:
        """Remove every flow and meter that this program added; the counters' last state counts.

        Raises SwitchError when that is not certain: then it is for the clean-up process to do.
        """
        connection = self._connection
        with suppress(SwitchTimeout):  # a slow switch may still have the time to remove them
            self._read_counters(STOP_TIME)
        held = list(self._held().values())
        self._awaited = {flow.cookie for flow in held} | self._storm.cookies
        added = len(held) + self._storm.count
        removals = self._storm.leave(self._states.keys())
        removals += [flow.delete(connection) for flow in held]
        answers = exchange_many(connection, removals, STOP_TIME)
        restored = len(self._rewritten.places)
        self._rewritten.restore(list(self._rewritten.places), STOP_TIME)
        self._await_last_counts()
        self._meters.read(STOP_TIME)
        self._storm.finish()
        answers += self._meters.remove(STOP_TIME)
        errors = [answer.error for answer in answers if answer.error]
        if errors:
            raise SwitchRefusal(f"the switch refuses to remove it: {error_text(errors[0])}")
        self._context.register_clean_up(b"", Footprint())
        removed = phrases.count(added, "flow") if added else "no flow was there"
        LOG.info("%s: removed what was added: %s", self._bridge, removed)
        if restored:
            LOG.info(
                "%s: restored %s of the owner's", self._bridge, phrases.count(restored, "drop flow")
            )

    def _await_last_counts(self) -> None:
        """FLOW_REMOVED comes some milliseconds after the answer to the barrier."""
        deadline = self._clock() + LAST_COUNTS_TIME
        while self._awaited and self._clock() < deadline:
            self._wait(LAST_COUNTS_TIME / 10)

    def _register_undo(self, plan: Plan, desired: Collection[DesiredFlow]) -> None:
        """Tell the clean-up process how to remove what is there and what is about to be added."""
        connection = self._connection
        held = self._held()
        removals = [flow.delete(connection) for flow in held.values()]
        for flow in desired:
            state = self._states.get(flow.key)
            additions = state.additions if state else 0
            removals.append(
                self._new_flow(flow, plan.managed, None, additions + 1).delete(connection)
            )
        restorals = self._rewritten.undo_messages(plan.explicit)
        tables = {key.table_id for key in held} | {flow.key.table_id for flow in desired}
        tables |= {
            drop.flow.table_id for drop in plan.explicit if drop.method is CaptureMethod.MODIFY
        }
        meters = self._meters.removals(tables)
        flows = len(held.keys() | {flow.key for flow in desired}) + self._storm.count
        footprint = Footprint(flows, len(meters), len(restorals), self._lease.duration)
        self._undo = messages.script(connection, removals + restorals + meters)
        script = messages.longer(self._undo, self._storm.removals())
        self._context.register_clean_up(script, footprint)

    def _look_for_storm(self) -> None:
        """Let loud flows of packets step aside, or come back."""
        self._handle_waiting()  # no summary flow is added where its place has been taken
        before = self._storm.count
        self._storm.look(self._held() if self._facts.monitored else {})
        if self._storm.count != before:
            self._register_summary_flows()

    def _register_summary_flows(self) -> None:
        """Tell the clean-up process of the summary flows that are there, or about to be."""
        script = messages.longer(self._undo, self._storm.removals())
        self._context.register_clean_up(script, self._footprint())

    def _footprint(self) -> Footprint:
        flows = len(self._held()) + self._storm.count
        changed = len(self._rewritten.places)
        return Footprint(flows, self._meters.count, changed, self._lease.duration)

    def _count_remains(self) -> None:
        """Tell the clean-up process how much there is, after leases were renewed or flows added."""
        self._context.register_clean_up(None, self._footprint())

    def _log_summary(self, plan: Plan) -> None:
        """Log what is watched and what is not, as far as that has changed."""
        summary = summarise(plan, self._pipeline, self._states, self._rewritten.places)
        now = self._clock()
        if summary == self._summary or (
            len(self._summary_times) == SUMMARIES and now - self._summary_times[0] < SUMMARIES_TIME
        ):
            return
        self._summary_times.append(now)
        for text in summary:
            if text not in self._summary:
                LOG.info("%s: %s", self._bridge, text)
        self._summary = summary


def _capture(settings: Settings) -> Sequence[bytes] | None:
    """Matches of what the switch is to capture; None: everything."""
    return None if settings.flows is None else matches(settings.flows)
