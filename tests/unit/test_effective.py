"""What holds: droplog.yaml, and over it what the OpFlex agent's control files say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ryu_droplog.config.effective import Configuration
from ryu_droplog.config.filter_spec import DEFAULTS
from ryu_droplog.model.errors import ConfigError


class Files:
    """A droplog.yaml and a directory of control files, as they are written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "droplog.yaml"
        self.directory = folder / "opflex"
        self.directory.mkdir()

    def write(self, **keys: Any) -> None:
        """Another droplog.yaml, in one step."""
        new = self.path.with_name("new")
        new.write_text(json.dumps(keys))
        os.replace(new, self.path)

    def write_control(self, name: str, **keys: Any) -> None:
        (self.directory / name).write_text(json.dumps(keys))

    @property
    def obeyed(self) -> dict[str, Any]:
        """The key that has the control files obeyed."""
        return {"opflex": {"droplog_directory": str(self.directory)}}

    def configuration(self) -> Configuration:
        return Configuration(str(self.path))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_without_a_file_the_defaults_hold_and_nothing_changes() -> None:
    configuration = Configuration(None)
    assert configuration.settings.enable
    assert "neutron" in configuration.pipelines
    assert not configuration.poll()


def test_wrong_file_is_refused_at_the_start(files: Files) -> None:
    files.write(colour="red")
    with pytest.raises(ConfigError, match="colour: unknown key"):
        files.configuration()


def test_file_counts_when_two_looks_found_it_the_same(files: Files) -> None:
    files.write(format="json")
    configuration = files.configuration()
    assert [False, False] == [configuration.poll(), configuration.poll()]
    files.write(format="extended")
    assert [False, True, False] == [configuration.poll() for _ in range(3)]


def test_what_was_read_holds_from_its_acceptance_on(files: Files) -> None:
    files.write(format="json")
    configuration = files.configuration()
    files.write(format="extended")
    settings, pipelines = configuration.read()
    assert ("extended", "json") == (settings.format, configuration.settings.format)
    configuration.accept()
    assert settings is configuration.settings
    assert pipelines is configuration.pipelines


def test_file_that_is_refused_leaves_what_holds(files: Files) -> None:
    files.write(format="json")
    configuration = files.configuration()
    files.write(format="xml")
    with pytest.raises(ConfigError, match="xml"):
        configuration.read()
    configuration.accept()
    assert "json" == configuration.settings.format
    assert not configuration.poll()


def test_control_files_switch_the_drop_log_on_and_off(files: Files) -> None:
    files.write(**files.obeyed)
    configuration = files.configuration()
    assert not configuration.settings.enable
    assert f"{files.directory} has no *.droplogcfg" == configuration.switched_off
    files.write_control("a.droplogcfg", **{"drop-log-enable": True})
    assert any([configuration.poll(), configuration.poll()])
    configuration.read()
    configuration.accept()
    assert (True, "") == (configuration.settings.enable, configuration.switched_off)
    files.write_control("a.droplogcfg", **{"drop-log-enable": False, "x": " "})
    assert any([configuration.poll(), configuration.poll()])
    configuration.read()
    configuration.accept()
    reason = f"{files.directory}/a.droplogcfg: drop-log-enable is false"
    assert (False, reason) == (configuration.settings.enable, configuration.switched_off)


def test_control_files_do_not_switch_on_what_droplog_yaml_switches_off(files: Files) -> None:
    files.write_control("a.droplogcfg", **{"drop-log-enable": True})
    files.write(**files.obeyed, drop_log_config={"enable": False})
    configuration = files.configuration()
    assert not configuration.settings.enable
    assert "drop_log_config.enable is false" == configuration.switched_off


def test_flow_based_without_a_flow_captures_nothing(files: Files) -> None:
    files.write_control("a.droplogcfg", **{"drop-log-enable": True, "drop-log-mode": "flow-based"})
    files.write(**files.obeyed)
    configuration = files.configuration()
    assert ((), False) == (configuration.settings.flows, configuration.settings.enable)
    reason = f"drop-log-mode is flow-based, and {files.directory} has no *.dropflowcfg"
    assert reason == configuration.switched_off


def test_filters_of_droplog_yaml_stay_beside_control_files(files: Files) -> None:
    files.write_control("a.droplogcfg", **{"drop-log-enable": True})
    files.write(**files.obeyed, prune={"filters": [{"name": "web", "dport": 80, "ip_proto": 6}]})
    names = [spec.name for spec in files.configuration().settings.prune]
    assert [*[spec.name for spec in DEFAULTS], "web"] == names
