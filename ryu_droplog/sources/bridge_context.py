"""What surrounds the reconciler of a bridge: its owner's words, its reader, who cleans up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.cleanup.cleanup_process import Address, Footprint
from ryu_droplog.config.endpoint import (
    Endpoint,
    TcpEndpoint,
    UnixEndpoint,
    rundir_of,
    visited,
)
from ryu_droplog.config.settings import Bridge
from ryu_droplog.model.location import DropFlow
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.ovsdb.miss_controller import miss_question
from ryu_droplog.owners.base import NO_DATABASE, Names
from ryu_droplog.owners.detection import choose_pipeline, owner_of, recognise
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.pipelines.loader import AUTO, Pipeline
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.sources.packet_in import PacketInReader

LOG = logging.getLogger(__name__)


class BridgeContext:
    """Of one bridge, over all its connections. See `surroundings.ReconcilerContext`."""

    def __init__(
        self,
        name: str,
        bridge: Bridge,
        pipelines: Mapping[str, Pipeline],
        reader: PacketInReader,
        clean_up: CleanUpClient,
        explanations: Explanations,
        directory: BridgeDirectory,
    ) -> None:
        """`explanations` is told who explains its drops, `directory` what its ports are called."""
        self._name = name
        self._pipelines = pipelines
        self._choose = bridge.pipeline == AUTO
        self._reader = reader
        self._explanations = explanations
        self._names = Names()
        self._directory = directory
        self._rundir = rundir_of(bridge.endpoint)
        self._clean_up = clean_up
        self.register_clean_up = _clean_up_for(clean_up, name, bridge.endpoint)
        self.asks_on_miss = miss_question(name, bridge.endpoint)
        self._pipeline = pipelines[bridge.pipeline]
        self._owner = owner_of(self._pipeline)
        self._use(self._pipeline)

    def pipeline(self, flows: Sequence[Flow]) -> Pipeline:
        """The configured one; where that is `auto`, the one of the owner whose flows these are.

        An owner that was recognised stays one until another is: it may have cleared its flows.
        """
        if self._choose:
            recognition = recognise(flows)
            pipeline = choose_pipeline(AUTO, recognition, self._pipelines)
            if recognition.sureness != "unknown" and pipeline not in (
                self._pipeline,
                self._pipelines[AUTO],
            ):
                LOG.info("%s: owner: %s", self._name, recognition.in_words())
                self._use(pipeline)
        return self._pipeline

    def change(self, bridge: Bridge, pipelines: Mapping[str, Pipeline]) -> None:
        """Go on with other pipelines, or another choice among them."""
        self._choose, self._pipelines = bridge.pipeline == AUTO, pipelines
        self.register_clean_up = _clean_up_for(self._clean_up, self._name, bridge.endpoint)
        name = self._pipeline.name if self._choose else bridge.pipeline
        pipeline = pipelines.get(name, pipelines[bridge.pipeline])
        if pipeline != self._pipeline:
            self._use(pipeline)

    def close(self) -> None:
        """Ask no database, and explain nothing any more; never waits."""
        self._names.database.close()
        self._explanations.forget(self._name, self._names)

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has."""
        self._reader.learn_names(names)

    def learn_ports(self, ports: Mapping[int, str]) -> None:
        """Take the names of the bridge's ports by OpenFlow port number."""
        self._names.ports = {**self._names.ports, **ports}
        self._directory.learn_ports(self._name, self._names.ports)

    def learn_drops(
        self, drops: Mapping[tuple[int, int], DropFlow], rewritten: Mapping[int, DropFlow]
    ) -> None:
        """Take what our flows are above, by table and slot, and the flows that tell us."""
        self._reader.learn_drops(drops, rewritten)

    @property
    def has_database(self) -> bool:
        """Whether the owner has a database that can be asked about its flows."""
        return self._names.database is not NO_DATABASE

    def ask_owner(self, flows: Collection[Flow]) -> bool:
        """Ask the owner's database what is not known of these flows; may take seconds."""
        return self._names.database.refresh(flows)

    def is_drop(self, cookie: int) -> bool:
        """Whether the owner's database says that its flow with this cookie drops."""
        return self._names.database.is_drop(cookie)

    def words(self, cookie: int) -> Mapping[str, str]:
        """What the owner calls its flow with this cookie, as far as it is known."""
        return self._names.database.names(cookie)

    def _use(self, pipeline: Pipeline) -> None:
        """Go over to a pipeline, and to its owner's database where that is another owner."""
        owner, names = owner_of(pipeline), self._names
        if owner is not self._owner or names.database is NO_DATABASE:
            names.database.close()
            names.database = (
                owner.open_database(self._rundir, once=False) if self._rundir else NO_DATABASE
            )
        self._pipeline, self._owner = pipeline, owner
        self._explanations.set(self._name, owner, names)
        self._reader.learn_pipeline(pipeline)


def _clean_up_for(
    clean_up: CleanUpClient, name: str, endpoint: Endpoint
) -> Callable[[bytes | None, Footprint], None]:
    """What the reconciler calls with the messages that take everything back."""
    endpoint = visited(endpoint)
    address: Address | None = None  # the switch comes to us: nobody can go there
    if isinstance(endpoint, UnixEndpoint):
        address = endpoint.path
    elif isinstance(endpoint, TcpEndpoint):
        address = (endpoint.host, endpoint.port)
    return partial(clean_up.write, name, address)
