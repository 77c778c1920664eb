"""Findings that somebody knows of: what needs attention has a key, and the baseline may have it."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ryu_droplog.doctor.findings import Finding
from ryu_droplog.records import baseline_file
from ryu_droplog.records.acknowledged import DOCTOR, Entry

_NUMBERS = re.compile(r"(?<![A-Za-z_])\d+")
"""How many there are changes, and the problem stays the same; `TABLE_5` is a name."""


def problem_key(bridge: str, text: str) -> str:
    """The key of a finding of a bridge, the same for other numbers: `doctor:` and 16 digits."""
    hashed = hashlib.sha256(f"{bridge}\0{_NUMBERS.sub('0', text)}".encode(errors="replace"))
    return f"{DOCTOR}{hashed.hexdigest()[:16]}"


def marked(
    bridge: str, findings: Sequence[Finding], baseline: Mapping[str, Entry]
) -> list[Finding]:
    """The findings, warnings with their keys and with what the baseline says of them."""
    told = []
    for finding in findings:
        if finding.level == "warning":
            key = problem_key(bridge, finding.text)
            known = baseline.get(key)
            finding = replace(
                finding, problem=key, acknowledged=known.reason if known is not None else ""
            )
        told.append(finding)
    return told


def holding_now(path: str | None) -> dict[str, Entry]:
    """The entries of a baseline that are not past. Raises ConfigError for a broken file."""
    if path is None or not os.path.lexists(path):
        return {}
    now = time.time()
    return {key: entry for key, entry in baseline_file.read(path).items() if not entry.is_past(now)}
