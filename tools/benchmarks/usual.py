"""The usual ways of an OS-Ken application to log a packet, for comparison with the chain.

Both take a PacketIn's bytes apart with os-ken: an OFPPacketIn, then a Packet with an object for
each protocol. `line` makes the same text of these objects as the chain writes.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from os_ken.base import app_manager  # noqa: F401  os_ken.controller wants it first
from os_ken.controller import ofp_event
from os_ken.lib.packet import arp, ethernet, icmp, ipv4, ipv6, packet, tcp, udp, vlan
from os_ken.ofproto import ofproto_parser, ofproto_protocol, ofproto_v1_3

_DATAPATH = ofproto_protocol.ProtocolDesc(version=ofproto_v1_3.OFP_VERSION)
_ETHERTYPES = {0x0800: "IPv4", 0x0806: "ARP", 0x8100: "Qtag", 0x86DD: "IPv6"}
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP"}
_FLAGS = ("NS", "CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")


def parse(message: bytes) -> Any:
    """Make os-ken's OFPPacketIn of the bytes of one."""
    version, kind, length, xid = ofproto_parser.header(message)
    return ofproto_parser.msg(_DATAPATH, version, kind, length, xid, message)


def line(label: str, data: bytes) -> str:
    """Make the drop line of a frame, without its time, from os-ken's protocol objects."""
    text = label + " "
    for protocol in packet.Packet(data).protocols:
        if isinstance(protocol, ethernet.ethernet):
            name = _name(_ETHERTYPES, protocol.ethertype)
            text += f" SMAC={protocol.src} DMAC={protocol.dst} ETYP={name}"
        elif isinstance(protocol, vlan.vlan):
            text += f" QTAG={protocol.vid} {_name(_ETHERTYPES, protocol.ethertype)}"
        elif isinstance(protocol, arp.arp):
            text += f" ARP_SPA={protocol.src_ip} ARP_TPA={protocol.dst_ip} ARP_OP={protocol.opcode}"
        elif isinstance(protocol, ipv4.ipv4):
            text += (
                f" SRC={protocol.src} DST={protocol.dst} LEN={protocol.total_length}"
                f" DSCP={protocol.tos >> 2} TTL={protocol.ttl} ID={protocol.identification}"
                f" FLAGS={protocol.flags} FRAG={protocol.offset}"
                f" PROTO={_name(_PROTOCOLS, protocol.proto)}"
            )
        elif isinstance(protocol, ipv6.ipv6):
            text += (
                f" SRC={protocol.src} DST={protocol.dst} LEN={protocol.payload_length}"
                f" TC={protocol.traffic_class} HL={protocol.hop_limit} FL={protocol.flow_label}"
                f" PROTO={_name(_PROTOCOLS, protocol.nxt)}"
            )
        elif isinstance(protocol, tcp.tcp):
            flags = "".join(f"{n} " for i, n in enumerate(_FLAGS) if protocol.bits >> (8 - i) & 1)
            text += (
                f" SPT={protocol.src_port} DPT={protocol.dst_port} SEQ={protocol.seq}"
                f" ACK={protocol.ack} LEN={protocol.offset} WINDOWS={protocol.window_size}"
                f" {flags} URGP={protocol.urgent}"
            )
        elif isinstance(protocol, udp.udp):
            text += f" SPT={protocol.src_port} DPT={protocol.dst_port} LEN={protocol.total_length}"
        elif isinstance(protocol, icmp.icmp):
            echo = protocol.data
            text += f" TYPE={protocol.type} CODE={protocol.code} ID={echo.id} SEQ={echo.seq}"
    return text


def timestamp() -> str:
    """The time now as the drop line has it."""
    now = time.time()
    return time.strftime("%Y-%b-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06}"


class OskenWay:
    """PacketIn, Packet, the same line, written to a file that is flushed once a batch."""

    def __init__(self, path: str, label: str) -> None:
        self._file = open(path, "a", encoding="ascii")  # noqa: SIM115  closed by close()
        self._label = label

    def take(self, messages: list[bytes]) -> None:
        """Write the lines of a batch of PacketIns."""
        for message in messages:
            packet_in = parse(message)
            self._file.write(f"[{timestamp()}] {line(self._label, packet_in.data)}\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class NeutronWay:
    """PacketIn, os-ken's event, Packet, and one logging call that prints the packet object."""

    def __init__(self, path: str, label: str) -> None:
        self._handler = logging.FileHandler(path)
        self._handler.setFormatter(
            logging.Formatter(
                "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s %(message)s"
            )
        )
        self._log = logging.Logger("benchmark", logging.INFO)
        self._log.addHandler(self._handler)
        self._label = label

    def take(self, messages: list[bytes]) -> None:
        """Log a batch of PacketIns."""
        for message in messages:
            event = ofp_event.ofp_msg_to_ev(parse(message))
            self._packet_in(event)

    def _packet_in(self, event: Any) -> None:
        message = event.msg
        decoded = packet.Packet(message.data)
        self._log.info(
            "action=%s cookie=%#x port=%s packet=%s",
            self._label,
            message.cookie,
            message.match["in_port"],
            decoded,
        )

    def close(self) -> None:
        """Let go of the file."""
        self._handler.close()


def _name(names: dict[int, str], number: int) -> str:
    return names.get(number) or f"{number}_unrecognized"
