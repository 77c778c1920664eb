"""What belongs to one bridge for as long as the program runs, over all its connections."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

from ryu_droplog.cleanup.cleanup_client import LastWill
from ryu_droplog.cleanup.cleanup_process import Remains
from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.model.accounting import Ledger
from ryu_droplog.openflow.connection import Channel
from ryu_droplog.owners.opflex_names import Words
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.processing.chain import Filter, Taker
from ryu_droplog.reconcile.counters import Counters
from ryu_droplog.reconcile.reconciler import Programmer
from ryu_droplog.sources import base
from ryu_droplog.sources.base import Source
from ryu_droplog.sources.bridge_context import Around
from ryu_droplog.sources.packet_in import Classifier

NOT_YET = {"pipeline": "", "tables": [], "explicit": [], "coming": [], "other_runs": []}
"""What `state` says of a bridge that was never connected."""


def never_connected() -> dict[str, Any]:
    """What `Watch.state` would say of a bridge that was never connected."""
    return {"connected": False, **NOT_YET, **base.state(Ledger())}


class Watch(Source):
    """One bridge: its books, the way of its drops, and who programs it at the moment."""

    def __init__(
        self,
        name: str,
        bridge: Bridge,
        pipelines: Mapping[str, Pipeline],
        settings: Settings,
        generation: int,
        sinks: Sequence[Taker],
        filters: Sequence[Filter],
        will: LastWill,
        threads: ModuleType,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        ledger = Ledger()
        self._bridge = bridge
        self._settings = settings
        self._generation = generation
        self._counters = Counters(ledger)
        pipeline = pipelines[bridge.pipeline]
        self._classifier = Classifier(name, bridge.prefix, pipeline, generation, ledger)
        super().__init__(name, self._classifier, ledger, settings.throttle, sinks, filters, threads)
        self._around = Around(name, bridge, pipelines, self._classifier, will)
        self._programmer: Programmer | None = None

    def begin(self, channel: Channel, dead: Collection[int] = ()) -> Programmer:
        """A programmer for a new connection; `dead` are generations of runs that have ended."""
        self._programmer = Programmer(
            channel,
            self._bridge,
            self.name,
            self._settings,
            self._generation,
            self._counters,
            self._around,
            dead,
        )
        return self._programmer

    def forget(self) -> None:
        """Let the clean-up process know that nobody will speak of this bridge again."""
        self._around.bequeath(b"", Remains())

    def change(self, bridge: Bridge, pipelines: Mapping[str, Pipeline], settings: Settings) -> None:
        """Go on with other settings; what they leave as it was is not touched."""
        if bridge.prefix != self._bridge.prefix:
            self._classifier.learn_prefix(bridge.prefix)
        self._bridge, self._settings = bridge, settings
        self._around.change(bridge, pipelines)
        if self._programmer is not None:
            self._programmer.change(bridge, settings)

    def learn_words(self, words: Words) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._classifier.learn_words(words)

    def read_counters(self, seconds: float) -> bool:
        """Bring the books up to date; False when the switch did not answer."""
        programmer = self._programmer
        read = programmer is not None and programmer.read_counters(seconds)
        # What the switch had sent before it answered is in the books only behind the intake.
        return super().read_counters(seconds) and read

    @property
    def connected(self) -> bool:
        """Whether a switch is connected, and its drops are logged."""
        return self._programmer is not None and self._programmer.at_work

    def state(self) -> dict[str, Any]:
        """All that is known, for `status`."""
        return {
            "connected": self.connected,
            **(self._programmer.describe() if self._programmer else NOT_YET),
            **super().state(),
        }
