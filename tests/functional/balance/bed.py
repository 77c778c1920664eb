"""The bridge of these tests."""

from __future__ import annotations

from private_ovs import PrivateSwitch

from ..program import eventually, watched

BRIDGE = "br-books"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
SHORT_LEASE = "lease: {duration: 3, renew: 1}"


def ready(switch: PrivateSwitch, bridge: str) -> bool:
    """Whether table 0 of the bridge is watched in time, and no other."""
    return [0] == eventually([0], lambda: watched(switch, bridge))
