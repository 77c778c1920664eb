"""What is read of the bridge that dropped the packet: flows of two tables, ports, their ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.requests import dump, port_names
from ryu_droplog.ovsdb.client import Client, Map, Select
from ryu_droplog.text.printable import printable

FLOWS_TIME = 30.0
"""Seconds that the switch has to tell the flows of one table."""
_IFACE_ID = "iface-id"


class BridgeLook(NamedTuple):
    """What is known of a bridge."""

    flows: list[Flow]
    """Of the table that dropped the packet."""
    first_matches: list[bytes]
    """Matches of table 0, raw."""
    ports: Mapping[int, str]
    """Names of the bridge's ports by OpenFlow port number."""


def look_at(connection: Connection, table_id: int) -> BridgeLook:
    """Read it; changes nothing. Raises SwitchError."""
    flows = dump(connection, table_id=table_id, answer_time=FLOWS_TIME)
    first = flows if table_id == 0 else dump(connection, table_id=0, answer_time=FLOWS_TIME)
    return BridgeLook(flows, [flow.match for flow in first], port_names(connection))


class _Interface(Struct):
    """A row of Interface."""

    name: str
    external_ids: Map


def port_ids(rundir: str, names: list[str]) -> dict[str, str]:
    """`external_ids:iface-id` of these interfaces, by name; what cannot be read is left out."""
    if not rundir or not names:
        return {}
    selects = [Select("Interface", _Interface, [("name", "==", name)]) for name in names]
    try:
        rows = [row for found in Client(f"{rundir}/db.sock").select_all(selects) for row in found]
    except SwitchError:
        return {}
    ids = {row.name: dict(row.external_ids[1]) for row in rows}
    return {name: printable(of[_IFACE_ID]) for name, of in ids.items() if _IFACE_ID in of}
