"""All that runs while some settings hold, as one value; and the end of parts that do not begin."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.connections.connector import Connector
from ryu_droplog.connections.listener import Listener
from ryu_droplog.connections.reach import Reach
from ryu_droplog.owners.opflex_names import PolicyNames
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sources.base import Route
from ryu_droplog.sources.receiver import Receiver

LOG = logging.getLogger(__name__)

CLOSE_TIME = 5.0
"""Seconds that a part has for what still waits, when it is no longer needed."""


class Parts(NamedTuple):
    """All that runs while some settings hold."""

    settings: Settings | None
    """None: nothing runs yet."""
    pipelines: Mapping[str, Pipeline]
    sinks: Mapping[str, Sink]
    route: Route | None
    policies: PolicyNames | None
    receivers: Mapping[str, Receiver]
    listener: Listener | None
    listening: socket.socket | None
    """Where the listener is to listen from now on; None: where it does."""
    connectors: dict[str, tuple[Bridge, Connector]]
    reaches: dict[str, tuple[Bridge, Reach]]
    """Of each bridge that is configured and to be connected."""


def surely(step: Callable[[], object]) -> None:
    """Do one thing of many: where it fails, by a mistake of ours, that is logged."""
    try:
        step()
    except Exception:
        LOG.exception("going over to another configuration: one thing has failed")


def discard(fresh: Sequence[Sink | Receiver]) -> None:
    """Close parts that never came into use; what they have taken meanwhile is written first."""
    for part in reversed(fresh):
        surely(partial(part.close, CLOSE_TIME))
        report = part.report() if isinstance(part, Receiver) else None
        if report:
            LOG.info("%s", report)
