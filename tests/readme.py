"""What README.md and other pages tell a reader to type, and what comes of it: run literally."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
INSTALL_PAGE = README.with_name("docs") / "install.md"
_FENCE = "```"


def blocks(heading: str, page: Path = README) -> list[str]:
    """The blocks of code under a heading, up to the next heading of whatever depth."""
    found: list[str] = []
    inside = reading = False
    for line in page.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith(_FENCE):
            inside = not inside
            if inside:
                found += [""] if reading else []
        elif inside:
            if reading:
                found[-1] += line
        elif line.startswith("#"):
            reading = line.lstrip("#").strip() == heading
    assert found, f"{page.name} has no code under a heading {heading!r}"
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """Matches the line that is shown; `…` in it stands for whatever is there."""
    return re.compile(".*".join(map(re.escape, shown.split("…"))))
