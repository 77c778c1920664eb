"""How a drop is written: the OpFlex agent's line, that line and more, or a JSON object.

The OpFlex line (`line.py`) says what the agent says. The other two add what the owner of the bridge
noted of the packet, and which flow of its dropped it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import msgspec

from ryu_droplog.model.drop import Arp, Drop, Explain, Icmp, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet import headers
from ryu_droplog.packet.ethernet import icmpv6
from ryu_droplog.packet.packet_in import context
from ryu_droplog.records.context import Identify, identify_nobody
from ryu_droplog.records.record import Identity
from ryu_droplog.sinks import line
from ryu_droplog.sinks.line import (
    DROP_REASON_TEXT,
    HEAD_TEXT,
    IPV4_TEXT,
    IPV6_TEXT,
    MAC_TEXT,
    zoned_timestamp,
)


class Format(NamedTuple):
    """One way to write a drop, for each kind of sink."""

    full: Callable[[Drop], str]
    """For standard output."""
    redirected: Callable[[Drop], str]
    """For a file of drops alone."""
    bare: Callable[[Drop], str]
    """For syslog, which has its own time."""


Encoding = Literal["opflex", "extended", "json"]
"""Names of the formats, as the configuration has them."""


def text_format(name: Encoding, explain: Explain, identify: Identify = identify_nobody) -> Format:
    """The format with this name.

    `explain` says what the owner noted of a packet, `identify` whose it was.
    """
    if name == "json":
        spell = partial(as_json, explain=explain, identify=identify)
        return Format(spell, spell, spell)
    if name == "extended":
        known: dict[str, Any] = {"explain": explain, "identify": identify}
        return Format(
            partial(_extended_full, **known),
            partial(_extended_redirected, **known),
            partial(_extended_bare, **known),
        )
    return Format(line.full, line.redirected, line.bare)


def as_json(drop: Drop, explain: Explain, identify: Identify = identify_nobody) -> str:
    """One JSON object on one line, keys in the order of docs/formats.md, absent ones left out.

    In ASCII, as every line: what an owner calls a network may be in any language, and a sink
    spells what is left of that in a way that JSON does not know.
    """
    told = _told(drop, explain, identify)
    try:
        return _ENCODER.encode(told).decode("ascii")
    except UnicodeError:
        return json.dumps(told, separators=(",", ":"))


def additions(drop: Drop, explain: Explain, identify: Identify = identify_nobody) -> str:
    """What the extended line says behind the OpFlex one: ` KEY=value`, quoted where need be.

    The bridge is the last of them: it is the only one that every line has.
    """
    in_port = context(drop.metadata).in_port
    told: dict[str, Any] = {"in_port": in_port or None}
    found = icmpv6(drop)
    if found is not None:
        told["icmp6_type"], told["icmp6_code"] = found
    told.update(explain(drop))
    flow = drop.location.flow
    if flow is not None:
        told.update(
            flow_cookie=f"{flow.cookie:#x}",
            flow_priority=flow.priority,
            flow_match=flow.match,
            **flow.names,
        )
    source, destination = identify(drop, in_port)
    if source is not None or destination is not None:
        told.update(_whose("source", source), **_whose("destination", destination))
    if drop.acknowledged:
        told["acknowledged"] = "yes"
    text = "".join(
        f" {k.upper()}={_quoted(v, _MATCH if k == 'flow_match' else _PLAIN)}"
        for k, v in told.items()
        if v is not None
    )
    return text + _bridge_text(drop.location.bridge)


@lru_cache(maxsize=256)
def _bridge_text(name: str) -> str:
    return f" BRIDGE={_quoted(name, _PLAIN)}"


def _whose(end: str, identity: Identity | None) -> dict[str, str]:
    """Of an end, what an operator looks for; the record has all of it."""
    if identity is None:
        return {}
    told = {
        "interface": identity.port,
        "vm": identity.vm or identity.vm_id,
        "pod": identity.pod,
        "namespace": identity.namespace,
        "network": identity.network,
        "router": identity.router,
    }
    return {f"{end}_{key}": value for key, value in told.items() if value}


def _extended_full(drop: Drop, explain: Explain, identify: Identify) -> str:
    text = _extended_bare(drop, explain, identify)
    return f"[{zoned_timestamp(drop.time)}] [info] [ryu_droplog] {text}"


def _extended_redirected(drop: Drop, explain: Explain, identify: Identify) -> str:
    return f"[{zoned_timestamp(drop.time)}] {_extended_bare(drop, explain, identify)}"


def _extended_bare(drop: Drop, explain: Explain, identify: Identify) -> str:
    more = additions(drop, explain, identify)
    return f"{HEAD_TEXT[drop.location]} {line.packet_text(drop, more)}"


_ENCODER = msgspec.json.Encoder()
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
"""Printable ASCII without spaces, double quotes, backslashes and `=`, which begins a value."""
_MATCH = re.compile(r"[!#-\[\]-~]+")
"""The same with `=`: matches are in ovs-ofctl's words, and never quoted."""
_MICROSECONDS = 1_000_000  # in a second
_TCP_FLAGS = tuple(line.flag_names(flags).strip() for flags in range(headers.TCP_FLAGS_MASK + 1))


def _quoted(value: object, plain: re.Pattern[str]) -> str:
    """As it is where it is one plain word; else a JSON string, in ASCII."""
    text = str(value)
    return text if plain.fullmatch(text) else json.dumps(text)


def _iso(seconds: float) -> str:
    """ISO 8601 local time with microseconds and offset, of seconds since the epoch."""
    microseconds = round(seconds * _MICROSECONDS)
    second, offset = _iso_second(microseconds // _MICROSECONDS)
    return f"{second}.{microseconds % _MICROSECONDS:06}{offset}"


@lru_cache(maxsize=4)
def _iso_second(second: int) -> tuple[str, str]:
    """A whole second since the epoch, and the offset of the time zone then."""
    local = datetime.fromtimestamp(second).astimezone()
    return f"{local:%Y-%m-%dT%H:%M:%S}", local.isoformat()[19:]


def _told(drop: Drop, explain: Explain, identify: Identify) -> dict[str, Any]:
    location = drop.location
    in_port = context(drop.metadata).in_port
    source, destination = identify(drop, in_port)
    told: dict[str, Any] = {
        "time": _iso(drop.time),
        "bridge": location.bridge,
        "table": location.table,
        "table_id": location.table_id,
        "reason": location.reason,
        "drop_reason": DROP_REASON_TEXT[location],
        "source_tenant": location.source_tenant or None,
        "destination_tenant": location.destination_tenant or None,
        "in_port": in_port or None,
        "smac": MAC_TEXT[drop.smac] if drop.smac else None,
        "dmac": MAC_TEXT[drop.dmac] if drop.dmac else None,
        "vlans": [tag & headers.VLAN_VID_MASK for tag in drop.vlans] or None,
        "ethertype": _named(drop.ethertype, line.ETHERTYPE_NAMES, 4),
        **_network(drop),
        **_transport(drop),
        "truncated": drop.truncated or None,
        "repeated": drop.repeated or None,
        "acknowledged": drop.acknowledged or None,
        "owner": dict(explain(drop)) or None,
        "source": _identity(source),
        "destination": _identity(destination),
    }
    flow = location.flow
    if flow is not None:
        told["flow"] = {
            "cookie": f"{flow.cookie:#x}",
            "priority": flow.priority,
            "match": flow.match,
            **flow.names,
        }
    return {key: value for key, value in told.items() if value is not None}


def _identity(identity: Identity | None) -> dict[str, Any] | None:
    return None if identity is None else msgspec.to_builtins(identity)


def _named(number: int, names: Mapping[int, str], digits: int) -> str | None:
    """The name of an EtherType or protocol, or its number; None where it is missing."""
    if number < 0:
        return None
    return names.get(number) or (f"0x{number:0{digits}x}" if digits else str(number))


def _network(drop: Drop) -> dict[str, Any]:
    l3 = drop.l3
    if isinstance(l3, Arp):
        return {
            "src": IPV4_TEXT[l3.sender_ip],
            "dst": IPV4_TEXT[l3.target_ip],
            "arp_op": l3.operation,
        }
    protocol = _named(drop.protocol, line.PROTOCOL_NAMES, 0)
    if isinstance(l3, IPv4):
        return {
            "src": IPV4_TEXT[l3.src],
            "dst": IPV4_TEXT[l3.dst],
            "protocol": protocol,
            "ttl": l3.ttl,
            "length": l3.total_length,
            "fragment_offset": (l3.flags_offset & headers.IPV4_OFFSET_MASK) or None,
        }
    if isinstance(l3, IPv6):
        return {
            "src": IPV6_TEXT[l3.src],
            "dst": IPV6_TEXT[l3.dst],
            "protocol": protocol,
            "ttl": l3.hop_limit,
            "length": l3.payload_length,
        }
    return {}


def _transport(drop: Drop) -> dict[str, Any]:
    l4 = drop.l4
    if isinstance(l4, Tcp):
        flags = l4.offset_flags & headers.TCP_FLAGS_MASK
        return {
            "sport": l4.src_port,
            "dport": l4.dst_port,
            "tcp_flags": _TCP_FLAGS[flags],
        }
    if isinstance(l4, Udp):
        return {"sport": l4.src_port, "dport": l4.dst_port}
    found = (l4.type, l4.code) if isinstance(l4, Icmp) else icmpv6(drop)
    return {"icmp_type": found[0], "icmp_code": found[1]} if found else {}
