"""What belongs to one bridge for as long as the program runs, over all its connections."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.cleanup.cleanup_process import Footprint
from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import OpflexNames
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.ingress_queue import Stage
from ryu_droplog.processing.loud_flows import LoudFlows
from ryu_droplog.reconcile.counters import Counters
from ryu_droplog.reconcile.reconciler import Reconciler
from ryu_droplog.reconcile.storm import StormControl
from ryu_droplog.reconcile.storm_driver import StormParts
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.sources.base import Route, Source, without_drops
from ryu_droplog.sources.bridge_context import BridgeContext
from ryu_droplog.sources.packet_in import PacketInReader

NOT_YET = {
    "pipeline": "",
    "tables": [],
    "explicit": [],
    "coming": [],
    "other_runs": [],
    "summarised": [],
}
"""What `state` says of a bridge that was never connected."""


def never_connected() -> dict[str, Any]:
    """What `BridgeSource.state` would say of a bridge that was never connected."""
    return {"connected": False, **NOT_YET, **without_drops()}


class BridgeSource(Source):
    """One bridge: its books, the way of its drops, and who programs it at the moment."""

    def __init__(
        self,
        name: str,
        bridge: Bridge,
        pipelines: Mapping[str, Pipeline],
        settings: Settings,
        generation: int,
        route: Route,
        clean_up: CleanUpClient,
        explanations: Explanations,
        directory: BridgeDirectory,
        threads: ModuleType,
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        books = SourceBooks()
        self._bridge = bridge
        self._settings = settings
        self._generation = generation
        self._counters = Counters(books)
        pipeline = pipelines[bridge.pipeline]
        self._reader = PacketInReader(name, bridge.prefix, pipeline, generation, books)
        super().__init__(name, self._reader, books, route, threads)
        self._storm = StormParts(StormControl(generation, settings), self._loud_flows, books)
        self._context = BridgeContext(
            name, bridge, pipelines, self._reader, clean_up, explanations, directory
        )
        self._directory = directory
        self._reconciler: Reconciler | None = None

    def _stage(self, chain: Chain) -> Stage:
        self._loud_flows = LoudFlows(chain, self._reader, self._generation)
        return self._loud_flows

    def begin(self, connection: Connection, dead: Collection[int] = ()) -> Reconciler:
        """A reconciler for a new connection; `dead` are generations of runs that have ended."""
        self._storm.control.change(self._settings)
        self._directory.learn_datapath_id(self.name, connection.id)
        self._reconciler = Reconciler(
            connection,
            self._bridge,
            self.name,
            self._settings,
            self._generation,
            self._counters,
            self._context,
            self._storm,
            dead,
        )
        return self._reconciler

    def forget(self) -> None:
        """Let the clean-up process know that nobody will speak of this bridge again."""
        self._context.register_clean_up(b"", Footprint())
        self._context.close()

    def change(self, bridge: Bridge, pipelines: Mapping[str, Pipeline], settings: Settings) -> None:
        """Go on with other settings; what they leave as it was is not touched."""
        if bridge.prefix != self._bridge.prefix:
            self._reader.learn_prefix(bridge.prefix)
        self._bridge, self._settings = bridge, settings
        self._context.change(bridge, pipelines)
        if self._reconciler is not None:
            self._reconciler.change(bridge, settings)

    def learn_opflex_names(self, names: OpflexNames) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._reader.learn_opflex_names(names)

    def read_counters(self, seconds: float) -> bool:
        """Bring the books up to date; False when the switch did not answer."""
        reconciler = self._reconciler
        read = reconciler is not None and reconciler.read_counters(seconds)
        # What the switch had sent before it answered is in the books only behind the ingress queue.
        return super().read_counters(seconds) and read

    @property
    def connected(self) -> bool:
        """Whether a switch is connected, and its drops are logged."""
        return self._reconciler is not None and self._reconciler.at_work

    def state(self) -> dict[str, Any]:
        """All that is known, for `status`."""
        return {
            "connected": self.connected,
            **(self._reconciler.describe() if self._reconciler else NOT_YET),
            **super().state(),
        }
