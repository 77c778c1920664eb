"""The ACL that lets a packet pass, as the command that would create it. Pure.

Stages and priorities as ovn-northd writes ACLs (ovn, northd/northd.c: the logical flow of an ACL
has its priority and 1000 more); the command as in ovn-nbctl(8).
"""

from __future__ import annotations

import json
import shlex

from ryu_droplog.owners.base import Remedy
from ryu_droplog.records.record import Record

_OFFSET = 1000
_HIGHEST = 32767
_STAGES = {"ls_in_acl": ("from-lport", "inport"), "ls_out_acl": ("to-lport", "outport")}


def acl_command(record: Record) -> Remedy | None:
    """An ACL one priority above, for one pair of addresses and one port or ICMP type."""
    rule = record.rule
    stage = rule.names.get("stage", "") if rule is not None else ""
    found = next((way for name, way in _STAGES.items() if stage.startswith(name)), None)
    if rule is None or found is None:
        return Remedy("", f"no ACL dropped it, but stage {stage}") if stage else None
    direction, end = found
    port, switch = record.owner.get(end), record.owner.get("datapath")
    if port is None or switch is None or rule.priority is None:
        return Remedy("", "OVN's names of the logical switch and port are not known")
    priority = rule.priority - _OFFSET + 1
    if not 0 < priority <= _HIGHEST:
        return Remedy("", "the ACL has the highest priority: only a change of it lets this pass")
    match = _match(record)
    if match is None:
        return None
    whole = f"{end} == {json.dumps(str(port))} && {match}"
    words = ["acl-add", str(switch), direction, str(priority), whole, "allow-related"]
    acl = f"ACL {rule.name}" if rule.name else "the ACL"
    return Remedy(
        f"ovn-nbctl {shlex.join(words)}",
        f"one priority above {acl} that dropped it; ACLs of later stages are not looked at",
    )


def _match(record: Record) -> str | None:
    packet = record.packet
    ip, family = packet.ipv4 or packet.ipv6, "ip4" if packet.ipv4 else "ip6"
    if ip is None:
        ethernet = packet.ethernet
        return (
            None if ethernet is None or ethernet.type is None else f"eth.type == {ethernet.type:#x}"
        )
    parts = [f"{family}.src == {ip.source}", f"{family}.dst == {ip.destination}"]
    for name, layer in (("tcp", packet.tcp), ("udp", packet.udp), ("sctp", packet.sctp)):
        if layer is not None:
            return " && ".join([*parts, f"{name}.dst == {layer.destination_port}"])
    for name, icmp in (("icmp4", packet.icmp), ("icmp6", packet.icmpv6)):
        if icmp is not None:
            return " && ".join(
                [*parts, f"{name}.type == {icmp.type}", f"{name}.code == {icmp.code}"]
            )
    return " && ".join([*parts, f"ip.proto == {ip.protocol}"])
