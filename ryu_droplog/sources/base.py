"""What every source of drops has, a bridge or a socket: books, a way for its drops, a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from ryu_droplog.config.settings import Deduplication
from ryu_droplog.model.accounting import Ledger
from ryu_droplog.processing import report
from ryu_droplog.processing.chain import Chain, DropFilter, Reader, Taker
from ryu_droplog.processing.dedup import Deduplicator
from ryu_droplog.processing.ingress_queue import IngressQueue


class Source:
    """One source of drops, for as long as the program runs."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        ledger: Ledger,
        deduplication: Deduplication | None,
        sinks: Sequence[Taker],
        filters: Sequence[DropFilter],
        threads: ModuleType,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self.name = name
        self.ledger = ledger
        self._deduplication = deduplication
        self._deduplicator = _deduplicator(deduplication)
        self._chain = Chain(reader, ledger, self._deduplicator, sinks, filters)
        self.ingress_queue = IngressQueue(name, self._chain, ledger, threads)
        self._reported = report.snapshot(ledger)

    def redirect(
        self,
        deduplication: Deduplication | None,
        sinks: Sequence[Taker],
        filters: Sequence[DropFilter],
    ) -> None:
        """Send drops another way from now on; windows that are open go on where nothing changed."""
        if deduplication != self._deduplication:
            self._deduplication, self._deduplicator = deduplication, _deduplicator(deduplication)
        self._chain.change(self._deduplicator, sinks, filters)

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
        before, self._reported = self._reported, report.snapshot(self.ledger)
        return report.in_words(self.name, before, self._reported)

    def state(self) -> dict[str, Any]:
        """The books, for `status`."""
        return state(self.ledger)


def state(ledger: Ledger) -> dict[str, Any]:
    """All numbers of a ledger, for `status`."""
    return {
        "books": report.snapshot(ledger),
        "overrun": ledger.overrun,
        "missed": ledger.missed,
        "malformed": ledger.malformed,
        "strangers": ledger.strangers,
        "truncated": ledger.truncated,
        "unnamed": ledger.unnamed,
        "pruned_by": dict(ledger.pruned_by),
    }


def _deduplicator(deduplication: Deduplication | None) -> Deduplicator | None:
    return Deduplicator(deduplication.window, deduplication.entries) if deduplication else None
