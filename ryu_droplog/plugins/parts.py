"""The project's own parts: adding one is its module, and one line here."""

from __future__ import annotations

from typing import Any

from ryu_droplog.plugins.registry import Registry

SINKS: Registry[type[Any]] = Registry(
    "sink",
    {
        "stdout": "ryu_droplog.sinks.text:StandardOutput",
        "file": "ryu_droplog.sinks.text:File",
        "syslog": "ryu_droplog.sinks.syslog:Syslog",
        "packet-events": "ryu_droplog.sinks.packet_events:PacketEvents",
    },
    group="ryu_droplog.sinks",
)
"""Where drops go. Each is a class with `Options`, a subclass of `SinkOptions`: its own keys."""

OWNERS: Registry[type[Any]] = Registry(
    "owner",
    {
        "opflex": "ryu_droplog.owners.opflex:OpFlex",
        "neutron": "ryu_droplog.owners.neutron:Neutron",
        "ovn": "ryu_droplog.owners.ovn:Ovn",
        "unknown": "ryu_droplog.owners.unknown:Unknown",
    },
    group="ryu_droplog.owners",
)
"""Whose bridge it may be. Each is a class without parameters, a subclass of `owners.base.Owner`.
Of two that recognise a bridge with the same certainty the first one counts."""
