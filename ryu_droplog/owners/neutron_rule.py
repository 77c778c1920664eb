"""The security group rule that lets a packet pass, as the command that would create it. Pure.

Options as `openstack security group rule create --help` has them (python-openstackclient).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from ryu_droplog.owners.base import Remedy
from ryu_droplog.packet import headers
from ryu_droplog.records.record import Record

_PROTOCOLS = {
    headers.PROTOCOL_TCP: "tcp",
    headers.PROTOCOL_UDP: "udp",
    headers.PROTOCOL_SCTP: "sctp",
    headers.PROTOCOL_ICMP: "icmp",
    headers.PROTOCOL_ICMPV6: "ipv6-icmp",
}


def rule_command(record: Record, port_ids: Mapping[str, str]) -> Remedy | None:
    """The narrowest rule: one remote address, one protocol, one destination port or ICMP type."""
    packet = record.packet
    ip = packet.ipv4 or packet.ipv6
    if ip is None or not record.direction:
        return None
    if ip.fragment is not None and ip.fragment.offset:
        return Remedy("", "a later fragment does not tell which port a rule would have to allow")
    incoming = record.direction == "ingress"
    remote = ip.source if incoming else ip.destination
    words = [f"--{record.direction}", "--ethertype", "IPv4" if packet.ipv4 else "IPv6"]
    words += ["--protocol", _PROTOCOLS.get(ip.protocol, str(ip.protocol))]
    layer = packet.tcp or packet.udp or packet.sctp
    icmp = packet.icmp or packet.icmpv6
    if layer is not None:
        words += ["--dst-port", str(layer.destination_port)]
    elif icmp is not None:
        words += ["--icmp-type", str(icmp.type), "--icmp-code", str(icmp.code)]
    words += ["--remote-ip", f"{remote}/{32 if packet.ipv4 else 128}"]
    command = f"openstack security group rule create {shlex.join(words)} SECURITY_GROUP"
    name = str(record.owner.get("port", ""))
    port = shlex.quote(port_ids.get(name) or "PORT")
    ask = f"openstack port show -c security_group_ids {port}"
    whose = f"port {name}" if name else "the port"
    return Remedy(
        command, f"SECURITY_GROUP is one of {whose}'s, which the switch does not know: {ask}"
    )
