"""The tables of docs/owners.md, which the tests hold to be true."""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "owners.md"


def documented(section: str) -> dict[str, tuple[str, ...]]:
    """The first table of a section: what is sent -> what is said of it, a column each."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [line.strip()[1:-1] for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in row.split("|")] for row in rows[2:]]
    return {cell[0]: tuple(cell[1:]) for cell in cells}
