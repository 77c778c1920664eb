"""Figures, how they are shown, and how they are written down."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

YARDSTICK_TURNS = 100_000


@dataclass(frozen=True)
class Figure:
    """One measured value; `low` and `high` are the spread over the rounds, if there were any."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    rounds: tuple[float, ...] = ()

    @classmethod
    def of(cls, rounds: Sequence[float], unit: str) -> Figure:
        """The median of several rounds, and how far they lay apart."""
        return cls(statistics.median(rounds), unit, min(rounds), max(rounds), tuple(rounds))

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return _number(self.value)
        return f"{_number(self.value)} ({_number(self.low)}..{_number(self.high)})"


@dataclass
class Section:
    """One table: a row for each case, a column for each figure of it."""

    name: str
    title: str
    rows: dict[str, dict[str, Figure]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, case: str, **figures: Figure) -> None:
        """Put figures into the row of a case; a column's name is its keyword, `_` for a space."""
        row = self.rows.setdefault(case, {})
        for name, figure in figures.items():
            row[name.replace("_", " ")] = figure
        shown = ", ".join(f"{name.replace('_', ' ')} {f} {f.unit}" for name, f in figures.items())
        progress(f"{self.name}: {case}: {shown}")

    def note(self, text: str) -> None:
        """Say below the table what a reader should know."""
        self.notes.append(text)
        progress(f"{self.name}: {text}")

    def __str__(self) -> str:
        columns: dict[str, str] = {}
        for row in self.rows.values():
            columns |= {name: figure.unit for name, figure in row.items()}
        table = [
            ["", *columns],
            ["", *(f"[{unit}]" for unit in columns.values())],
            *(
                [case, *(str(row[name]) if name in row else "-" for name in columns)]
                for case, row in self.rows.items()
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
            for line in table
        ]
        return "\n".join([f"== {self.title}", *lines, *self.notes])


class Report:
    """All sections of one run."""

    def __init__(self) -> None:
        self.sections: list[Section] = []

    def section(self, name: str, title: str) -> Section:
        """Begin a section."""
        progress(f"--- {title}")
        begun = Section(name, title)
        self.sections.append(begun)
        return begun

    def __str__(self) -> str:
        machine = ", ".join(f"{key} {value}" for key, value in self.machine().items())
        return "\n\n".join([machine, *map(str, self.sections)])

    @staticmethod
    def machine() -> dict[str, str]:
        """What the figures depend on, apart from the program."""
        return {
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "processors": str(os.cpu_count()),
            "processor": _processor(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "os-ken": metadata.version("os-ken"),
        }

    def write(self, path: Path) -> None:
        """Write all figures as one JSON object. Raises OSError."""
        figures: list[dict[str, Any]] = [
            {
                "section": section.name,
                "case": case,
                "figure": name,
                "value": figure.value,
                "unit": figure.unit,
                "low": figure.low,
                "high": figure.high,
                "rounds": list(figure.rounds),
            }
            for section in self.sections
            for case, row in section.rows.items()
            for name, figure in row.items()
        ]
        notes = {section.name: section.notes for section in self.sections if section.notes}
        data = {"machine": self.machine(), "figures": figures, "notes": notes}
        path.write_text(json.dumps(data, indent=1) + "\n")


def progress(text: str) -> None:
    """Say on standard error what goes on."""
    print(text, file=sys.stderr, flush=True)


def yardstick() -> float:
    """Milliseconds that 100,000 turns of a small loop take now.

    A machine whose processors are shared changes its speed; this says how fast it is just now.
    """
    begin, total = time.thread_time_ns(), 0
    for turn in range(YARDSTICK_TURNS):
        total += turn
    return (time.thread_time_ns() - begin) / 1e6


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
