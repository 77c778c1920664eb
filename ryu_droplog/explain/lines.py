"""Lines of the log, read back: the formats `opflex`, `extended` and `json` (docs/formats.md). Pure.

A fact is named as the format `json` names it, and is text; what the owner said has `owner.` before
its name, and what concerns its flow `flow.`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_HEAD = re.compile(
    r"^(?:.*\] |.*?ryu_droplog(?:\[\d+\])?: )?(?P<reason>\S.*?)  ?(?P<rest>SMAC=.*)$"
)
_REASON = re.compile(r"(?P<table>\S+) (?P<reason>MISS|DENY|PERMIT)(?: (?P<policy>\S+))?")
_PAIR = re.compile(r'([A-Z][A-Z0-9_]*)=("(?:[^"\\]|\\.)*"|\S*)')
_TAGS = re.compile(r"QTAG=(\d+) (\S+)")
_TIME = re.compile(r"^\[([^\]]+)\]")
_FLAGS = re.compile(r"WINDOWS=\d+ ((?:[A-Z]{2,3} )*)")
_KEYS = {
    "SMAC": "smac", "DMAC": "dmac", "SRC": "src", "DST": "dst", "ARP_SPA": "src", "ARP_TPA": "dst",
    "ARP_OP": "arp_op", "SPT": "sport", "DPT": "dport", "TTL": "ttl", "HL": "ttl", "LEN": "length",
    "PROTO": "protocol", "TYPE": "icmp_type", "CODE": "icmp_code", "ICMP6_TYPE": "icmp_type",
    "ICMP6_CODE": "icmp_code", "IN_PORT": "in_port", "BRIDGE": "bridge", "REPEATED": "repeated",
    "DSCP": "dscp", "FRAG": "fragment_offset",
}  # fmt: skip
_UNUSED = frozenset(
    (
        "ACKNOWLEDGED",
        "ETYP",
        "QTAG",
        "ID",
        "FLAGS",
        "TC",
        "FL",
        "SEQ",
        "ACK",
        "WINDOWS",
        "URGP",
        "STID",
        "DTID",
    )
)
_FLOW = {
    "FLOW_COOKIE": "flow.cookie", "FLOW_PRIORITY": "flow.priority", "FLOW_MATCH": "flow.match",
    "STAGE": "flow.stage", "ACL": "flow.acl", "HINT": "flow.hint", "LOGICAL": "flow.logical",
}  # fmt: skip
_REQUIRED = ("table", "reason", "drop_reason")
_NUMBERS = (
    "table_id", "in_port", "sport", "dport", "arp_op", "ttl", "length", "icmp_type", "icmp_code",
    "fragment_offset",
)  # fmt: skip


class LineError(ValueError):
    """A line that says no drop."""


def facts_of_line(line: str) -> dict[str, str]:
    """What a line of the formats `opflex` and `extended` says; raises LineError."""
    found = _HEAD.match(line.strip())
    reason = _REASON.fullmatch(_without_tenants(found["reason"])) if found else None
    if found is None or reason is None:
        raise LineError('expected "TABLE MISS  SMAC=…", as the log has it')
    facts = {
        "table": reason["table"],
        "reason": reason["reason"],
        "drop_reason": reason[0],
        "policy": reason["policy"] or "",
    }
    time = _TIME.match(line.strip())
    if time:
        facts["time"] = time[1]
    rest = found["rest"]
    for key, value in _PAIR.findall(rest):
        name = _KEYS.get(key) or _FLOW.get(key) or f"owner.{key.lower()}"
        if key not in _UNUSED and name not in facts:  # of LEN, the first: the IP header's
            facts[name] = str(json.loads(value)) if value.startswith('"') else value
    tags = _TAGS.findall(rest)
    kind = re.search(r"ETYP=(\S+)", rest)
    if tags:
        facts["vlans"] = " ".join(tag for tag, _ in tags)
    facts["ethertype"] = tags[-1][1] if tags else kind[1] if kind else ""
    flags = _FLAGS.search(rest)
    if flags:
        facts["tcp_flags"] = flags[1].strip()
    return _checked(facts)


def facts_of_json(told: Mapping[str, object]) -> dict[str, str]:
    """What an object of the format `json` says; raises LineError."""
    facts = {key: str(value) for key, value in told.items() if isinstance(value, str | int)}
    vlans = told.get("vlans")
    if isinstance(vlans, list):
        facts["vlans"] = " ".join(map(str, vlans))
    for part in ("owner", "flow"):
        of_part = told.get(part)
        if isinstance(of_part, dict):
            facts |= {f"{part}.{key}": str(value) for key, value in of_part.items()}
    missing = [key for key in _REQUIRED if key not in facts]
    if missing:
        raise LineError(f"no {', '.join(missing)}")
    return _checked(facts)


def _without_tenants(reason: str) -> str:
    return re.sub(r" STID=\S* DTID=\S*$", "", reason)


def _checked(facts: dict[str, str]) -> dict[str, str]:
    for key in _NUMBERS:
        if key in facts and not (facts[key].isascii() and facts[key].isdigit()):
            raise LineError(f"got {key} {facts[key]!r}; expected a number")
    if ("sport" in facts) != ("dport" in facts):
        raise LineError("expected both ports, or none")
    return facts
