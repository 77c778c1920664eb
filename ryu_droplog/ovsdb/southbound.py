"""What OVN calls the flows that drop: read from its southbound database, never written.

The cookie of a flow of ovn-controller's is the first 32 bits of the UUID of the Logical_Flow that
it stands for (ovn, controller/lflow.c); its priority is the logical flow's. OVSDB cannot be asked
for a part of a UUID, and a large deployment has hundreds of thousands of logical flows: so those
with the priorities of the flows in question are asked for, and only such as drop.

One short connection for each look, with time limits, not the `ovs` library's Idl: that keeps a
copy of all rows it watches, and its blocking calls wait for ever for a server that hangs.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.oxm_match import fields
from ryu_droplog.ovsdb.controller_row import Map, Uuid, rows_of, transact
from ryu_droplog.ovsdb.jsonrpc import Credentials, until
from ryu_droplog.text.printable import printable

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
"""Seconds until a database that cannot be read is tried again."""
REMEMBERED = 20_000
"""Logical flows whose names are kept; past that all are asked for anew."""

LOOK_TIME = 20.0
"""Seconds that a look may take in all, whatever the servers do."""
SERVER_TIME = 10.0
"""Seconds of them that one server has for an answer, before the next of its cluster is asked."""
ANSWER_SIZE = 16 * 1024 * 1024
"""Bytes of an answer: 30,000 logical flows of 500 bytes. An answer is in memory ten times over
while it is read, and reading it takes half a second of a core."""
LONGEST_MATCH = 2000
"""Characters of a logical match that are shown at most."""

_DATABASE = "OVN_Southbound"
_METADATA = (0x8000, 2)  # OXM_OF_METADATA: the tunnel key of the logical datapath
_DROPS = re.compile(r"drop;|/\* drop \*/")
_ACL_NAME = re.compile(r'\blog\([^)]*\bname="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class LogicalFlow:
    """A row of Logical_Flow."""

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
        told = {"stage": self.stage, "acl": self.acl, "hint": self.hint, "logical": self.match}
        return {key: value for key, value in told.items() if value}


class _System(Struct):
    """A row of Open_vSwitch."""

    external_ids: Map


class _Tls(Struct):
    """A row of SSL."""

    private_key: str
    certificate: str
    ca_cert: str


class _LogicalFlow(Struct, rename={"uuid": "_uuid"}):
    uuid: Uuid
    match: str
    actions: str
    external_ids: Map


class _Datapath(Struct, rename={"uuid": "_uuid"}):
    """A row of Datapath_Binding."""

    uuid: Uuid
    tunnel_key: int
    external_ids: Map


class _Port(Struct):
    """A row of Port_Binding."""

    tunnel_key: int
    logical_port: str


@dataclass(frozen=True)
class Directory:
    """What OVN calls the keys that a packet carries."""

    datapaths: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Tunnel key -> name, and `switch` or `router`."""
    ports: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Tunnel keys of datapath and port -> name of the logical port."""


class Southbound:
    """What is known of one bridge's logical flows."""

    def __init__(
        self, rundir: str, clock: Callable[[], float] = time.monotonic, *, quiet: bool = False
    ) -> None:
        """`rundir` is the run directory of Open vSwitch, whose database names OVN's.

        `quiet`: nothing is said to the log.
        """
        self._rundir = rundir
        self._clock = clock
        self._flows: dict[int, LogicalFlow | None] = {}
        self._directory = Directory()
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._not_before = 0.0
        self._said = ""
        self._quiet = quiet
        self.trouble = ""
        """Why the last look failed; empty: it did not."""

    def refresh(self, flows: Collection[Flow]) -> bool:
        """Ask for what is not known of these flows; whether anything new came out.

        May take `LOOK_TIME`. A database that cannot be read is left alone for a while.
        """
        if self._clock() < self._not_before:
            return False
        try:
            before = (len(self._flows), self._directory)
            self._refresh(flows)
        except SwitchError as error:
            self._not_before = self._clock() + self._backoff.failed()
            self.trouble = str(error)
            self._say(f"drops are not named by OVN: {error}")
            return False
        self._backoff.reset()
        self.trouble = ""
        self._say("drops are named from OVN's southbound database")
        return before != (len(self._flows), self._directory)

    def is_drop(self, cookie: int) -> bool:
        """Whether the logical flow with this cookie drops."""
        flow = self._flows.get(cookie)
        return flow is not None and flow.drops

    def names(self, cookie: int) -> Mapping[str, str]:
        """What OVN calls the logical flow with this cookie; empty where that is not known."""
        flow = self._flows.get(cookie)
        return flow.names() if flow is not None else {}

    def directory(self) -> Directory:
        """The names of datapaths and ports, as of the last look."""
        return self._directory

    def _say(self, text: str) -> None:
        if text != self._said and not self._quiet:
            self._said = text
            LOG.info("%s", text)

    def _refresh(self, flows: Collection[Flow]) -> None:
        servers = _Servers(*find_southbound(self._rundir))
        if len(self._flows) > REMEMBERED:
            self._flows = {}
        unknown = [flow for flow in flows if flow.cookie and flow.cookie not in self._flows]
        keys = {
            fields(flow.match)[_METADATA][0] for flow in flows if _METADATA in fields(flow.match)
        }
        ask = [_select_flows(priority) for priority in sorted({flow.priority for flow in unknown})]
        datapaths = [_select_datapath(key) for key in sorted(keys)]
        answers = servers.ask([*ask, *datapaths])
        rows = [row for answer in answers[: len(ask)] for row in rows_of(answer, _LogicalFlow)]
        found = {int(row.uuid[1][:8], 16): _logical_flow(row) for row in rows}
        for flow in unknown:
            self._flows[flow.cookie] = found.get(flow.cookie)
        datapath_rows = [r for answer in answers[len(ask) :] for r in rows_of(answer, _Datapath)]
        ports = servers.ask([_select_ports(row.uuid) for row in datapath_rows])
        self._directory = _directory(datapath_rows, [rows_of(answer, _Port) for answer in ports])


def find_southbound(rundir: str) -> tuple[list[str], Credentials | None]:
    """Where ovn-controller of this host finds its southbound database, and what it shows there.

    Read from the database of Open vSwitch (ovn-controller(8), external_ids:ovn-remote and the SSL
    table). Raises SwitchError when that cannot be read or names none.
    """
    tables = [
        ("Open_vSwitch", ["external_ids"]),
        ("SSL", ["private_key", "certificate", "ca_cert"]),
    ]
    operations = [{"op": "select", "table": t, "where": [], "columns": c} for t, c in tables]
    system, tls = transact(f"{rundir}/db.sock", operations)
    known = dict(pair for row in rows_of(system, _System) for pair in row.external_ids[1])
    remotes = known.get(f"ovn-remote-{known.get('system-id')}") or known.get("ovn-remote")
    if not remotes:
        raise SwitchError("external_ids:ovn-remote of Open_vSwitch names no southbound database")
    credentials = None
    for row in rows_of(tls, _Tls):
        credentials = Credentials(row.private_key, row.certificate, row.ca_cert)
    return [remote.strip() for remote in remotes.split(",")], credentials


class _Servers:
    """The members of the database's cluster: any of them may be read."""

    def __init__(self, remotes: list[str], credentials: Credentials | None) -> None:
        self._remotes = remotes
        self._credentials = credentials
        self._deadline = until(LOOK_TIME)

    def ask(self, selects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers of the first that gives any; raises SwitchError, the last one's."""
        if not selects:
            return []
        failure = SwitchError("external_ids:ovn-remote names no server")
        for remote in self._remotes:
            try:
                return transact(
                    remote,
                    selects,
                    _DATABASE,
                    self._credentials,
                    deadline=min(self._deadline, until(SERVER_TIME)),
                    size=ANSWER_SIZE,
                )
            except SwitchError as error:
                LOG.debug("%s", error)
                failure = error
        raise failure


def _select_flows(priority: int) -> dict[str, Any]:
    """Logical flows of a priority, but for those that surely go on."""
    return {
        "op": "select",
        "table": "Logical_Flow",
        "where": [["priority", "==", priority], ["actions", "!=", "next;"]],
        "columns": ["_uuid", "match", "actions", "external_ids"],
    }


def _logical_flow(row: _LogicalFlow) -> LogicalFlow:
    known = dict(row.external_ids[1])
    name = _ACL_NAME.search(row.actions)
    return LogicalFlow(
        stage=printable(known.get("stage-name", "")),
        match=printable(row.match, LONGEST_MATCH),
        drops=_DROPS.search(row.actions) is not None,
        acl=printable(name[1]) if name else "",
        hint=printable(known.get("stage-hint", "")),
    )


def _select_datapath(key: int) -> dict[str, Any]:
    return {
        "op": "select",
        "table": "Datapath_Binding",
        "where": [["tunnel_key", "==", key]],
        "columns": ["_uuid", "tunnel_key", "external_ids"],
    }


def _select_ports(datapath: Any) -> dict[str, Any]:
    return {
        "op": "select",
        "table": "Port_Binding",
        "where": [["datapath", "==", datapath]],
        "columns": ["tunnel_key", "logical_port"],
    }


def _directory(datapaths: list[_Datapath], ports: list[list[_Port]]) -> Directory:
    names: dict[int, tuple[str, str]] = {}
    port_names: dict[tuple[int, int], str] = {}
    for datapath, rows in zip(datapaths, ports, strict=True):
        key = datapath.tunnel_key
        known = dict(datapath.external_ids[1])
        kind = "router" if "logical-router" in known else "switch"
        # OpenStack gives names of its own as name2 (neutron-<uuid> is the name).
        names[key] = (printable(known.get("name2") or known.get("name", "")), kind)
        for row in rows:
            port_names[key, row.tunnel_key] = printable(row.logical_port)
    return Directory(names, port_names)
