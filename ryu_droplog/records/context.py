"""What an encoder needs to know beside the drop."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from ryu_droplog.model.drop import Drop, Explain
from ryu_droplog.records.acknowledged import NOTHING_KNOWN, Baseline
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.record import Identity


def explain_nothing(drop: Drop) -> Mapping[str, str | int]:
    """Know nothing of a drop."""
    return {}


Identities = tuple[Identity | None, Identity | None]
"""Whose the source and the destination of a packet are."""

Identify = Callable[[Drop, int], Identities]
"""Whose a packet was when it was received; the OpenFlow port where it came in is 0 where it is not
known. Never waits, never raises, in any thread."""


def identify_nobody(drop: Drop, in_port: int) -> Identities:
    """Know nobody."""
    return None, None


def node_name() -> str:
    """Name of this machine: `NODE_NAME` of the environment, else the host's."""
    return os.environ.get("NODE_NAME") or socket.gethostname()


NO_BRIDGES = BridgeDirectory()
"""Nothing is known of any bridge."""
Payload = Literal["headers", "full"]
"""Which bytes of a packet leave the program: up to the end of its headers, or all."""
LineStyle = Literal["full", "redirected", "bare"]
"""What stands before a line: see `sinks.formats.Format`."""


class EncoderContext(NamedTuple):
    """What the factory of an encoder gets."""

    node: str
    """Name of this machine."""
    explain: Explain = explain_nothing
    """What the bridge's owner noted of a drop."""
    bridges: BridgeDirectory = NO_BRIDGES
    """Names of ports, and datapath ids."""
    payload: Payload = "headers"
    line_style: LineStyle = "redirected"
    """Of the formats `opflex` and `extended`."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""
    identify: Identify = identify_nobody
    baseline: Baseline = NOTHING_KNOWN
    """What somebody knows of."""


Encode = Callable[[Drop], bytes]
"""One record in ASCII, on one line, without its end. Never raises on what a drop holds."""
EncoderFactory = Callable[[EncoderContext], Encode]
