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
