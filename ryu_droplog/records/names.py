"""Words that several encodings have in common."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.packet import headers
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records.record import End, Record

PRODUCT = "ryu_droplog"
VENDOR = "ryu_droplog"
PERMIT = "PERMIT"
"""The reason of a packet that is reported, but went on its way."""

# Keywords of IANA's Assigned Internet Protocol Numbers, in lower case.
_TRANSPORTS: Mapping[int, str] = {
    0: "hopopt",
    1: "icmp",
    2: "igmp",
    4: "ipv4",
    6: "tcp",
    17: "udp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "ipv6-icmp",
    88: "eigrp",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    115: "l2tp",
    132: "sctp",
    136: "udplite",
}
_NETWORKS: Mapping[int, str] = {
    headers.ETHERTYPE_IPV4: "ipv4",
    headers.ETHERTYPE_IPV6: "ipv6",
    headers.ETHERTYPE_ARP: "arp",
    0x88CC: "lldp",
}


def transport(walk: Walk) -> str:
    """Name of the IP protocol in lower case; empty where there is none, or it has no name here."""
    return _TRANSPORTS.get(walk.protocol, "")


def network(walk: Walk) -> str:
    """Name of the network layer in lower case; empty where it has no name here."""
    return _NETWORKS.get(walk.ethertype, "")


def host(end: End | None) -> str:
    """Name of the virtual machine or pod that an end is, or its id; empty: not known."""
    found = end.identity if end is not None else None
    return "" if found is None else found.pod or found.vm or found.vm_id


def hosts(record: Record) -> list[str]:
    """The same of both ends, each once."""
    ends = (record.source, record.destination)
    return list(dict.fromkeys(name for name in map(host, ends) if name))


def summary(record: Record, walk: Walk) -> str:
    """One line for people: the reason, the protocol and the ends."""
    if walk.protocol != NONE:
        what = transport(walk) or f"protocol {walk.protocol}"
    elif walk.ethertype != NONE:
        what = network(walk) or f"ethertype {walk.ethertype:#06x}"
    else:
        what = "packet"
    ends = " to ".join(
        "unknown" if end is None else _end(end.ip, end.mac, end.port)
        for end in (record.source, record.destination)
    )
    times = f", {record.repeated} packets" if record.repeated else ""
    return f"{record.drop_reason}: {what} from {ends}{times}"


def _end(ip: str, mac: str, port: int | None) -> str:
    address = ip or mac
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
