"""What belongs to one bridge for as long as the program runs, over all its connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from ryu_droplog import report
from ryu_droplog.chain import Chain
from ryu_droplog.classify import Classifier
from ryu_droplog.endpoint import Endpoint, ServiceEndpoint, TcpEndpoint, UnixEndpoint
from ryu_droplog.intake import Intake
from ryu_droplog.ledger import Ledger
from ryu_droplog.openflow.channel import Channel
from ryu_droplog.openflow.counters import Counters
from ryu_droplog.openflow.misses import miss_question
from ryu_droplog.openflow.programmer import Programmer
from ryu_droplog.openflow.will import LastWill
from ryu_droplog.pipelines import Pipeline
from ryu_droplog.settings import Bridge, Settings
from ryu_droplog.sinks.base import Sink
from ryu_droplog.throttle import Throttle

READING_TIME = 2.0
"""Seconds that a switch has for its counters before a report goes on without."""


class Watch:
    """One bridge: its books, the way of its drops, and who programs it at the moment."""

    def __init__(
        self,
        name: str,
        bridge: Bridge,
        pipeline: Pipeline,
        settings: Settings,
        generation: int,
        sinks: Sequence[Sink],
        will: LastWill,
        threads: ModuleType,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        prefix = pipeline.prefix if bridge.prefix is None else bridge.prefix
        fold = settings.throttle
        self.name = name
        self.ledger = Ledger()
        self._pipeline = pipeline
        self._settings = settings
        self._generation = generation
        self._counters = Counters(self.ledger)
        self._classifier = Classifier(name, prefix, pipeline, generation, self.ledger)
        throttle = Throttle(fold.window, fold.entries) if fold else None
        chain = Chain(self._classifier, self.ledger, throttle, sinks)
        self.intake = Intake(name, chain, self.ledger, threads)
        self._bequeath = _heir(will, name, bridge.endpoint)
        self._asks_on_miss = miss_question(name, bridge.endpoint)
        self._programmer: Programmer | None = None
        self._reported = report.snapshot(self.ledger)

    def begin(self, channel: Channel) -> Programmer:
        """A programmer for a new connection."""
        self._programmer = Programmer(
            channel,
            self.name,
            self._pipeline,
            self._settings.meter,
            self._settings.lease,
            self._generation,
            self._counters,
            self._classifier.learn_names,
            self._bequeath,
            self._asks_on_miss,
        )
        return self._programmer

    def close(self, seconds: float) -> None:
        """Send everything that waits to the sinks, for so many seconds at most."""
        self.intake.close(seconds)

    def read_counters(self) -> bool:
        """Bring the books up to date; False when the switch did not answer."""
        programmer = self._programmer
        read = programmer is not None and programmer.read_counters(READING_TIME)
        # What the switch had sent before it answered is in the books only behind the intake.
        return self.intake.settle(READING_TIME) and read

    def report(self) -> str | None:
        """What has come to the books since the last report, in a line; None: nothing."""
        before, self._reported = self._reported, report.snapshot(self.ledger)
        return report.in_words(self.name, before, self._reported)

    def state(self) -> dict[str, Any]:
        """All that is known, for `status`."""
        ledger = self.ledger
        return {
            "connected": self._programmer is not None and self._programmer.at_work,
            "tables": self._programmer.describe() if self._programmer else [],
            "books": report.snapshot(ledger),
            "overrun": ledger.overrun,
            "malformed": ledger.malformed,
            "strangers": ledger.strangers,
            "truncated": ledger.truncated,
            "unnamed": ledger.unnamed,
        }


def _heir(will: LastWill, name: str, endpoint: Endpoint) -> Callable[[bytes], None]:
    """What the programmer calls with the messages that take everything back."""
    if isinstance(endpoint, ServiceEndpoint):
        endpoint = endpoint.management
    if isinstance(endpoint, UnixEndpoint):
        return partial(will.write, name, endpoint.path)
    if isinstance(endpoint, TcpEndpoint):
        return partial(will.write, name, (endpoint.host, endpoint.port))
    return lambda messages: None  # the switch comes to us: nobody could go there
