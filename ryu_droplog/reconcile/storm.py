"""What is done about a storm on one bridge: which loud flows step aside, and for how long. Pure.

While the meter of a table drops packets, the loudest flows among them get a summary flow each, just
above the flow of ours that sends them: it drops and counts them in the switch's datapath, and the
meter's share is left to the others. Events go in, commands come out; there is no input, output,
clock or log here. It outlives connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ryu_droplog.config.settings import Settings
from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Event, Update
from ryu_droplog.openflow.note import NOTE_ACTION
from ryu_droplog.openflow.oxm_match import overlap
from ryu_droplog.openflow.oxm_match import text as match_text
from ryu_droplog.openflow.requests import first_meter
from ryu_droplog.openflow.summary_match import narrowed
from ryu_droplog.processing.loud_flows import LoudFlow
from ryu_droplog.reconcile.commands import AddFlows, DeleteFlows, FlowEntry, ReadMeters, WakeAt
from ryu_droplog.reconcile.desired_state import FlowKey
from ryu_droplog.reconcile.events import (
    Answered,
    CountsRead,
    FlowEnded,
    FlowsChanged,
    MetersRead,
)
from ryu_droplog.reconcile.loudest import Choice, is_scattered, loudest
from ryu_droplog.reconcile.storm_pauses import Pauses
from ryu_droplog.reconcile.storm_table import StormTable
from ryu_droplog.reconcile.storm_types import (
    Below,
    Figures,
    Finished,
    FlowsLeft,
    Looked,
    ReadCountsOf,
    RoomWanted,
    SessionEnded,
    StormCommand,
    StormEvent,
    Tell,
    Watch,
)
from ryu_droplog.reconcile.summary_flow import SummaryFlow

LOOK, LOOK_IN_STORM = 0.5, 0.25
"""Seconds between two looks."""
READ = 1.0
"""Seconds between two readings of summary flows and of the tables' other flows."""
NEAR = 0.5
"""Share of its meter's rate that a bridge's PacketIns reach before a meter is asked whether it
drops."""
QUIET = 5.0
"""Seconds after which a loud flow that is quiet comes back."""
QUIET_SHARE = 50
"""It is quiet below one part in so many of the meter's rate, and where nothing is counted."""
LINGER = 3.0
"""Seconds after a summary flow's end for which its table's other counters catch up."""
LONGEST_END = 60.0
"""Seconds that the last count of a summary flow is waited for."""
LOUDER = 2
"""A loud flow without room takes that of one with less than one part in so many of its packets."""
OTHERS_READ = 64
"""Flows of a table that are read beside its summary flows; those of more are as last renewed."""

_PRIORITY_MAX = 65535
COUNTS, METERS = "counts of a storm", "meters of a storm"
"""Tags of what is read."""


class StormControl:
    """The state of a bridge's summary flows."""

    def __init__(self, generation: int, settings: Settings) -> None:
        """`generation` is the run's."""
        self._generation = generation
        self._settings = settings
        self._tables: dict[int, StormTable] = {}
        self._flows: dict[int, SummaryFlow] = {}
        """By cookie; those that are gone and whose last count is to come among them."""
        self._pauses = Pauses()
        """By flow below and signature."""
        self._below: Mapping[FlowKey, Below] = {}
        self._added = 0
        self._arrived = 0
        self._looked: float | None = None
        self._read = 0.0
        self._watching = False
        self._handlers: dict[type, Callable[[Any, float], Iterator[StormCommand]]] = {
            Looked: self._handle_look,
            FlowsLeft: self._handle_left,
            RoomWanted: self._handle_room,
            SessionEnded: self._handle_session_end,
            Finished: self._handle_finish,
            Answered: self._handle_answer,
            CountsRead: self._handle_counts,
            FlowEnded: self._handle_flow_end,
            FlowsChanged: self._handle_changes,
            MetersRead: self._handle_meters,
        }

    def change(self, settings: Settings) -> None:
        """Go on with other settings: the next look carries them out."""
        self._settings = settings

    def step(self, event: StormEvent, now: float) -> list[StormCommand]:
        """What to do now that this happened; `now` is in seconds, and never goes back."""
        return list(self._handlers[type(event)](event, now))

    @property
    def held(self) -> list[FlowEntry]:
        """The summary flows that are on the switch, or about to be."""
        return [flow.entry for flow in self._flows.values() if not flow.gone]

    @property
    def tables(self) -> set[int]:
        """The tables that have some, or have had some whose last counts are still to come."""
        return {flow.entry.table_id for flow in self._flows.values()}

    def describe(self, now: float) -> list[dict[str, Any]]:
        """The loud flows that have stepped aside, a row each, for `status`."""
        return [
            {
                "table": flow.entry.table_id,
                "match": match_text(flow.entry.match),
                "packets": flow.counted,
                "seconds": round(now - flow.since, 1),
            }
            for flow in list(self._flows.values())
            if not flow.gone
        ]

    # Looking

    def _handle_look(self, event: Looked, now: float) -> Iterator[StormCommand]:
        since, self._looked = self._looked, now
        arrived, self._arrived = event.arrived - self._arrived, event.arrived
        self._below = event.flows
        for table_id, loudness in event.loudness.items():
            self._table(table_id).looks.append(loudness)
        yield from self._delete(self._superfluous(now), now)
        yield from self._settle(event.figures, now)
        rate = self._settings.meter.rate
        near = since is not None and arrived >= NEAR * rate * (now - since)
        busy = self._settings.storm.enable and (
            near or any(table.dropping for table in self._tables.values())
        )
        if not busy:
            for table_id in event.figures.keys() - self.tables:
                self._table(table_id).credit.rest(event.figures[table_id])
        watching = busy or any(flow.flow.signature.by_mac for flow in self._flows.values())
        if watching is not self._watching:
            self._watching = watching
            yield Watch(watching)
            if not watching:
                for table in self._tables.values():
                    table.looks.clear()
        yield from self._readings(busy, now)
        yield WakeAt(now + (LOOK_IN_STORM if busy or self._flows else LOOK))

    def _readings(self, busy: bool, now: float) -> Iterator[StormCommand]:
        """Ask for what has to be read."""
        held = self.held
        due = bool(self._flows) and now >= self._read + READ - LOOK_IN_STORM / 2
        if due:
            self._read = now
            tables = self.tables
            others = [flow for flow in self._below.values() if flow.table_id in tables]
            yield ReadCountsOf(COUNTS, [*held, *others[:OTHERS_READ]])
        if busy or due:
            base = first_meter(self._generation)
            tables = {flow.table_id for flow in self._below.values()}
            yield ReadMeters(METERS, [base + table_id for table_id in sorted(tables)])

    def _handle_meters(self, event: MetersRead, now: float) -> Iterator[StormCommand]:
        base, rate = first_meter(self._generation), self._settings.meter.rate
        for meter_id, drops in event.drops.items():
            table = self._table(meter_id - base)
            table.read_meter(drops, rate, now)
            if table.in_storm and self._settings.storm.enable:
                yield from self._choose(meter_id - base, table, now)

    def _choose(self, table_id: int, table: StormTable, now: float) -> Iterator[StormCommand]:
        """Let the loudest flows of a table step aside."""
        storm, rate = self._settings.storm, self._settings.meter.rate
        there = [flow for flow in self._flows.values() if not flow.gone]
        here = sum(flow.entry.table_id == table_id for flow in there)
        most = min(storm.per_table - here, storm.per_bridge - len(there))
        by_cookie = {entry.cookie: key for key, entry in self._below.items()}
        aside = {(flow.below, flow.flow.signature) for flow in there}

        def allowed(flow: LoudFlow) -> bool:
            key = by_cookie.get(flow.cookie)
            if key is None or (key, flow.signature) in aside:
                return False
            if is_scattered(table.looks, flow.signature):
                return False
            return self._pauses.over((key, flow.signature), now)

        if most <= 0:
            yield from self._make_room(table_id, table, allowed, now)
            return
        added = []
        for choice in loudest(table.looks, rate, most, allowed):
            flow = self._new(choice, by_cookie[choice.flow.cookie], now)
            if flow is not None:
                self._flows[flow.entry.cookie] = flow
                added.append(flow.entry)
        if added:
            table.looks.clear()
            yield AddFlows(tuple(entry.cookie for entry in added), added)

    def _make_room(
        self, table_id: int, table: StormTable, allowed: Callable[[LoudFlow], bool], now: float
    ) -> Iterator[StormCommand]:
        """Let the quietest loud flow come back where a much louder one has no room."""
        louder = loudest(table.looks, self._settings.meter.rate, 1, allowed)
        here = [f for f in self._flows.values() if not f.gone and f.entry.table_id == table_id]
        if louder and here:
            quietest = min(here, key=lambda flow: flow.rate)
            loud = louder[0].share * table.flood
            if quietest.rate * LOUDER < loud and now > quietest.since + 2 * READ:
                yield from self._delete([quietest], now)

    def _new(self, choice: Choice, key: FlowKey, now: float) -> SummaryFlow | None:
        """The summary flow for a loud flow; None where there is no place for it."""
        below = self._below[key]
        match = narrowed(below.match, choice.flow.signature)
        # What the owner's drop does to a packet (a mark, a log of its own) would not be done.
        if match is None or below.actions or below.priority >= _PRIORITY_MAX:
            return None
        slots = cookie.SLOT_MAX + 1 - cookie.SUMMARY_SLOT
        addition, slot = divmod(self._added, slots)
        self._added += 1
        number = cookie.Cookie(
            bool(below.cookie & cookie.TABLE_DROP),
            self._generation | addition & cookie.ADDITION_MASK,
            below.table_id,
            cookie.SUMMARY_SLOT + slot,
        ).pack()
        lease = self._settings.lease.duration
        entry = FlowEntry(
            below.table_id,
            below.priority + 1,
            match,
            number,
            lease,
            actions=NOTE_ACTION,
            tells=False,
        )
        return SummaryFlow(choice.flow, choice.sample, key, below.match, entry, now, now, now)

    def _superfluous(self, now: float) -> Iterator[SummaryFlow]:
        """Summary flows that have lost their place, are quiet, or are too many."""
        storm = self._settings.storm
        left = storm.per_bridge if storm.enable else 0
        tables: dict[int, int] = {}
        for flow in self._flows.values():
            if flow.gone:
                continue
            below, entry = self._below.get(flow.below), flow.entry
            here = tables.get(entry.table_id, 0)
            useless = flow.read - flow.loud >= QUIET and not flow.counted
            scattered = is_scattered(self._table(entry.table_id).looks, flow.flow.signature)
            if useless or scattered:  # useless: the switch reads these packets in another way
                self._pause(flow, now)
            if (
                scattered
                or below is None
                or below.priority + 1 != entry.priority
                or below.actions
                or below.match != flow.within
                or entry.lease != self._settings.lease.duration
                or flow.read - flow.loud >= QUIET
                or here >= storm.per_table
                or left <= 0
            ):
                yield flow
            else:
                tables[entry.table_id] = here + 1
                left -= 1

    # What becomes of summary flows

    def _handle_answer(self, event: Answered, now: float) -> Iterator[StormCommand]:
        cookies = event.tag if isinstance(event.tag, tuple) else ()
        for position, number in enumerate(cookies):
            if position in event.refusals and number in self._flows:
                self._pause(self._flows.pop(number), now)
        return iter(())

    def _handle_counts(self, event: CountsRead, now: float) -> Iterator[StormCommand]:
        if event.tag != COUNTS:
            return
        quiet = self._settings.meter.rate / QUIET_SHARE
        counted = {count.cookie: count.packets for count in event.counts}
        for number, flow in self._flows.items():
            if flow.gone:
                continue
            if number in counted:
                self._count(flow, counted[number], now)
                if flow.rate > quiet:
                    flow.loud = now
            elif now - flow.since > READ:
                self._pause(flow, now)
                yield from self._delete([flow], now)

    def _handle_flow_end(self, event: FlowEnded, now: float) -> Iterator[StormCommand]:
        flow = self._flows.get(event.cookie)
        if flow is None:
            return
        if not flow.gone:
            self._pause(flow, now)  # somebody has removed it, or its lease has ended
        self._count(flow, event.packets, now)
        flow.gone, flow.forgotten = True, now + LINGER
        yield from ()

    def _handle_changes(self, event: FlowsChanged, now: float) -> Iterator[StormCommand]:
        contended = [
            flow
            for update in event.updates
            for flow in self._flows.values()
            if not flow.gone and self._contends(flow, update)
        ]
        for flow in contended:
            if not flow.gone:
                self._pause(flow, now)
                yield from self._delete([flow], now)

    def _contends(self, flow: SummaryFlow, update: Update) -> bool:
        """Whether a change means that a summary flow must go."""
        entry = flow.entry
        if update.table_id != entry.table_id or update.priority != entry.priority:
            return False
        if update.cookie == entry.cookie and update.match == entry.match:
            return update.event == Event.DELETED
        if cookie.of_run(update.cookie, self._generation):
            return False
        return update.event != Event.DELETED and overlap(update.match, entry.match)

    def _handle_left(self, event: FlowsLeft, now: float) -> Iterator[StormCommand]:
        leaving = [flow for flow in self._flows.values() if flow.below in event.keys]
        return self._delete((flow for flow in leaving if not flow.gone), now)

    def _handle_room(self, event: RoomWanted, now: float) -> Iterator[StormCommand]:
        wanted = event.flow
        return self._delete(
            [
                flow
                for flow in self._flows.values()
                if not flow.gone
                and flow.entry.table_id == wanted.table_id
                and flow.entry.priority == wanted.priority
                and overlap(flow.entry.match, wanted.match)
            ],
            now,
        )

    def _handle_session_end(self, event: SessionEnded, now: float) -> Iterator[StormCommand]:
        for flow in self._flows.values():
            if not flow.gone:
                flow.gone, flow.forgotten = True, now + LONGEST_END
        for table in self._tables.values():
            table.forget_meter()
        self._below, self._looked = {}, None
        if self._watching:
            self._watching = False
            yield Watch(False)

    def _delete(self, flows: Iterable[SummaryFlow], now: float) -> Iterator[StormCommand]:
        gone = list(flows)
        for flow in gone:
            flow.gone, flow.forgotten = True, now + LONGEST_END
        if gone:
            yield DeleteFlows([flow.entry for flow in gone])

    def _pause(self, flow: SummaryFlow, now: float) -> None:
        """Its place was refused or taken: try it again later."""
        self._pauses.begin((flow.below, flow.flow.signature), now, now - flow.since)

    # The books

    def _handle_finish(self, event: Finished, now: float) -> Iterator[StormCommand]:
        yield from self._settle(event.figures, now)
        self._flows.clear()

    def _settle(self, figures: Mapping[int, Figures], now: float) -> Iterator[StormCommand]:
        """Tell what summary flows have counted, as far as it is certain that it was theirs."""
        for number, flow in list(self._flows.items()):
            table_id = flow.entry.table_id
            if table_id in figures:
                credit, untold = self._table(table_id).credit, flow.counted - flow.told
                summary = flow.enter(credit.tell(untold, figures[table_id]))
                if summary is not None:
                    yield Tell(summary)
            if flow.gone and now >= flow.forgotten:
                del self._flows[number]

    def _count(self, flow: SummaryFlow, packets: int, now: float) -> None:
        self._table(flow.entry.table_id).credit.count(flow.count(packets, now))

    def _table(self, table_id: int) -> StormTable:
        return self._tables.setdefault(table_id, StormTable())
