"""Which droplog.yaml is taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ryu_droplog.config.options import CONFIG_VARIABLE, DEFAULT_FILE, choose


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        ("option", "variable", "option"),
        ("option", "", "option"),
        ("option", None, "option"),
        (None, "variable", "variable"),
        ("", "variable", "variable"),
        (None, None, "default"),
        (None, "", None),
    ],
)
def test_option_comes_before_the_environment_and_that_before_the_default(
    tmp_path: Path, option: str | None, variable: str | None, expected: str | None
) -> None:
    default = tmp_path / "droplog.yaml"
    default.touch()
    environ = {} if variable is None else {CONFIG_VARIABLE: variable}
    found = choose(option, environ, str(default))
    assert expected == ("default" if found == str(default) else found)


@pytest.mark.parametrize("path", ["none.yaml", "file/none.yaml"])
def test_default_that_does_not_exist_is_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    assert choose(None, {}, str(tmp_path / path)) is None


def test_default_that_leads_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    """Whoever made the link wants a file to be read, and is told that there is none."""
    link = tmp_path / "droplog.yaml"
    link.symlink_to("nowhere")
    assert str(link) == choose(None, {}, str(link))


def test_tests_take_no_file_of_the_machine() -> None:
    assert "/etc/ryu-droplog/droplog.yaml" == DEFAULT_FILE
    assert "" == os.environ[CONFIG_VARIABLE]
    assert choose(None) is None
