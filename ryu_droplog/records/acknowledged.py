"""The baseline: drops that somebody knows of, by signature or problem, and why they are left."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone

from msgspec import Struct

from ryu_droplog.model.drop import Drop
from ryu_droplog.records.record import Acknowledged
from ryu_droplog.records.signature import Signatures

DOCTOR = "doctor:"
"""Begins the key of a problem that `ryu-droplog doctor` has found."""
KEY = re.compile(f"1:[0-9a-f]{{32}}|{DOCTOR}[0-9a-f]{{16}}")
"""A signature or a problem, as records have them, or a problem as doctor has it."""

Mark = Callable[[Sequence[Drop]], int]
"""Marks the drops that are acknowledged, and says how many packets these are; never waits."""


class Entry(Struct, frozen=True):
    """What somebody knows of."""

    reason: str
    until: date | None = None
    """Counts until the end of that day, UTC; None: without an end."""
    by: str = ""
    """Who says so."""
    since: date | None = None
    """When that was said."""

    @property
    def ends(self) -> float:
        """Seconds since the epoch, from which on it counts no more."""
        if self.until is None or self.until == date.max:
            return math.inf
        day = self.until + timedelta(days=1)
        return datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()

    def is_past(self, time: float) -> bool:
        """Whether it counts no more at that time, in seconds since the epoch."""
        return time >= self.ends


class Baseline:
    """The entries that hold; any number of threads ask, one changes them."""

    def __init__(self, entries: Mapping[str, Entry] | None = None) -> None:
        self._entries: dict[str, tuple[float, Acknowledged]] = {}
        self.use(entries or {})

    def use(self, entries: Mapping[str, Entry]) -> None:
        """Go on with these, by their signature or problem."""
        self._entries = {
            key: (
                entry.ends,
                Acknowledged(entry.reason, entry.until.isoformat() if entry.until else ""),
            )
            for key, entry in entries.items()
        }

    def find(self, signature: str, problem: str, time: float) -> Acknowledged | None:
        """Why a drop of that time is known, in seconds since the epoch; None: it is not.

        What is said of the signature goes before what is said of the problem.
        """
        entries = self._entries
        if not entries:
            return None
        for key in (signature, problem):
            found = entries.get(key)
            if found is not None and time < found[0]:
                return found[1]
        return None

    def marker(self) -> Mark:
        """What marks drops, for one thread at a time; with no entries it looks at none."""
        signatures = Signatures()

        def mark(drops: Sequence[Drop]) -> int:
            packets = 0
            if self._entries:
                for drop in drops:
                    signature, problem = signatures.keys(drop)
                    if self.find(signature, problem, drop.time) is not None:
                        drop.acknowledged = True
                        packets += drop.repeated or 1
            return packets

        return mark


NOTHING_KNOWN = Baseline()
"""Has no entry, ever."""
