"""Whether the program could write where it is configured to, as this user or another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ryu_droplog.config import loader
from ryu_droplog.config.places import unwritable

NOBODY = 65534


def problems(folder: Path, text: str) -> list[str]:
    return list(unwritable(loader.parse(text.format(folder=folder), "f.yaml", {})))


TO_FILE = "drop_log_config: {{opflex_redirect_drop_logs: d.log}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "run_directory: {folder}\n",
        "run_directory: {folder}/a/b/c\n",
        TO_FILE + "run_directory: {folder}\nlog_directory: {folder}/logs/deep\n",
        "run_directory: {folder}\nlog_directory: {folder}/file/unused\n",
    ],
)
def test_what_is_there_or_can_be_made_is_no_problem_and_is_not_made(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "file").touch()
    assert [] == problems(tmp_path, text)
    assert ["file"] == os.listdir(tmp_path)


def test_file_in_place_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = TO_FILE + "run_directory: {folder}/file/run\nlog_directory: {folder}/file\n"
    reason = f"{tmp_path}/file is not a directory"
    assert [
        f"log_directory: {tmp_path}/file/d.log cannot be written: {reason}",
        f"run_directory: {tmp_path}/file/run cannot be written: {reason}",
    ] == problems(tmp_path, text)


def test_directory_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.log").mkdir()
    text = TO_FILE + "run_directory: {folder}\nlog_directory: {folder}\n"
    expected = f"log_directory: {tmp_path}/d.log cannot be written: it is a directory"
    assert [expected] == problems(tmp_path, text)


_AS_NOBODY = f"""
import os, sys
from ryu_droplog.config import loader as config
from ryu_droplog.config.places import unwritable
settings = config.parse(open(sys.argv[1]).read(), "f.yaml", {{}})
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
print("\\n".join(unwritable(settings)))
"""


def test_directory_of_another_user_is_found_without_writing(tmp_path: Path) -> None:
    """By a process that is not root; as root, nearly everything can be written."""
    for path in (tmp_path, *tmp_path.parents):
        if path.name.startswith(("test_", "pytest-", "popen-")):
            path.chmod(0o755)
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "d.log").touch()
    for path, mode in ((folder / "d.log", 0o444), (folder, 0o555)):
        path.chmod(mode)
    file = tmp_path / "droplog.yaml"
    text = f"run_directory: {folder}/run\nlog_directory: {folder}\n"
    file.write_text(TO_FILE.format() + text)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(file)], capture_output=True, text=True, check=True
    )
    assert [
        f"log_directory: {folder}/d.log cannot be written: permission denied",
        f"run_directory: {folder}/run cannot be written: {folder}: permission denied",
    ] == done.stdout.splitlines()
