"""Shell completion, by the shells themselves: bash always, zsh and fish where they are."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
PATIENCE = 120.0
"""Seconds for a shell and the commands that it asks."""
KEY = f"1:{'ab' * 16}"
COMPLETIONS = [
    ("ryu-droplog check-c", ["check-config"]),
    ("ryu-droplog observe --aggr", ["--aggregate-by"]),
    ("ryu-droplog observe --color al", ["always"]),
    ("ryu-droplog completion ", ["bash", "zsh", "fish"]),
    ("ryu-droplog doctor --bridge br-", ["br-first", "br-second"]),
    ("ryu-droplog observe --bridge br-s", ["br-second"]),
    ("ryu-droplog send-test n", ["new"]),
    ("ryu-droplog ack --config {config} 1", [KEY]),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the scripts of all shells and a configuration."""
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run(
            (BIN / "ryu-droplog", "completion", shell),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout
        (tmp_path / f"script.{shell}").write_text(script)
    (tmp_path / "droplog.yaml").write_text(
        "bridges: [{name: br-first}, {name: br-second}]\n"
        f"sinks: [{{name: new, type: stdout}}]\nbaseline: {tmp_path}/baseline.yaml\n"
    )
    (tmp_path / "baseline.yaml").write_text(f"{KEY}: {{reason: known}}\n")
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    """Of a shell of a user."""
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "RYU_DROPLOG_CONFIG": str(home / "droplog.yaml"),
    } | {name: value for name, value in os.environ.items() if name.startswith("LD_")}


def there(shell: str) -> str:
    """The shell's path; the test is left out where it is not installed."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed here")
    return path


def said(home: Path, *command: str) -> str:
    """What a shell prints."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(home),
        check=True,
    ).stdout


@pytest.mark.parametrize(("line", "expected"), COMPLETIONS)
def test_bash_completes(home: Path, line: str, expected: list[str]) -> None:
    line = line.format(config=home / "droplog.yaml")
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    script = (
        f"source {home}/script.bash\n"
        "complete -p ryu-droplog >/dev/null || exit 1\n"
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))})\nCOMP_CWORD={len(words) - 1}\n"
        "_ryu_droplog_completion ryu-droplog\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    bash = there("bash")
    assert expected == said(home, bash, "--norc", "-c", script).split()


@pytest.mark.parametrize(("line", "expected"), COMPLETIONS)
def test_fish_completes(home: Path, line: str, expected: list[str]) -> None:
    line = line.format(config=home / "droplog.yaml")
    fish = there("fish")
    script = f"source {home}/script.fish; complete -C {shlex.quote(line)}"
    shown = said(home, fish, "--no-config", "-c", script).splitlines()
    assert sorted(expected) == sorted(line.partition("\t")[0] for line in shown)


@pytest.mark.parametrize(
    ("line", "expected"), [(line, each[0]) for line, each in COMPLETIONS if len(each) == 1]
)
def test_zsh_completes(home: Path, line: str, expected: str) -> None:
    """Tab is pressed in a terminal, and the line is completed."""
    zsh = there("zsh")
    (home / ".zshrc").write_text(
        "autoload -Uz compinit; compinit -u -D\n"
        f"source {home}/script.zsh\nPROMPT='READY> '\nunsetopt zle_bracketed_paste\n"
    )
    line = line.format(config=home / "droplog.yaml")
    with terminal(home, zsh, "-i") as descriptor:
        read_until(descriptor, "READY> ")
        os.write(descriptor, f"{line}\t".encode())
        begun = line.rpartition(" ")[2]
        shown = read_until(descriptor, f"{begun}{expected[len(begun) :]} ")
    assert expected in shown


@contextmanager
def terminal(home: Path, *command: str) -> Iterator[int]:
    """A shell in a pseudo-terminal, which ends with the block."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(home) | {"COLUMNS": "200"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield ours
        finally:
            process.kill()
            os.close(ours)


def read_until(descriptor: int, wanted: str) -> str:
    """What the terminal shows, as soon as that is among it."""
    shown, deadline = "", time.monotonic() + PATIENCE
    while wanted not in shown.replace("\b", ""):
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{wanted!r} is not in {shown!r}"
        shown += os.read(descriptor, 65536).decode(errors="replace")
    return shown
