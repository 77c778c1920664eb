"""Whose packets are: the sources of identities of the running program, and what they know."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from ryu_droplog.config.bridge_settings import ovs_rundir
from ryu_droplog.config.endpoint import rundir_of
from ryu_droplog.config.settings import Settings
from ryu_droplog.identity.base import IdentitySource, SourceContext
from ryu_droplog.identity.identities import Identities
from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.ovsdb.southbound_rows import LogicalPort
from ryu_droplog.plugins.parts import IDENTITIES
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.runtime.parts import surely

LOG = logging.getLogger(__name__)

OwnerPorts = Callable[[], Mapping[str, Sequence[LogicalPort]]]


class Identifying:
    """The sources by their names; none until the first `change`."""

    def __init__(
        self, threads: ModuleType, bridges: BridgeDirectory, owner_ports: OwnerPorts
    ) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self._threads = threads
        self._owner_ports = owner_ports
        self._knowledge = Knowledge(threads)
        self._sources: dict[str, IdentitySource] = {}
        self.identities = Identities(self._knowledge, bridges)
        """Whose packets are."""

    def change(self, settings: Settings) -> None:
        """Look where these settings say; what is the same stays at work. Raises nothing."""
        context = context_of(settings, self._knowledge, self._threads, self._owner_ports)
        wanted = {name: place for name, place in settings.identity.items() if place}
        for name, source in list(self._sources.items()):
            same = wanted.get(name) == source.place and source.context.rundirs == context.rundirs
            if not same or not settings.enable:
                del self._sources[name]
                surely(source.close)
        for name, place in wanted.items() if settings.enable else ():
            if name not in self._sources:
                fresh = new_source(name, place, context)
                if fresh is not None:
                    self._sources[name] = fresh
                    surely(fresh.start)

    def state(self) -> dict[str, Any]:
        """What each source knows, for `status`."""
        return {name: source.state() for name, source in self._sources.items()}

    def close(self) -> None:
        """Look no more; never waits."""
        for source in self._sources.values():
            surely(source.close)


def context_of(
    settings: Settings,
    knowledge: Knowledge,
    threads: ModuleType,
    owner_ports: OwnerPorts,
) -> SourceContext:
    """What sources get while these settings hold."""
    rundirs = dict.fromkeys(filter(None, (rundir_of(each.endpoint) for each in settings.bridges)))
    return SourceContext(
        knowledge, threads, tuple(rundirs) or (ovs_rundir(os.environ),), owner_ports
    )


def new_source(name: str, place: Any, context: SourceContext) -> IdentitySource | None:
    """A source that does not look yet; None: it cannot be had, which is logged."""
    try:
        kind: type[IdentitySource] = IDENTITIES.get(name)
        return kind(place, context)
    except Exception:  # of another package, maybe
        LOG.exception("identity.%s cannot be had", name)
        return None
