"""The collectors: an IPFIX message (RFC 7011) that is sent to them is what they tell."""

from __future__ import annotations

import socket
import struct
import time

from .collectors import Nfacctd, Nfcapd

TEMPLATE = 256
# Information element, length; in the order of FLOW.
FIELDS = (
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (10, 4),
    (2, 8),
    (1, 8),
    (89, 1),
    (152, 8),
    (153, 8),
)
ACL_DROP = 130


def message(sequence: int) -> bytes:
    """A template set and a data set with one dropped TCP packet."""
    now = int(time.time())
    template = struct.pack("!HH", TEMPLATE, len(FIELDS))
    template += b"".join(struct.pack("!HH", *field) for field in FIELDS)
    flow = struct.pack(
        "!4s4sHHBIQQBQQ",
        socket.inet_aton("192.0.2.1"),
        socket.inet_aton("198.51.100.2"),
        40000,
        443,
        6,
        7,
        3,
        180,
        ACL_DROP,
        now * 1000,
        now * 1000 + 5,
    )
    sets = struct.pack("!HH", 2, len(template) + 4) + template
    sets += struct.pack("!HH", TEMPLATE, len(flow) + 4) + flow
    return struct.pack("!HHIII", 10, len(sets) + 16, now, sequence, 1) + sets


def send(port: int, sequence: int) -> None:
    """Send the message to the collector."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(message(sequence), ("127.0.0.1", port))


def test_nfdump_reads_what_nfcapd_took_before_and_after_a_restart() -> None:
    with Nfcapd() as collector:
        send(collector.port, 0)
        collector.read(1)
        collector.restart()
        send(collector.port, 1)
        for record in collector.read(2):
            assert record["src4_addr"] == "192.0.2.1"
            assert record["dst4_addr"] == "198.51.100.2"
            assert (record["src_port"], record["dst_port"], record["proto"]) == (40000, 443, 6)
            assert (record["in_packets"], record["in_bytes"]) == (3, 180)


def test_nfacctd_reads_forwarding_status_and_counts() -> None:
    with Nfacctd() as collector:
        send(collector.port, 0)
        record = collector.read(1)[0]
    assert (record["ip_src"], record["ip_dst"]) == ("192.0.2.1", "198.51.100.2")
    assert (record["port_src"], record["port_dst"], record["ip_proto"]) == (40000, 443, "tcp")
    assert (record["packets"], record["bytes"]) == (3, 180)
    assert str(record["forwarding_status"]) == str(ACL_DROP)
