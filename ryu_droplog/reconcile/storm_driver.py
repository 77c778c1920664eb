"""Carries out over one connection what a storm's control wants, and tells it what happened."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ryu_droplog.model import cookie
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.openflow.connection import Connection, error_text
from ryu_droplog.openflow.flow_removed import FlowRemoved
from ryu_droplog.openflow.flow_stats import Count, Update
from ryu_droplog.openflow.messages import Message, OurFlow
from ryu_droplog.openflow.requests import counts_of, exchange_many
from ryu_droplog.processing.loud_flows import LoudFlows
from ryu_droplog.reconcile.commands import AddFlows, DeleteFlows, FlowEntry, ReadMeters, WakeAt
from ryu_droplog.reconcile.counters import Counters
from ryu_droplog.reconcile.desired_state import FlowKey
from ryu_droplog.reconcile.events import (
    Answered,
    CountsRead,
    FlowEnded,
    FlowsChanged,
    MetersRead,
)
from ryu_droplog.reconcile.meters import Meters
from ryu_droplog.reconcile.storm import COUNTS, StormControl
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
from ryu_droplog.text.phrases import count

LOG = logging.getLogger(__name__)


class StormParts(NamedTuple):
    """What of a bridge outlives its connections, as far as a storm concerns it."""

    control: StormControl
    loud_flows: LoudFlows
    books: SourceBooks


class StormDriver:
    """The summary flows of one connection. All is called in the reconciler's thread."""

    def __init__(
        self,
        connection: Connection,
        bridge: str,
        parts: StormParts,
        counters: Counters,
        meters: Meters,
        table_name: Callable[[int], str],
        register_undo: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`register_undo` tells the clean-up process of `removals`, before a flow is added."""
        self._connection = connection
        self._bridge = bridge
        self._control, self._loud_flows, self._books = parts
        self._counters = counters
        self._meters = meters
        self._name = table_name
        self._register_undo = register_undo
        self._clock = clock
        self.due = clock()
        """When to look next."""
        self._logged: set[int] = set()
        """Tables of which it was logged that loud flows have stepped aside."""
        self._step(SessionEnded())

    # What is there

    @property
    def count(self) -> int:
        """How many summary flows there are."""
        return len(self._control.held)

    @property
    def cookies(self) -> set[int]:
        """Their cookies."""
        return {entry.cookie for entry in self._control.held}

    def removals(self) -> list[Message]:
        """Messages that remove all of them."""
        return [_flow(entry).delete(self._connection) for entry in self._control.held]

    def renewals(self) -> list[Message]:
        """Messages that start their leases anew."""
        return [_flow(entry).renew(self._connection) for entry in self._control.held]

    def describe(self, now: float) -> list[dict[str, Any]]:
        """The loud flows that have stepped aside, a row each, for `status`."""
        return [{**row, "table": self._name(row["table"])} for row in self._control.describe(now)]

    # What happens

    def look(self, flows: Mapping[FlowKey, OurFlow]) -> None:
        """Look whether there is a storm; `flows` are those of ours that send what they drop."""
        loudness = self._loud_flows.take_loudness()
        tables = {key.table_id for key in flows}
        self._step(Looked(self._books.arrived, loudness, flows, self._figures(tables)))
        self._log()

    def changed(self, updates: Sequence[Update]) -> None:
        """Take changes by others: what contends with them goes at once."""
        self._step(FlowsChanged(updates))

    def ended(self, removed: FlowRemoved) -> None:
        """Take the last count of a summary flow."""
        self._step(FlowEnded(removed.cookie, removed.table_id, removed.packets))

    def counted(self, counts: Sequence[Count]) -> None:
        """Take what all summary flows that are there have counted."""
        self._step(CountsRead(COUNTS, counts))

    def leave(self, keys: Collection[FlowKey]) -> list[Message]:
        """Messages to be sent before these flows of ours are removed."""
        return self._deletions(self._control.step(FlowsLeft(keys), self._clock()))

    def make_room(self, flow: OurFlow) -> list[Message]:
        """Messages to be sent before this flow of ours is added."""
        return self._deletions(self._control.step(RoomWanted(flow), self._clock()))

    def finish(self) -> None:
        """All that was removed has told its last count."""
        self._step(Finished(self._figures(set())))

    # Carrying out

    def _step(self, event: StormEvent) -> None:
        waiting = deque([event])
        while waiting:
            for command in self._control.step(waiting.popleft(), self._clock()):
                waiting.extend(self._carry_out(command))

    def _carry_out(self, command: StormCommand) -> Iterator[StormEvent]:
        if isinstance(command, AddFlows):
            yield self._add(command)
        elif isinstance(command, DeleteFlows):
            exchange_many(self._connection, self._deletions([command]))
        elif isinstance(command, ReadCountsOf):
            yield CountsRead(command.tag, self._read(command.flows))
        elif isinstance(command, ReadMeters):
            yield MetersRead(command.tag, self._meters.read())
        elif isinstance(command, Tell):
            self._loud_flows.summarise(command.summary)
        elif isinstance(command, Watch):
            self._loud_flows.watch(command.watching)
        elif isinstance(command, WakeAt):
            self.due = command.time

    def _add(self, command: AddFlows) -> Answered:
        self._register_undo()
        adding = [
            message for entry in command.flows for message in _flow(entry).add(self._connection, 0)
        ]
        answers = exchange_many(self._connection, adding)
        refusals = {
            position: error_text(answer.error)
            for position, answer in enumerate(answers)
            if answer.error
        }
        for position, why in refusals.items():
            entry = command.flows[position]
            LOG.debug("%s: %s: no summary flow: %s", self._bridge, self._name(entry.table_id), why)
        return Answered(command.tag, refusals)

    def _read(self, flows: Sequence[Below]) -> list[Count]:
        """Read flows of ours; what those have counted that send goes into the books, too."""
        counts = counts_of(self._connection, [(flow.table_id, flow.cookie) for flow in flows])
        for reading in counts:
            if not cookie.is_summary(reading.cookie):
                name = self._name(reading.table_id)
                self._counters.flow(reading.cookie, reading.table_id, name, reading.packets)
        return counts

    def _deletions(self, commands: Iterable[StormCommand]) -> list[Message]:
        return [
            _flow(entry).delete(self._connection)
            for command in commands
            if isinstance(command, DeleteFlows)
            for entry in command.flows
        ]

    def _figures(self, tables: Collection[int]) -> dict[int, Figures]:
        """The books of these tables, and of those that have summary flows."""
        received = sum(table.received for table in list(self._books.tables.values()))
        on_their_way = self._books.arrived - received
        figures = {}
        for table_id in self._control.tables.union(tables):
            book = self._books.book(table_id, self._name(table_id))
            own = received if self._counts_for_all(table_id) else book.received
            figures[table_id] = Figures(book.counted, book.metered + own + on_their_way)
        return figures

    def _counts_for_all(self, table_id: int) -> bool:
        """Whether one flow counts for all tables, as on a bridge that the OpFlex agent manages."""
        return any(
            entry.table_id == table_id and not entry.cookie & cookie.TABLE_DROP
            for entry in self._control.held
        )

    def _log(self) -> None:
        """Log in which tables loud flows step aside, and where they do not any more."""
        by_table = Counter(entry.table_id for entry in self._control.held)
        for table_id in sorted(by_table.keys() - self._logged):
            LOG.info(
                "%s: the meter of %s drops packets: %s stepped aside, and will be counted by the"
                " switch instead of being logged one by one",
                self._bridge,
                self._name(table_id),
                count(by_table[table_id], "loud flow"),
            )
        for table_id in sorted(self._logged - by_table.keys()):
            LOG.info("%s: all drops in %s are logged again", self._bridge, self._name(table_id))
        self._logged = set(by_table)


def _flow(entry: FlowEntry) -> OurFlow:
    return OurFlow(
        table_id=entry.table_id,
        priority=entry.priority,
        match=entry.match,
        flow_cookie=entry.cookie,
        meter_id=entry.meter_id,
        lease=entry.lease,
        actions=entry.actions,
        tells=entry.tells,
    )
