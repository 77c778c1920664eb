"""The packets of a simulated fleet: one frame for each flow, and what changes from one to the next.

Built by os-ken's packet library, once for each problem; checksums are not made anew for what is
changed afterwards.
"""

from __future__ import annotations

import functools
import struct
from ipaddress import IPv6Address, ip_address
from random import Random

from os_ken.lib.packet import arp, ethernet, icmp, ipv4, ipv6, packet, tcp, udp

from fleet.catalogue import ARP, ICMP, IPV4, IPV6, TCP, Problem

_ETHERNET, _IPV4_HEADER, _IPV6_HEADER = 14, 20, 40
_IPV4_ID, _TCP_SEQUENCE = _ETHERNET + 4, 4
_CLIENT_PORTS = 32_768, 60_999
_SOURCES = {IPV4: _ETHERNET + 12, IPV6: _ETHERNET + 8, ARP: _ETHERNET + 14}
"""Where the sender's address is; the target's is behind it, of ARP behind a MAC."""
_NEW_CONNECTION = 1 / 4
"""Part of the packets of TCP and UDP that are the first of a connection, the rest repeat one."""
# What Linux puts into a SYN (RFC 9293 section 3.2, RFC 2018, RFC 7323).
_OPTIONS = [
    tcp.TCPOptionMaximumSegmentSize(max_seg_size=1460),
    tcp.TCPOptionSACKPermitted(),
    tcp.TCPOptionTimestamps(ts_val=12345678, ts_ecr=0),
    tcp.TCPOptionNoOperation(),
    tcp.TCPOptionWindowScale(shift_cnt=7),
]


class Flow:
    """One sender and one receiver on a node."""

    def __init__(self, problem: Problem, node: int, number: int) -> None:
        """`number` tells flows of a problem on one node apart, 0 to 99."""
        guest = node * 100 + number
        self.source = _source(problem, guest)
        """IP address of the sender."""
        self._bytes = _frame(problem, guest, number, self.source)
        behind = _ETHERNET + (_IPV4_HEADER if problem.ethertype == IPV4 else _IPV6_HEADER)
        self._id = _IPV4_ID if problem.ethertype == IPV4 else None
        self._sequence = behind + _TCP_SEQUENCE if problem.protocol == TCP else None
        self._port = behind if problem.port else None

    def frame(self, random: Random) -> bytes:
        """The next packet: another identification, of a new connection also another port."""
        if self._id is not None:
            struct.pack_into("!H", self._bytes, self._id, random.getrandbits(16))
        if self._port is not None and random.random() < _NEW_CONNECTION:
            struct.pack_into("!H", self._bytes, self._port, random.randint(*_CLIENT_PORTS))
            if self._sequence is not None:
                struct.pack_into("!I", self._bytes, self._sequence, random.getrandbits(32))
        return bytes(self._bytes)


def _source(problem: Problem, guest: int) -> str:
    if problem.source:
        return problem.source
    if problem.ethertype in (IPV4, ARP):
        return f"10.{guest >> 16 & 255}.{guest >> 8 & 255}.{guest & 255}"
    return str(IPv6Address((0xFD00 << 112) + guest))


def _frame(problem: Problem, guest: int, number: int, source: str) -> bytearray:
    """The problem's frame with the addresses of this flow."""
    frame = bytearray(_template(problem))
    frame[6:12] = mac = b"\xfa\x16\x3e" + guest.to_bytes(3, "big")
    address = ip_address(source).packed
    begin = _SOURCES[problem.ethertype]
    frame[begin : begin + len(address)] = address
    if problem.ethertype == ARP:
        frame[begin - len(mac) : begin] = mac
        begin += len(mac)
    frame[begin + 2 * len(address) - 1] = number  # the last byte of the target
    return frame


@functools.cache
def _template(problem: Problem) -> bytes:
    made = packet.Packet()
    macs = {"src": "fa:16:3e:00:00:00", "dst": f"fa:16:3e:ff:00:{problem.number:02x}"}
    made.add_protocol(ethernet.ethernet(ethertype=problem.ethertype, **macs))
    if problem.ethertype == ARP:
        made.add_protocol(arp.arp(opcode=arp.ARP_REQUEST, dst_ip="10.255.0.0"))
        made.serialize()
        return bytes(made.data).ljust(60, b"\0")
    if problem.ethertype == IPV4:
        target = f"10.{128 + problem.number}.0.0"
        made.add_protocol(ipv4.ipv4(dst=target, proto=problem.protocol, flags=2))
    else:
        made.add_protocol(ipv6.ipv6(dst=f"fd00:{problem.number:x}::", nxt=problem.protocol))
    ports = {"src_port": _CLIENT_PORTS[0], "dst_port": problem.port}
    if problem.protocol == ICMP:
        made.add_protocol(icmp.icmp(data=icmp.echo(id_=problem.number, data=bytes(56))))
    elif problem.protocol == TCP:
        made.add_protocol(tcp.tcp(bits=tcp.TCP_SYN, window_size=62020, option=_OPTIONS, **ports))
    else:
        made.add_protocol(udp.udp(**ports))
        made.add_protocol(bytes(32))
    made.serialize()
    return bytes(made.data)
