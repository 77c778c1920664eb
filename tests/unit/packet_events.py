"""Packet events and pods for the tests."""

from __future__ import annotations

import time

from ryu_droplog.k8s_events.pods import Pod, parse
from ryu_droplog.k8s_events.stream import PacketEvent

NOW = 1_708_415_956.0
"""2024-02-20 07:59:16 UTC."""
REASON = "Acc-SEC_GROUP_IN_TABLE MISS"


def stamp(seconds: float) -> str:
    return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(seconds))


def packet(
    source: str = "10.2.0.229",
    destination: str = "10.2.0.195",
    at: float = NOW,
    reason: str = REASON,
    ether_type: str = "IPv4",
) -> PacketEvent:
    return PacketEvent(
        time_stamp=stamp(at),
        drop_reason=reason,
        ether_type=ether_type,
        source_ip=source,
        destination_ip=destination,
    )


def pod(
    name: str = "web",
    *addresses: str,
    uid: str | None = None,
    phase: str = "Running",
    host_network: bool = False,
    created: str = "2024-02-20T07:00:00Z",
    namespace: str = "default",
) -> Pod:
    return Pod(
        uid=uid or f"uid-of-{name}",
        namespace=namespace,
        name=name,
        phase=phase,
        host_network=host_network,
        addresses=frozenset(filter(None, map(parse, addresses))),
        created=created,
    )
