"""Flows as the switch describes them: OpenFlow 1.3 flow statistics and flow monitor updates.

Only what a plan asks of a flow is read: where it stands, what it matches, whether it does anything,
and which tables it leads to. os-ken's parser is not used here, because it knows neither every match
field nor every action of Open vSwitch (a flow it cannot read would be missing from the plan), and
because bridges with tens of thousands of flows are common.

Sources: OpenFlow 1.3.5 sections 7.2.3 (match), 7.2.4 (instructions), 7.3.5.2 (flow statistics);
Open vSwitch, include/openflow/nicira-ext.h and lib/ofp-actions.c (Nicira actions),
include/openflow/openflow-1.4.h and ofp-monitor.c (flow updates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.note import NOTE_INSTRUCTIONS

# ofp_flow_stats: length, table_id, pad, duration (s, ns), priority, idle and hard timeout, flags,
# pad, cookie, packet and byte count. The match follows, then the instructions.
_FLOW_STATS = Struct("!HBxIIHHHH4xQQQ")
_MATCH = Struct("!HH")
_INSTRUCTION_SIZE = 8
"""The shortest instruction (section 7.2.4)."""
_INSTRUCTION = Struct("!HH")
_ACTIONS_START = 8  # within apply_actions and write_actions
_ACTION = Struct("!HH")
_ACTION_SIZE = 8
"""The shortest action (section 7.2.5)."""
_EXPERIMENTER = Struct("!IH")  # experimenter, subtype: behind an experimenter action's header

_INSTRUCTION_GOTO_TABLE = 1
_INSTRUCTION_WRITE_METADATA = 2
_INSTRUCTION_WRITE_ACTIONS = 3
_INSTRUCTION_APPLY_ACTIONS = 4

_ACTION_OUTPUT = 0
_ACTION_EXPERIMENTER = 0xFFFF
_PORT_CONTROLLER = 0xFFFFFFFD
# Actions that change the packet or its fields, and send it nowhere: push and pop of VLAN and MPLS
# headers, set_field (section 7.2.5).
_REWRITING = frozenset((17, 18, 19, 20, 25))

_NICIRA = 0x00002320
_NXAST_CONTROLLER = 20
# set_tunnel, reg_move, reg_load, note, set_tunnel64, stack_push, stack_pop, reg_load2, ct_clear
_NXAST_REWRITING = frozenset((2, 6, 7, 8, 9, 27, 28, 33, 43))
_NXAST_RESUBMIT_TABLE = 14
_NXAST_CT = 35
_NXAST_CONTROLLER2 = 37
_NXAST_CLONE = 42
_NXAST_RESUBMIT_TABLE_CT = 44
_RESUBMIT_TABLE_OFFSET = 12  # behind header, experimenter, subtype and in_port
_CURRENT_TABLE = 0xFF
_CT_RECIRC_TABLE_OFFSET = 18  # behind flags, zone_src and zone_imm
_CT_NO_RECIRC = 0xFF
_NESTED_IN_CT = 24
_NESTED_IN_CLONE = 16
_CONTROLLER2_PROPERTIES = 16
_DEEPEST = 64
"""Actions within actions that are followed; Open vSwitch itself ends a pipeline at 64."""
_PROPERTY = Struct("!HH")
_PROPERTY_CONTROLLER_ID = 1
_PROPERTY_METER_ID = 5

EXPERIMENTER_HEADER = 8
"""Bytes of a flow monitor message's body before its updates: experimenter and type."""

# nx_flow_update_header: length, event; then, unless abbreviated: reason, priority, idle and hard
# timeout, match length, table, pad, cookie; then the match, padded to 8.
_UPDATE_HEADER = Struct("!HH")
_UPDATE_FULL = Struct("!HHHHHBxQ")


class Step(NamedTuple):
    """One way from a flow into another table."""

    table_id: int
    """The table it leads to."""
    final: bool
    """False for a resubmit that other actions follow: the packet comes back from there."""


@dataclass(slots=True)
class Effect:
    """What a flow does, as far as a plan asks."""

    acts: bool = False
    """False for a plain drop: no action, and no instruction, for each has an effect somewhere."""
    leaves: bool = False
    """False when no action can send the packet on: it ends here, whatever else is done to it."""
    tells: bool = False
    """True when a controller of the owner's gets the packet, and may do with it what it likes."""
    writes: bool = False
    """True when it writes to the action set, which is carried out where the pipeline ends."""
    steps: list[Step] = field(default_factory=list)
    controller_ids: list[int] = field(default_factory=list)
    """Controller ids that its controller actions name (NXAST_CONTROLLER2)."""
    meter_ids: list[int] = field(default_factory=list)
    """Meters that its controller actions name."""
    marked: bool = False
    """True when all that it does is to hold our note, as a summary flow of this program does."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow of one table, from the switch's own description."""

    table_id: int
    priority: int
    cookie: int
    match: bytes
    """The OXM fields of the match, raw, network byte order; empty for a catch-all."""
    idle_timeout: int
    """Seconds; 0: none."""
    packets: int
    effect: Effect
    instructions: bytes = b""
    """As on the wire; empty for a plain drop."""
    hard_timeout: int = 0
    """Seconds; 0: none."""

    @property
    def catch_all(self) -> bool:
        """Whether every packet that comes to the table matches."""
        return not self.match


class Count(NamedTuple):
    """What one flow has counted."""

    table_id: int
    priority: int
    match: bytes
    cookie: int
    packets: int
    plain: bool
    """Whether it has no instructions at all: a plain drop."""


class Event:
    """Numbers of nx_flow_update_header.event (NXFME_*), as sent in OpenFlow 1.3."""

    ADDED = 0
    DELETED = 1
    MODIFIED = 2
    ABBREVIATED = 3


class Update(NamedTuple):
    """Somebody else's change of a flow, from a flow monitor."""

    event: int
    table_id: int
    priority: int
    cookie: int
    instructions: bytes = b""
    """What the flow does, as on the wire; `effect_of` reads it."""
    match: bytes = b""
    """The OXM fields of the match, raw, network byte order; empty for a catch-all."""


def parse_flow_stats(body: bytes) -> Iterator[Flow]:
    """The flows of one OFPMP_FLOW reply's body (without the multipart header).

    Raises SwitchError when a length contradicts the bytes.
    """
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _FLOW_STATS.size + _MATCH.size:
            raise SwitchError(f"flow statistics end in the middle of a flow, at byte {offset}")
        (length, table_id, _, _, priority, idle, hard, _, flow_cookie, packets, _) = (
            _FLOW_STATS.unpack_from(body, offset)
        )
        match_at = offset + _FLOW_STATS.size
        match_length = _MATCH.unpack_from(body, match_at)[1]
        match_end = match_at + match_length
        instructions_at = match_at + _padded(match_length)
        if match_length < _MATCH.size or not instructions_at <= offset + length <= end:
            raise SwitchError(f"flow statistics contradict their length, at byte {offset}")
        yield Flow(
            table_id=table_id,
            priority=priority,
            cookie=flow_cookie,
            match=body[match_at + _MATCH.size : match_end],
            idle_timeout=idle,
            packets=packets,
            effect=effect_of(instructions := body[instructions_at : offset + length]),
            instructions=instructions,
            hard_timeout=hard,
        )
        offset += length


def count_of(flow: Flow) -> Count:
    """What a flow had counted when it was described."""
    return Count(
        flow.table_id,
        flow.priority,
        flow.match,
        flow.cookie,
        flow.packets,
        not flow.instructions,
    )


def parse_counts(body: bytes, is_counted: Callable[[int], bool]) -> Iterator[Count]:
    """What plain drops have counted, and flows whose cookie `is_counted` takes, in such a body.

    Quicker than `parse_flow_stats`, for it is done often, and on bridges of any size. Raises
    SwitchError when a length contradicts the bytes.
    """
    offset, end = 0, len(body)
    smallest = _FLOW_STATS.size + _MATCH.size
    while offset < end:
        if end - offset < smallest:
            raise SwitchError(f"flow statistics end in the middle of a flow, at byte {offset}")
        (length, table_id, _, _, priority, _, _, _, flow_cookie, packets, _) = (
            _FLOW_STATS.unpack_from(body, offset)
        )
        match_at = offset + _FLOW_STATS.size
        match_length = _MATCH.unpack_from(body, match_at)[1]
        instructions_at = match_at + _padded(match_length)
        if match_length < _MATCH.size or not instructions_at <= offset + length <= end:
            raise SwitchError(f"flow statistics contradict their length, at byte {offset}")
        plain = instructions_at == offset + length
        if plain or is_counted(flow_cookie):
            match = body[match_at + _MATCH.size : match_at + match_length]
            yield Count(table_id, priority, match, flow_cookie, packets, plain)
        offset += length


def parse_updates(body: bytes) -> Iterator[Update]:
    """The changes in one flow monitor reply's body (without the multipart headers).

    Changes that this connection made itself come abbreviated, and are passed over.
    Raises SwitchError when a length contradicts the bytes.
    """
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _UPDATE_HEADER.size:
            raise SwitchError("a flow monitor update is cut")
        length, event = _UPDATE_HEADER.unpack_from(body, offset)
        if length < _UPDATE_HEADER.size or offset + length > end:
            raise SwitchError(f"a flow monitor update says it has {length} bytes")
        if event != Event.ABBREVIATED:
            if length < _UPDATE_HEADER.size + _UPDATE_FULL.size:
                raise SwitchError(f"a flow monitor update has only {length} bytes")
            fields = _UPDATE_FULL.unpack_from(body, offset + _UPDATE_HEADER.size)
            (_, priority, _, _, match_length, table_id, flow_cookie) = fields
            match_at = offset + _UPDATE_HEADER.size + _UPDATE_FULL.size
            if match_length < _MATCH.size or match_at + _padded(match_length) > offset + length:
                raise SwitchError(f"a flow monitor update has a match of {match_length} bytes")
            match = body[match_at + _MATCH.size : match_at + match_length]
            instructions = body[match_at + _padded(match_length) : offset + length]
            yield Update(event, table_id, priority, flow_cookie, instructions, match)
        offset += length


def _padded(length: int) -> int:
    return (length + 7) // 8 * 8


def _blocks(body: bytes, header: Struct, shortest: int) -> Iterator[tuple[int, bytes]]:
    """Walk type-length-value blocks whose length counts their own header."""
    offset = 0
    while offset < len(body):
        if len(body) - offset < header.size:
            raise SwitchError("a flow's instructions are cut")
        kind, length = header.unpack_from(body, offset)
        if length < shortest or offset + length > len(body):
            raise SwitchError(f"an instruction or action of type {kind} says it has {length} bytes")
        yield kind, body[offset : offset + length]
        offset += length


def effect_of(instructions: bytes) -> Effect:
    """Read the instructions of a flow; raises SwitchError when a length contradicts the bytes."""
    effect = Effect(marked=instructions == NOTE_INSTRUCTIONS)
    blocks = list(_blocks(instructions, _INSTRUCTION, _INSTRUCTION_SIZE))
    goes_on = any(kind == _INSTRUCTION_GOTO_TABLE for kind, _ in blocks)
    for kind, block in blocks:
        if kind == _INSTRUCTION_GOTO_TABLE:
            effect.acts = effect.leaves = True
            effect.steps.append(Step(block[4], final=True))
        elif kind == _INSTRUCTION_APPLY_ACTIONS:
            _walk_actions(block[_ACTIONS_START:], effect, comes_back=goes_on)
        elif kind == _INSTRUCTION_WRITE_ACTIONS:
            if len(block) > _ACTIONS_START:
                effect.writes = effect.leaves = True
            _walk_actions(block[_ACTIONS_START:], effect, comes_back=goes_on)
        else:
            effect.acts = True
            effect.leaves |= kind != _INSTRUCTION_WRITE_METADATA
    return effect


def actions_of(instructions: bytes) -> bytes:
    """The actions that a flow applies, as on the wire; empty where it applies none."""
    applied = [
        block[_ACTIONS_START:]
        for kind, block in _blocks(instructions, _INSTRUCTION, _INSTRUCTION_SIZE)
        if kind == _INSTRUCTION_APPLY_ACTIONS
    ]
    return b"".join(applied)


def without_controller(actions: bytes, controller_id: int) -> bytes:
    """The actions but for those that tell the controller of this id (NXAST_CONTROLLER2)."""
    kept = []
    for kind, block in _blocks(actions, _ACTION, _ACTION_SIZE):
        alone = Effect()
        _walk_actions(block, alone, comes_back=False)
        if kind != _ACTION_EXPERIMENTER or alone.controller_ids != [controller_id]:
            kept.append(block)
    return b"".join(kept)


def _walk_actions(actions: bytes, effect: Effect, *, comes_back: bool, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise SwitchError(f"a flow has actions within actions, more than {_DEEPEST} deep")
    blocks = list(_blocks(actions, _ACTION, _ACTION_SIZE))
    for position, (kind, block) in enumerate(blocks, start=1):
        effect.acts = True
        if kind != _ACTION_EXPERIMENTER or len(block) < 16:
            if kind == _ACTION_OUTPUT and int.from_bytes(block[4:8], "big") == _PORT_CONTROLLER:
                effect.tells = True
            else:
                effect.leaves |= kind not in _REWRITING
            continue
        experimenter, subtype = _EXPERIMENTER.unpack_from(block, _ACTION.size)
        if experimenter != _NICIRA:
            effect.leaves = True
        elif subtype in (_NXAST_RESUBMIT_TABLE, _NXAST_RESUBMIT_TABLE_CT):
            effect.leaves = True
            table_id = block[_RESUBMIT_TABLE_OFFSET]
            if table_id != _CURRENT_TABLE:
                final = position == len(blocks) and not comes_back
                effect.steps.append(Step(table_id, final))
        elif subtype == _NXAST_CT:
            if len(block) < _NESTED_IN_CT:
                raise SwitchError(f"a ct action says it has {len(block)} bytes")
            # The packet that comes back from conntrack begins anew there: a miss is its end.
            if block[_CT_RECIRC_TABLE_OFFSET] != _CT_NO_RECIRC:
                effect.leaves = True
                effect.steps.append(Step(block[_CT_RECIRC_TABLE_OFFSET], final=True))
            nested = Effect()  # they change the connection's marks, and its addresses
            _walk_actions(block[_NESTED_IN_CT:], nested, comes_back=True, depth=depth + 1)
            effect.steps += nested.steps
        elif subtype == _NXAST_CLONE:
            effect.leaves = True
            _walk_actions(block[_NESTED_IN_CLONE:], effect, comes_back=False, depth=depth + 1)
        elif subtype == _NXAST_CONTROLLER2:
            properties = list(_properties(block[_CONTROLLER2_PROPERTIES:]))
            ids = [
                _number(value, 2) for kind, value in properties if kind == _PROPERTY_CONTROLLER_ID
            ]
            effect.controller_ids += ids
            meters = [_number(value, 4) for kind, value in properties if kind == _PROPERTY_METER_ID]
            effect.meter_ids += meters
            effect.tells |= ids != [cookie.SIGNATURE]
        elif subtype == _NXAST_CONTROLLER:
            effect.tells = True
        else:
            effect.leaves |= subtype not in _NXAST_REWRITING


def _number(value: bytes, size: int) -> int:
    return int.from_bytes(value[:size], "big")


def _properties(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk properties: type, length without padding, value, padded to 8 (ofp-prop.h)."""
    offset = 0
    while len(body) - offset >= _PROPERTY.size:
        kind, length = _PROPERTY.unpack_from(body, offset)
        if length < _PROPERTY.size:
            raise SwitchError(f"a property of type {kind} says it has {length} bytes")
        yield kind, body[offset + _PROPERTY.size : offset + length]
        offset += _padded(length)


def is_ours(flow: Flow) -> bool:
    """Whether this program added the flow, in this run or an earlier one."""
    return run_of(flow.cookie, flow.effect) is not None


def run_of(flow_cookie: int, effect: Effect) -> int | None:
    """The run of this program that has added a flow; None: none has.

    Beside its cookie, what it does is of this program's kind: a summary flow holds our note, any
    other sends packets to our controller id.
    """
    own = effect.marked or cookie.SIGNATURE in effect.controller_ids
    return cookie.run_of(flow_cookie) if own else None
