"""From the start of the program to its end, in every environment and by every way to start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Runtime
from private_ovs import PrivateSwitch, send_frame

from .packets import ARP, IPV4, IPV6, QTAG, arp, ethernet, icmp, ipv4, ipv6, syn, tcp, udp, vlan
from .program import Program, eventually, foreign_flows, our_flows, our_meters

pytestmark = pytest.mark.ovs

BRIDGE = "br-story"
CONFIG = f"""
bridges:
  - {{name: {BRIDGE}, prefix: "Acc-", pipeline: opflex-access}}
prune: {{defaults: false}}
"""

FOREIGN = [
    "priority=100,arp actions=goto_table:2",
    "priority=90,tcp actions=goto_table:4",
    "priority=90,tcp6 actions=goto_table:6",
    "table=3, priority=7,udp actions=goto_table:5",
    "table=3, priority=0,ip actions=goto_table:5",
    "cookie=0x1234, table=4, priority=0 actions=drop",
    "table=8, priority=0 actions=NORMAL",
]

OURS = [
    f"cookie=0x4000d407......{table:02x},{f' table={table},' if table else ''}"
    " hard_timeout=60, send_flow_rem "
    f"priority=0 actions=controller(reason=no_match,id=54279,meter_id=<{table}>)"
    for table in (0, 1, 2, 5, 6, 7, 9)
]
OURS.insert(
    3,
    "cookie=0x4000d407......04, table=4, hard_timeout=60, send_flow_rem "
    "check_overlap priority=1,reg15=0/0x80000000 "
    "actions=controller(reason=no_match,id=54279,meter_id=<4>)",
)

A, B = "10.2.0.229", "10.2.0.195"
A6, B6 = "fe80::a00:27ff:fefe:8f95", "ff02::1:2"
SEGMENT = tcp(40000, 443, sequence=7, flags=0x11, window=512)
DATAGRAM = udp(546, 547)

MACS = "SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3"
IN_IPV4 = f"SRC={A} DST={B}"
DROPS = [
    (
        syn(),
        f"Acc-SEC_GROUP_IN_TABLE MISS  {MACS} ETYP=IPv4 {IN_IPV4} LEN=60 DSCP=0 TTL=62 ID=58352"
        " FLAGS=2 FRAG=0 PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783 ACK=0 LEN=10 WINDOWS=62020"
        " SYN  URGP=0",
    ),
    (
        ethernet(IPV4, ipv4(A, B, 17, udp(5000, 53))),
        f"Acc-DROP_LOG_TABLE MISS  {MACS} ETYP=IPv4 {IN_IPV4} LEN=28 DSCP=0 TTL=64 ID=0 FLAGS=0"
        " FRAG=0 PROTO=UDP SPT=5000 DPT=53 LEN=8",
    ),
    (
        ethernet(IPV4, ipv4(A, B, 1, icmp(8, 0, 77, 3))),
        f"Acc-DROP_LOG_TABLE MISS  {MACS} ETYP=IPv4 {IN_IPV4} LEN=28 DSCP=0 TTL=64 ID=0 FLAGS=0"
        " FRAG=0 PROTO=ICMP TYPE=8 CODE=0 ID=77 SEQ=3",
    ),
    (
        ethernet(ARP, arp(A, B)),
        f"Acc-GROUP_MAP_TABLE MISS  {MACS} ETYP=ARP ARP_SPA={A} ARP_TPA={B} ARP_OP=1",
    ),
    (
        ethernet(IPV6, ipv6(A6, B6, 6, SEGMENT, traffic_class=184, flow_label=74565)),
        f"Acc-SEC_GROUP_OUT_TABLE MISS  {MACS} ETYP=IPv6 SRC={A6} DST={B6} LEN=20 TC=184 HL=64"
        " FL=74565 PROTO=TCP SPT=40000 DPT=443 SEQ=7 ACK=0 LEN=5 WINDOWS=512 ACK FIN  URGP=0",
    ),
    (
        ethernet(IPV6, ipv6(A6, B6, 17, DATAGRAM, hop_limit=1)),
        f"Acc-DROP_LOG_TABLE MISS  {MACS} ETYP=IPv6 SRC={A6} DST={B6} LEN=8 TC=0 HL=1 FL=0"
        " PROTO=UDP SPT=546 DPT=547 LEN=8",
    ),
    (
        ethernet(QTAG, vlan(5 << 13 | 4094, IPV4), ipv4(A, B, 2)),
        f"Acc-DROP_LOG_TABLE MISS  {MACS} ETYP=Qtag QTAG=4094 IPv4 {IN_IPV4} LEN=20 DSCP=0 TTL=64"
        " ID=0 FLAGS=0 FRAG=0 PROTO=2_unrecognized",
    ),
    (
        ethernet(QTAG, vlan(10, QTAG), vlan(20, ARP), arp(A, B, 2)),
        f"Acc-DROP_LOG_TABLE MISS  {MACS} ETYP=Qtag QTAG=10 Qtag QTAG=20 ARP"
        f" ARP_SPA={A} ARP_TPA={B} ARP_OP=2",
    ),
    (ethernet(0x88B5, bytes(46)), f"Acc-DROP_LOG_TABLE MISS  {MACS} ETYP=34997_unrecognized"),
]
LINES = [f"[info] [ryu_droplog] {line}" for _, line in DROPS]

WAYS = {
    "run-sigterm": (("ryu-droplog", "run", "--config", "{config}"), False, signal.SIGTERM),
    "run-sigint": (("ryu-droplog", "run"), True, signal.SIGINT),
    "osken-manager-sigterm": (("osken-manager", "ryu_droplog.app"), True, signal.SIGTERM),
    "osken-manager-sigint": (
        ("osken-manager", "--droplog-config", "{config}", "ryu_droplog.app"),
        False,
        signal.SIGINT,
    ),
}
"""Name -> command, whether the environment names the configuration, the signal that ends it."""


@pytest.fixture(scope="module")
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with its owner's flows and a guest `one`."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    for flow in FOREIGN:
        switch.ofctl("add-flow", BRIDGE, flow.replace(" actions", ",actions").replace(", ", ","))
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


def listening_sockets(pid: int) -> list[str]:
    """TCP sockets of this process and its children that listen (state 0A in proc(5))."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    processes = [pid, *(int(child) for path in tasks for child in path.read_text().split())]
    held = set()
    for entry in (one for process in processes for one in Path(f"/proc/{process}/fd").iterdir()):
        with suppress(FileNotFoundError):  # closed meanwhile
            held.add(os.readlink(entry))
    entries = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net", name).read_text().splitlines()[1:]
    ]
    return [entry[1] for entry in entries if entry[3] == "0A" and f"socket:[{entry[9]}]" in held]


def test_listening_socket_of_a_process_is_found_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        assert [f"0100007F:{port:04X}"] == [
            entry for entry in listening_sockets(os.getpid()) if entry.endswith(f":{port:04X}")
        ]
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as another:
            assert [] == listening_sockets(another.pid)


@pytest.mark.parametrize("way", WAYS)
def test_program_started_logs_drops_and_ended_leaves_nothing(
    switch: PrivateSwitch, bridge: str, runtime: Runtime, way: str
) -> None:
    (name, *arguments), by_environment, number = WAYS[way]
    command = (str(runtime.bin / name), *arguments)
    env = {**runtime.env, "RYU_DROPLOG_CONFIG": "{config}"} if by_environment else runtime.env
    assert sorted(FOREIGN) == sorted(switch.flows(bridge))
    with Program(switch, CONFIG, command=command, env=env) as program:
        assert OURS == eventually(OURS, lambda: our_flows(switch, bridge))
        assert sorted(FOREIGN) == sorted(foreign_flows(switch, bridge))
        for frame, _ in DROPS:
            send_frame("one", "eth0", frame)
        assert LINES == eventually(LINES, program.lines, patience=5)
        assert not listening_sockets(program.process.pid)
        assert 0 == program.end(number)
        assert sorted(FOREIGN) == sorted(switch.flows(bridge))
        assert not our_meters(switch, bridge)
        assert "Traceback" not in program.said()
        assert LINES == program.lines()
