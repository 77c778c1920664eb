"""The way that a packet took: traces of the running switch, held against what was recorded.

A record has the packet as it was in the table that dropped it. Where earlier tables had rewritten
it, a trace of it from table 0 may lead elsewhere: then tags are tried that the first table takes
off, and where none of them leads to the same table with the same registers, the way is shown from
that table on only, with the recorded registers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from ipaddress import ip_address
from typing import NamedTuple

from ryu_droplog.explain.given import Given
from ryu_droplog.explain.packet_fields import noted_of_text, packet_fields
from ryu_droplog.explain.trace import Trace, Tracer
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.oxm_match import FieldId, fields
from ryu_droplog.packet import headers
from ryu_droplog.records.record import Record

_BASIC, _NXM_1 = headers.OXM_CLASS_BASIC, headers.OXM_CLASS_NXM_1
_IN_PORT, _VLAN = (_BASIC, 0), (_BASIC, 6)
_STATE_FIELDS: frozenset[FieldId] = frozenset(
    [(_NXM_1, number) for number in range(16)] + [(_BASIC, 2)]
)
"""Registers and metadata: what tells two ways into a table apart."""
_NEW = "new|trk"
_TAGS_TRIED = 16
_MACS = 2 * headers.MAC_LENGTH


class Agreement(Enum):
    """How a trace fits what was recorded."""

    SAME = "same"
    """It leads to the table, with the registers and metadata of the record."""
    TABLE = "table"
    """It leads to the table, but with others, or nothing was recorded of them."""
    ELSEWHERE = "elsewhere"
    """It does not lead to the table."""


class Way(NamedTuple):
    """What the switch does with the packet now."""

    trace: Trace
    agreement: Agreement
    from_table: bool
    """Whether it begins in the table that dropped the packet, and not at the port."""
    inferred: tuple[str, ...]
    """What was assumed of the packet, for people."""
    flow: str
    """What the packet was traced with, as ovs-ofctl writes it."""
    frame: bytes
    ct_state: str


def whole_frame(record: Record) -> bytes:
    """The frame in its length: a switch takes a shorter one than its headers say for broken."""
    frame = record.frame
    return frame.data.ljust(min(frame.length, 65535), b"\0")


def find_way(given: Given, tracer: Tracer, first_matches: Iterable[bytes], bridge: str = "") -> Way:
    """Trace the packet.

    `first_matches` are the matches of table 0, raw; `bridge` is the one that is asked, empty: that
    of the record. Raises SwitchError where it cannot be traced.
    """
    record, frame = given.record, whole_frame(given.record)
    if record.port is None:
        raise SwitchError("the port where the packet came in is not known")
    bridge = bridge or record.bridge
    ct_state, flow = _ct_state(record), entry_flow(record)
    inferred = list(_assumed(given, ct_state))
    trace = tracer.trace(bridge, flow, frame, ct_state)
    best = Way(
        trace, _agreement(record, trace, bridge), False, tuple(inferred), flow, frame, ct_state
    )
    if best.agreement is Agreement.SAME or (
        best.agreement is Agreement.TABLE and not given.measured
    ):
        return best
    for tag in _tags(record, first_matches):
        tagged = _with_tag(frame, tag)
        trace = tracer.trace(bridge, flow, tagged, ct_state)
        if _agreement(record, trace, bridge) is Agreement.SAME:
            text = (
                f"it came in with VLAN {tag}: so it gets to the same table with the same registers"
            )
            return Way(trace, Agreement.SAME, False, (*inferred, text), flow, tagged, ct_state)
    if best.agreement is Agreement.TABLE or not given.measured:
        return best
    if best.trace.lets_through:
        text = "it came in as it was recorded: flows have changed since, and it passes now"
        return best._replace(inferred=(*inferred, text))
    return from_the_table(record, tracer, bridge)


def from_the_table(record: Record, tracer: Tracer, bridge: str) -> Way:
    """Trace from the table that dropped it, with all that was recorded. Raises SwitchError."""
    ct_state = _ct_state(record)
    flow = entry_flow(record) + _tracked(record)
    frame = whole_frame(record)
    trace = tracer.trace_actions(bridge, flow, frame, _actions(record))
    agreement = _agreement(record, trace, bridge)
    inferred = (
        "from table 0 the recorded packet now goes another way: earlier tables had rewritten it, or"
        " flows have changed since",
    )
    return Way(trace, agreement, True, inferred, flow, frame, ct_state)


def traced_again(way: Way, record: Record, tracer: Tracer, bridge: str) -> Trace:
    """The same packet, traced on this bridge. Raises SwitchError."""
    if way.from_table:
        return tracer.trace_actions(bridge, way.flow, way.frame, _actions(record))
    return tracer.trace(bridge, way.flow, way.frame, way.ct_state)


def _actions(record: Record) -> list[str]:
    return [*_loads(record), f"resubmit(,{record.table.id})"]


def entry_flow(record: Record) -> str:
    """What the packet came to the bridge with, besides itself, as ovs-ofctl writes it."""
    parts = []
    if record.port is not None:
        parts.append(f"in_port={record.port.number}")
    tunnel = record.context.tunnel if record.context else None
    if tunnel is not None:
        if tunnel.id:
            parts.append(f"tun_id={int(tunnel.id, 0):#x}")
        for name, text in (("src", tunnel.source), ("dst", tunnel.destination)):
            if text:
                six = "_ipv6" if ip_address(text).version == 6 else ""
                parts.append(f"tun{six}_{name}={ip_address(text)}")
        parts += [
            f"tun_metadata{int(name.removeprefix('tun_metadata'))}={int(value, 0):#x}"
            for name, value in tunnel.metadata.items()
        ]
    conntrack = record.context.conntrack if record.context else None
    if conntrack is not None:
        if conntrack.mark:
            parts.append(f"ct_mark={conntrack.mark:#x}")
        if conntrack.label:
            parts.append(f"ct_label={int(conntrack.label, 0):#x}")
    return ",".join(parts)


def _ct_state(record: Record) -> str:
    conntrack = record.context.conntrack if record.context else None
    state = [] if conntrack is None else [s for s in conntrack.state if s.isalpha()]
    return "|".join(state) or _NEW


def _tracked(record: Record) -> str:
    conntrack = record.context.conntrack if record.context else None
    if conntrack is None or not conntrack.state:
        return ""
    zone = f",ct_zone={conntrack.zone}" if conntrack.zone else ""
    return f",ct_state={_ct_state(record)}{zone}"


def _loads(record: Record) -> Iterator[str]:
    if record.context is None:
        return
    if record.context.metadata:
        yield f"set_field:{int(record.context.metadata, 0):#x}->metadata"
    for name, value in record.context.registers.items():
        if name.removeprefix("reg").isdigit():
            yield f"set_field:{value:#x}->reg{int(name.removeprefix('reg'))}"


def _agreement(record: Record, trace: Trace, bridge: str) -> Agreement:
    found = trace.pass_with(bridge, record.table.id)
    if found is None:
        return Agreement.ELSEWHERE
    if record.context is None:
        return Agreement.TABLE
    then, now = packet_fields(record), noted_of_text(found.final)
    same = all(then.get(field, 0) == now.get(field, 0) for field in _STATE_FIELDS)
    return Agreement.SAME if same else Agreement.TABLE


def _assumed(given: Given, ct_state: str) -> Iterator[str]:
    record = given.record
    conntrack = record.context.conntrack if record.context else None
    if (conntrack is None or not conntrack.state) and not given.measured:
        yield f"connection tracking is supposed to say {ct_state}, as of a new connection"


def _tags(record: Record, matches: Iterable[bytes]) -> list[int]:
    """VLANs that flows of the first table take from this port; the packet has none of its own."""
    if record.packet.vlans or record.port is None:
        return []
    tags: dict[int, None] = {}
    for match in matches:
        found = fields(match)
        port = found.get(_IN_PORT)
        vlan = found.get(_VLAN)
        if vlan is None or vlan[0] & 0xFFF == 0 or (port and port[0] != record.port.number):
            continue
        tags[vlan[0] & 0xFFF] = None
        if len(tags) == _TAGS_TRIED:
            break
    return list(tags)


def _with_tag(frame: bytes, vid: int) -> bytes:
    tag = headers.ETHERTYPE_VLAN.to_bytes(2, "big") + vid.to_bytes(2, "big")
    return frame[:_MACS] + tag + frame[_MACS:]
