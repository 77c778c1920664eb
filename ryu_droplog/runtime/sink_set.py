"""The sinks of the running program: made anew where their settings changed, closed when done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Explain
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.records.acknowledged import NOTHING_KNOWN, Baseline
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import NO_BRIDGES, Identify, identify_nobody
from ryu_droplog.runtime.parts import CLOSE_TIME
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.text.phrases import were

RETIRED = 10
"""Sinks that are no longer needed whose last notices are waited for."""


class SinkSet:
    """The sinks by their names, and what became of the drops in the log."""

    def __init__(
        self,
        threads: ModuleType,
        explain: Explain,
        node: str = "",
        bridges: BridgeDirectory = NO_BRIDGES,
        identify: Identify = identify_nobody,
        baseline: Baseline = NOTHING_KNOWN,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self.by_name: Mapping[str, Sink] = {}
        self.log = LogBooks()
        self._threads = threads
        self._context = SinkContext(threads, explain, node, bridges, identify, baseline)
        self._retired: deque[Sink] = deque(maxlen=RETIRED)

    def prepare(self, specs: Sequence[SinkSpec], fresh: list[Any]) -> dict[str, Sink]:
        """Sinks for these settings; those whose settings are the same stay.

        New ones are started and added to `fresh`. Raises DropLogError where one cannot be.
        """
        sinks: dict[str, Sink] = {}
        log = _log(self.by_name.values())
        for spec in specs:
            kind: type[Sink] = SINKS.get(spec.type)
            held = self.by_name.get(spec.name)
            is_log = kind.LOGS and not any(sink.LOGS for sink in sinks.values())
            if held is None or held.spec != spec or is_log != (held is log):
                held = kind(spec, self._context)
                fresh.append(held)
                held.start()
            sinks[spec.name] = held
        return sinks

    def use(self, sinks: Mapping[str, Sink]) -> None:
        """Go on with these, which `prepare` made or which were in use before."""
        log = _log(sinks.values())
        if log is not None:
            self.log.begin(log)
        self.by_name = sinks

    def retired(self, sinks: Sequence[Sink]) -> None:
        """Tell the last notices of sinks that are no longer needed, too."""
        self._retired += sinks

    def forget(self, parts: Sequence[Any]) -> None:
        """Keep what sinks have counted that did not stay in use, and nothing else of them."""
        for part in parts:
            if isinstance(part, Sink):
                self.log.end(part)

    def close(self, sinks: Sequence[Sink] | None = None) -> None:
        """Have them write what waits, for `CLOSE_TIME` each; None: all."""
        for sink in list(self.by_name.values()) if sinks is None else sinks:
            left = sink.close(CLOSE_TIME)
            self.log.end(sink)
            if left:
                sink.notices.append(f"{sink.name}: {were(left, 'drop')} not written in time")

    def notices(self) -> Iterator[str]:
        """What the user should know, each once."""
        for sink in [*self.by_name.values(), *self._retired]:
            while sink.notices:
                yield sink.notices.popleft()


def _log(sinks: Any) -> Sink | None:
    """The first that writes a log of drops."""
    return next((sink for sink in sinks if sink.LOGS), None)
