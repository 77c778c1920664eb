"""What the owner of a bridge calls its drops: asked for without waiting, and handed on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ryu_droplog.concurrency.background_question import BackgroundQuestion
from ryu_droplog.model.location import DropFlow
from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.openflow.oxm_match import text as match_text
from ryu_droplog.reconcile.context import ReconcilerContext
from ryu_droplog.reconcile.desired_state import DesiredFlow
from ryu_droplog.reconcile.explicit_drops import CaptureMethod
from ryu_droplog.reconcile.planner import Plan

SPACING = 3.0
"""Seconds between two questions to the owner's database, however often its flows change."""


class OwnerNames:
    """The owner's names of the drops of one bridge."""

    def __init__(self, context: ReconcilerContext, news: Callable[[], None]) -> None:
        """`news` is called, in another thread, when more is known than before."""
        self._context = context
        self._news = news
        self._asked: Collection[Flow] = ()
        """Flows whose names are asked for again at each renewal."""
        self._question = BackgroundQuestion(self._fetch, SPACING)

    def stop(self) -> None:
        """Ask for nothing more."""
        self._question.stop()

    def ask(self, plan: Plan, flows: Iterable[Flow]) -> None:
        """Have the names fetched of the owner's flows that may drop."""
        self._asked = [
            flow
            for flow in flows
            if flow.table_id in plan.lossy and not flow.effect.leaves and not is_ours(flow)
        ]
        self.ask_again()

    def ask_again(self) -> None:
        """Ask for what is not known yet, and for names that may have changed."""
        if self._asked:
            self._question.ask()

    def hand_on(self, plan: Plan, desired: Iterable[DesiredFlow]) -> None:
        """Report which drops our flows are above, and which flows of the owner's are rewritten."""
        by_place = {
            drop.place: self._named(drop.flow)
            for drop in plan.explicit
            if drop.method is not CaptureMethod.COUNT
        }
        drops = {
            (flow.key.table_id, flow.key.slot): by_place[flow.below]
            for flow in desired
            if flow.key.slot and flow.below in by_place
        }
        rewritten = {
            drop.flow.cookie: by_place[drop.place]
            for drop in plan.explicit
            if drop.method is CaptureMethod.MODIFY
        }
        self._context.learn_drops(drops, rewritten)

    def _fetch(self) -> None:
        if self._context.ask_owner(self._asked):
            self._news()

    def _named(self, flow: Flow) -> DropFlow:
        words = self._context.words(flow.cookie)
        return DropFlow(flow.cookie, flow.priority, match_text(flow.match), words)
