"""What is known of one of our tables: its flow, or when it may have one again."""

from __future__ import annotations

from dataclasses import dataclass

from ryu_droplog.cookie import TABLE_DROP
from ryu_droplog.openflow.messages import MissFlow
from ryu_droplog.openflow.plan import TablePlan, Verdict

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds until a flow that was swept away or contended with is tried again; doubles each time."""
CALM = 120.0
"""Seconds that a flow must stand before its pause is forgotten."""


@dataclass
class Standing:
    """One table on the switch. Times are in seconds, of whatever clock the caller has."""

    flow: MissFlow | None = None
    """Our flow there."""
    since: float = 0.0
    """When it was added."""
    pause: float = 0.0
    not_before: float = 0.0
    """When the table may be tried again; 0: it waits for nothing."""
    additions: int = 0
    """How often a flow was added; part of its cookie, so that each has counters of its own."""
    refusal: str = ""
    """Why the last try failed, if it did."""

    def fits(self, table: TablePlan, managed: bool) -> bool:
        """Whether our flow there, if any, is what the plan asks for.

        On a bridge that the OpFlex agent manages, our cookie is without the table-drop bit.
        """
        return self.flow is None or (
            table.verdict is not Verdict.LEAVE
            and bool(self.flow.cookie & TABLE_DROP) is not managed
            and self.flow.shadow is (table.verdict is Verdict.SHADOW)
            and self.flow.priority == table.priority
        )

    def stands(self, now: float) -> None:
        """Our flow was added."""
        self.since, self.not_before, self.refusal = now, 0.0, ""

    def put_off(self, now: float, refusal: str = "") -> None:
        """It could not be added, or was taken away: try again later, and later each time."""
        if self.since and now - self.since > CALM:
            self.pause = 0.0
        self.flow, self.since = None, 0.0
        self.pause = min(max(2 * self.pause, FIRST_PAUSE), LONGEST_PAUSE)
        self.not_before = now + self.pause
        self.refusal = refusal

    def leave(self) -> None:
        """The plan wants nothing here."""
        self.not_before, self.refusal = 0.0, ""
