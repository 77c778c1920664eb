"""What OVN calls the flows that drop: read from its southbound database, never written.

The cookie of a flow of ovn-controller's is the first 32 bits of the UUID of the Logical_Flow that
it stands for; its priority is the logical flow's. OVSDB cannot be asked for a part of a UUID, has
no index but the whole one, and a large deployment has hundreds of thousands of logical flows. So
each thing is asked for once, when it is first met: logical flows by the priorities of the flows in
question, and only such as may drop; datapaths and ports by the tunnel keys that flows match. From
then on all changes are followed: a new logical flow is known here before ovn-controller has
installed it, and no node of a fleet has to ask for it.

Not the `ovs` library's Idl: that keeps a copy of all rows that it watches, and its blocking calls
wait for ever for a server that hangs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Lock
from typing import Any

from msgspec import Struct
from os_ken.lib import hub

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.oxm_match import fields
from ryu_droplog.ovsdb.client import Select
from ryu_droplog.ovsdb.follower import Change, Follower
from ryu_droplog.ovsdb.southbound_rows import (
    DatapathRow,
    Directory,
    LogicalFlow,
    LogicalFlowRow,
    LogicalPort,
    PortRow,
    SelectedDatapath,
    SelectedLogicalFlow,
    SelectedPort,
    cookie_of,
    directory,
    logical_flow,
)
from ryu_droplog.ovsdb.southbound_servers import (
    ANSWER_SIZE,
    DATABASE,
    Remotes,
    Servers,
    find_southbound,
)

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
"""Seconds until a database that cannot be read is tried again."""
REMEMBERED = 100_000
"""Logical flows that are remembered at most: past that, those of flows that are gone are not."""
ARRIVAL_TIME = 0.5
"""Seconds in which a new logical flow arrives by itself, before it is asked for."""

_METADATA = (0x8000, 2)  # OXM_OF_METADATA: the tunnel key of the logical datapath
_FOLLOWED: Mapping[str, type[Struct]] = {
    "Logical_Flow": LogicalFlowRow,
    "Datapath_Binding": DatapathRow,
    "Port_Binding": PortRow,
}
_CHANGES_MEANWHILE = 3
"""How often datapaths and ports are asked for again because they changed while they were."""


class Southbound:
    """What is known of one bridge's logical flows. An `owners.base.Database`."""

    def __init__(
        self,
        rundir: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
        follow: bool = False,
    ) -> None:
        """`rundir` is the run directory of Open vSwitch, whose database names OVN's.

        `quiet`: nothing is said to the log. `follow`: changes are followed from the first look on,
        until `close`.
        """
        self._rundir = rundir
        self._clock = clock
        self._quiet = quiet
        self._follow = follow
        self._follower: Follower | None = None
        self._followed: Remotes | None = None
        self._closed = False
        self._changing = Lock()
        self._flows: dict[int, LogicalFlow | None] = {}
        """By cookie; None: there is none."""
        self._keys: set[int] = set()
        """Tunnel keys of datapaths that were asked for."""
        self._datapaths: dict[str, DatapathRow] = {}
        self._ports: dict[str, PortRow] = {}
        self._directory = Directory()
        self._news = False
        self._changes = 0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._not_before = 0.0
        self._said = ""
        self.trouble = ""
        """Why the last look failed; empty: it did not."""

    def refresh(self, flows: Collection[Flow]) -> bool:
        """Ask for what is not known of these flows; whether anything new is known since last time.

        May take `LOOK_TIME`. A database that cannot be read is left alone for a while.
        """
        if self._closed or self._clock() < self._not_before:
            return False
        try:
            self._refresh(flows)
        except SwitchError as error:
            self._not_before = self._clock() + self._backoff.failed()
            self.trouble = str(error)
            self._say(f"drops are not named by OVN: {error}")
            return False
        self._backoff.reset()
        self.trouble = ""
        self._say("drops are named from OVN's southbound database")
        with self._changing:
            news, self._news = self._news, False
        return news

    def close(self) -> None:
        """Follow and ask nothing any more; never waits."""
        self._closed = True
        if self._follower is not None:
            self._follower.close()

    def is_drop(self, cookie: int) -> bool:
        """Whether the logical flow with this cookie drops."""
        flow = self._flows.get(cookie)
        return flow is not None and flow.drops

    def names(self, cookie: int) -> Mapping[str, str]:
        """What OVN calls the logical flow with this cookie; empty where that is not known."""
        flow = self._flows.get(cookie)
        return flow.names() if flow is not None else {}

    def directory(self) -> Directory:
        """The names of datapaths and ports, as far as they are known."""
        return self._directory

    def logical_ports(self) -> Sequence[LogicalPort]:
        """The ports of these datapaths; the same object while none of them changes."""
        return self._directory.logical_ports

    def _say(self, text: str) -> None:
        if text != self._said and not self._quiet:
            self._said = text
            LOG.info("%s", text)

    def _refresh(self, flows: Collection[Flow]) -> None:
        remotes = find_southbound(self._rundir)
        servers = Servers(remotes)
        if self._follow:
            self._begin_to_follow(remotes, servers)
        self._shed(flows)
        if self._follow and self._unknown(flows):
            self._await_arrivals(flows)
        self._ask_for_flows(self._unknown(flows), servers)
        matches = [fields(flow.match) for flow in flows]
        keys = {match[_METADATA][0] for match in matches if _METADATA in match}
        self._ask_for_names(keys - self._keys, servers)

    # Changes

    def _begin_to_follow(self, remotes: Remotes, servers: Servers) -> None:
        """Follow changes; where that had ended, everything is asked for anew."""
        if self._follower is not None:
            if not self._follower.ended and remotes == self._followed:
                return
            self._follower.close()
            LOG.debug("southbound database: %s", self._follower.ended)
        self._follower = None
        with self._changing:
            self._flows = {cookie: flow for cookie, flow in self._flows.items() if flow}
            self._keys, self._datapaths, self._ports = set(), {}, {}

        def follow(address: str, deadline: float) -> Follower:
            return Follower(
                address,
                DATABASE,
                remotes.credentials,
                _FOLLOWED,
                self._take_changes,
                deadline=deadline,
                size=ANSWER_SIZE,
            )

        self._follower, self._followed = servers.first(follow), remotes
        if self._closed:
            self._follower.close()

    def _take_changes(self, changes: Mapping[str, Sequence[Change]]) -> None:
        with self._changing:
            for uuid, row in changes.get("Logical_Flow", ()):
                self._take_flow(cookie_of(uuid), row)
            self._changes += "Datapath_Binding" in changes or "Port_Binding" in changes
            touched = [
                self._take_datapath(*change) for change in changes.get("Datapath_Binding", ())
            ]
            touched += [self._take_port(*change) for change in changes.get("Port_Binding", ())]
            if any(touched):
                self._name()

    def _take_flow(self, cookie: int, row: Any) -> None:
        if row is None:
            if cookie in self._flows:  # its flow may still be there for a moment
                self._flows[cookie] = None
            return
        flow = logical_flow(row)
        asked = cookie in self._flows
        if asked or (flow.drops and len(self._flows) < REMEMBERED):
            self._news = self._news or (asked and self._flows[cookie] != flow)
            self._flows[cookie] = flow

    def _take_datapath(self, uuid: str, row: Any) -> bool:
        """Whether it is a datapath of interest."""
        if row is None:
            return self._datapaths.pop(uuid, None) is not None
        if row.tunnel_key not in self._keys:
            return False
        self._datapaths[uuid] = row
        return True

    def _take_port(self, uuid: str, row: Any) -> bool:
        """Whether it is a port of such a datapath."""
        before = self._ports.pop(uuid, None)
        if row is not None and row.datapath[1] in self._datapaths:
            self._ports[uuid] = row
        return before != self._ports.get(uuid)

    def _name(self) -> None:
        self._directory = directory(self._datapaths, self._ports)
        self._news = True

    # Questions

    def _unknown(self, flows: Collection[Flow]) -> list[Flow]:
        return [flow for flow in flows if flow.cookie and flow.cookie not in self._flows]

    def _shed(self, flows: Collection[Flow]) -> None:
        """Forget logical flows that no flow stands for, where there are too many."""
        if len(self._flows) >= REMEMBERED:
            with self._changing:
                cookies = {flow.cookie for flow in flows}
                self._flows = {c: flow for c, flow in self._flows.items() if c in cookies}

    def _await_arrivals(self, flows: Collection[Flow]) -> None:
        deadline = time.monotonic() + ARRIVAL_TIME
        while self._unknown(flows) and time.monotonic() < deadline:
            hub.sleep(ARRIVAL_TIME / 10)

    def _ask_for_flows(self, unknown: Sequence[Flow], servers: Servers) -> None:
        priorities = sorted({flow.priority for flow in unknown})
        answers = servers.select_all([_flows_of_priority(priority) for priority in priorities])
        rows = {cookie_of(row.uuid[1]): row for rows in answers for row in rows}
        with self._changing:
            for cookie in {flow.cookie for flow in unknown} - self._flows.keys():
                if len(self._flows) >= REMEMBERED:
                    break
                row = rows.get(cookie)
                self._flows[cookie] = logical_flow(row) if row is not None else None
                self._news = True

    def _ask_for_names(self, keys: Collection[int], servers: Servers) -> None:
        """Of the datapaths with these tunnel keys, and of their ports."""
        if not keys:
            return
        self._keys |= set(keys)
        for _ in range(_CHANGES_MEANWHILE):
            changes = self._changes
            answers = servers.select_all([_datapaths_of_key(key) for key in sorted(keys)])
            datapaths = {row.uuid[1]: row for rows in answers for row in rows}
            answers = servers.select_all([_ports_of(uuid) for uuid in sorted(datapaths)])
            if changes == self._changes:
                break
        with self._changing:
            self._datapaths.update(datapaths)
            self._ports.update({row.uuid[1]: row for rows in answers for row in rows})
            self._name()


def _flows_of_priority(priority: int) -> Select[SelectedLogicalFlow]:
    """Logical flows of a priority, but for those that surely go on."""
    where = [("priority", "==", priority), ("actions", "!=", "next;")]
    return Select("Logical_Flow", SelectedLogicalFlow, where)


def _datapaths_of_key(key: int) -> Select[SelectedDatapath]:
    return Select("Datapath_Binding", SelectedDatapath, [("tunnel_key", "==", key)])


def _ports_of(datapath: str) -> Select[SelectedPort]:
    return Select("Port_Binding", SelectedPort, [("datapath", "==", ("uuid", datapath))])
