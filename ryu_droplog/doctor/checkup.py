"""A look at a bridge for `ryu-droplog doctor`: what it is, and what it can do. Changes nothing.

A flow monitor and an empty bundle that is discarded belong to this one connection, and end with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from ryu_droplog.config.endpoint import Endpoint, ServiceEndpoint, rundir_of
from ryu_droplog.config.settings import Bridge
from ryu_droplog.connections.reach import OFF
from ryu_droplog.connections.socket_enlarging import enlarge
from ryu_droplog.connections.socket_room import Room, from_json
from ryu_droplog.locks.bridge_claims import holder
from ryu_droplog.model.errors import DropLogError, SwitchError
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import Connection
from ryu_droplog.openflow.replies import software_of
from ryu_droplog.openflow.requests import dump, max_meter, meter_ids
from ryu_droplog.openflow.tables import parse_table_features
from ryu_droplog.ovsdb.client import (
    Client,
    Map,
    NoValue,
    References,
    Select,
    Uuid,
    references,
)
from ryu_droplog.ovsdb.controller_row import MARK
from ryu_droplog.ovsdb.miss_controller import miss_question
from ryu_droplog.owners.base import NO_DATABASE
from ryu_droplog.owners.base import Database as OwnerDatabase
from ryu_droplog.owners.detection import choose_pipeline, recognise
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.reconcile.planner import Snapshot
from ryu_droplog.runtime import status_socket
from ryu_droplog.runtime.one_shot import names_of_flows
from ryu_droplog.text.printable import printable

_MONITOR_ID = 1
_BUNDLE_ID = 1


class _BridgeRow(Struct):
    """A row of Bridge."""

    protocols: str | tuple[Literal["set"], list[str]]
    datapath_type: str
    controller: References


class _System(Struct):
    """A row of Open_vSwitch."""

    other_config: Map


class _Controller(Struct, rename={"uuid": "_uuid"}):
    """A row of Controller."""

    uuid: Uuid
    target: str
    external_ids: Map
    controller_rate_limit: int | NoValue


class _Interface(Struct):
    """A row of Interface."""

    type: str


@dataclass(frozen=True)
class Database:
    """What the database of Open vSwitch says of a bridge."""

    protocols: Sequence[str] = ()
    """OpenFlow versions that the bridge is held to; empty: the switch's default."""
    datapath: str = ""
    """`system` (the kernel's) or `netdev` (userspace)."""
    offload: bool = False
    dpdk: bool = False
    controllers: Sequence[str] = ()
    """Targets of the bridge's own controllers."""
    row_limit: int | None = None
    """Packets a second to which our Controller row is held, where it is."""


@dataclass(frozen=True)
class Checkup:
    """What was seen of a bridge."""

    snapshot: Snapshot
    bundles: bool
    max_meter: int
    database: Database | None
    """None where the database cannot be read."""
    version: str = ""
    """Of Open vSwitch, as it says over OpenFlow."""
    openflow: str = "1.3"
    """The version that the handshake gave."""
    our_meters: int = 0
    """Meters of this program's, of whatever run."""
    at_work: str = ""
    """Process id of the program that has the bridge now; empty: none."""
    generation: int | None = None
    """Of the run that is at work; None: there is none, or it has not said so."""
    elsewhere: Sequence[str] = ()
    """Process ids of running programs that want it, and do not have it."""
    socket_room: Room | None = None
    """Whether the management socket's room is enlarged, or would be; None: the program that is at
    work does not say."""
    names: OwnerDatabase = field(default=NO_DATABASE, compare=False)
    """What the bridge's owner calls its flows."""


def check(
    connection: Connection,
    bridge: Bridge,
    run_directory: str,
    pipelines: Mapping[str, Pipeline],
    socket_room: int,
) -> Checkup:
    """Look at everything; raises SwitchError when the switch does not answer.

    `socket_room` is what the configuration wants. Where no program has the bridge, it is tried on
    this very connection, and ends with it.
    """
    parser, ofproto = connection.ofproto_parser, connection.ofproto
    flags = ofproto.ONF_BF_ATOMIC | ofproto.ONF_BF_ORDERED
    description, tables, meters, monitor, opened, _ = connection.exchange(
        [
            parser.OFPDescStatsRequest(connection, 0),
            parser.OFPTableFeaturesStatsRequest(connection),
            parser.OFPMeterFeaturesStatsRequest(connection),
            messages.monitor_flows(connection, _MONITOR_ID),
            parser.ONFBundleCtrlMsg(
                connection, _BUNDLE_ID, ofproto.ONF_BCT_OPEN_REQUEST, flags, []
            ),
            parser.ONFBundleCtrlMsg(
                connection, _BUNDLE_ID, ofproto.ONF_BCT_DISCARD_REQUEST, flags, []
            ),
        ]
    )
    names, limits = parse_table_features(tables.bodies)
    asks = miss_question(bridge.name, bridge.endpoint)()
    snapshot = Snapshot(dump(connection), names, limits, monitor.error is None, asks)
    pipeline = choose_pipeline(bridge.pipeline, recognise(snapshot.flows), pipelines)
    path = _database_path(bridge.endpoint)
    held = holder(run_directory, connection.id)
    return Checkup(
        snapshot=snapshot,
        bundles=opened.error is None,
        max_meter=max_meter(meters),
        database=_database(path, bridge.name) if path else None,
        version="".join(map(software_of, description.bodies)),
        openflow=f"1.{ofproto.OFP_VERSION - 1}",
        our_meters=len(meter_ids(connection)),
        at_work=held.process if held is not None else "",
        generation=held.generation if held is not None else None,
        elsewhere=() if held is not None else _elsewhere(run_directory, bridge.name),
        socket_room=(
            _room_of(run_directory, held.process, bridge.name)
            if held is not None
            else enlarge(connection.socket, socket_room)
        ),
        names=names_of_flows(bridge, pipeline, snapshot),
    )


def _database_path(endpoint: Endpoint) -> str:
    """Where ovsdb-server listens; empty where the bridge is not on this host."""
    if isinstance(endpoint, ServiceEndpoint):
        return endpoint.database
    rundir = rundir_of(endpoint)
    return f"{rundir}/db.sock" if rundir else ""


def _database(path: str, bridge: str) -> Database | None:
    """Read the rows that matter; None where that cannot be."""
    selects: list[Select[Any]] = [
        Select("Bridge", _BridgeRow, [("name", "==", bridge)]),
        Select("Open_vSwitch", _System),
        Select("Controller", _Controller),
        Select("Interface", _Interface),
    ]
    try:
        [row], [system], rows, interfaces = Client(path).select_all(selects)
        config = dict(system.other_config[1])
        own = references(row.controller)
        ours = [c for c in rows if dict(c.external_ids[1]).get(MARK) == bridge]
        limits = [c.controller_rate_limit for c in ours]
        protocols = row.protocols[1] if isinstance(row.protocols, tuple) else [row.protocols]
        return Database(
            protocols=[printable(protocol) for protocol in protocols],
            datapath=printable(row.datapath_type) or "system",
            offload=config.get("hw-offload") == "true",
            dpdk=config.get("dpdk-init") in ("true", "try")
            or any(port.type.startswith("dpdk") for port in interfaces),
            controllers=[printable(c.target) for c in rows if c.uuid[1] in own and c not in ours],
            row_limit=next((limit for limit in limits if isinstance(limit, int)), None),
        )
    except (SwitchError, ValueError):  # no such bridge, say
        return None


def _room_of(run_directory: str, process: str, bridge: str) -> Room | None:
    """What the program that has a bridge says of the room of its connection."""
    try:
        for answer in status_socket.ask(run_directory):
            if str(answer["pid"]) == process:
                return from_json(answer["bridges"][bridge].get("socket_room"))
    except (DropLogError, LookupError, TypeError, AttributeError):
        pass  # it does not answer, or not in our way
    return None


def _elsewhere(run_directory: str, bridge: str) -> list[str]:
    """The programs that say at their status sockets that they have a bridge, by process id."""
    try:
        answers = list(status_socket.ask(run_directory))
        return [
            str(answer["pid"])
            for answer in answers
            if bridge in answer["bridges"] and answer["bridges"][bridge].get("state") != OFF
        ]
    except (DropLogError, LookupError, TypeError):
        return []
