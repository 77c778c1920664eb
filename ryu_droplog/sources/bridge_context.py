"""What surrounds the reconciler of a bridge: its owner's words, its reader, who cleans up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.cleanup.cleanup_process import Address, Footprint
from ryu_droplog.config.endpoint import (
    Endpoint,
    ServiceEndpoint,
    TcpEndpoint,
    UnixEndpoint,
    rundir_of,
)
from ryu_droplog.config.settings import Bridge
from ryu_droplog.model.drop import Explain
from ryu_droplog.model.location import DropFlow
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.ovsdb.miss_controller import miss_question
from ryu_droplog.ovsdb.southbound import Southbound
from ryu_droplog.owners import explain
from ryu_droplog.owners.detection import recognise
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
        explanations: Explanations,
        directory: BridgeDirectory,
        clean_up: CleanUpClient,
    ) -> None:
        self._name = name
        self._pipelines = pipelines
        self._choose = bridge.pipeline == AUTO
        self._reader = reader
        self._explanations = explanations
        self._ports: dict[int, str] = {}
        directory.learn_ports(name, self._ports)
        rundir = rundir_of(bridge.endpoint)
        self._southbound = Southbound(rundir) if rundir else None
        self._clean_up = clean_up
        self.register_clean_up = _clean_up_for(clean_up, name, bridge.endpoint)
        self.asks_on_miss = miss_question(name, bridge.endpoint)
        self._pipeline = pipelines[bridge.pipeline]
        self._learn_pipeline()

    def pipeline(self, flows: Sequence[Flow]) -> Pipeline:
        """The configured one; where that is `auto`, the one of the owner whose flows these are.

        An owner that was recognised stays one until another is: it may have cleared its flows.
        """
        if self._choose:
            owner = recognise(flows)
            found = self._pipelines.get(owner.pipeline)
            if owner.sureness != "unknown" and found is not None and found is not self._pipeline:
                LOG.info("%s: owner: %s", self._name, owner.in_words())
                self._pipeline = found
                self._learn_pipeline()
        return self._pipeline

    def change(self, bridge: Bridge, pipelines: Mapping[str, Pipeline]) -> None:
        """Go on with other pipelines, or another choice among them."""
        self._choose, self._pipelines = bridge.pipeline == AUTO, pipelines
        self.register_clean_up = _clean_up_for(self._clean_up, self._name, bridge.endpoint)
        name = self._pipeline.name if self._choose else bridge.pipeline
        found = pipelines.get(name, pipelines[bridge.pipeline])
        if found != self._pipeline:
            self._pipeline = found
            self._learn_pipeline()

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has."""
        self._reader.learn_names(names)

    def learn_ports(self, ports: Mapping[int, str]) -> None:
        """Take the names of the bridge's ports by OpenFlow port number."""
        self._ports.update(ports)

    def learn_drops(
        self, drops: Mapping[tuple[int, int], DropFlow], rewritten: Mapping[int, DropFlow]
    ) -> None:
        """Take what our flows are above, by table and slot, and the flows that tell us."""
        self._reader.learn_drops(drops, rewritten)

    def ask_owner(self, flows: Collection[Flow]) -> bool:
        """Ask OVN's southbound database for the logical flows behind these."""
        if self._pipeline.explain != "ovn" or self._southbound is None:
            return False
        return self._southbound.refresh(flows)

    def is_drop(self, cookie: int) -> bool:
        """Whether OVN's southbound database says that the logical flow drops."""
        return self._southbound is not None and self._southbound.is_drop(cookie)

    def words(self, cookie: int) -> Mapping[str, str]:
        """What OVN calls the logical flow."""
        return self._southbound.names(cookie) if self._southbound is not None else {}

    def _learn_pipeline(self) -> None:
        self._reader.learn_pipeline(self._pipeline)
        self._explanations.set(self._name, self._explainer())

    def _explainer(self) -> Explain | None:
        if self._pipeline.explain == "neutron":
            return partial(explain.neutron, port_names=self._ports)
        if self._pipeline.explain == "opflex":
            return explain.opflex
        if self._pipeline.explain == "ovn" and self._southbound is not None:
            southbound = self._southbound
            return lambda drop: explain.ovn(drop, southbound.directory())
        return None


def _clean_up_for(
    clean_up: CleanUpClient, name: str, endpoint: Endpoint
) -> Callable[[bytes | None, Footprint], None]:
    """What the reconciler calls with the messages that take everything back."""
    if isinstance(endpoint, ServiceEndpoint):
        endpoint = endpoint.management
    address: Address | None = None  # the switch comes to us: nobody can go there
    if isinstance(endpoint, UnixEndpoint):
        address = endpoint.path
    elif isinstance(endpoint, TcpEndpoint):
        address = (endpoint.host, endpoint.port)
    return partial(clean_up.write, name, address)
