"""What `ryu-droplog doctor` prints: a report as a page of text, and as JSON (docs/doctor.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ryu_droplog.doctor import identities
from ryu_droplog.doctor.examine import Additions, Explicit, Report, TableReport
from ryu_droplog.doctor.findings import Finding
from ryu_droplog.text.phrases import count
from ryu_droplog.text.printable import printable

MANY = 4
"""Tables of which the same is said, and that are told together on the page."""

_NOTHING_TO_SEE = ("owner forwards all", "left alone")


def as_page(report: Report) -> str:
    """The report as text, without a final newline."""
    attention = sum(finding.attention for finding in report.findings)
    verdict = "all is well" if report.well else f"{count(attention, 'thing')} to look at"
    lines = [f"{report.bridge}: {verdict}"]
    lines += [_finding_in_words(finding) for finding in report.findings]
    verb = "has added" if report.running else "would add"
    lines += [
        f"  owner:     {report.owner.in_words()}",
        f"  pipeline:  {report.pipeline}",
        f"  program:   {verb} {_additions_in_words(report.adds)}",
        f"  costs:     {report.costs}",
        f"  supports:  {_supports_in_words(report.supports)}",
        f"  identity:  {identities.in_words(report.identity)}",
        "  tables:",
    ]
    return "\n".join([*lines, *_tables_in_words(report.tables)])


def _finding_in_words(finding: Finding) -> str:
    """What needs attention ends with the key under which it may be acknowledged."""
    if finding.acknowledged:
        return f"  - {finding.text} [acknowledged: {printable(finding.acknowledged)}]"
    if finding.attention:
        return f"  ! {finding.text} [{finding.problem}]"
    return f"  - {finding.text}"


def _tables_in_words(tables: Sequence[TableReport]) -> Iterator[str]:
    """A line for each, and one for many of which the same is said."""
    alike: dict[tuple[str, str], list[TableReport]] = {}
    for table in tables:
        if table.state in _NOTHING_TO_SEE:
            alike.setdefault((table.state, table.why), []).append(table)
    many = {key: group for key, group in alike.items() if len(group) >= MANY}
    single = [table for table in tables if (table.state, table.why) not in many]
    width = max((len(table.name) for table in single), default=0)
    for table in single:
        why = table.why + _explicit_in_words(table.explicit)
        yield f"    {table.table_id:3}  {table.name:{width}}  {table.state:18}  {why}"
    for (state, why), group in many.items():
        numbers = ", ".join(str(table.table_id) for table in group)
        yield f"    {count(len(group), 'table')} {state}: {why} ({numbers})"


def _additions_in_words(adds: Additions) -> str:
    parts = [count(adds.flows, "flow"), count(adds.meters, "meter")]
    if adds.modified:
        parts.append(f"an action to {count(adds.modified, 'drop flow')} of the owner's")
    if adds.controller_rows:
        parts.append("one Controller row of type=service in OVSDB")
    return ", ".join(parts)


def _explicit_in_words(explicit: Explicit) -> str:
    if not explicit.flows:
        return ""
    logged = f" ({explicit.logged} logged)" if explicit.logged else ""
    packets = count(explicit.packets, "packet")
    return f"; {count(explicit.flows, 'explicit drop')}{logged}, {packets} so far"


def _supports_in_words(supports: Mapping[str, Any]) -> str:
    parts = [
        f"Open vSwitch {supports['version'] or 'of unknown version'}",
        f"OpenFlow {supports['openflow']}",
        "bundles" if supports["bundles"] else "no bundles",
        "flow monitor" if supports["flow_monitor"] else "no flow monitor",
        count(supports["meters"], "meter") if supports["meters"] else "no meters",
    ]
    if supports["database"]:
        protocols = ", ".join(supports["protocols"]) or "the switch's default"
        parts += [
            f"datapath {supports['datapath']}",
            "offload" if supports["offload"] else "no offload",
            "DPDK" if supports["dpdk"] else "no DPDK",
            f"protocols {protocols}",
        ]
    return ", ".join(parts)


def as_json(report: Report) -> dict[str, Any]:
    """The report with the keys of docs/doctor.md."""
    return {"bridge": report.bridge, "well": report.well, "error": "", **asdict(report)}


def unseen_as_json(bridge: str, error: str) -> dict[str, Any]:
    """The same of a bridge that could not be looked at: these three keys alone."""
    return {"bridge": bridge, "well": False, "error": error}
