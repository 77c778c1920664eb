"""What belongs to one bridge for as long as the program runs, over all its connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from ryu_droplog import report
from ryu_droplog.around import Around
from ryu_droplog.chain import Chain
from ryu_droplog.classify import Classifier
from ryu_droplog.intake import Intake
from ryu_droplog.ledger import Ledger
from ryu_droplog.openflow.channel import Channel
from ryu_droplog.openflow.counters import Counters
from ryu_droplog.openflow.programmer import Programmer
from ryu_droplog.openflow.will import LastWill
from ryu_droplog.pipelines import Pipeline
from ryu_droplog.settings import Bridge, Settings
from ryu_droplog.sinks.base import Sink
from ryu_droplog.throttle import Throttle

NOT_YET = {"pipeline": "", "tables": [], "explicit": []}
"""What `state` says of a bridge that was never connected."""
READING_TIME = 2.0
"""Seconds that a switch has for its counters before a report goes on without."""


class Watch:
    """One bridge: its books, the way of its drops, and who programs it at the moment."""

    def __init__(
        self,
        name: str,
        bridge: Bridge,
        pipelines: Mapping[str, Pipeline],
        settings: Settings,
        generation: int,
        sinks: Sequence[Sink],
        will: LastWill,
        threads: ModuleType,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        fold = settings.throttle
        self.name = name
        self.ledger = Ledger()
        self._bridge = bridge
        self._settings = settings
        self._generation = generation
        self._counters = Counters(self.ledger)
        pipeline = pipelines[bridge.pipeline]
        classifier = Classifier(name, bridge.prefix, pipeline, generation, self.ledger)
        throttle = Throttle(fold.window, fold.entries) if fold else None
        chain = Chain(classifier, self.ledger, throttle, sinks)
        self.intake = Intake(name, chain, self.ledger, threads)
        self._around = Around(name, bridge, pipelines, classifier, will)
        self._programmer: Programmer | None = None
        self._reported = report.snapshot(self.ledger)

    def begin(self, channel: Channel) -> Programmer:
        """A programmer for a new connection."""
        self._programmer = Programmer(
            channel,
            self._bridge,
            self.name,
            self._settings,
            self._generation,
            self._counters,
            self._around,
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
            **(self._programmer.describe() if self._programmer else NOT_YET),
            "books": report.snapshot(ledger),
            "overrun": ledger.overrun,
            "malformed": ledger.malformed,
            "strangers": ledger.strangers,
            "truncated": ledger.truncated,
            "unnamed": ledger.unnamed,
        }
