"""The virtual environment of receivers whose packages the program's own shall not have."""

from __future__ import annotations

from pathlib import Path

VENV = Path(__file__).resolve().parents[2] / ".venv-receivers"
"""With `chdb` (ClickHouse) and `moto` (S3), and in node_modules npm's `@fluent-org/logger` and
`@elastic/ecs`; made by tools/prepare --test."""


def node() -> str:
    """Node's program: that of the environment where the machine has none."""
    own = VENV / "bin" / "node"
    return str(own) if own.exists() else "node"
