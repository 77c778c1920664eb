"""An explanation as a person reads it, and as JSON. Pure.

All text of others passes `plain` or `plain_data` here: no name moves a terminal's cursor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ryu_droplog.explain.explanation import Explanation, whose
from ryu_droplog.explain.fix import Fix
from ryu_droplog.explain.nearest import Near
from ryu_droplog.explain.trace import Step
from ryu_droplog.explain.way import Agreement, Way
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.openflow.oxm_match import text as match_text
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.record import End, Record
from ryu_droplog.text.phrases import count
from ryu_droplog.text.printable import plain, plain_data, printable

MEASURED, INFERRED = "measured", "inferred"


def as_text(explanation: Explanation, fix: Fix | None, *, long: bool) -> str:
    """Several lines; with `long` the whole trace behind them."""
    return plain("\n".join(_lines(explanation, fix, long)))


def as_json(explanation: Explanation, fix: Fix | None, *, long: bool) -> dict[str, Any]:
    """The same as data; docs/explain.md has its keys."""
    record = explanation.given.record
    way, taken, remedy = explanation.way, explanation.taken, explanation.remedy
    told: dict[str, Any] = {
        "drop": msgspec.json.decode(to_json(record)),
        "drop_is": MEASURED if explanation.given.measured else INFERRED,
        "inferred": list(explanation.given.inferred),
        "way": _way_data(explanation, way, long) if way else None,
        "taken_by": _flow_data(taken) if taken else None,
        "nearest": [_near_data(near) for near in explanation.near],
        "nearest_table": explanation.near_table,
        "nearest_is": _near_are(explanation),
        "remedy": {"command": remedy.command, "text": remedy.text} if remedy else None,
        "fix": _fix_data(fix, long) if fix else None,
        "not_known": list(explanation.troubles),
    }
    data: dict[str, Any] = plain_data(told)
    return data


def _lines(explanation: Explanation, fix: Fix | None, long: bool) -> Iterator[str]:
    record = explanation.given.record
    mark = MEASURED if explanation.given.measured else INFERRED
    yield f"packet   {_packet(record)} ({mark})"
    for text in explanation.given.inferred:
        yield f"         inferred: {text}"
    yield f"whose    {_one_line('; '.join(whose(record)) or 'not known')}"
    yield f"dropped  {_one_line(record.time)} on bridge {_one_line(record.bridge)}," + _place(
        record
    )
    if record.cause:
        yield f"         the table is for: {_one_line(record.cause)}"
    why = record.owner.get("why")
    if why:
        yield f"         why, by its owner's notes: {_one_line(str(why))}"
    if record.rule is not None and (record.rule.name or record.rule.match):
        yield f"         rule: {_one_line(record.rule.name or record.rule.match)}"
    yield from _way_lines(explanation)
    yield from _flow_lines(explanation)
    remedy = explanation.remedy
    if remedy is not None:
        yield "to let it pass (inferred, not run)" if remedy.command else "to let it pass"
        if remedy.command:
            yield f"         {_one_line(remedy.command, 4096)}"
        yield f"         {_one_line(remedy.text)}"
    if fix is not None:
        yield from _fix_lines(fix)
    for text in explanation.troubles:
        yield f"not known  {_one_line(text)}"
    if long and explanation.way is not None:
        yield ""
        yield explanation.way.trace.text.rstrip()
    if long and fix is not None:
        yield f"\nin the copy, with the flow:\n{fix.trace.text.rstrip()}"


def _fix_lines(fix: Fix) -> Iterator[str]:
    result = "lets the packet through" if fix.after else "does NOT let the packet through"
    yield f"fix      in a copy of the bridge, {_one_line(fix.flow)} {result} (measured)"
    if fix.before:
        yield "         it is let through without that flow, too: flows have changed since the drop"
    if fix.by_learning:
        yield "         inferred: NORMAL knows no VLANs of ports and no MACs in the copy"
    for other, passes in fix.others:
        if passes:
            mark = MEASURED if other.measured else INFERRED
            yield f"         it would let through as well: {_packet(other.record)} ({mark})"
    if fix.others:
        number = sum(passes for _, passes in fix.others)
        yield f"         {number} of {count(len(fix.others), 'other drop')} would be let through"
    for text in dict.fromkeys(fix.not_tried):
        yield f"         not tried: {_one_line(text)}"


def _fix_data(fix: Fix, long: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "flow": fix.flow,
        "lets_through": fix.after,
        "without_it": fix.before,
        "normal": fix.by_learning,
        "others": [
            {
                "packet": _packet(other.record),
                "packet_is": MEASURED if other.measured else INFERRED,
                "lets_through": passes,
            }
            for other, passes in fix.others
        ],
        "not_tried": list(fix.not_tried),
    }
    return {**told, "trace": fix.trace.text.split("\n")} if long else told


def _place(record: Record) -> str:
    return f" table {record.table.id} {_one_line(record.table.name)}, {_one_line(record.reason)}"


def _packet(record: Record) -> str:
    packet = record.packet
    kind = next(
        (
            name
            for name, layer in (
                ("TCP", packet.tcp), ("UDP", packet.udp), ("SCTP", packet.sctp),
                ("ICMP", packet.icmp), ("ICMPv6", packet.icmpv6), ("ARP", packet.arp),
            )
            if layer is not None
        ),
        "",
    )  # fmt: skip
    if not kind:
        ip, ethernet = packet.ipv4 or packet.ipv6, packet.ethernet
        kind = f"IP protocol {ip.protocol}" if ip else ""
        if not kind:
            known = ethernet is not None and ethernet.type is not None
            kind = f"EtherType {ethernet.type:#06x}" if ethernet and known else "no Ethernet"
    flags = f" {' '.join(packet.tcp.flags)}" if packet.tcp and packet.tcp.flags else ""
    tags = "".join(f" VLAN {vlan.id}" for vlan in packet.vlans)
    return f"{kind}{flags}{tags} {_end(record.source)} -> {_end(record.destination)}"


def _end(end: End | None) -> str:
    if end is None:
        return "-"
    address = end.ip or end.mac
    if end.port is not None:
        address = f"[{address}]:{end.port}" if ":" in end.ip else f"{address}:{end.port}"
    return _one_line(f"{address} ({end.mac})" if end.ip and end.mac else address)


_AGREES = {
    Agreement.SAME: "measured now: it leads to the same table with the same registers",
    Agreement.TABLE: "measured now: it leads to the same table",
    Agreement.ELSEWHERE: "measured now: it does NOT lead to that table any more",
}


def _way_lines(explanation: Explanation) -> Iterator[str]:
    way, record = explanation.way, explanation.given.record
    if way is None:
        return
    yield f"way      {_AGREES[way.agreement]}"
    for text in way.inferred:
        yield f"         inferred: {_one_line(text)}"
    for one in way.trace.passes:
        if one.resumed:
            yield f"         {_one_line(one.resumed)}"
        for step in one.steps:
            yield f"         {_step(explanation, step, record)}"
    if way.trace.lets_through:
        yield "         it would be let through now (measured by the trace)"


def _step(explanation: Explanation, step: Step, record: Record) -> str:
    name = explanation.table_name(step.table_id) if step.bridge == record.bridge else step.bridge
    where = f"{step.table_id} {name}".rstrip()
    if step.priority is None:
        return _one_line(f"{where}: {step.actions[0] if step.actions else 'No match.'}")
    if step.ours:
        return _one_line(f"{where}: the flow of this program, which sees what is dropped here")
    match = step.match or "everything"
    return _one_line(f"{where}: priority {step.priority}, {match}: {_actions(step)}")


def _actions(step: Step) -> str:
    shown = [action for action in step.actions if not action.startswith(("->", ">>>>"))]
    return ", ".join(shown) or "drop"


def _flow_lines(explanation: Explanation) -> Iterator[str]:
    if explanation.look is None:
        return
    record, taken = explanation.given.record, explanation.taken
    table = f"table {record.table.id}"
    yield f"flows    of {table}, by the packet's fields there ({_fields_are(explanation)})"
    if taken is None:
        yield "         no flow of the owner's matches it: a miss"
    else:
        does = "does more than drop it" if taken.effect.leaves else "drops it"
        yield f"         {_flow(taken)} matches, and {does}"
    if not explanation.near:
        yield "         no flow there would let anything through"
    elif explanation.near_table != record.table.id:
        name = explanation.table_name(explanation.near_table)
        before = f"{explanation.near_table} {name}".rstrip()
        yield f"         all others there drop; before it, in table {_one_line(before)} (inferred):"
    for near in explanation.near:
        yield f"         near: {_flow(near.flow)}: {_one_line(_why_not(near))}"


def _why_not(near: Near) -> str:
    parts = [difference.text for difference in near.differences]
    parts += [f"{name} is not known" for name in near.unknown]
    text = "; ".join(parts)
    if near.conjunctions:
        fits = text or "it fits"
        return f"{fits}; it is only {', '.join(near.conjunctions)}"
    return text


def _flow(flow: Flow) -> str:
    return _one_line(f"priority {flow.priority}, {match_text(flow.match) or 'everything'}", 1000)


def _fields_are(explanation: Explanation) -> str:
    return MEASURED if explanation.given.measured else INFERRED


def _near_are(explanation: Explanation) -> str:
    same = explanation.near_table == explanation.given.record.table.id
    return _fields_are(explanation) if same else INFERRED


def _one_line(text: str, limit: int = 1000) -> str:
    return printable(text, limit)


def _flow_data(flow: Flow) -> dict[str, Any]:
    return {
        "priority": flow.priority,
        "match": match_text(flow.match),
        "cookie": f"{flow.cookie:#x}",
        "drops": not flow.effect.leaves,
    }


def _near_data(near: Near) -> dict[str, Any]:
    differences = [difference._asdict() for difference in near.differences]
    return {
        **_flow_data(near.flow),
        "differences": differences,
        "not_known": list(near.unknown),
        "conjunctions": list(near.conjunctions),
    }


def _way_data(explanation: Explanation, way: Way, long: bool) -> dict[str, Any]:
    steps = [
        {
            "bridge": step.bridge,
            "table": step.table_id,
            "name": explanation.table_name(step.table_id),
            "priority": step.priority,
            "match": step.match,
            "cookie": f"{step.cookie:#x}",
            "actions": step.actions,
            "ours": step.ours,
        }
        for one in way.trace.passes
        for step in one.steps
    ]
    told: dict[str, Any] = {
        "agreement": way.agreement.value,
        "from_table": way.from_table,
        "inferred": list(way.inferred),
        "lets_through": way.trace.lets_through,
        "steps": steps,
    }
    return {**told, "trace": way.trace.text.split("\n")} if long else told
