"""OFPT_FLOW_REMOVED: that a flow has ended, and what it had counted. Pure."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from ryu_droplog.model.errors import SwitchError

# ofp_flow_removed (OpenFlow 1.3.5 section 7.4.2) behind the header: cookie, priority, reason,
# table_id, duration (s, ns), idle and hard timeout, packet and byte count. The match follows.
_FLOW_REMOVED = Struct("!8xQHBBIIHHQQ")


class FlowRemoved(NamedTuple):
    """The end of a flow that was added with OFPFF_SEND_FLOW_REM."""

    cookie: int
    table_id: int
    packets: int


def parse_flow_removed(message: bytes) -> FlowRemoved:
    """Read a whole OFPT_FLOW_REMOVED; raises SwitchError when it is cut."""
    if len(message) < _FLOW_REMOVED.size:
        raise SwitchError(f"a flow-removed message has only {len(message)} bytes")
    cookie, _, _, table_id, _, _, _, _, packets, _ = _FLOW_REMOVED.unpack_from(message)
    return FlowRemoved(cookie, table_id, packets)
