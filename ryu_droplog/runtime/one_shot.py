"""One-shot sessions: connect to a bridge, do one task there, such as to read it, and disconnect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from os_ken.lib import hub

from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.config.endpoint import (
    Accepted,
    TcpEndpoint,
    UnixEndpoint,
    rundir_of,
    visited,
)
from ryu_droplog.config.settings import Bridge
from ryu_droplog.connections.connector import connect
from ryu_droplog.connections.presence import cannot_connect
from ryu_droplog.model.errors import Unreachable
from ryu_droplog.openflow.connection import ANSWER_TIME, Connection, new_handshake
from ryu_droplog.openflow.requests import dump
from ryu_droplog.openflow.tables import parse_table_features
from ryu_droplog.ovsdb.miss_controller import miss_question
from ryu_droplog.owners.base import NO_DATABASE, Database
from ryu_droplog.owners.detection import owner_of
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.reconcile.planner import Snapshot

T = TypeVar("T")


def visit(
    endpoint: UnixEndpoint | TcpEndpoint,
    task: Callable[[Connection], T],
    on_flow_updates: Callable[[bytes], None] = lambda body: None,
) -> T:
    """Connect, do the handshake and the task, and disconnect; raises SwitchError.

    That is Unreachable where it fails before the task. `on_flow_updates` gets the messages of a
    flow monitor that the task asks for.
    """
    try:
        sock = connect(endpoint)
    except OSError as error:
        raise Unreachable(cannot_connect(endpoint, error)) from error
    ready: Any = hub.Queue()
    with closing(sock):
        connection = Connection(
            sock,
            str(endpoint),
            new_handshake(),
            on_packet_ins=lambda messages, now: None,
            on_ready=lambda connection: ready.put(True),
            on_flow_updates=on_flow_updates,
            on_flow_removed=lambda removed: None,
        )

        def serve() -> None:
            connection.serve()
            ready.put(False)

        reader = start(serve)
        try:
            if not ready.get(timeout=ANSWER_TIME):
                raise Unreachable(f"{endpoint}: {connection.refusal or 'the connection has ended'}")
            return task(connection)
        except hub.QueueEmpty:
            raise Unreachable(f"{endpoint}: no OpenFlow handshake") from None
        finally:
            connection.stop()
            join([reader])


def reach_bridge(bridge: Bridge, task: Callable[[Connection], T], *more: Any) -> T:
    """What the task at a bridge of the configuration brings back; `more` is as for `visit`.

    Raises SwitchError as `visit` does, Unreachable, too, where only the bridge can connect.
    """
    endpoint = visited(bridge.endpoint)
    if isinstance(endpoint, Accepted):
        raise Unreachable("it cannot be reached from here: it connects to the program")
    return visit(endpoint, task, *more)


def look(connection: Connection, bridge: Bridge) -> Snapshot:
    """Everything that a plan depends on; changes nothing."""
    request = connection.ofproto_parser.OFPTableFeaturesStatsRequest(connection)
    [tables] = connection.exchange([request])
    names, limits = parse_table_features(tables.bodies)
    return Snapshot(
        dump(connection),
        names,
        limits,
        packet_in_on_miss=miss_question(bridge.name, bridge.endpoint)(),
    )


def names_of_flows(bridge: Bridge, pipeline: Pipeline, snapshot: Snapshot) -> Database:
    """What the owner of a bridge calls its flows, asked for now; nothing where it cannot be."""
    rundir = rundir_of(bridge.endpoint)
    if not rundir:
        return NO_DATABASE
    database = owner_of(pipeline).open_database(rundir, once=True)
    database.refresh([flow for flow in snapshot.flows if not flow.effect.leaves])
    return database
