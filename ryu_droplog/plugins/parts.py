"""The project's own parts: adding one is its module, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ryu_droplog.plugins.filter_key import FilterKey
from ryu_droplog.plugins.registry import Registry

SINKS: Registry[type[Any]] = Registry(
    "sink",
    {
        "stdout": "ryu_droplog.sinks.text:StandardOutput",
        "file": "ryu_droplog.sinks.text:File",
        "fluent": "ryu_droplog.sinks.fluent:Fluent",
        "syslog": "ryu_droplog.sinks.syslog:Syslog",
        "otlp": "ryu_droplog.sinks.otlp:Otlp",
        "kafka": "ryu_droplog.sinks.kafka:Kafka",
        "notification": "ryu_droplog.sinks.notification:Notification",
        "packet-events": "ryu_droplog.sinks.packet_events:PacketEvents",
        "ipfix": "ryu_droplog.sinks.ipfix:Ipfix",
        "pcapng": "ryu_droplog.sinks.pcapng:Pcapng",
    },
    group="ryu_droplog.sinks",
    where="sinks[].type",
)
"""Where drops go. Each is a class with `Options`, a subclass of `SinkOptions`: its own keys."""


ENCODERS: Registry[Callable[[Any], Callable[[Any], bytes]]] = Registry(
    "encoding",
    {
        "native": "ryu_droplog.records.native:encoder",
        "ecs": "ryu_droplog.records.ecs:encoder",
        "ocsf": "ryu_droplog.records.ocsf:encoder",
        "hubble": "ryu_droplog.records.hubble:encoder",
        "cef": "ryu_droplog.records.cef:encoder",
        "opflex": "ryu_droplog.sinks.encoders:opflex",
        "extended": "ryu_droplog.sinks.encoders:extended",
        "json": "ryu_droplog.sinks.encoders:json",
    },
    group="ryu_droplog.encoders",
    where="sinks[].encode",
)
"""What `encode:` of a sink may be. Each is a function that takes a `records.context.EncoderContext`
and returns what makes a line of bytes, in ASCII and without its end, of a Drop."""

PACKERS: Registry[Callable[[Any], Callable[[Any], bytes]]] = Registry(
    "encoding",
    {
        "native": "ryu_droplog.records.native:packer",
        "ecs": "ryu_droplog.records.ecs:packer",
    },
)
"""Of these encodings, those that can make the object in msgpack without the way over JSON."""

FILTERS: Registry[FilterKey] = Registry(
    "key of a filter",
    {
        "sip": "ryu_droplog.filters.ip:SIP",
        "dip": "ryu_droplog.filters.ip:DIP",
        "smac": "ryu_droplog.filters.mac:SMAC",
        "dmac": "ryu_droplog.filters.mac:DMAC",
        "ethertype": "ryu_droplog.filters.ethertype:ETHERTYPE",
        "ip_proto": "ryu_droplog.filters.ip_proto:IP_PROTO",
        "sport": "ryu_droplog.filters.port:SPORT",
        "dport": "ryu_droplog.filters.port:DPORT",
        "bridge": "ryu_droplog.filters.bridge:BRIDGE",
        "table": "ryu_droplog.filters.table:TABLE",
        "reason": "ryu_droplog.filters.reason:REASON",
    },
    group="ryu_droplog.filters",
    where="keys of filters",
)
"""What a filter may ask of a drop, in the order in which the documentation has it. Each is an
object of a subclass of `FilterKey`."""

SOURCES: Registry[type[Any]] = Registry(
    "source",
    {
        "geneve": "ryu_droplog.sources.geneve_socket:GeneveSocket",
    },
    group="ryu_droplog.sources",
    where="keys of receive",
)
"""What `receive` may have for keys. Each is a class, a subclass of `sources.receiver.Receiver`."""

OWNERS: Registry[type[Any]] = Registry(
    "owner",
    {
        "opflex": "ryu_droplog.owners.opflex:OpFlex",
        "neutron": "ryu_droplog.owners.neutron:Neutron",
        "ovn": "ryu_droplog.owners.ovn:Ovn",
        "unknown": "ryu_droplog.owners.unknown:Unknown",
    },
    group="ryu_droplog.owners",
    where="owners of bridges, explain of pipelines",
)
"""Whose bridge it may be. Each is a class without parameters, a subclass of `owners.base.Owner`.
Of two that recognise a bridge with the same certainty the first one counts."""

IDENTITIES: Registry[type[Any]] = Registry(
    "source of identities",
    {
        "names": "ryu_droplog.identity.names:Names",
        "opflex": "ryu_droplog.identity.opflex:Opflex",
        "southbound": "ryu_droplog.identity.southbound:Southbound",
        "libvirt": "ryu_droplog.identity.libvirt:Libvirt",
        "ovsdb": "ryu_droplog.identity.ovsdb:Ovsdb",
    },
    group="ryu_droplog.identities",
    where="keys of identity",
)
"""What `identity` may have for keys: who says whose a port, a MAC or an address is. Each is a
subclass of `identity.base.IdentitySource`. The word of those that come first counts first."""

REGISTRIES: tuple[Registry[Any], ...] = (SINKS, ENCODERS, SOURCES, FILTERS, OWNERS, IDENTITIES)
"""All that a configuration may name."""
