"""This checkout's sources, as a clone of it would have them."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    *("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg"),
    *("contrib", "docs", "flows", "releasenotes", "ryu_droplog", "tests", "tools"),
)


def copy(folder: Path) -> None:
    """Put them into a new folder."""
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
