"""The sink ipfix: what nfdump, pmacct and Wireshark read of its messages, and after a restart."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from frames import IPV4, IPV6, QTAG, arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vlan
from record_drops import TIME, dropped, place
from sinks import spec

from ryu_droplog.model.drop import Drop
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.ipfix import Ipfix

from . import wireshark
from .collectors import Nfacctd, Nfcapd
from .service import PATIENCE, eventually

PRIMITIVES = ("src_host", "dst_host", "src_port", "dst_port", "proto", "in_iface", "src_mac")
PRIMITIVES += ("dst_mac", "vlan", "etype", "tcpflags", "timestamp_start", "timestamp_end")
ELEMENTS = {"forwarding_status": (89, 1), "firewall_event": (233, 1)}


def sink(address: str, **options: object) -> Ipfix:
    """A started sink; port 3 of br-int is tap3."""
    bridges = BridgeDirectory()
    bridges.learn_ports("br-int", {3: "tap3"})
    options = {"to": address, "template_interval": 1.0, **options}
    made = Ipfix(spec(Ipfix, "flows", **options), SinkContext(threading, bridges=bridges))
    made.start()
    return made


def drops() -> list[Drop]:
    """A TCP SYN that stands for twenty, denied; UDP over IPv6 behind a tag; ARP, and ICMP."""
    syn = dropped(
        ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 6, tcp(40_000, 443))),
        place("DENY", policy="no-https"),
    )
    syn.repeated, syn.first_time = 20, TIME - 2
    datagram = ipv6("2001:db8::1", "2001:db8::2", 17, udp(546, 547))
    tagged = dropped(ethernet(QTAG, vlan(0x2064, IPV6), datagram))
    echo = dropped(ethernet(IPV4, ipv4("192.0.2.3", "198.51.100.4", 1, icmp(8))))
    return [syn, tagged, echo, dropped(ethernet(0x0806, arp("192.0.2.5", "192.0.2.6")))]


def test_nfdump_reads_flows_of_ipv4_and_ipv6() -> None:
    with Nfcapd() as collector:
        made = sink(collector.address)
        made.put(drops())
        assert made.close(PATIENCE) == 0
        records = collector.read(4)
    assert (made.written, made.failed, list(made.notices)) == (4, 0, [])
    syn, tagged, echo = records[:3]
    assert (syn["src4_addr"], syn["dst4_addr"]) == ("192.0.2.1", "198.51.100.2")
    assert (syn["src_port"], syn["dst_port"], syn["proto"]) == (40_000, 443, 6)
    assert (syn["in_packets"], syn["in_bytes"]) == (20, 800)
    assert (syn["input_snmp"], syn["tcp_flags"]) == (3, "......S.")
    assert syn["first"].split(":")[-1] == "58.250"
    assert syn["last"].split(":")[-1] == "00.250"
    assert (tagged["src6_addr"], tagged["dst6_addr"]) == ("2001:db8::1", "2001:db8::2")
    assert (tagged["src_vlan"], tagged["in_src_mac"]) == (0x64, "00:22:bd:f8:19:ff")
    assert (echo["proto"], echo["in_packets"]) == (1, 1)


def test_nfacctd_reads_forwarding_status_and_firewall_event() -> None:
    with Nfacctd(PRIMITIVES, ELEMENTS) as collector:
        made = sink(collector.address)
        made.put(drops())
        made.put([dropped(location=place("PERMIT"))])
        assert made.close(PATIENCE) == 0
        records = collector.read(4)  # it takes no ARP
    by_source = {(record["ip_src"], record["port_dst"]): record for record in records}
    syn = by_source["192.0.2.1", 443]
    assert (syn["forwarding_status"], syn["firewall_event"]) == ("130", "3")
    assert (syn["packets"], syn["bytes"], syn["tcp_flags"]) == (20, 800, "2")
    assert syn["timestamp_end"].endswith(":00.250000")
    tagged = by_source["2001:db8::1", 547]
    assert (tagged["forwarding_status"], tagged["vlan"], tagged["etype"]) == ("128", 0x64, "86dd")
    assert (tagged["mac_dst"], tagged["iface_in"]) == ("0a:58:0a:02:00:c3", 3)
    permitted = by_source["10.2.0.229", 80]
    assert (permitted["forwarding_status"], permitted["firewall_event"]) == ("64", "0")


def test_wireshark_reads_every_element(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(PATIENCE)
        made = sink(f"udp:127.0.0.1:{collector.getsockname()[1]}")
        made.put(drops())
        assert made.close(PATIENCE) == 0
        messages = [collector.recv(65_535) for _ in range(2)]
    ends = Ether() / IP(src="192.0.2.9", dst="192.0.2.10") / UDP(sport=9999, dport=4739)
    capture = tmp_path / "ipfix.pcap"
    wrpcap(str(capture), [ends / message for message in messages])
    names = ["cflow.appl_name", "cflow.selector_name", "cflow.if_name", "cflow.if_descr"]
    names += ["cflow.forwarding_status", "cflow.sequence", "cflow.od_id", "_ws.expert"]
    template, data = wireshark.fields(capture, names)
    assert (template["cflow.sequence"], data["cflow.sequence"]) == ("0", "0")
    assert data["cflow.appl_name"] == "|".join(["Acc-SEC_GROUP_IN_TABLE"] * 4)
    assert data["cflow.selector_name"] == "DENY no-https|MISS|MISS|MISS"
    assert data["cflow.if_name"] == "tap3|tap3|tap3|tap3"
    assert data["cflow.if_descr"] == "|".join(["br-int"] * 4)
    assert data["cflow.od_id"] == "1"
    assert [template["_ws.expert"], data["_ws.expert"]] == ["", ""]


def test_libfixbuf_reads_the_stream_over_tcp(tmp_path: Path) -> None:
    """A stream over TCP is the same octets as an IPFIX file (RFC 5655 section 5)."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.settimeout(PATIENCE)
        made = sink(f"tcp:127.0.0.1:{collector.getsockname()[1]}")
        made.put(drops())
        connection, _ = collector.accept()
        with connection:
            connection.settimeout(PATIENCE)
            assert made.close(PATIENCE) == 0
            stream = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert (made.written, made.failed) == (4, 0)
    path = tmp_path / "drops.ipfix"
    path.write_bytes(stream)
    command = ("ipfixDump", "--in", str(path), "--yaf")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (0, "") == (done.returncode, done.stderr)
    assert "2 Messages, 4 Data Records, 3 Template Records" in done.stdout
    assert "192.0.2.1" in done.stdout
    assert "2001:0db8::0002" in done.stdout


def test_collector_that_was_restarted_is_given_the_templates_again() -> None:
    with Nfcapd() as collector:
        made = sink(collector.address)
        made.put(drops()[:1])
        collector.read(1)
        collector.kill()

        def missed() -> bool:
            made.put(drops()[1:2])  # the host says that nobody listens
            return made.failure is not None

        eventually(missed, "the collector is missed")
        collector.start()
        eventually(lambda: made.waiting == 0, "what waited is sent")
        assert made.failure is None
        made.put(drops()[2:3])
        eventually(lambda: {6, 1} <= {r["proto"] for r in collector.records()}, "the last drop")
        assert made.close(PATIENCE) == 0
    assert "cannot write: udp:127.0.0.1:" in made.notices[0]
    assert "writing again" in made.notices[1]
