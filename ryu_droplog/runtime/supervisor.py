"""All that runs while some settings hold, and the way from these settings to others."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.concurrency.threads import Group
from ryu_droplog.config.endpoint import Accepted, ServiceEndpoint
from ryu_droplog.config.settings import ANY_BRIDGE, Bridge, Settings
from ryu_droplog.connections.connector import Connector, find
from ryu_droplog.connections.listener import Listener
from ryu_droplog.connections.reach import CONNECTED, GONE, OFF, Reach
from ryu_droplog.connections.service_connector import ServiceConnector
from ryu_droplog.locks.bridge_claims import Claims
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import OpflexNames, PolicyNames
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.processing.capture_filter import CaptureFilter
from ryu_droplog.processing.chain import DropFilter
from ryu_droplog.processing.filter import FilterSet
from ryu_droplog.reconcile.reconciler import Reconciler
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.runtime.books import BooksCheck, Reading, read
from ryu_droplog.runtime.sink_set import SinkSet
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sources.base import Route
from ryu_droplog.sources.bridge import BridgeSource, never_connected
from ryu_droplog.sources.bridges import BridgeSources
from ryu_droplog.sources.geneve_log import senders
from ryu_droplog.sources.geneve_socket import GeneveSocket

LOG = logging.getLogger(__name__)

FLOW_BASED = "drop-log-mode flow-based"
"""Name, in the books, of what leaves out drops that no flow file asks for."""
CLOSE_TIME = 5.0
"""Seconds that a sink has to write what still waits when it is no longer needed."""


class Supervisor:
    """Connectors, listener, sources and sinks; none until the first `change`."""

    def __init__(self, run_directory: str, generation: int, threads: ModuleType) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self._explanations = Explanations()
        self._directory = BridgeDirectory()
        node = os.environ.get("NODE_NAME") or socket.gethostname()
        self._sinks = SinkSet(threads, self._explanations.explain, node, self._directory)
        self._books_check = BooksCheck()
        self._settings: Settings | None = None
        self._pipelines: Mapping[str, Pipeline] = {}
        self._generation = generation
        self._threads = threads
        self._claims = Claims(run_directory, generation)
        self._bridge_sources = BridgeSources(threads)
        self._clean_up = CleanUpClient()
        self._explanations = Explanations()
        self._connectors: dict[str, tuple[Bridge, Connector]] = {}
        self._reaches: dict[str, tuple[Bridge, Reach]] = {}
        """Of each bridge that is configured and to be connected."""
        self._listener: Listener | None = None
        self._geneve_socket: GeneveSocket | None = None
        self._policies: PolicyNames | None = None
        self._running = Group()

    def change(self, settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
        """Go over to these settings, as a whole: raises DropLogError, and all stays as it was."""
        old = self._settings
        if old is not None and settings.run_directory != old.run_directory:
            raise ConfigError(
                f"{settings.source}: run_directory: got {settings.run_directory}; expected "
                f"{old.run_directory}, where the running program has its locks and sockets"
            )
        if old is None:
            self._claims.prepare()
        fresh: list[Sink | GeneveSocket] = []
        try:
            wanted = settings.sinks if settings.enable or self.sinks else ()
            sinks = self._sinks.prepare(wanted, fresh)
            route = self._route(settings, sinks)
            geneve_socket = self._new_geneve_socket(settings, pipelines, route, fresh)
            listener = self._new_listener(settings)
        except Exception:
            for part in fresh:
                part.close(CLOSE_TIME)
            raise
        self._settings, self._pipelines = settings, pipelines
        retired = self._sinks.use(sinks)
        self._bridge_sources.change(self._is_listed, settings.arrivals)
        self._use(geneve_socket)
        self._use_listener(listener)
        self._use_connectors()
        for source in self.sources():
            source.redirect(route)
        self._sinks.retire(retired, self._settle)
        self.learn_opflex_names(anew=True)

    @property
    def sinks(self) -> Mapping[str, Sink]:
        """Where drops go, by name."""
        return self._sinks.by_name

    def unexplained(self) -> dict[str, int]:
        """Packets that the books miss, by source or sink: 0, or what was confirmed last."""
        names = [part.name for part in (*self.sources(), *self.sinks.values())]
        return {name: self._books_check.unexplained.get(name, 0) for name in names}

    @property
    def bridge_sources(self) -> Mapping[str, BridgeSource]:
        """The bridges that are or were connected, by their names."""
        return self._bridge_sources.by_name

    def tidy(self) -> None:
        """Forget bridges that no entry names and that stay away."""
        self._bridge_sources.tidy()

    def listening(self) -> dict[str, Any]:
        """Who has connected to `listen`, for `status`: by its address; nothing without one."""
        listener = self._listener
        return {str(listener.endpoint): listener.state()} if listener is not None else {}

    def learn_opflex_names(self, *, anew: bool = False) -> None:
        """Look whether the OpFlex agent has other names for its policies."""
        assert self._settings is not None
        opflex = self._settings.opflex
        if anew:
            self._policies = PolicyNames(opflex.ids_directory)
        if self._policies is not None and (self._policies.poll() or anew):
            names = self._opflex_names()
            for source in self.sources():
                source.learn_opflex_names(names)

    def sources(self) -> list[BridgeSource | GeneveSocket]:
        """Where drops come from, or came from."""
        return [
            *list(self.bridge_sources.values()),
            *([self._geneve_socket] if self._geneve_socket else []),
        ]

    @property
    def geneve_socket(self) -> GeneveSocket | None:
        """Where datagrams are received, if they are."""
        return self._geneve_socket

    def notices(self) -> Iterator[tuple[int, str]]:
        """What the user should know, each once, with its level of logging."""
        for text in self._bridge_sources.reports():
            yield logging.INFO, text
        for source in self.sources():
            for text in source.notices():
                yield logging.ERROR, f"{source.name}: {text}"
        self._look_at_connectors()
        for name, (_, reach) in self._reaches.items():
            warning = reach.warning()
            if warning:
                yield logging.WARNING, f"{name}: {warning}"
        for text in self._sinks.notices():
            yield logging.WARNING, text
        while self._explanations.notices:
            yield logging.ERROR, self._explanations.notices.popleft()
        for text in self._books_check.look(self._read_books):
            yield logging.ERROR, text

    def tend(self) -> None:
        """See to the clean-up process; to be called a few times a second."""
        self._clean_up.look()

    def bridges(self) -> dict[str, dict[str, Any]]:
        """What `status` tells of each bridge: those that are configured, then all others."""
        assert self._settings is not None
        self._look_at_connectors()
        told: dict[str, dict[str, Any]] = {}
        for bridge in self._settings.bridges:
            name = bridge.name
            if name != ANY_BRIDGE:
                known = self._reaches.get(name)
                reach = known[1].state() if known else {**Reach.NOTHING, "state": OFF}
                bridge_source = self.bridge_sources.get(name)
                told[name] = {
                    **(bridge_source.state() if bridge_source else never_connected()),
                    **reach,
                }
        for name, bridge_source in list(self.bridge_sources.items()):
            if name not in told:
                state = bridge_source.state()
                reach = {**Reach.NOTHING, "state": CONNECTED if state["connected"] else GONE}
                told[name] = {**state, **reach}
        return told

    def _look_at_connectors(self) -> None:
        for name, (_, reach) in self._reaches.items():
            bridge_source, connector = self.bridge_sources.get(name), self._connectors.get(name)
            reach.note(
                bridge_source is not None and bridge_source.connected,
                connector[1].trouble if connector else None,
            )

    def stop(self) -> bool:
        """Take everything back from the switches, and write what waits.

        Returns whether nothing of ours may be left on any switch.
        """
        for _, connector in self._connectors.values():
            connector.stop()
        if self._listener is not None:
            self._listener.stop()
        self._running.join()
        clean = self._clean_up.close()
        for source in self.sources():
            source.close(CLOSE_TIME)
        self._sinks.close()
        return clean

    def clean_up_state(self) -> dict[str, Any]:
        """How the clean-up process is, for `status`."""
        return self._clean_up.state()

    # Parts: what stays is the same object

    def _new_geneve_socket(
        self,
        settings: Settings,
        pipelines: Mapping[str, Pipeline],
        route: Route,
        fresh: list[Any],
    ) -> GeneveSocket | None:
        if settings.receive is None or not settings.enable:
            return None
        held = self._geneve_socket
        if held is not None and held.endpoint == settings.receive:
            return held
        names = senders(pipelines, settings.by_pipeline)
        made = GeneveSocket(settings.receive, names, route, self._threads, self._explanations)
        fresh.append(made)
        return made

    def _use(self, geneve_socket: GeneveSocket | None) -> None:
        held, self._geneve_socket = self._geneve_socket, geneve_socket
        if held is not None and held is not geneve_socket:
            held.close(CLOSE_TIME)
            LOG.info("%s", held.report() or f"{held.name}: closed")
        if geneve_socket is None:
            return
        assert self._settings is not None
        if geneve_socket is held:
            geneve_socket.change(senders(self._pipelines, self._settings.by_pipeline))
        else:
            geneve_socket.start()
            LOG.info(
                "%s: receiving, with a buffer of %d bytes", geneve_socket.name, geneve_socket.buffer
            )

    def _new_listener(self, settings: Settings) -> Listener | None:
        if settings.listen is None or not settings.enable:
            return None
        if self._listener is not None and self._listener.endpoint == settings.listen:
            return self._listener
        return Listener(
            settings.listen,
            settings.arrivals,
            settings.bridges,
            self._begin,
            self._bridge_sources.has_room,
            self._claims,
        )

    def _use_listener(self, listener: Listener | None) -> None:
        held, self._listener = self._listener, listener
        if held is not None and held is not listener:
            held.stop()
        if listener is None:
            return
        assert self._settings is not None
        if listener is held:
            listener.change(self._settings.bridges, self._settings.arrivals)
        else:
            self._running.start(listener.run)

    def _use_connectors(self) -> None:
        settings = self._settings
        assert settings is not None
        wanted = {
            bridge.name: bridge
            for bridge in settings.bridges
            if settings.enable and not isinstance(bridge.endpoint, Accepted)
        }
        for name, (bridge, connector) in list(self._connectors.items()):
            if name not in wanted or wanted[name].endpoint != bridge.endpoint:
                connector.stop()
                del self._connectors[name]
        for name, bridge_source in list(self.bridge_sources.items()):
            found = find(settings.bridges, name)
            if found is not None:
                bridge_source.change(found, self._pipelines, settings)
        self._reaches = {
            bridge.name: self._reach(bridge)
            for bridge in settings.bridges
            if settings.enable and bridge.name != ANY_BRIDGE
        }
        for name, bridge in wanted.items():
            if name not in self._connectors:
                connector = self._new_connector(bridge)
                self._running.start(self._run_connector, name, connector)
                self._connectors[name] = bridge, connector

    def _run_connector(self, name: str, connector: Connector) -> None:
        """Keep a bridge connected; what could not be taken back from it is not left for later."""
        connector.run()
        if (
            self._connectors.get(name, (None, connector))[1] is connector
        ):  # else it has gone over to another
            self._clean_up.carry_out(name)

    def _reach(self, bridge: Bridge) -> tuple[Bridge, Reach]:
        held = self._reaches.get(bridge.name)
        if held is not None and held[0].endpoint == bridge.endpoint:
            return bridge, held[1]
        return bridge, Reach(waits=isinstance(bridge.endpoint, Accepted))

    def _new_connector(self, bridge: Bridge) -> Connector:
        endpoint = bridge.endpoint
        if isinstance(endpoint, ServiceEndpoint):
            return ServiceConnector(bridge, endpoint, self._begin, self._claims, self._clean_up)
        assert not isinstance(endpoint, Accepted)
        return Connector(bridge, endpoint, self._begin, self._claims)

    def _begin(
        self, connection: Connection, bridge: Bridge, name: str
    ) -> tuple[Reconciler, Callable[..., None]]:
        """What a bridge needs when it has connected."""
        settings = self._settings
        assert settings is not None

        def make() -> BridgeSource:
            bridge_source = BridgeSource(
                name,
                find(settings.bridges, name) or bridge,
                self._pipelines,
                settings,
                self._generation,
                self._route(self._settings or settings, self.sinks),
                self._clean_up,
                self._explanations,
                self._directory,
                self._threads,
            )
            bridge_source.learn_opflex_names(self._opflex_names())
            return bridge_source

        bridge_source, reconciler = self._bridge_sources.begin(
            name, make, connection, self._claims.dead(connection.id)
        )
        return reconciler, bridge_source.ingress_queue.put

    def _is_listed(self, name: str) -> bool:
        """Whether an entry of the configuration has that name."""
        found = find(self._settings.bridges, name) if self._settings is not None else None
        return found is not None and found.name != ANY_BRIDGE

    def _opflex_names(self) -> OpflexNames:
        assert self._settings is not None
        names = self._policies.names if self._policies else {}
        return OpflexNames(names, self._settings.opflex.shown_tenants)

    def _route(self, settings: Settings, sinks: Mapping[str, Sink]) -> Route:
        """Where drops go while these settings hold."""
        return Route(settings.throttle, list(sinks.values()), _filters(settings), self._sinks.log)

    def _settle(self) -> None:
        """Wait until what came so far is with the sinks."""
        for source in self.sources():
            source.ingress_queue.settle(CLOSE_TIME)

    def _read_books(self) -> Reading:
        return read(self.sources(), self.sinks.values())


class _Uncalled:
    """Leaves out what no flow file asks for, where the switch could not say it."""

    def __init__(self, capture: CaptureFilter) -> None:
        self._fits = capture.fits

    def match(self, drop: Drop) -> str | None:
        return None if self._fits(drop) else FLOW_BASED


def _filters(settings: Settings) -> list[DropFilter]:
    filters: list[DropFilter] = []
    if settings.flows is not None:
        filters.append(_Uncalled(CaptureFilter(settings.flows)))
    if settings.prune:
        filters.append(FilterSet(settings.prune))
    return filters
