"""All that runs while some settings hold, and the way from these settings to others."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import Any

from ryu_droplog.cleanup.cleanup_client import CleanUpClient
from ryu_droplog.concurrency.gate import Gate
from ryu_droplog.concurrency.threads import Group
from ryu_droplog.config.endpoint import Accepted, ServiceEndpoint, rundir_of
from ryu_droplog.config.settings import ANY_BRIDGE, Bridge, Settings
from ryu_droplog.connections.connector import Connector
from ryu_droplog.connections.entries import entry_named
from ryu_droplog.connections.handshakes import listen_on
from ryu_droplog.connections.listener import Listener
from ryu_droplog.connections.reach import CONNECTED, GONE, OFF, Reach
from ryu_droplog.connections.service_connector import ServiceConnector
from ryu_droplog.locks.bridge_claims import Claims
from ryu_droplog.model.errors import ConfigError, DropLogError, why
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import OpflexNames, PolicyNames
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.processing.capture_filter import CaptureFilter
from ryu_droplog.processing.chain import DropFilter
from ryu_droplog.processing.filter import FilterSet
from ryu_droplog.processing.ring import Ring
from ryu_droplog.reconcile.reconciler import Reconciler
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import EncoderContext, node_name
from ryu_droplog.runtime.books import BooksCheck, Reading, read
from ryu_droplog.runtime.identifying import Identifying
from ryu_droplog.runtime.known_drops import KnownDrops
from ryu_droplog.runtime.parts import CLOSE_TIME, Parts, discard, surely
from ryu_droplog.runtime.receivers import Receivers
from ryu_droplog.runtime.sink_set import SinkSet
from ryu_droplog.runtime.switch_losses import SwitchLosses
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sources.base import Route
from ryu_droplog.sources.bridge import BridgeSource, never_connected
from ryu_droplog.sources.bridges import BridgeSources
from ryu_droplog.sources.receiver import Receiver

LOG = logging.getLogger(__name__)


class Supervisor:
    """Connectors, listener, sources and sinks; none until the first `change`."""

    def __init__(self, run_directory: str, generation: int, threads: ModuleType) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self._explanations = Explanations()
        self._directory = BridgeDirectory()
        explain = self._explanations.explain
        self.identifying = Identifying(threads, self._directory, self._explanations.ports)
        """Whose packets are."""
        identify = self.identifying.identities.identify
        self.known_drops = KnownDrops()
        """What the baseline has."""
        baseline = self.known_drops.baseline
        self._sinks = SinkSet(threads, explain, node_name(), self._directory, identify, baseline)
        self._books_check = BooksCheck()
        self._settings: Settings | None = None
        self._pipelines: Mapping[str, Pipeline] = {}
        self._generation = generation
        self._threads = threads
        self._claims = Claims(run_directory, generation)
        self._bridge_sources = BridgeSources(threads)
        self._receivers = Receivers(threads, self._explanations)
        self._clean_up = CleanUpClient()
        self.switch_losses = SwitchLosses()
        """What the switches say they lost themselves."""
        self._connectors: dict[str, tuple[Bridge, Connector]] = {}
        self._reaches: dict[str, tuple[Bridge, Reach]] = {}
        """Of each bridge that is configured and to be connected."""
        self._listener: Listener | None = None
        self._policies: PolicyNames | None = None
        self._current_route: Route | None = None
        """Where drops go now."""
        self._running = Group()

    def change(self, settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
        """Go over to these settings, as a whole: raises DropLogError, and all stays as it was.

        All that can fail comes first, and is undone where anything does; what is no longer needed
        ends last.
        """
        try:
            former, parts, gate = self._go_over(settings, pipelines)
        except DropLogError:
            raise
        except OSError as error:
            raise ConfigError(f"{settings.source}: cannot be taken: {why(error)}") from error
        except Exception as error:
            LOG.exception("%s: cannot be taken, by a mistake of this program", settings.source)
            what = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{settings.source}: cannot be taken: {what}") from error
        self._commit(former, parts, gate)

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

    def learn_opflex_names(self) -> None:
        """Look whether the OpFlex agent has other names for its policies."""
        if self._policies is not None and self._policies.poll():
            names = self._opflex_names()
            for source in self.sources():
                source.learn_opflex_names(names)

    def sources(self) -> list[BridgeSource | Receiver]:
        """Where drops come from, or came from."""
        return [*list(self.bridge_sources.values()), *self._receivers.by_type.values()]

    def rings(self) -> dict[str, Ring]:
        """The last drops of each source, by its name."""
        return {source.name: source.ring for source in self.sources()}

    def observer_context(self) -> EncoderContext:
        """What records for observers are made with, while the settings hold."""
        assert self._settings is not None
        return EncoderContext(
            node_name(),
            self._explanations.explain,
            self._directory,
            self._settings.ring.payload,
            identify=self.identifying.identities.identify_late,
            baseline=self.known_drops.baseline,
        )

    def receiving(self) -> dict[str, Any]:
        """What `status` tells of the sources that `receive` names, by their names."""
        return self._receivers.state()

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
        for text in self.known_drops.look():
            yield logging.ERROR, text
        for text in self._books_check.look(self._read_books):
            yield logging.ERROR, text

    def tend(self) -> None:
        """See to what is done aside; to be called a few times a second."""
        self._clean_up.look()
        self.switch_losses.tend()

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
                    "socket_room": self._room_of(name),
                }
        for name, bridge_source in list(self.bridge_sources.items()):
            if name not in told:
                state = bridge_source.state()
                reach = {**Reach.NOTHING, "state": CONNECTED if state["connected"] else GONE}
                told[name] = {**state, **reach, "socket_room": None}
        return told

    def _room_of(self, name: str) -> dict[str, Any] | None:
        """What became of the room of a bridge's connection; None: it has none that we opened."""
        held = self._connectors.get(name)
        room = held[1].room_keeper.room if held is not None else None
        return room.as_json() if room is not None else None

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
        self.switch_losses.stop()
        self.identifying.close()
        clean = self._clean_up.close()
        for source in self.sources():
            source.close(CLOSE_TIME)
        self._sinks.close()
        return clean

    def clean_up_state(self) -> dict[str, Any]:
        """How the clean-up process is, for `status`."""
        return self._clean_up.state()

    # Parts: what stays is the same object

    def _new_listener(
        self, settings: Settings, undo: ExitStack
    ) -> tuple[Listener | None, socket.socket | None]:
        """Who is to listen, and the socket where it is to, if that is another one."""
        held, endpoint = self._listener, settings.listen
        if endpoint is None or not settings.enable:
            return None, None
        if held is not None and held.endpoint == endpoint:
            return held, None
        shared = held is not None and held.endpoint.port == endpoint.port
        listening = listen_on(endpoint, held.held if held is not None and shared else None)
        undo.callback(listening.close)
        if held is not None:
            return held, listening
        listener = Listener(
            endpoint,
            listening,
            settings.arrivals,
            settings.bridges,
            self._begin,
            self._bridge_sources.has_room,
            self._claims,
        )
        undo.callback(listener.discard)
        return listener, listening

    def _new_connectors(
        self, settings: Settings, undo: ExitStack
    ) -> dict[str, tuple[Bridge, Connector]]:
        connectors: dict[str, tuple[Bridge, Connector]] = {}
        for bridge in settings.bridges:
            if not settings.enable or isinstance(bridge.endpoint, Accepted):
                continue
            held = self._connectors.get(bridge.name)
            if held is None or held[0].endpoint != bridge.endpoint:
                held = bridge, self._new_connector(bridge)
                undo.callback(held[1].discard)
            connectors[bridge.name] = held
        return connectors

    # From some parts to others

    def _parts(self) -> Parts:
        """What runs now."""
        return Parts(
            self._settings,
            self._pipelines,
            self.sinks,
            self._current_route,
            self._policies,
            self._receivers.by_type,
            self._listener,
            None,
            self._connectors,
            self._reaches,
        )

    def _go_over(
        self, settings: Settings, pipelines: Mapping[str, Pipeline]
    ) -> tuple[Parts, Parts, Gate]:
        """Have other parts take over, whose threads wait at the gate; or all is as it was.

        Returns the former parts and the new ones. Raises whatever fails.
        """
        former = self._parts()
        if former.settings is None:
            self._claims.prepare()
        elif settings.run_directory != former.settings.run_directory:
            raise ConfigError(
                f"{settings.source}: run_directory: got {settings.run_directory}; expected "
                f"{former.settings.run_directory}, where the running program has its locks and"
                " sockets"
            )
        gate = Gate(self._threads)
        with ExitStack() as undo:
            parts = self._prepare(settings, pipelines, gate, undo)
            undo.callback(self._adopt, former, undoing=True)
            self._adopt(parts)
            undo.pop_all()
        return former, parts, gate

    def _prepare(
        self,
        settings: Settings,
        pipelines: Mapping[str, Pipeline],
        gate: Gate,
        undo: ExitStack,
    ) -> Parts:
        """What is to run, with its threads, which wait at the gate; nothing of it is in use yet."""
        fresh: list[Sink | Receiver] = []
        undo.callback(self._sinks.forget, fresh)
        undo.callback(discard, fresh)
        wanted = settings.sinks if settings.enable or self.sinks else ()
        sinks = self._sinks.prepare(wanted, fresh)
        route = self._route(settings, sinks)
        receivers = self._receivers.prepare(settings, pipelines, route, fresh)
        listener, listening = self._new_listener(settings, undo)
        connectors = self._new_connectors(settings, undo)
        policies = PolicyNames(settings.opflex.ids_directory)
        policies.poll()
        undo.callback(gate.decide, go_on=False)
        if listener is not None and listener is not self._listener:
            self._running.start(gate.run, listener.run)
        for name, (_, connector) in connectors.items():
            if connector is not self._connectors.get(name, (None, None))[1]:
                self._running.start(gate.run, self._run_connector, name, connector)
        retired = [sink for sink in self.sinks.values() if sink not in sinks.values()]
        if retired:
            arguments = (self._retire, retired)
            self._threads.Thread(target=gate.run_for_real, args=arguments, daemon=True).start()
        return Parts(
            settings,
            pipelines,
            sinks,
            route,
            policies,
            receivers,
            listener,
            listening,
            connectors,
            {
                bridge.name: self._reach(bridge)
                for bridge in settings.bridges
                if settings.enable and bridge.name != ANY_BRIDGE
            },
        )

    def _adopt(self, parts: Parts, *, undoing: bool = False) -> None:
        """Go on with these parts; `undoing`: what fails is logged, and the rest is done."""
        self._settings, self._pipelines = parts.settings, parts.pipelines
        self._sinks.use(parts.sinks)
        self._current_route, self._policies = parts.route, parts.policies
        self._receivers.use(parts.receivers)
        self._listener = parts.listener
        self._connectors, self._reaches = parts.connectors, parts.reaches
        for step in self._steps():
            if undoing:
                surely(step)
            else:
                step()

    def _steps(self) -> Iterator[Callable[[], None]]:
        """What tells each source what holds now."""
        settings = self._settings
        if settings is None:
            return
        yield partial(self._bridge_sources.change, self._is_listed, settings.arrivals)
        yield from self._receivers.changing(settings, self._pipelines)
        bridges = settings.bridges if settings.enable else ()
        yield partial(self.identifying.change, settings)
        yield partial(self.known_drops.follow, settings.baseline)
        yield partial(self.switch_losses.watch, [rundir_of(each.endpoint) for each in bridges])
        assert self._current_route is not None
        names = self._opflex_names()
        for source in self.sources():
            yield partial(source.redirect, self._current_route)
            yield partial(source.learn_opflex_names, names)
        for name, bridge_source in list(self.bridge_sources.items()):
            entry = entry_named(settings.bridges, name)
            if entry is not None:
                yield partial(bridge_source.change, entry, self._pipelines, settings)

    def _commit(self, former: Parts, parts: Parts, gate: Gate) -> None:
        """End what is no longer needed, and let what is new begin; fails in nothing as a whole."""
        assert parts.settings is not None
        for name, (_, connector) in former.connectors.items():
            if connector is not parts.connectors.get(name, (None, None))[1]:
                surely(connector.stop)
        listener = former.listener
        if listener is not None and listener is not parts.listener:
            surely(listener.stop)
        elif listener is not None:
            if parts.listening is not None and parts.settings.listen is not None:
                surely(partial(listener.move, parts.settings.listen, parts.listening))
            surely(partial(listener.change, parts.settings.bridges, parts.settings.arrivals))
        surely(partial(self._receivers.commit, former.receivers))
        if former.settings and former.settings.socket_room != parts.settings.socket_room:
            for _, connector in parts.connectors.values():
                surely(connector.room_keeper.again)
        kept = parts.sinks.values()
        self._sinks.retired([sink for sink in former.sinks.values() if sink not in kept])
        gate.decide(go_on=True)

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
            return ServiceConnector(
                bridge, endpoint, self._begin, self._claims, self._clean_up, self._wanted_room
            )
        assert not isinstance(endpoint, Accepted)
        return Connector(bridge, endpoint, self._begin, self._claims, self._wanted_room)

    def _wanted_room(self) -> int:
        return self._settings.socket_room if self._settings is not None else 0

    def _begin(
        self, connection: Connection, bridge: Bridge, name: str
    ) -> tuple[Reconciler, Callable[..., None]]:
        """What a bridge needs when it has connected."""
        settings, route = self._settings, self._current_route
        assert settings is not None
        assert route is not None

        def make() -> BridgeSource:
            bridge_source = BridgeSource(
                name,
                entry_named(settings.bridges, name) or bridge,
                self._pipelines,
                settings,
                self._generation,
                route,
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
        found = entry_named(self._settings.bridges, name) if self._settings is not None else None
        return found is not None and found.name != ANY_BRIDGE

    def _opflex_names(self) -> OpflexNames:
        assert self._settings is not None
        names = self._policies.names if self._policies else {}
        return OpflexNames(names, self._settings.opflex.shown_tenants)

    def _route(self, settings: Settings, sinks: Mapping[str, Sink]) -> Route:
        """Where drops go while these settings hold."""
        taken = list(sinks.values())
        return Route(
            settings.throttle,
            taken,
            _filters(settings),
            self._sinks.log,
            settings.ring,
            self.known_drops.baseline,
        )

    def _retire(self, sinks: list[Sink]) -> None:
        """Close them when nothing is on its way to them any more; in a thread of its own."""
        for source in self.sources():
            source.ingress_queue.settle(CLOSE_TIME)
        self._sinks.close(sinks)

    def _read_books(self) -> Reading:
        return read(self.sources(), self.sinks.values())


def _filters(settings: Settings) -> list[DropFilter]:
    filters: list[DropFilter] = []
    if settings.flows is not None:
        filters.append(CaptureFilter(settings.flows))
    if settings.prune:
        filters.append(FilterSet(settings.prune))
    return filters
