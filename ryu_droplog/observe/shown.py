"""A record as a person reads it, and its parts by name: pure, and fit for a terminal.

Names come from switches, databases and files of others. `word` keeps each within its place.
"""

from __future__ import annotations

from collections.abc import Callable

from ryu_droplog.records.record import End, Record
from ryu_droplog.text.printable import word


def name_of(end: End | None) -> str:
    """`namespace/pod`, or the name of virtual machine, router or port; empty: not known."""
    found = end.identity if end is not None else None
    if found is None:
        return ""
    if found.pod:
        return word(f"{found.namespace}/{found.pod}" if found.namespace else found.pod)
    if found.router and not found.vm:
        return word(f"router:{found.router}")
    return word(found.vm or found.vm_id or found.logical_port or found.port)


def address_of(end: End | None) -> str:
    """The IP address, else the MAC; `-` where there is neither."""
    return word(end.ip or end.mac) if end is not None and (end.ip or end.mac) else "-"


def end_text(end: End | None) -> str:
    """`web-1 (10.0.0.5:80)`, or without a name `10.0.0.5:80`."""
    address = address_of(end)
    if end is not None and end.port is not None:
        address = f"[{address}]:{end.port}" if ":" in address else f"{address}:{end.port}"
    name = name_of(end)
    return f"{name} ({address})" if name else address


def protocol_of(record: Record) -> str:
    """`TCP Flags: SYN`, `UDP`, `ICMPv4 type 8`, `ARP`, or a number."""
    packet = record.packet
    if packet.tcp is not None:
        return f"TCP Flags: {', '.join(packet.tcp.flags)}" if packet.tcp.flags else "TCP"
    if packet.udp is not None:
        return "UDP"
    if packet.sctp is not None:
        return "SCTP"
    if packet.icmp is not None:
        return f"ICMPv4 type {packet.icmp.type}"
    if packet.icmpv6 is not None:
        return f"ICMPv6 type {packet.icmpv6.type}"
    if packet.arp is not None:
        return "ARP request" if packet.arp.operation == 1 else f"ARP {packet.arp.operation}"
    ip = packet.ipv4 or packet.ipv6
    if ip is not None:
        return f"IP protocol {ip.protocol}"
    kind = packet.ethernet.type if packet.ethernet is not None else None
    return "no Ethernet" if kind is None else f"EtherType 0x{kind:04x}"


def port_of(record: Record) -> str:
    """Name of the port where the packet came in, else its number; empty: not known."""
    port = record.port
    return "" if port is None else word(port.name or str(port.number))


def rule_of(record: Record) -> str:
    """The rule's name, else its cookie; empty: none."""
    rule = record.rule
    return "" if rule is None else word(rule.name or rule.cookie)


def _identity(read: Callable[[End], str]) -> Callable[[Record], str]:
    def ends(record: Record) -> str:
        names = [read(end) for end in (record.source, record.destination) if end is not None]
        return ",".join(dict.fromkeys(word(name) for name in names if name))

    return ends


def _of_end(read: Callable[[End], str], *, source: bool) -> Callable[[Record], str]:
    def value(record: Record) -> str:
        end = record.source if source else record.destination
        return word(read(end)) if end is not None else ""

    return value


def _port_number(end: End) -> str:
    return "" if end.port is None else str(end.port)


PARTS: dict[str, Callable[[Record], str]] = {
    "node": lambda record: word(record.node),
    "bridge": lambda record: word(record.bridge),
    "table": lambda record: word(record.table.name),
    "reason": lambda record: record.reason,
    "drop-reason": lambda record: word(record.drop_reason),
    "rule": rule_of,
    "source": lambda record: name_of(record.source) or address_of(record.source),
    "destination": lambda record: name_of(record.destination) or address_of(record.destination),
    "from-ip": _of_end(lambda end: end.ip, source=True),
    "to-ip": _of_end(lambda end: end.ip, source=False),
    "from-port": _of_end(_port_number, source=True),
    "to-port": _of_end(_port_number, source=False),
    "from-mac": _of_end(lambda end: end.mac, source=True),
    "to-mac": _of_end(lambda end: end.mac, source=False),
    "vm": _identity(lambda end: end.identity.vm or end.identity.vm_id if end.identity else ""),
    "pod": _identity(lambda end: end.identity.pod if end.identity else ""),
    "namespace": _identity(lambda end: end.identity.namespace if end.identity else ""),
    "network": _identity(lambda end: end.identity.network if end.identity else ""),
    "interface": port_of,
    "direction": lambda record: record.direction,
    "protocol": protocol_of,
    "signature": lambda record: record.signature,
    "problem": lambda record: record.problem,
    "acknowledged": lambda record: (
        word(record.acknowledged.reason) if record.acknowledged is not None else ""
    ),
}
"""What records may be counted by: `--aggregate-by`."""
