"""Drop flows of the bridge's owner that get an action which sends packets to us, and are restored.

This is the one thing that changes a flow of somebody else's. It is done only where the user asked
for it, and only with a flow whose cookie its owner gives to nothing else, so that neither message
can hit what the owner may put in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchRefusal
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.openflow.flow_stats import Event, Flow, Update, effect_of
from ryu_droplog.openflow.messages import Message, RewrittenFlow
from ryu_droplog.openflow.requests import exchange_many, telling
from ryu_droplog.reconcile.explicit_drops import CaptureMethod, ExplicitDrop, Place


def tells(flow: Flow) -> bool:
    """Whether somebody else's flow has an action of this program's."""
    return cookie.unpack(flow.cookie) is None and cookie.SIGNATURE in flow.effect.controller_ids


class OwnerFlowRewrite:
    """The owner's flows that have an action of ours, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rewritten: dict[Place, RewrittenFlow] = {}
        self.refusals: dict[Place, str] = {}
        """Why the last try failed, by place."""

    @property
    def places(self) -> Mapping[Place, RewrittenFlow]:
        """Where they are."""
        return self._rewritten

    def restore_leftovers(self, flows: Iterable[Flow]) -> int:
        """Undo what a run that crashed left in these flows; returns in how many of them."""
        left = [telling(flow) for flow in flows if tells(flow)]
        exchange_many(self._connection, [flow.restore(self._connection) for flow in left])
        return len(left)

    def follow(
        self,
        drops: Iterable[ExplicitDrop],
        provide_meter: Callable[[int], int | None],
    ) -> None:
        """Rewrite exactly those planned drops whose method is MODIFY; restore all others.

        `provide_meter` gives the meter of a table, or raises SwitchRefusal.
        """
        planned = {drop.place: drop for drop in drops if drop.method is CaptureMethod.MODIFY}
        self.restore(place for place in list(self._rewritten) if place not in planned)
        self.refusals.clear()
        for place, drop in planned.items():
            if place in self._rewritten and tells(drop.flow):
                continue
            try:
                meter_id = provide_meter(place.table_id)
            except SwitchRefusal as error:
                self.refusals[place] = str(error)
                continue
            self._rewritten[place] = flow = telling(drop.flow, meter_id)
            [answer] = self._connection.exchange([flow.tell(self._connection)])
            if answer.error:
                del self._rewritten[place]
                self.refusals[place] = "the switch refuses to change it"

    def restore(self, places: Iterable[Place], answer_time: float | None = None) -> None:
        """Undo it for these places."""
        flows = [self._rewritten[place] for place in places]
        exchange_many(
            self._connection, [flow.restore(self._connection) for flow in flows], answer_time
        )
        for flow in flows:
            self._rewritten.pop(Place(flow.table_id, flow.priority, flow.match), None)

    def note(self, update: Update) -> bool:
        """Take a change by others; whether it undid one of our rewrites."""
        place = Place(update.table_id, update.priority, update.match)
        if place not in self._rewritten:
            return False
        ours = cookie.SIGNATURE in effect_of(update.instructions).controller_ids
        if ours and update.event != Event.DELETED:
            return False  # after a pause the monitor reports our own change like anyone's
        del self._rewritten[place]
        return True

    def undo_messages(self, drops: Iterable[ExplicitDrop]) -> list[Message]:
        """The messages that restore all rewritten flows, and those about to be rewritten."""
        flows = dict(self._rewritten)
        for drop in drops:
            if drop.method is CaptureMethod.MODIFY:
                flows.setdefault(drop.place, telling(drop.flow))
        return [flow.restore(self._connection) for flow in flows.values()]
