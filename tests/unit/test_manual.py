"""The manual page, and the examples that each command has in its help."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ryu_droplog.__main__ import main
from ryu_droplog.cli.commands import COMMANDS
from ryu_droplog.cli.manual import _text, manual

PAGE = Path(__file__).resolve().parents[2] / "docs" / "man" / "ryu-droplog.1"


@pytest.mark.parametrize("name", COMMANDS.own_names())
def test_help_of_each_command_has_examples_of_it(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert 0 == result.exit_code
    head, examples, shown = result.stdout.partition("\n  Examples:\n")
    assert head
    assert examples
    lines = shown.split("\n\n")[0].splitlines()
    assert lines
    assert any(f"ryu-droplog {name}" in line for line in lines)


@pytest.mark.parametrize("name", COMMANDS.own_names())
def test_examples_use_options_that_there_are(name: str) -> None:
    command = COMMANDS.get(name)
    ctx = click.Context(
        command, info_name=name, parent=click.Context(main, **main.context_settings)
    )
    known = {option for each in command.get_params(ctx) for option in each.opts}
    known |= {option for each in command.get_params(ctx) for option in each.secondary_opts}
    examples = (command.help or "").partition("Examples:\n")[2].split("\n\n")[0]
    lines = examples.replace("\\\n", " ").splitlines()
    for line in lines:
        _, own, rest = line.partition(f"ryu-droplog {name}")
        words = rest.partition(" | ")[0].split() if own else []
        assert {word for word in words if word.startswith("--")} <= known, line


def test_page_is_made_of_what_the_commands_say_now() -> None:
    assert manual() == PAGE.read_text(encoding="utf-8"), "run tools/manual-page"


@pytest.mark.parametrize("name", COMMANDS.own_names())
def test_page_has_each_command(name: str) -> None:
    assert f'.SS "{_text(name)}"' in PAGE.read_text().splitlines()


@pytest.mark.parametrize(
    ("command", "silent"),
    [
        (("man", "--warnings", "--local-file"), True),
        (("groff", "-man", "-ww", "-Tutf8", "-z"), True),
        (("mandoc", "-Tlint", "-Wwarning"), False),
    ],
    ids=["man", "groff", "mandoc"],
)
def test_page_is_read_without_a_warning(command: tuple[str, ...], silent: bool) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed here")
    result = subprocess.run(
        (*command, str(PAGE)),
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
        check=False,
    )
    assert (0, "") == (result.returncode, result.stderr)
    if not silent:
        assert "" == result.stdout


def test_text_stands_as_it_is() -> None:
    """As nroff shows it: with a dot, a quote or a backslash at the beginning, too."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed here")
    said = [".TH X", "'quoted' `that`", "--option ~/a\\b ^c", "\\fBnot bold"]
    source = ".TH X 1\n.nf\n" + "\n".join(map(_text, said)) + "\n"
    result = subprocess.run(
        ("groff", "-man", "-Tascii", "-P-c"),
        input=source,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    shown = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    assert said == shown[1 : 1 + len(said)]
