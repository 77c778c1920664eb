"""The sources that `receive` names: made anew where their place changed, closed when done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from ryu_droplog.config.settings import Settings
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.plugins.parts import SOURCES
from ryu_droplog.runtime.parts import CLOSE_TIME, surely
from ryu_droplog.sources.base import Route
from ryu_droplog.sources.receiver import Receiver, ReceiverContext

LOG = logging.getLogger(__name__)


class Receivers:
    """The sources by their types; one of each at most."""

    def __init__(self, threads: ModuleType, explanations: Explanations) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self.by_type: Mapping[str, Receiver] = {}
        self._threads = threads
        self._explanations = explanations

    def prepare(
        self,
        settings: Settings,
        pipelines: Mapping[str, Pipeline],
        route: Route,
        fresh: list[Any],
    ) -> dict[str, Receiver]:
        """Sources for these settings; those whose place is the same stay.

        New ones are started and added to `fresh`. Raises DropLogError where one cannot be.
        """
        receivers: dict[str, Receiver] = {}
        context = ReceiverContext(route, settings, pipelines, self._threads, self._explanations)
        for name, place in settings.receive.items() if settings.enable else ():
            held = self.by_type.get(name)
            if held is None or held.place != place:
                kind: type[Receiver] = SOURCES.get(name)
                held = kind.prepare(place, context, held)
                fresh.append(held)
                held.start()
            receivers[name] = held
        return receivers

    def use(self, receivers: Mapping[str, Receiver]) -> None:
        """Go on with these, which `prepare` made or which were in use before."""
        self.by_type = receivers

    def changing(
        self, settings: Settings, pipelines: Mapping[str, Pipeline]
    ) -> Iterator[Callable[[], None]]:
        """What tells each what holds now."""
        for receiver in self.by_type.values():
            yield partial(receiver.change, settings, pipelines)

    def commit(self, former: Mapping[str, Receiver]) -> None:
        """Close those of the former ones that are no longer in use, and say what is new."""
        for receiver in former.values():
            if receiver not in self.by_type.values():
                surely(partial(receiver.close, CLOSE_TIME))
                LOG.info("%s", receiver.report() or f"{receiver.name}: closed")
        for receiver in self.by_type.values():
            if receiver not in former.values():
                LOG.info("%s: %s", receiver.name, receiver.how())

    def state(self) -> dict[str, Any]:
        """The books of each, for `status`."""
        return {receiver.name: receiver.state() for receiver in self.by_type.values()}
