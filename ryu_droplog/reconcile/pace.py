"""When the next plan of a bridge is due: soon after news, in a bounded share of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

QUIET = 0.03
"""Seconds without news that are waited for: an owner's changes come in bursts."""
LONGEST_QUIET = 0.08
"""Seconds after which a plan is due although the news do not end."""
SHARE = 0.2
"""Share of the time that planning may take, the switch's answers included."""
SAVED = 0.2
"""Seconds of planning that a quiet time saves up: small bridges never wait for their share."""


class Pace:
    """Puts plans off until they are due. Times are in seconds, of whatever clock it is given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: float | None = None
        self._last = 0.0
        self._coming: dict[int, float] = {}
        self._in_work: dict[int, float] = {}
        self._paid = -float("inf")
        """Until when the plans that were made use up their share of the time."""

    @property
    def since(self) -> float | None:
        """When the first of the news came that no plan has taken up yet; None: there are none."""
        return self._first

    @property
    def tables(self) -> dict[int, float]:
        """The tables that the news concern which are in no plan yet, and since when."""
        return {**self._coming, **self._in_work}

    def news(self, tables: Iterable[int] = ()) -> list[int]:
        """Something has changed that a plan depends on, in these tables.

        Returns those that no news before have named since the last plan began.
        """
        self._last = self._clock()
        if self._first is None:
            self._first = self._last
        fresh = [table_id for table_id in tables if table_id not in self._coming]
        self._coming.update(dict.fromkeys(fresh, self._last))
        return fresh

    def taken_up(self) -> None:
        """A plan begins, with all news that have come so far."""
        self._first = None
        self._in_work, self._coming = self._coming, {}

    def carried_out(self) -> None:
        """What the plan says is done."""
        self._in_work = {}

    def took(self, seconds: float) -> None:
        """A plan is made, and took so long."""
        saved = self._clock() - seconds - SAVED / SHARE
        self._paid = max(self._paid, saved) + seconds / SHARE

    def waive(self) -> None:
        """Have the next plan made whatever the last ones took."""
        self._paid = -float("inf")

    def due(self) -> float | None:
        """When the plan that the news ask for is due; None: it is not asked for."""
        if self._first is None:
            return None
        return self.afford(min(self._last + QUIET, self._first + LONGEST_QUIET))

    def afford(self, when: float) -> float:
        """When a plan that is wanted at some time may be made."""
        return max(when, self._paid)
