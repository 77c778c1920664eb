"""The bridges that are known: those that entries name for good, others for as long as they come.

Whoever connects to `listen` may call himself as he likes, and again and again otherwise. So there
are only so many bridges that no entry names, and each is forgotten some time after its last
connection; what came to its books goes to the log before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from types import ModuleType

from ryu_droplog.config.settings import Arrivals
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.reconcile.reconciler import Reconciler
from ryu_droplog.sources.bridge import BridgeSource

LOG = logging.getLogger(__name__)

CLOSE_TIME = 5.0
"""Seconds that a bridge's drops have to reach the sinks when it is forgotten."""
RESERVATION_TIME = 30.0
"""Seconds from `has_room` until a bridge that did not begin takes no room any more."""


class BridgeSources:
    """The sources of all bridges, by their names."""

    def __init__(self, threads: ModuleType, clock: Callable[[], float] = time.monotonic) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self.by_name: dict[str, BridgeSource] = {}
        self._threads = threads
        self._clock = clock
        self._is_listed: Callable[[str], bool] = lambda name: True
        self._arrivals = Arrivals()
        self._reserved: dict[str, float] = {}
        self._left_at: dict[str, float] = {}
        """When a bridge that no entry names was first seen without a connection."""
        self._forgotten: deque[BridgeSource] = deque()
        self._changing = threading.Lock()
        """Nothing that waits for another thread of the hub may be done under it."""

    def change(self, is_listed: Callable[[str], bool], arrivals: Arrivals) -> None:
        """Go on with other entries and bounds. `is_listed`: whether an entry has that name."""
        self._is_listed, self._arrivals = is_listed, arrivals

    def has_room(self, name: str) -> bool:
        """Whether a bridge that no entry names may begin now; keeps its place for a while."""
        with self._changing:
            if name not in self.by_name and name not in self._reserved:
                unlisted = [other for other in self.by_name if not self._is_listed(other)]
                if len(unlisted) + len(self._reserved) >= self._arrivals.bridges:
                    idle = [other for other in unlisted if not self.by_name[other].connected]
                    if not idle:
                        return False
                    self._forget(min(idle, key=lambda one: self._left_at.get(one, self._clock())))
            self._reserved[name] = self._clock()
        return True

    def begin(
        self,
        name: str,
        make: Callable[[], BridgeSource],
        connection: Connection,
        dead: Collection[int],
    ) -> tuple[BridgeSource, Reconciler]:
        """The source of a bridge that has connected, made by `make`, and a reconciler for it.

        `dead` are generations of runs that have ended.
        """
        with self._changing:
            bridge_source = self.by_name.get(name)
            if bridge_source is None:
                bridge_source = self.by_name[name] = make()
            self._reserved.pop(name, None)
            self._left_at.pop(name, None)
            return bridge_source, bridge_source.begin(connection, dead)

    def tidy(self) -> None:
        """Forget the bridges whose time is over."""
        now = self._clock()
        with self._changing:
            self._reserved = {
                name: at for name, at in self._reserved.items() if now - at < RESERVATION_TIME
            }
            for name, bridge_source in list(self.by_name.items()):
                if bridge_source.connected or self._is_listed(name):
                    self._left_at.pop(name, None)
                elif now - self._left_at.setdefault(name, now) >= self._arrivals.forget:
                    self._forget(name)

    def reports(self) -> Iterator[str]:
        """What came to the books of the bridges that were forgotten, each once."""
        while self._forgotten:
            bridge_source = self._forgotten.popleft()
            report = bridge_source.report()
            if report is not None:
                yield report
            LOG.debug("%s: forgotten", bridge_source.name)

    def _forget(self, name: str) -> None:
        bridge_source = self.by_name.pop(name)
        self._left_at.pop(name, None)

        def close() -> None:
            bridge_source.forget()
            bridge_source.close(CLOSE_TIME)
            self._forgotten.append(bridge_source)

        self._threads.Thread(target=close, daemon=True).start()
