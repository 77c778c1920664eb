"""What the wheel and the source distribution hold: built from the files of this checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from checkout import ROOT, SOURCES, copy


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both: the wheel is built from the source distribution, as pip would."""
    folder = tmp_path_factory.mktemp("distributions")
    clone = folder / "clone"
    copy(clone)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, clone],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr
    return folder


def shared() -> set[str]:
    """What a user reads, or begins with."""
    folders = (ROOT / "contrib", ROOT / "docs")
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    files -= set((ROOT / "docs" / "man").iterdir())  # manual pages have a place of their own
    return {path.relative_to(ROOT).as_posix() for path in files} | {"LICENSE", "README.md"}


def test_there_are_documents_to_speak_of() -> None:
    expected = {"docs/configuration.md", "docs/droplog.yaml", "docs/kubernetes.yaml"}
    expected |= {"contrib/ryu-droplog.service", "contrib/droplog.yaml"}
    assert expected <= shared()


def test_wheel_holds_documents_examples_and_the_unit(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    begin = f"{wheel.name.split('-py3')[0]}.data/data/share/doc/ryu-droplog/"
    assert shared() == {name[len(begin) :] for name in names if name.startswith(begin)}
    assert f"{wheel.name.split('-py3')[0]}.data/data/share/man/man1/ryu-droplog.1" in names
    pipelines = {f"ryu_droplog/flows/{path.name}" for path in (ROOT / "flows").iterdir()}
    assert pipelines | {"ryu_droplog/py.typed"} <= names
    modules = {f"{path.relative_to(ROOT)}" for path in (ROOT / "ryu_droplog").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}


def test_source_distribution_holds_all_that_it_takes_to_work_on_it(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in SOURCES
        for path in [ROOT / name, *(ROOT / name).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set() == wanted - names
