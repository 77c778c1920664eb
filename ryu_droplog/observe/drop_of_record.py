"""A record as the drop that it was made of, for the formats that are made of drops."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct as Layout

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import NO_TABLE, DropFlow, Location
from ryu_droplog.packet import headers
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of

_IN_PORT = Layout("!HBBI")  # an OXM field, OpenFlow 1.3.5 section 7.2.3.2


def drop_of(record: Record) -> Drop:
    """The drop; of its frame it has what the record has, which are the headers at least."""
    rule = record.rule
    location = _location(
        record.bridge,
        record.table.id,
        record.table.name,
        record.reason,
        record.drop_reason,
        rule.name if rule is not None else "",
        record.source.tenant if record.source is not None else "",
        record.destination.tenant if record.destination is not None else "",
        _flow(record),
    )
    metadata = b""
    if record.port is not None:
        number = record.port.number & 0xFFFFFFFF
        metadata = _IN_PORT.pack(headers.OXM_CLASS_BASIC, headers.OXM_IN_PORT << 1, 4, number)
    drop = decode(record.frame.data, seconds_of(record.time), location, metadata)
    drop.repeated, drop.acknowledged = record.repeated, record.acknowledged is not None
    drop.first_time = seconds_of(record.first_time) if record.first_time else 0.0
    return drop


_Flow = tuple[int, int, str, tuple[tuple[str, str], ...]]


def _flow(record: Record) -> _Flow | None:
    rule = record.rule
    if rule is None or not rule.cookie:
        return None
    try:
        cookie = int(rule.cookie, 16)
    except ValueError:
        cookie = 0
    return cookie, rule.priority or 0, rule.match, tuple(rule.names.items())


@lru_cache(maxsize=1024)
def _location(
    bridge: str,
    table_id: int,
    table: str,
    reason: str,
    drop_reason: str,
    policy: str,
    source_tenant: str,
    destination_tenant: str,
    flow: _Flow | None,
) -> Location:
    prefix, found, _ = drop_reason.partition(f"{table} {reason}")
    tenants = bool(source_tenant or destination_tenant)
    return Location(
        NO_TABLE,
        bridge,
        table_id,
        table,
        reason,
        prefix if found else "",
        policy,
        source_tenant if tenants else None,
        destination_tenant if tenants else None,
        flow=DropFlow(*flow[:3], dict(flow[3])) if flow is not None else None,
    )
