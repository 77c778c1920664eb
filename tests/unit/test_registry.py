"""Parts by name: the project's own, and those of other packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ryu_droplog.plugins.registry import Registry

ROOT = Path(__file__).parents[2]


def test_own_part_is_loaded_once_it_is_asked_for() -> None:
    registry: Registry[type] = Registry("part", {"a": "nowhere:A", "path": "pathlib:Path"})
    assert ["a", "path"] == registry.names()
    assert registry.get("path") is Path
    with pytest.raises(ModuleNotFoundError):
        registry.get("a")


def test_unknown_name_is_refused() -> None:
    registry: Registry[type] = Registry("sink", {"path": "pathlib:Path"}, "ryu_droplog.none")
    with pytest.raises(LookupError, match="no sink is called 'b'"):
        registry.get("b")
    assert ["path"] == registry.names()


def other_package(directory: Path) -> dict[str, str]:
    """The environment of a process for which another package's parts are installed."""
    (directory / "theirs.py").write_text("class Sink: pass\n", encoding="utf-8")
    info = directory / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    points = "[ryu_droplog.sinks]\ntheirs = theirs:Sink\nfile = theirs:Sink\nbad = theirs:Gone\n"
    (info / "entry_points.txt").write_text(points)
    path = f"{directory}{os.pathsep}{ROOT}"
    return {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(directory / "cache")}


def run(program: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


def test_part_of_another_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    program = (
        "from ryu_droplog.plugins.parts import SINKS;"
        "print(SINKS.get('theirs').__module__, SINKS.get('file').__module__, SINKS.names()[-2:])"
    )
    expected = "theirs ryu_droplog.sinks.text ['bad', 'theirs']"
    assert expected == run(program, other_package(tmp_path))


def test_part_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    program = (
        "from ryu_droplog.plugins.parts import SINKS\n"
        "try: SINKS.get('bad')\n"
        "except AttributeError as error: print(error)\n"
    )
    assert "module 'theirs' has no attribute 'Gone'" == run(program, other_package(tmp_path))
