"""What the walk-through is told on: an access bridge with the OpFlex agent's tables, two guests.

The tables are those of flows/opflex-access.yaml. No table has a priority-0 flow, so each drops
what it does not match, by a table miss.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from private_ovs import PrivateSwitch

BRIDGE = "br-access"
TABLE_DROP = "cookie=0x4000000000000000/0x4000000000000000"
"""Matches the table-drop cookie, bit 62, that the program's flows carry."""


class Host(NamedTuple):
    """A guest of the story."""

    name: str
    ip: str
    mac: str
    page: str
    """What its web server answers; empty when it has none."""


CLIENT = Host("test-1", "10.2.0.229", "0a:58:0a:02:00:e5", "")
SERVER = Host("web", "10.2.0.195", "0a:58:0a:02:00:c3", "Hello from web.")

ADMIT_WEB_MATCH = f"table=4,priority=100,tcp,nw_dst={SERVER.ip},tp_dst=80"
"""The flow of SEC_GROUP_IN_TABLE that lets web requests in, as `del-flows --strict` wants it."""
ADMIT_WEB = f"{ADMIT_WEB_MATCH},actions=goto_table:7"

CONFIG = """\
bridges:
  - {{name: br-access, prefix: "Acc-", pipeline: opflex-access}}
run_directory: {run_directory}
"""
"""droplog.yaml; what it does not say keeps its default, so drop lines go to standard output."""

DROP_LINE = re.compile(
    rf"Acc-SEC_GROUP_IN_TABLE MISS  SMAC={CLIENT.mac} DMAC={SERVER.mac} ETYP=IPv4"
    rf" SRC={re.escape(CLIENT.ip)} DST={re.escape(SERVER.ip)}"
    r" LEN=\d+ DSCP=\d+ TTL=\d+ ID=\d+ FLAGS=2 FRAG=0"
    r" PROTO=TCP SPT=\d+ DPT=80 SEQ=\d+ ACK=0 LEN=\d+ WINDOWS=\d+ SYN  URGP=0"
)
"""The line that a dropped web request leaves."""


def pipeline(client_port: int, server_port: int) -> list[str]:
    """The bridge's flows as `ovs-ofctl add-flows` reads them; the ports are OpenFlow ports.

    The server is the endpoint that the bridge guards: what comes from the client's side goes in
    to it (tables 3 and 4), what it sends goes out (tables 5 and 6).
    """
    return [
        # DROP_LOG_TABLE, SERVICE_BYPASS_TABLE
        "table=0,priority=100,actions=goto_table:1",
        "table=1,priority=100,actions=goto_table:2",
        # GROUP_MAP_TABLE: in, or out
        f"table=2,priority=100,in_port={client_port},actions=goto_table:3",
        f"table=2,priority=100,in_port={server_port},actions=goto_table:5",
        # SYS_SEC_GRP_IN_TABLE_ID, SEC_GROUP_IN_TABLE
        "table=3,priority=100,actions=goto_table:4",
        "table=4,priority=100,arp,actions=goto_table:7",
        ADMIT_WEB,
        # SYS_SEC_GRP_OUT_TABLE_ID, SEC_GROUP_OUT_TABLE
        "table=5,priority=100,actions=goto_table:6",
        "table=6,priority=100,arp,actions=goto_table:7",
        f"table=6,priority=100,tcp,nw_src={SERVER.ip},tp_src=80,actions=goto_table:7",
        # TAP_TABLE, OUT_TABLE
        "table=7,priority=100,actions=goto_table:8",
        f"table=8,priority=100,dl_dst={CLIENT.mac},actions=output:{client_port}",
        f"table=8,priority=100,dl_dst={SERVER.mac},actions=output:{server_port}",
        f"table=8,priority=90,arp,dl_dst=ff:ff:ff:ff:ff:ff,"
        f"actions=output:{client_port},output:{server_port}",
    ]


def build(switch: PrivateSwitch) -> None:
    """Make the bridge, its flows, the guests and the web server. Raises CommandError."""
    switch.add_bridge(BRIDGE)
    ports = [
        switch.guest(host.name, BRIDGE, f"{host.ip}/16", mac=host.mac).ofport
        for host in (CLIENT, SERVER)
    ]
    flows = switch.folder / "flows.txt"
    flows.write_text("\n".join([*pipeline(*ports), ""]))
    switch.ofctl("add-flows", BRIDGE, str(flows))
    site = switch.folder / "site"
    site.mkdir()
    (site / "index.html").write_text(f"{SERVER.page}\n")
    serve = ("-m", "http.server", "80", "--directory", str(site))
    switch.start(SERVER.name, sys.executable, *serve)
