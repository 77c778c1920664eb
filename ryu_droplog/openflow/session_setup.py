"""Setting up a session: what the switch can do, and that our PacketIns go to nobody else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import Connection, error_text
from ryu_droplog.openflow.replies import config_flags
from ryu_droplog.openflow.requests import max_meter
from ryu_droplog.openflow.tables import parse_table_features

LOG = logging.getLogger(__name__)

_MONITOR_ID = 1


@dataclass(frozen=True)
class SessionFacts:
    """What a switch reported when the session was set up."""

    names: Mapping[int, str]
    """Table names that the bridge itself has."""
    limits: Mapping[int, int]
    """max_entries of the tables that have a limit."""
    has_meters: bool
    monitored: bool
    """Whether changes of flows are told as they happen."""


def set_up_session(connection: Connection, bridge: str) -> SessionFacts:
    """Ask for packet-ins of our own and for news of all flows; changes nothing on the bridge.

    Raises SwitchError when the switch refuses.
    """
    parser = connection.ofproto_parser
    config, features, tables = connection.exchange(
        [
            parser.OFPGetConfigRequest(connection),
            parser.OFPMeterFeaturesStatsRequest(connection),
            parser.OFPTableFeaturesStatsRequest(connection),
        ]
    )
    if not config.bodies:
        raise SwitchError(f"{bridge}: the switch does not tell its configuration")
    *needed, monitor = connection.exchange(
        [
            messages.set_config(connection, config_flags(config.bodies[0])),
            messages.set_controller_id(connection),
            messages.set_async(connection),
            messages.monitor_flows(connection, _MONITOR_ID),
        ]
    )
    for answer in needed:
        if answer.error:
            refusal = error_text(answer.error)
            raise SwitchError(f"{bridge}: the switch refuses private delivery: {refusal}")
    if monitor.error:
        LOG.warning(
            "%s: no flow monitor (%s): changes by others are seen at each renewal only",
            bridge,
            error_text(monitor.error),
        )
    names, limits = parse_table_features(tables.bodies)
    return SessionFacts(names, limits, max_meter(features) > 0, monitor.error is None)
