"""Drops of the rings as records: those that are there, and each that comes, made once for all."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ryu_droplog.observe.observer import Observer
from ryu_droplog.observe.query import Query
from ryu_droplog.processing.ring import Entry, Ring
from ryu_droplog.records.context import EncoderContext
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Record

LOG = logging.getLogger(__name__)


class _Feed:
    """What comes from one ring, for those who follow."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        """The last one that was handed to all of them."""
        self.taken: deque[Entry] = deque()
        """Taken from the ring, and not handed on yet."""


class Drops(NamedTuple):
    """Those that an observer asks for, of the ones that are there."""

    entries: list[Entry]
    """The oldest first."""
    seen: dict[Ring, int]
    """By ring, the last one that came before he asked."""


class Feeds:
    """Serves observers with records. For the observers' thread alone."""

    def __init__(self, rings: Callable[[], Mapping[str, Ring]], context: EncoderContext) -> None:
        """`rings` are those that are there, by the name of their source."""
        self._rings = rings
        self._maker = RecordMaker(context)
        self._feeds: dict[Ring, _Feed] = {}
        self._mistaken = False

    def change(self, context: EncoderContext) -> None:
        """Make records in another way from now on."""
        self._maker = RecordMaker(context)

    def record(self, entry: Entry) -> Record | None:
        """The record of a drop of a ring; None: there is none, by a mistake of this program."""
        try:
            record = self._maker.make(entry.drop).record
        except Exception:
            if not self._mistaken:
                LOG.exception("a drop cannot be shown to observers")
            self._mistaken = True
            return None
        record.frame.length = entry.length
        return record

    # What is there

    def drops(self, query: Query, now: float) -> Drops:
        """Those that fit its times."""
        oldest = float("-inf") if query.since is None else now - query.since
        newest = float("inf") if query.until is None else now - query.until
        entries: list[Entry] = []
        seen: dict[Ring, int] = {}
        for ring in list(self._rings().values()):
            there = ring.entries()
            seen[ring] = there[-1].sequence if there else ring.sequence
            entries += [entry for entry in there if oldest <= entry.received <= newest]
        entries.sort(key=lambda entry: entry.received)
        return Drops(entries, seen)

    def history(self, observer: Observer, drops: Drops) -> Iterator[bool]:
        """Send what is there to one who asked for it, and make him follow if he wants to.

        A step is a drop; False: he has no room, and it is for him to read.
        """
        query, entries = observer.query, drops.entries
        assert query is not None
        if query.last is not None:
            chosen: list[Entry] = []
            while entries and len(chosen) < query.last:
                entry = entries.pop()
                record = self.record(entry)
                if record is not None and observer.matches(record):
                    chosen.append(entry)
                observer.held = len(entries) + len(chosen)
                yield True
            entries[:] = chosen  # the newest first, as they are to be popped
        else:
            entries.reverse()
        yield from self._send(observer, entries, checked=query.last is not None)
        if not query.follow:
            observer.end()
            return
        while waiting := self._since(observer, drops.seen):
            waiting.reverse()
            yield from self._send(observer, waiting, checked=False)
        observer.live = True

    def _send(self, observer: Observer, entries: list[Entry], *, checked: bool) -> Iterator[bool]:
        """Send these, the last one of the list first; the list is used up."""
        while entries:
            observer.held = len(entries)
            while not observer.has_room:
                yield False
            record = self.record(entries.pop())
            if record is None:
                observer.lose(1)
            elif checked or observer.matches(record):
                self._give(observer, to_json(record) + b"\n")
            yield True
        observer.held = 0

    def _since(self, observer: Observer, seen: dict[Ring, int]) -> list[Entry]:
        """What was handed to all others meanwhile, the oldest first."""
        found: list[Entry] = []
        for ring, feed in self._feeds.items():
            before = seen.get(ring, 0)
            if feed.sequence > before:
                entries, lost = ring.after(before)
                found += [entry for entry in entries if entry.sequence <= feed.sequence]
                observer.lose(lost)
            seen[ring] = max(feed.sequence, before)
        found.sort(key=lambda entry: entry.received)
        return found

    @staticmethod
    def _give(observer: Observer, line: bytes) -> None:
        observer.offer(line)
        if observer.left is not None:
            observer.left -= 1
            if observer.left <= 0:
                observer.end()

    # What comes

    def begin(self) -> None:
        """Somebody follows now who did not before: what came until now is for nobody."""
        for ring in list(self._rings().values()):
            self._feeds[ring] = _Feed(ring.sequence)

    def take(self, followers: list[Observer]) -> bool:
        """Take from the rings what has come; whether there is anything to hand on."""
        rings = set(self._rings().values())
        for ring in rings:
            feed = self._feeds.get(ring)
            if feed is None:  # it is a new bridge's: all that it has came just now
                feed = self._feeds[ring] = _Feed(0)
            if not feed.taken and ring.sequence != feed.sequence:
                entries, lost = ring.after(feed.sequence)
                feed.taken.extend(entries)
                feed.sequence += 0 if entries else lost
                if lost:
                    for observer in followers:
                        observer.lose(lost)
        for ring in [ring for ring, feed in self._feeds.items() if not feed.taken]:
            if ring not in rings:
                del self._feeds[ring]
        return any(feed.taken for feed in self._feeds.values())

    def hand_on(self, followers: list[Observer]) -> None:
        """Hand one drop of each ring to all of them that it fits."""
        for feed in self._feeds.values():
            if not feed.taken:
                continue
            entry = feed.taken.popleft()
            feed.sequence = entry.sequence
            record = self.record(entry)
            line = b""
            for observer in followers:
                if record is None:
                    observer.lose(1)
                elif observer.live and observer.matches(record):
                    line = line or to_json(record) + b"\n"
                    self._give(observer, line)
