"""What every source of drops has, a bridge or a socket: books, a way for its drops, a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from ryu_droplog.config.settings import Deduplication, RingBounds
from ryu_droplog.model.accounting import SourceBooks, SourceReading
from ryu_droplog.processing import report
from ryu_droplog.processing.chain import Chain, DropFilter, Reader, Taker
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.processing.ingress_queue import IngressQueue, Stage
from ryu_droplog.processing.ring import Ring
from ryu_droplog.records.acknowledged import NOTHING_KNOWN, Baseline
from ryu_droplog.sinks.log_books import LogBooks


class Route(NamedTuple):
    """Where the drops of a source go."""

    deduplication: Deduplication | None
    """None: each drop is handed on."""
    sinks: Sequence[Taker]
    filters: Sequence[DropFilter]
    log: LogBooks
    """What became of the drops in the log."""
    ring: RingBounds = RingBounds()
    """How much is kept of them for observers."""
    baseline: Baseline = NOTHING_KNOWN
    """What somebody knows of."""


class Source:
    """One source of drops, for as long as the program runs."""

    def __init__(
        self, name: str, reader: Reader, books: SourceBooks, route: Route, threads: ModuleType
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self.name = name
        self._books = books
        self._route = route
        self._deduplicator = _deduplicator(route.deduplication)
        self.ring = Ring(route.ring)
        self._chain = Chain(
            reader,
            books,
            self._deduplicator,
            route.sinks,
            route.filters,
            self.ring,
            route.baseline.marker(),
        )
        self.ingress_queue = IngressQueue(name, self._stage(self._chain), books, threads)
        self._reported = self._snapshot()

    def _stage(self, chain: Chain) -> Stage:
        """What takes the messages behind the ingress queue: the chain, or what leads to it."""
        return chain

    def redirect(self, route: Route) -> None:
        """Send drops another way from now on; windows that are open go on where nothing changed."""
        if route.deduplication != self._route.deduplication:
            self._deduplicator = _deduplicator(route.deduplication)
        self._route = route
        self.ring.change(route.ring)
        self._chain.change(self._deduplicator, route.sinks, route.filters)

    def notices(self) -> Iterator[str]:
        """What the user should know, each once."""
        for waiting in (self.ingress_queue.notices, self._chain.complaints):
            while waiting:
                yield waiting.popleft()

    def close(self, seconds: float) -> None:
        """Send everything that waits to the sinks, for so many seconds at most."""
        self.ingress_queue.close(seconds)

    def read_counters(self, seconds: float) -> bool:
        """Bring the books up to date; False when that took too long."""
        return self.ingress_queue.settle(seconds)

    def report(self) -> str | None:
        """What has come to the books since the last report, in a line; None: nothing."""
        before, self._reported = self._reported, self._snapshot()
        return report.in_words(self.name, before, self._reported)

    def state(self) -> dict[str, Any]:
        """The books, for `status`."""
        return _state(self._books, self._snapshot())

    @contextmanager
    def held(self) -> Iterator[SourceReading]:
        """The books at one moment; nothing goes on meanwhile."""
        with self.ingress_queue.held() as waiting:
            yield self._books.reading(self.name, waiting, self._chain.deduplicated())

    def _snapshot(self) -> dict[str, dict[str, Any]]:
        with self.held() as reading:
            return report.snapshot(reading, *self._route.log.of(self.name))


def without_drops() -> dict[str, Any]:
    """What `state` says of a source from which nothing ever came."""
    books = SourceBooks()
    return _state(books, report.snapshot(books.reading("", 0, Counter()), {}, {}))


def _state(books: SourceBooks, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "books": snapshot,
        "overrun": books.refused,
        "missed": books.missed,
        "malformed": books.malformed,
        "failed": books.failed,
        "strangers": books.unrecognised,
        "truncated": books.truncated,
        "unnamed": books.unnamed,
        "pruned_by": dict(books.filtered_by),
        "acknowledged": books.acknowledged,
    }


def _deduplicator(wanted: Deduplication | None) -> Deduplicator | None:
    return Deduplicator(wanted.window, wanted.entries) if wanted else None
