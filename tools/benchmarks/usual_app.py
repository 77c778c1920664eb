"""The usual kind of OS-Ken application: an event for each packet-in, a Packet, a line.

BENCH_LINES=FILE osken-manager benchmarks.usual_app
"""

from __future__ import annotations

import os
from typing import Any

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3

from benchmarks import usual


class LogPackets(app_manager.OSKenApp):  # type: ignore[misc]
    """Sends everything that table 0 does not want to itself, and writes a line for each packet."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]  # noqa: RUF012  os-ken's way of saying so

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file = open(os.environ["BENCH_LINES"], "a", encoding="ascii", buffering=1)  # noqa: SIM115

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_features(self, event: Any) -> None:
        """Add the table-miss flow."""
        datapath = event.msg.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        actions = [parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)]
        apply = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)
        datapath.send_msg(parser.OFPFlowMod(datapath, priority=0, instructions=[apply]))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def packet_in(self, event: Any) -> None:
        """Write the line."""
        label = f"TABLE_{event.msg.table_id} MISS"
        self._file.write(f"[{usual.timestamp()}] {usual.line(label, event.msg.data)}\n")
