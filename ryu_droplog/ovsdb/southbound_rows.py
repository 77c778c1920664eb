"""Rows of OVN's southbound database, and what is made of them (ovn-sb(5)). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from ryu_droplog.ovsdb.client import Map, Uuid
from ryu_droplog.text.printable import printable

LONGEST_MATCH = 2000
"""Characters of a logical match that are shown at most."""

_DROPS = re.compile(r"drop;|/\* drop \*/")
_ACL_NAME = re.compile(r'\blog\([^)]*\bname="((?:[^"\\]|\\.)*)"')
_HEAD = 8
"""Hexadecimal digits of a UUID that are a cookie."""


@dataclass(frozen=True)
class LogicalFlow:
    """What a row of Logical_Flow says."""

    stage: str
    """As ovn-northd names it: `ls_out_acl`."""
    match: str
    drops: bool
    acl: str
    """Name of the ACL, where its drops are logged by name; empty elsewhere."""
    hint: str
    """First 32 bits of the UUID of what it was made for in the northbound database, as hex."""

    def names(self) -> dict[str, str]:
        """What is said of a drop."""
        names = {"stage": self.stage, "acl": self.acl, "hint": self.hint, "logical": self.match}
        return {key: value for key, value in names.items() if value}


@dataclass(frozen=True)
class Directory:
    """What OVN calls the keys that a packet carries."""

    datapaths: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Tunnel key -> name, and `switch` or `router`."""
    ports: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Tunnel keys of datapath and port -> name of the logical port."""
    logical_ports: Sequence[LogicalPort] = ()
    """The same ports, with what else is said of them."""


@dataclass(frozen=True)
class LogicalPort:
    """A port that an owner's database knows, and its addresses; nothing in it is printable yet."""

    name: str
    datapath: str
    """Name of its logical switch or router."""
    is_router: bool
    """Whether it is a router's."""
    addresses: Sequence[str]
    """MACs and IP addresses, with or without the length of their prefix, in any order."""
    external_ids: Mapping[str, str] = field(default_factory=dict)


class LogicalFlowRow(Struct):
    """A row of Logical_Flow, as a monitor has it: its UUID stands beside it."""

    match: str
    actions: str
    external_ids: Map


class DatapathRow(Struct):
    """A row of Datapath_Binding, as a monitor has it."""

    tunnel_key: int
    external_ids: Map


class PortRow(Struct):
    """A row of Port_Binding, as a monitor has it."""

    datapath: Uuid
    tunnel_key: int
    logical_port: str
    mac: str | tuple[Literal["set"], list[str]] = ""
    external_ids: Map = ("map", [])


class SelectedLogicalFlow(LogicalFlowRow, rename={"uuid": "_uuid"}, kw_only=True):
    """The same, as `select` answers it."""

    uuid: Uuid


class SelectedDatapath(DatapathRow, rename={"uuid": "_uuid"}, kw_only=True):
    """The same, as `select` answers it."""

    uuid: Uuid


class SelectedPort(PortRow, rename={"uuid": "_uuid"}, kw_only=True):
    """The same, as `select` answers it."""

    uuid: Uuid


def cookie_of(uuid: str) -> int:
    """The cookie of ovn-controller's flows for a logical flow (ovn, controller/lflow.c)."""
    return int(uuid[:_HEAD], 16)


def logical_flow(row: LogicalFlowRow) -> LogicalFlow:
    """What the row says, fit for a line."""
    ids = dict(row.external_ids[1])
    name = _ACL_NAME.search(row.actions)
    return LogicalFlow(
        stage=printable(ids.get("stage-name", "")),
        match=printable(row.match, LONGEST_MATCH),
        drops=_DROPS.search(row.actions) is not None,
        acl=printable(name[1]) if name else "",
        hint=printable(ids.get("stage-hint", "")),
    )


def directory(datapaths: Mapping[str, DatapathRow], ports: Mapping[str, PortRow]) -> Directory:
    """The names in these rows, which are given by UUID; ports of no such datapath have none."""
    names: dict[int, tuple[str, str]] = {}
    for row in datapaths.values():
        ids = dict(row.external_ids[1])
        kind = "router" if "logical-router" in ids else "switch"
        # OpenStack gives names of its own as name2 (neutron-<uuid> is the name).
        names[row.tunnel_key] = printable(ids.get("name2") or ids.get("name", "")), kind
    port_names = {
        (datapaths[row.datapath[1]].tunnel_key, row.tunnel_key): printable(row.logical_port)
        for row in ports.values()
        if row.datapath[1] in datapaths
    }
    logical_ports = tuple(
        _logical_port(row, datapaths[row.datapath[1]])
        for row in ports.values()
        if row.datapath[1] in datapaths
    )
    return Directory(names, port_names, logical_ports)


def _logical_port(row: PortRow, datapath: DatapathRow) -> LogicalPort:
    ids = dict(datapath.external_ids[1])
    texts = row.mac[1] if isinstance(row.mac, tuple) else [row.mac]
    return LogicalPort(
        row.logical_port,
        ids.get("name2") or ids.get("name", ""),
        "logical-router" in ids,
        tuple(word for text in texts for word in text.split()),
        dict(row.external_ids[1]),
    )
