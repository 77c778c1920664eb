"""The SQL of docs/fleet, as it stands there, for an engine of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.truth import Truth

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "fleet"
QUESTIONS = (
    "most-dropped",
    "since-when",
    "nodes-at-once",
    "by-rule",
    "new-since-yesterday",
    "began-at-once",
)
BROKERS = "kafka-1.example.net:9092"
"""What the documents have for the brokers."""
_COMMENT = re.compile(r"--.*")
_PARAMETER = re.compile(r"\{(\w+):")


def statements(name: str, brokers: str = BROKERS) -> list[str]:
    """The statements of a file, without comments, with the address of a broker put in."""
    text = _COMMENT.sub("", (FOLDER / f"{name}.sql").read_text())
    return [part.strip().replace(BROKERS, brokers) for part in text.split(";") if part.strip()]


def question(name: str, truth: Truth, look_back: float = 0.0) -> list[str]:
    """The statements that ask a question of QUESTIONS about the time of `truth`.

    `look_back` is how many seconds earlier `since` is.
    """
    (query,) = statements(name)
    values: Mapping[str, Any] = {
        "since": int(truth.since - look_back),
        "until": int(truth.until),
        "quiet": int(truth.quiet),
        "nodes": 10,
        "top": 10,
    }
    wanted = sorted(set(_PARAMETER.findall(query)))
    return [*(f"SET param_{each} = '{values[each]}'" for each in wanted), query]
