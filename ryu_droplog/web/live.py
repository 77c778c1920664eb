"""All that this process remembers of drops: the last records, and a view for each filter.

One thread adds records; others ask for what is shown. One lock is around it, for microseconds at a
record and some milliseconds at what is shown.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ryu_droplog.model.errors import DropLogError
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.query import Condition
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of
from ryu_droplog.web.history import Span, step_of
from ryu_droplog.web.view import Taken, View

KEPT = 20_000
"""Records that are kept: the last ones."""
VIEWS = 32
"""Filters that are looked through at the same time, at most."""
TIDY = 60.0
"""Seconds between two times that old counts are forgotten."""


class TooManyError(DropLogError):
    """Too many ask for too different things."""


class Live:
    """What the page is made of."""

    def __init__(self, place: str, clock: Callable[[], float] = time.time) -> None:
        """`place` is where the records come from, for people."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[Taken] = deque(maxlen=KEPT)
        self._all = View([], predicate([]))
        self._views: dict[bytes, tuple[View, int]] = {}
        """By filter, with the number of those who look."""
        self._tidied = clock()
        self.place = place
        self.records = 0
        self.lost = 0
        """Drops that are missing here, because this process was too slow for them."""
        self.unreadable = 0
        self.trouble = ""
        """Why nothing comes at the moment; empty: all is well."""
        self.ended = False
        """Whether all was read, and nothing more will come."""
        self._newest = 0.0

    def now(self) -> float:
        """Seconds since the epoch; of what has ended, the time of its last record."""
        return self._newest if self.ended and self._newest else self._clock()

    def add(self, record: Record) -> None:
        """Take a record."""
        now = self._clock()
        seconds = min(seconds_of(record.time), now)
        with self._lock:
            self.records += 1
            self._newest = max(self._newest, seconds)
            taken = Taken(self.records, record, step_of(seconds), record.repeated or 1)
            self._kept.append(taken)
            self._all.add(taken, now)
            for view, _ in self._views.values():
                view.add(taken, now)
            if now > self._tidied + TIDY:
                self._tidied = now
                for view in (self._all, *(view for view, _ in self._views.values())):
                    view.forget(now)

    def open_view(self, key: bytes, conditions: Sequence[Condition]) -> View:
        """The view of a filter, for one more who looks; raises TooManyError, QueryError.

        `key` tells filters apart. Each call needs one of `close_view`.
        """
        with self._lock:
            if not conditions:
                return self._all
            view, lookers = self._views.get(key, (None, 0))
            if view is None:
                if len(self._views) >= VIEWS:
                    raise TooManyError(f"more than {VIEWS} different filters at the same time")
                view = View(conditions, predicate(conditions))
                view.seed(self._all, self._kept, self._clock())
            self._views[key] = view, lookers + 1
            return view

    def close_view(self, key: bytes) -> None:
        """One looks no more."""
        with self._lock:
            view, lookers = self._views.get(key, (None, 0))
            if view is None:
                return
            if lookers > 1:
                self._views[key] = view, lookers - 1
            else:
                del self._views[key]

    def shown(self, view: View, span: Span) -> dict[str, Any]:
        """What is shown of a view, and where it comes from."""
        with self._lock:
            told = view.shown(self.now(), span)
            told["from"] = self.told()
            return told

    def told(self) -> dict[str, Any]:
        """How the records come."""
        return {
            "place": self.place,
            "records": self.records,
            "lost": self.lost,
            "unreadable": self.unreadable,
            "trouble": self.trouble,
            "ended": self.ended,
        }

    def find(self, signature: str, number: int | None) -> Record | None:
        """A drop by its number, or where that is not kept any more, the last of its signature."""
        with self._lock:
            if number is not None and self._kept:
                at = number - self._kept[0].number
                if 0 <= at < len(self._kept):
                    taken = self._kept[at]
                    if not signature or taken.record.signature == signature:
                        return taken.record
            found = self._all.find(signature)
            return found.record if found is not None else None
