"""The frames of the unit tests, for the functional tests too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from frames import ARP, IPV4, IPV6, QTAG, arp, ethernet, icmp, ipv4, ipv6, syn, tcp, udp, vlan

__all__ = [
    "ARP",
    "IPV4",
    "IPV6",
    "QTAG",
    "arp",
    "ethernet",
    "icmp",
    "ipv4",
    "ipv6",
    "syn",
    "tcp",
    "udp",
    "vlan",
]
