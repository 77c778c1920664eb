"""Drop logs as Open vSwitch itself sends them: real Geneve, out of real tunnel ports.

Two bridges have the flows that the OpFlex agent keeps on its own (docs/opflex.md). What they drop
leaves by a tunnel port, goes over a third bridge to a network namespace, and arrives there at the
program's socket.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from private_ovs import PrivateSwitch, in_netns, run, send_frame, stop_process

from .packets import ARP, IPV4, IPV6, arp, ethernet, icmp, ipv4, ipv6, syn, tcp, udp
from .program import RUN, Program, eventually, our_flows

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(120)]

OWN = "br-own"
"""The bridge that the program watches: none of those that report drops by themselves."""
UNDERLAY = "br-underlay"
COLLECTOR = "collector"
ADDRESSES = {UNDERLAY: "192.0.2.2", COLLECTOR: "192.0.2.1"}
PORT = 50000
POLICY = 0x4000000000000007
NAME = "/PolicyUniverse/PolicySpace/common/GbpeL24Classifier/deny-dns/"
TABLE_DROP = "cookie=0x4000000000000000,priority=0"
TLVS = ",".join(
    f"{{class=0xffff,type={number},len={length}}}->tun_metadata{number}"
    for number, length in {0: 4, 2: 4, 7: 4, 12: 4, 13: 4, 14: 8}.items()
)


class Agent(NamedTuple):
    """A bridge of the agent's, and what it is called."""

    bridge: str
    guest: str
    vni: int
    last: int
    """EXP_DROP_TABLE."""
    first: int
    """Where a packet goes from table 0."""

    def record(self, table: int, reason: int = 0, policy: int | None = None) -> str:
        """The actions that note where a packet was dropped, and send it to the last table."""
        moves = [f"move:NXM_NX_REG{n}[]->NXM_NX_TUN_METADATA{n}[0..31]" for n in (0, 2, 7)]
        fields = {12: table, 13: reason, **({} if policy is None else {14: policy})}
        notes = [f"set_field:{value:#x}->tun_metadata{n}" for n, value in fields.items()]
        return ",".join([*moves, *notes, f"goto_table:{self.last}"])


INT = Agent("br-int", "int1", 1, last=15, first=1)
ACC = Agent("br-access", "acc1", 2, last=9, first=2)
LOGGED = "write_metadata:0x800/0x800"
GROUPS = "set_field:49153->reg0,set_field:32770->reg2,set_field:5->reg7"
UNLOGGED = "0a:58:0a:02:00:99"
"""The destination that the agent was not asked to log."""
FLOWS = {
    INT: [
        "table=1,priority=50,tcp,actions=goto_table:12",
        "table=1,priority=50,ipv6,actions=goto_table:7",
        f"table=12,priority=20,tcp,tp_dst=443,actions={INT.record(12, 2, POLICY + 1)}",
    ],
    ACC: [
        "table=2,priority=50,ip,actions=goto_table:4",
        f"table=4,priority=20,udp,tp_dst=53,actions={GROUPS},{ACC.record(4, 1, POLICY)}",
        "table=4,priority=20,icmp,actions=goto_table:8",
    ],
}

A, B = "10.2.0.229", "10.2.0.195"
A6, B6 = "fe80::a00:27ff:fefe:8f95", "ff02::1:2"
MACS = "SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3"
IN_IPV4 = f"{MACS} ETYP=IPv4 SRC={A} DST={B}"
QUERY = ethernet(IPV4, ipv4(A, B, 17, udp(5000, 53)))
QUERY_TEXT = f"{IN_IPV4} LEN=28 DSCP=0 TTL=64 ID=0 FLAGS=0 FRAG=0 PROTO=UDP SPT=5000 DPT=53 LEN=8"
DROPS: list[tuple[Agent, bytes, str]] = [
    (
        ACC,
        syn(),
        f"Acc-SEC_GROUP_IN_TABLE MISS  {IN_IPV4} LEN=60 DSCP=0 TTL=62 ID=58352 FLAGS=2 FRAG=0"
        " PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783 ACK=0 LEN=10 WINDOWS=62020 SYN  URGP=0",
    ),
    (ACC, QUERY, f"Acc-SEC_GROUP_IN_TABLE DENY {NAME}  {QUERY_TEXT}"),
    (
        ACC,
        ethernet(ARP, arp(A, B)),
        f"Acc-GROUP_MAP_TABLE MISS  {MACS} ETYP=ARP ARP_SPA={A} ARP_TPA={B} ARP_OP=1",
    ),
    (
        ACC,
        ethernet(IPV4, ipv4(A, B, 1, icmp(8, 0, 77, 3))),
        f"Acc-OUT_TABLE MISS  {IN_IPV4} LEN=28 DSCP=0 TTL=64 ID=0 FLAGS=0 FRAG=0 PROTO=ICMP"
        " TYPE=8 CODE=0 ID=77 SEQ=3",
    ),
    (
        INT,
        ethernet(IPV6, ipv6(A6, B6, 17, udp(546, 547), hop_limit=1)),
        f"Int-ROUTE_TABLE MISS  {MACS} ETYP=IPv6 SRC={A6} DST={B6} LEN=8 TC=0 HL=1 FL=0"
        " PROTO=UDP SPT=546 DPT=547 LEN=8",
    ),
    (
        INT,
        syn(),
        f"Int-POL_TABLE MISS  {IN_IPV4} LEN=60 DSCP=0 TTL=62 ID=58352 FLAGS=2 FRAG=0"
        " PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783 ACK=0 LEN=10 WINDOWS=62020 SYN  URGP=0",
    ),
    (
        INT,
        ethernet(IPV4, ipv4(A, B, 6, tcp(40000, 443, 7, flags=0x11, window=512))),
        f"Int-POL_TABLE PERMIT  {IN_IPV4} LEN=40 DSCP=0 TTL=64 ID=0 FLAGS=0 FRAG=0 PROTO=TCP"
        " SPT=40000 DPT=443 SEQ=7 ACK=0 LEN=5 WINDOWS=512 ACK FIN  URGP=0",
    ),
    (
        INT,
        ethernet(ARP, arp(A, B, 2)),
        f"Int-PORT_SECURITY_TABLE MISS  {MACS} ETYP=ARP ARP_SPA={A} ARP_TPA={B} ARP_OP=2",
    ),
]
LINES = [f"[info] [ryu_droplog] {text}" for _, _, text in DROPS]

# Run in the collector's namespace: writes what comes in at eth0 as a pcap to standard output.
CAPTURER = """
import socket, sys, time
import dpkt.pcap
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3)) as packets:
    packets.bind(("eth0", 3))
    writer = dpkt.pcap.Writer(sys.stdout.buffer, snaplen=65535)
    sys.stdout.buffer.flush()
    while True:
        data, address = packets.recvfrom(65535)
        if address[2] != socket.PACKET_OUTGOING:
            writer.writepkt(data, time.time())
            sys.stdout.buffer.flush()
"""
PCAP_HEADER = 24


@pytest.fixture(scope="module", autouse=True)
def agents(switch: PrivateSwitch) -> None:
    """The agent's two bridges with its flows, and the way from their tunnel ports."""
    # The userspace datapath routes by itself: the underlay's local port has the address, and the
    # collector's MAC is told, for nobody would answer ARP before the first datagram.
    switch.add_bridge(UNDERLAY, fail_mode="standalone")
    far = switch.guest(COLLECTOR, UNDERLAY, f"{ADDRESSES[COLLECTOR]}/24")
    run("ip", "addr", "add", f"{ADDRESSES[UNDERLAY]}/24", "dev", UNDERLAY)
    run("ip", "link", "set", UNDERLAY, "up")
    switch.appctl("tnl/arp/set", UNDERLAY, ADDRESSES[COLLECTOR], far.mac)
    switch.add_bridge(OWN)
    for agent in FLOWS:
        switch.add_bridge(agent.bridge)
        switch.ofctl("add-tlv-map", agent.bridge, TLVS)
        switch.guest(agent.guest, agent.bridge)
        program_bridge(switch, agent, tunnel(switch, agent))


def tunnel(switch: PrivateSwitch, agent: Agent) -> int:
    """Make the port where drop logs leave; gives back its OpenFlow number."""
    port = f"gen{agent.vni}"
    options = {"remote_ip": "flow", "key": agent.vni, "dst_port": PORT}
    settings = ["type=geneve", *(f"options:{key}={value}" for key, value in options.items())]
    switch.vsctl("add-port", agent.bridge, port, "--", "set", "interface", port, *settings)
    return int(switch.vsctl("get", "interface", port, "ofport"))


def program_bridge(switch: PrivateSwitch, agent: Agent, port: int) -> None:
    """What the agent does at a sync."""
    last, to_collector = agent.last, f"set_field:{ADDRESSES[COLLECTOR]}->tun_dst,output:{port}"
    flows = [
        *(f"table={n},{TABLE_DROP},actions={agent.record(n)}" for n in range(last)),
        f"table=0,priority=200,dl_dst={UNLOGGED},actions=goto_table:{agent.first}",
        f"table=0,priority=100,actions={LOGGED},goto_table:{agent.first}",
        *FLOWS[agent],
        f"table={last},priority=10,metadata=0x800/0x800,actions={to_collector}",
        f"table={last},priority=0,actions=drop",
    ]
    add = ("ovs-ofctl", "-O", "OpenFlow13", "add-flows", agent.bridge, "-")
    run(*add, env=switch.env, stdin="".join(f"{flow}\n" for flow in flows).encode())


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    """The directory of an id file that knows one of the two policies."""
    name = NAME.encode()
    entry = struct.pack("=IH", POLICY & 0xFFFFFFFF, len(name)) + name
    (tmp_path / "l24classifierRule.id").write_bytes(struct.pack("=8sI", b"opflexid", 1) + entry)
    return tmp_path


@pytest.fixture
def capture(switch: PrivateSwitch, tmp_path: Path) -> Iterator[Path]:
    """A pcap of what comes to the collector from now on."""
    path = tmp_path / "drops.pcap"
    with path.open("wb") as file:
        process = switch.start(
            COLLECTOR, sys.executable, "-W", "ignore", "-c", CAPTURER, output=file.fileno()
        )
    assert PCAP_HEADER == eventually(PCAP_HEADER, lambda: path.stat().st_size)
    yield path
    stop_process(process)


def config(ids: Path, **more: Any) -> str:
    keys: dict[str, Any] = {
        "bridges": [{"name": OWN}],
        "receive": {"geneve": f"{ADDRESSES[COLLECTOR]}:{PORT}"},
        "opflex": {"ids_directory": str(ids)},
        "prune": {"defaults": False},
        **more,
    }
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in keys.items())


def collector(switch: PrivateSwitch, text: str) -> Program:
    """The program, in the namespace where the datagrams arrive."""
    return Program(switch, text, command=in_netns(COLLECTOR, *RUN))


def ready(switch: PrivateSwitch) -> bool:
    """The program watches its own bridge, and so has opened its socket before."""
    return bool(eventually(True, lambda: bool(our_flows(switch, OWN))))


def send(drops: list[tuple[Agent, bytes, str]], program: Program) -> None:
    """Send frames, each when the line of the one before has come: two bridges keep no order."""
    for agent, frame, _ in drops:
        count = len(program.lines()) + 1
        send_frame(agent.guest, "eth0", frame)
        assert count == eventually(count, lambda: len(program.lines()))


def replayed(capture: Path, config: Path, count: int, *options: str) -> tuple[list[str], str]:
    """What replay writes of a capture that will have so many drops, and its summary."""

    def replay() -> subprocess.CompletedProcess[str]:
        command = [RUN[0], "replay", "--config", str(config), *options, str(capture)]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)

    assert count == eventually(count, lambda: len(replay().stdout.splitlines()))
    done = replay()
    assert 0 == done.returncode
    return done.stdout.splitlines(), done.stderr


def test_real_tunnel_packets_are_lines_live_and_replayed(
    switch: PrivateSwitch, ids: Path, capture: Path
) -> None:
    before = {agent: switch.flows(agent.bridge) for agent in FLOWS}
    with collector(switch, config(ids)) as program:
        assert ready(switch)
        own = our_flows(switch, OWN)
        send(DROPS, program)
        assert LINES == program.lines()
        assert before == {agent: switch.flows(agent.bridge) for agent in FLOWS}
        assert own == our_flows(switch, OWN)
        lines, said = replayed(capture, program.config, len(LINES))
        assert LINES == [line.partition("] ")[2] for line in lines]
        # What else came is chatter of the collector's network, such as a report of MLD.
        summary = rf"\d+ packets: {len(LINES)} drops written(, \d+ other packets)?\n"
        assert re.fullmatch(summary, said)
        reasons = [text.partition("  ")[0] for _, _, text in DROPS if " PERMIT" not in text]
        events, said = replayed(capture, program.config, len(reasons), "--format=event")
        assert reasons == [json.loads(event)["DropReason"] for event in events]
        assert f"{len(reasons)} drops written, 1 permitted packets" in said
        assert 0 == program.end()
    assert before == {agent: switch.flows(agent.bridge) for agent in FLOWS}
    assert "Traceback" not in program.said()


def test_real_tunnel_packet_tells_its_groups_and_port_in_json(
    switch: PrivateSwitch, ids: Path, capture: Path
) -> None:
    with collector(switch, config(ids, format="json")) as program:
        assert ready(switch)
        send([(ACC, QUERY, ""), DROPS[4]], program)
        told = [json.loads(line) for line in program.lines()]
        assert 0 == program.end()
        again = [json.loads(line) for line in replayed(capture, program.config, 2)[0]]
    names = ("bridge", "table", "table_id", "reason", "drop_reason", "owner", "src", "dst")
    groups = {"source_group": 49153, "destination_group": 32770, "out_port": 5}
    label = f"Acc-SEC_GROUP_IN_TABLE DENY {NAME}"
    expected = [
        ("br-access", "SEC_GROUP_IN_TABLE", 4, "DENY", label, groups, A, B),
        ("br-int", "ROUTE_TABLE", 7, "MISS", "Int-ROUTE_TABLE MISS", None, A6, B6),
    ]
    assert expected == [tuple(map(drop.get, names)) for drop in told]
    for drop in told + again:
        del drop["time"]
    assert told == again


def test_packet_that_the_agent_does_not_log_leaves_no_datagram(
    switch: PrivateSwitch, ids: Path
) -> None:
    """The bit in the metadata decides, and what is sent behind it comes alone."""
    unlogged = ethernet(IPV4, ipv4(A, B, 17, udp(5000, 53)), dmac=UNLOGGED)
    with collector(switch, config(ids)) as program:
        assert ready(switch)
        send_frame(ACC.guest, "eth0", unlogged, count=3)
        send([DROPS[1]], program)
        assert [LINES[1]] == program.lines()
        assert 0 == program.end()
