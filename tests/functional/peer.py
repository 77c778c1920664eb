"""An OpenFlow 1.3 connection of a test's own, to ask the switch itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from private_ovs import SLOWNESS, PrivateSwitch

from ryu_droplog.config.endpoint import UnixEndpoint
from ryu_droplog.connections.connector import connect
from ryu_droplog.model import cookie
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import Connection, error_text, new_handshake
from ryu_droplog.openflow.flow_stats import Update, parse_updates
from ryu_droplog.openflow.messages import OurFlow

GENERATION = 7
_EXPERIMENTER_HEADER = 8


class Peer:
    """A connection to a bridge's management socket, after the handshake; nothing else is sent."""

    def __init__(self, switch: PrivateSwitch, bridge: str) -> None:
        self.packet_ins: list[bytes] = []
        self.updates: list[Update] = []
        """Changes of flows, once `monitor` was called."""
        self._ready = threading.Event()
        path = str(switch.rundir / f"{bridge}.mgmt")
        self.connection = Connection(
            connect(UnixEndpoint(path)),
            path,
            new_handshake(),
            on_packet_ins=lambda found, now: self.packet_ins.extend(found),
            on_ready=lambda connection: self._ready.set(),
            on_flow_updates=lambda body: self.updates.extend(
                update[:4] for update in parse_updates(body[_EXPERIMENTER_HEADER:])
            ),
            on_flow_removed=lambda removed: None,
        )
        self._reader = threading.Thread(target=self.connection.serve, daemon=True)

    def __enter__(self) -> Peer:
        self._reader.start()
        assert self._ready.wait(5 * SLOWNESS), self.connection.refusal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.stop()
        self._reader.join(5)

    def send(self, *sent: Any) -> list[str]:
        """Send messages; the errors that the switch answers with, in the specification's words."""
        answers = self.connection.exchange(sent)
        return [error_text(answer.error) for answer in answers if answer.error]

    def monitor(self) -> list[str]:
        """Ask for news of all flows."""
        return self.send(messages.monitor_flows(self.connection, 1))

    def add(self, flow: OurFlow) -> list[str]:
        """Add a flow of ours as the program does."""
        return self.send(*flow.add(self.connection, bundle_id=1))

    def flow_mod(self, command: str, **fields: Any) -> list[str]:
        """A plain OFPT_FLOW_MOD without instructions: a drop."""
        ofproto, parser = self.connection.ofproto, self.connection.ofproto_parser
        match = parser.OFPMatch(**fields.pop("match", {}))
        whole = {
            "out_port": ofproto.OFPP_ANY,
            "out_group": ofproto.OFPG_ANY,
            "buffer_id": ofproto.OFP_NO_BUFFER,
            **fields,
        }
        return self.send(
            parser.OFPFlowMod(
                self.connection, command=getattr(ofproto, command), match=match, **whole
            )
        )

    def meters(self, *ids: int) -> Sequence[str]:
        """Make meters of 1000 packets per second."""
        return self.send(
            *(messages.add_meter(self.connection, number, 1000, 100) for number in ids)
        )


def ours(table: int, priority: int = 0, *, meter: int | None = None, lease: int = 60) -> OurFlow:
    """A flow of ours; above priority 0 it is one just above a drop."""
    return OurFlow(
        table_id=table,
        priority=priority,
        match=messages.ANY_BUT_REG15_BIT_31 if priority else b"",
        flow_cookie=cookie.Cookie(True, GENERATION, table).pack(),
        meter_id=meter,
        lease=lease,
    )
