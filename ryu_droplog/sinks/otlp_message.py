"""OpenTelemetry's logs data model: a drop as a LogRecord, and many of them as an export request.

Pure. The messages are those of PyPI's `opentelemetry-proto`. Attributes have the names of the
semantic conventions where there are any, and begin with `ovs.` where there are none; docs/sinks.md
lists them. A protobuf message may be serialised in parts, one behind the other: an attribute that
many records have is serialised once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.deep.layers import Packet
from ryu_droplog.packet.deep.walk import NONE
from ryu_droplog.records import names
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.maker import Made, RecordMaker
from ryu_droplog.records.record import Context, Rule
from ryu_droplog.text.printable import printable

Value: TypeAlias = "str | int | tuple[str, ...] | None"
"""Of an attribute; None and what is empty is left out."""

EVENT_NAME = "ovs.drop"
PAIR_CACHE_SIZE = 16_384
"""Attributes that are remembered at most."""
_KINDS: Mapping[bool, bytes] = {
    is_permitted: LogRecord(
        severity_number=number, severity_text=text, event_name=EVENT_NAME
    ).SerializeToString()
    for is_permitted, number, text in (
        (True, SeverityNumber.SEVERITY_NUMBER_INFO, "INFO"),
        (False, SeverityNumber.SEVERITY_NUMBER_WARN, "WARN"),
    )
}
"""What all records of drops have in common, and all of packets that were reported as permitted."""
_DIRECTIONS: Mapping[str, str] = {"ingress": "receive", "egress": "transmit"}
_LONGEST_VALUE = 1_024
_INT64 = range(-(2**63), 2**63)
_NANOSECONDS = 1_000_000_000  # in a second
_LOG_RECORDS, _SCOPE_LOGS, _RESOURCE_LOGS = 2, 2, 1  # field numbers of logs.proto
_RESOURCE, _SCOPE = 1, 1


class LogRecords:
    """Makes log records; for one thread at a time."""

    def __init__(self, context: EncoderContext, body: Encode) -> None:
        """`body` makes the text of a record."""
        self._maker = RecordMaker(context)
        self._clock = context.clock
        self._body = body
        self._pairs = _Pairs()

    def record(self, drop: Drop) -> bytes:
        """One LogRecord, serialised."""
        made = self._maker.make(drop)
        own: bytes = LogRecord(
            time_unix_nano=_nanoseconds(drop.time),
            observed_time_unix_nano=_nanoseconds(self._clock()),
            body=AnyValue(string_value=self._body(drop).decode(errors="replace")),
        ).SerializeToString()
        pairs = self._pairs
        told = [pairs[pair] for pair in attributes(made).items() if pair[1] or pair[1] == 0]
        return b"".join((_KINDS[made.record.reason == names.PERMIT], own, *told))


class _Pairs(dict[tuple[str, Value], bytes]):
    """Attributes as fields of a LogRecord, each serialised once; when it is full, it is emptied."""

    def __missing__(self, pair: tuple[str, Value]) -> bytes:
        if len(self) >= PAIR_CACHE_SIZE:
            self.clear()
        key, value = pair
        holder = LogRecord()
        _set(holder.attributes.add(key=printable(key)).value, value)
        data: bytes = holder.SerializeToString()
        self[pair] = data
        return data


def resource(node: str, more: Mapping[str, str]) -> bytes:
    """The Resource of all records, serialised; `more` are attributes of the user's."""
    made = Resource()
    own: dict[str, Value] = {
        "service.name": names.PRODUCT,
        "service.version": __version__,
        "host.name": node,
    }
    for key, value in {**own, **more}.items():
        _set(made.attributes.add(key=key).value, value)
    data: bytes = made.SerializeToString()
    return data


def request(resource: bytes, records: Iterable[bytes]) -> bytes:
    """An ExportLogsServiceRequest with these records, serialised as they are."""
    scope = InstrumentationScope(name=names.PRODUCT, version=__version__).SerializeToString()
    scope_logs = _field(_SCOPE, scope) + b"".join(
        [_field(_LOG_RECORDS, record) for record in records]
    )
    return _field(_RESOURCE_LOGS, _field(_RESOURCE, resource) + _field(_SCOPE_LOGS, scope_logs))


def _field(number: int, content: bytes) -> bytes:
    """A field of a message: its key, length and content (protobuf's wire format, type LEN)."""
    return b"%c%b%b" % (number << 3 | 2, _varint(len(content)), content)


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _nanoseconds(seconds: float) -> int:
    """Since the epoch; what is before it, as the header of a capture may claim, is the epoch."""
    whole = int(max(seconds, 0.0))
    return whole * _NANOSECONDS + round((max(seconds, 0.0) - whole) * _NANOSECONDS)


def _set(target: AnyValue, value: Value) -> None:
    if isinstance(value, tuple):
        for item in value:
            target.array_value.values.add(string_value=item)
    elif isinstance(value, int) and value in _INT64:
        target.int_value = value
    else:
        target.string_value = printable(str(value), _LONGEST_VALUE)


def attributes(made: Made) -> dict[str, Value]:
    """What is known of a drop, by the names of the semantic conventions."""
    record, walk = made
    port = record.port
    pairs: dict[str, Value] = {
        "network.type": names.network(walk),
        "network.transport": names.transport(walk),
        "network.io.direction": _DIRECTIONS.get(record.direction),
        "network.interface.name": None if port is None else port.name,
        "ovs.bridge": record.bridge,
        "ovs.datapath_id": record.datapath_id,
        "ovs.table.id": record.table.id,
        "ovs.table.name": record.table.name,
        "ovs.pipeline": record.pipeline,
        "ovs.in_port": None if port is None else port.number,
        "ovs.reason": record.reason,
        "ovs.drop_reason": record.drop_reason,
        "ovs.cause": record.cause,
        "ovs.signature": record.signature,
        "ovs.problem": record.problem,
        "ovs.community_id": record.community_id,
        "ovs.frame.length": record.frame.length,
        "ovs.ethertype": None if walk.ethertype == NONE else walk.ethertype,
        "ovs.protocol": None if walk.protocol == NONE else walk.protocol,
    }
    for side, end in (("source", record.source), ("destination", record.destination)):
        if end is not None:
            pairs |= {
                f"{side}.address": end.ip or end.mac,
                f"{side}.port": end.port,
                f"ovs.{side}.mac": end.mac,
                f"ovs.{side}.tenant": end.tenant,
            }
    if record.rule is not None:
        pairs |= _rule(record.rule, record.table.name)
    pairs |= _packet(record.packet)
    if record.context is not None:
        pairs |= _context(record.context)
    for key, value in record.owner.items():
        pairs[f"ovs.owner.{key}"] = value
    if record.repeated:
        pairs |= {
            "ovs.repeated": record.repeated,
            "ovs.first_time": record.first_time,
            "ovs.last_time": record.last_time,
        }
    return pairs


def _rule(rule: Rule, ruleset: str) -> dict[str, Value]:
    return {
        "security_rule.name": rule.name,
        "security_rule.uuid": rule.cookie,
        "security_rule.ruleset.name": ruleset,
        "ovs.rule.priority": rule.priority,
        "ovs.rule.match": rule.match,
        **{f"ovs.rule.{key}": value for key, value in rule.names.items()},
    }


def _packet(packet: Packet) -> dict[str, Value]:
    pairs: dict[str, Value] = {}
    if packet.vlans:
        pairs["ovs.vlan.id"] = packet.vlans[0].id
    if packet.tcp is not None:
        pairs["ovs.tcp.flags"] = packet.tcp.flags
    icmp = packet.icmp or packet.icmpv6
    if icmp is not None:
        pairs |= {"ovs.icmp.type": icmp.type, "ovs.icmp.code": icmp.code}
    if packet.dns is not None:
        pairs["ovs.dns.name"] = packet.dns.name
    return pairs


def _context(context: Context) -> dict[str, Value]:
    pairs: dict[str, Value] = {}
    if context.conntrack is not None:
        pairs["ovs.conntrack.state"] = context.conntrack.state
        pairs["ovs.conntrack.zone"] = context.conntrack.zone
    if context.tunnel is not None:
        pairs["ovs.tunnel.id"] = context.tunnel.id
    return pairs
