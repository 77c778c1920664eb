"""The messages that this program sends, built with os-ken, and nothing else that it could send.

What os-ken has no class for is packed here: NXAST_CONTROLLER2 with a meter id and
NXT_SET_CONTROLLER_ID for OpenFlow 1.3 (Open vSwitch, include/openflow/nicira-ext.h and
lib/ofp-actions.c). There is no message here that asks for a role, writes a table's configuration,
or deletes or changes a flow without naming its cookie in full: our own, but for `RewrittenFlow`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from os_ken.lib.pack_utils import msg_pack_into
from os_ken.ofproto.ofproto_v1_3 import OFPAT_EXPERIMENTER
from os_ken.ofproto.ofproto_v1_3_parser import OFPAction, OFPMatch

from ryu_droplog.model import cookie

NICIRA = 0x00002320
_NXT_SET_CONTROLLER_ID = 20
_NXAST_CONTROLLER2 = 37

# onf_flow_monitor_request: id, flags, match length, out_port, table; then the match (type OXM,
# length 4, padded to 8).
_ONF = 0x4F4E4600
_FLOW_MONITOR_REQUEST = struct.Struct("!IHHIB3xHH4x")
_EMPTY_MATCH = (1, 4)
_BARRIER_SIZE = 8
"""Bytes of OFPT_BARRIER_REQUEST, which is a header alone (section 7.3.8)."""

# Properties of NXAST_CONTROLLER2 (enum nx_action_controller2_prop_type).
_PROPERTY_MAX_LEN = 0
_PROPERTY_CONTROLLER_ID = 1
_PROPERTY_REASON = 2
_PROPERTY_METER_ID = 5
_REASON_NO_MATCH = 0

MAX_LEN = 0xFFFF
"""Bytes of a packet that we ask for. Open vSwitch keeps no buffers and sends it whole anyway."""

# ofp_match (section 7.2.3.1): type, length with this header; then the OXM fields, padded to 8.
_MATCH = struct.Struct("!HH")
_MATCH_OXM = 1

ANY_BUT_REG15_BIT_31 = bytes.fromhex("00011f08 00000000 80000000")
"""The OXM field reg15=0/0x80000000 (NXM_NX_REG15).

It matches all real packets without being the catch-all: nobody sets bit 31 of reg15.
"""

Message = Any
"""An os-ken message object (os-ken has no types)."""


class RawMatch(OFPMatch):  # type: ignore[misc]
    """The OXM fields of a match as they came from the switch, for os-ken to send."""

    def __init__(self, fields: bytes) -> None:
        """`fields` is without the header of the match and its padding."""
        super().__init__()
        self._fields = fields

    def serialize(self, buf: bytearray, offset: int) -> int:
        """Write the whole ofp_match; gives back its length with padding, as os-ken wants it."""
        length = _MATCH.size + len(self._fields)
        padded = (length + 7) // 8 * 8
        match = _MATCH.pack(_MATCH_OXM, length) + self._fields
        msg_pack_into(f"{padded}s", buf, offset, match)
        return padded


class RawActions(OFPAction):  # type: ignore[misc]
    """Actions as they came from the switch, for os-ken to send."""

    cls_action_type, cls_action_len = OFPAT_EXPERIMENTER, 0  # os-ken wants them; never sent

    def __init__(self, actions: bytes) -> None:
        super().__init__()
        self._actions = actions
        self.len = len(actions)

    def serialize(self, buf: bytearray, offset: int) -> None:
        """Write them as they are."""
        msg_pack_into(f"{self.len}s", buf, offset, self._actions)


def controller_action(datapath: Any, meter_id: int | None, max_len: int = MAX_LEN) -> Any:
    """The action that sends a packet to this program alone.

    The meter stands in the action and not in a meter instruction: a restore of saved flows onto a
    bridge without the meter then still succeeds, for our flow and for everyone else's.
    """
    properties = _property(_PROPERTY_MAX_LEN, struct.pack("!H", max_len))
    properties += _property(_PROPERTY_CONTROLLER_ID, struct.pack("!H", cookie.SIGNATURE))
    properties += _property(_PROPERTY_REASON, struct.pack("!B", _REASON_NO_MATCH))
    if meter_id is not None:
        properties += _property(_PROPERTY_METER_ID, struct.pack("!I", meter_id))
    body = struct.pack("!H6x", _NXAST_CONTROLLER2) + properties
    return datapath.ofproto_parser.OFPActionExperimenterUnknown(NICIRA, data=body)


def _property(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("!HH", kind, length) + value + bytes(-length % 8)


def set_controller_id(datapath: Any) -> Message:
    """NXT_SET_CONTROLLER_ID: what other controller actions send does not come to us."""
    data = struct.pack("!6xH", cookie.SIGNATURE)
    parser = datapath.ofproto_parser
    return parser.OFPExperimenter(datapath, NICIRA, _NXT_SET_CONTROLLER_ID, data)


def set_config(datapath: Any, flags: int) -> Message:
    """OFPT_SET_CONFIG; a non-zero miss_send_len starts packet-ins on a management connection.

    The fragment handling in `flags` is the whole bridge's: pass what OFPT_GET_CONFIG said.
    """
    return datapath.ofproto_parser.OFPSetConfig(datapath, flags, MAX_LEN)


def set_async(datapath: Any) -> Message:
    """OFPT_SET_ASYNC for this connection alone: which messages it gets without asking."""
    ofproto = datapath.ofproto
    packet_in = 1 << ofproto.OFPR_NO_MATCH | 1 << ofproto.OFPR_ACTION
    ports = 1 << ofproto.OFPPR_ADD | 1 << ofproto.OFPPR_DELETE | 1 << ofproto.OFPPR_MODIFY
    removed = 1 << ofproto.OFPRR_HARD_TIMEOUT | 1 << ofproto.OFPRR_DELETE
    parser = datapath.ofproto_parser
    return parser.OFPSetAsync(datapath, [packet_in, packet_in], [ports, ports], [removed, removed])


def monitor_flows(datapath: Any, monitor_id: int) -> Message:
    """Subscribe to all changes of flows by anyone (ONF extension 187, OpenFlow 1.3).

    Open vSwitch wants a whole ofp_match behind the request, with header and padding (what
    `ovs-ofctl -O OpenFlow13 monitor` sends). os-ken leaves these out, and the switch refuses that.
    """
    ofproto = datapath.ofproto
    events = ofproto.ONFFMF_ADD | ofproto.ONFFMF_DELETE | ofproto.ONFFMF_MODIFY
    events |= ofproto.ONFFMF_ACTIONS
    data = _FLOW_MONITOR_REQUEST.pack(
        monitor_id, events, _EMPTY_MATCH[1], ofproto.OFPP_ANY, ofproto.OFPTT_ALL, *_EMPTY_MATCH
    )
    return datapath.ofproto_parser.OFPExperimenterStatsRequest(
        datapath, 0, _ONF, ofproto.ONFMP_FLOW_MONITOR, data
    )


def dump_flows(
    datapath: Any, table_id: int | None = None, flow_cookie: int = 0, mask: int = 0
) -> Message:
    """OFPMP_FLOW request: all flows, or one table's, or those with some cookie bits."""
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    table = ofproto.OFPTT_ALL if table_id is None else table_id
    return parser.OFPFlowStatsRequest(
        datapath, 0, table, ofproto.OFPP_ANY, ofproto.OFPG_ANY, flow_cookie, mask
    )


def add_meter(datapath: Any, meter_id: int, rate: int, burst: int) -> Message:
    """OFPT_METER_MOD: `rate` packets per second with bursts of `burst` packets pass."""
    return _meter_mod(datapath, datapath.ofproto.OFPMC_ADD, meter_id, rate, burst)


def modify_meter(datapath: Any, meter_id: int, rate: int, burst: int) -> Message:
    """OFPT_METER_MOD with OFPMC_MODIFY: the meter's flows stay as they are."""
    return _meter_mod(datapath, datapath.ofproto.OFPMC_MODIFY, meter_id, rate, burst)


def _meter_mod(datapath: Any, command: int, meter_id: int, rate: int, burst: int) -> Message:
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    flags = ofproto.OFPMF_PKTPS | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
    bands = [parser.OFPMeterBandDrop(rate, burst)]
    return parser.OFPMeterMod(datapath, command, flags, meter_id, bands)


def delete_meter(datapath: Any, meter_id: int) -> Message:
    """OFPT_METER_MOD with OFPMC_DELETE."""
    return datapath.ofproto_parser.OFPMeterMod(
        datapath, datapath.ofproto.OFPMC_DELETE, 0, meter_id, []
    )


def script(datapath: Any, messages: Sequence[Message]) -> bytes:
    """The bytes of a whole connection that sends these messages: hello first, a barrier last."""
    parser = datapath.ofproto_parser
    return serialised((parser.OFPHello(datapath), *messages, parser.OFPBarrierRequest(datapath)))


def longer(script: bytes, more: Sequence[Message]) -> bytes:
    """The script with more messages before its barrier."""
    return script[:-_BARRIER_SIZE] + serialised(more) + script[-_BARRIER_SIZE:]


def serialised(messages: Iterable[Message]) -> bytes:
    """The bytes of these messages, one behind the other, as they are sent."""
    parts = []
    for message in messages:
        message.set_xid(0)
        message.serialize()
        parts.append(bytes(message.buf))
    return b"".join(parts)


class OurFlow:
    """One flow of ours, and the messages that add, renew and remove it."""

    def __init__(
        self,
        *,
        table_id: int,
        priority: int,
        match: bytes,
        flow_cookie: int,
        meter_id: int | None,
        lease: int,
        actions: bytes = b"",
        tells: bool = True,
    ) -> None:
        """`match` has the OXM fields, raw; empty: a table-miss flow, at priority 0.

        `lease` is the hard timeout in seconds, counted from the last renewal. `actions`, raw, come
        before the one that sends the packet to us: they do what the flow below does to a packet.
        A flow that does not tell has `NOTE_ACTION` (`note.py`) and drops.
        """
        self.table_id = table_id
        self.priority = priority
        self.match = match
        self.cookie = flow_cookie
        self.meter_id = meter_id
        self.lease = lease
        self.actions = actions
        self.tells = tells
        self._renewed = False
        """Whether the last renewal was an odd one."""

    def add(
        self, datapath: Any, bundle_id: int, instead_of: OurFlow | None = None
    ) -> list[Message]:
        """Messages that add the flow, or fail as a whole: the answers tell.

        `instead_of` is one of ours that goes at the same moment.
        """
        ofproto = datapath.ofproto
        first = [instead_of.delete(datapath)] if instead_of is not None else []
        if self.match:
            flags = ofproto.OFPFF_CHECK_OVERLAP | ofproto.OFPFF_SEND_FLOW_REM
            add = self._add(datapath, self.match, flags)
            return bundle(datapath, bundle_id, [*first, add]) if first else [add]
        # ADD would silently replace a flow with the same match and priority. The first message of
        # the bundle cannot do that, and is refused if anyone has a flow at this priority.
        return bundle(
            datapath,
            bundle_id,
            [
                *first,
                self._add(datapath, ANY_BUT_REG15_BIT_31, ofproto.OFPFF_CHECK_OVERLAP),
                self._add(datapath, b"", ofproto.OFPFF_SEND_FLOW_REM),
                self._strict(datapath, ofproto.OFPFC_DELETE_STRICT, ANY_BUT_REG15_BIT_31),
            ],
        )

    def renew(self, datapath: Any) -> Message:
        """Starts the lease anew; does nothing if the flow is gone, touches nobody else's.

        Open vSwitch tells its flow monitors of a change of the actions only, so every other
        renewal has another max_len, which changes nothing else: the switch sends packets whole.
        Another run of this program sees by it that this one is at work (others.py).
        """
        self._renewed = not self._renewed
        return self._strict(datapath, datapath.ofproto.OFPFC_MODIFY_STRICT, self.match)

    def delete(self, datapath: Any) -> Message:
        """Removes the flow; does nothing if it is gone, touches nobody else's."""
        return self._strict(datapath, datapath.ofproto.OFPFC_DELETE_STRICT, self.match)

    def _add(self, datapath: Any, match: bytes, flags: int) -> Message:
        return self._flow_mod(datapath, datapath.ofproto.OFPFC_ADD, match, mask=0, flags=flags)

    def _strict(self, datapath: Any, command: int, match: bytes) -> Message:
        return self._flow_mod(datapath, command, match, mask=cookie.ALL_BITS, flags=0)

    def _flow_mod(
        self, datapath: Any, command: int, match: bytes, mask: int, flags: int
    ) -> Message:
        return _flow_mod(
            datapath,
            command,
            table_id=self.table_id,
            priority=self.priority,
            match=match,
            flow_cookie=self.cookie,
            mask=mask,
            actions=[*_raw(self.actions), *self._tell(datapath)],
            flags=flags,
            lease=self.lease,
        )

    def _tell(self, datapath: Any) -> list[Any]:
        if not self.tells:
            return []
        return [controller_action(datapath, self.meter_id, MAX_LEN - self._renewed)]


class RewrittenFlow:
    """A drop flow of the bridge's owner with an action that sends its packets to us, and its undo.

    Both messages are OFPFC_MODIFY_STRICT under the whole cookie: table, priority, match, cookie,
    counters, timeouts and flags of the flow stay as they are, and nothing is added if it is gone.
    """

    def __init__(
        self,
        *,
        table_id: int,
        priority: int,
        match: bytes,
        flow_cookie: int,
        actions: bytes,
        meter_id: int | None,
    ) -> None:
        """`match` and `actions` are the owner's, raw."""
        self.table_id = table_id
        self.priority = priority
        self.match = match
        self.cookie = flow_cookie
        self.actions = actions
        self.meter_id = meter_id

    def tell(self, datapath: Any) -> Message:
        """Adds the action that sends the packet to us behind the owner's own."""
        return self._modify(datapath, [controller_action(datapath, self.meter_id)])

    def restore(self, datapath: Any) -> Message:
        """Restores the owner's own actions."""
        return self._modify(datapath, [])

    def _modify(self, datapath: Any, more: Sequence[Any]) -> Message:
        return _flow_mod(
            datapath,
            datapath.ofproto.OFPFC_MODIFY_STRICT,
            table_id=self.table_id,
            priority=self.priority,
            match=self.match,
            flow_cookie=self.cookie,
            mask=cookie.ALL_BITS,
            actions=[*_raw(self.actions), *more],
        )


def _raw(actions: bytes) -> list[Any]:
    return [RawActions(actions)] if actions else []


def _flow_mod(
    datapath: Any,
    command: int,
    *,
    table_id: int,
    priority: int,
    match: bytes,
    flow_cookie: int,
    mask: int,
    actions: Sequence[Any],
    flags: int = 0,
    lease: int = 0,
) -> Message:
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    apply = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, list(actions))
    return parser.OFPFlowMod(
        datapath,
        cookie=flow_cookie,
        cookie_mask=mask,
        table_id=table_id,
        command=command,
        hard_timeout=lease,
        priority=priority,
        out_port=ofproto.OFPP_ANY,
        out_group=ofproto.OFPG_ANY,
        flags=flags,
        match=RawMatch(match),
        instructions=[apply] if actions else [],
    )


def bundle(datapath: Any, bundle_id: int, messages: Sequence[Message]) -> list[Message]:
    """Open, fill and commit an ordered, atomic bundle (ONF extension 230, OpenFlow 1.3)."""
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    flags = ofproto.ONF_BF_ATOMIC | ofproto.ONF_BF_ORDERED

    def control(kind: int) -> Message:
        return parser.ONFBundleCtrlMsg(datapath, bundle_id, kind, flags, [])

    parts = [parser.ONFBundleAddMsg(datapath, bundle_id, flags, part, []) for part in messages]
    first, last = control(ofproto.ONF_BCT_OPEN_REQUEST), control(ofproto.ONF_BCT_COMMIT_REQUEST)
    return [first, *parts, last]
