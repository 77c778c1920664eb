"""What a node that boots is given: systemd, logrotate and the program itself read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from functional.program import BIN

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
UNIT = "ryu-droplog.service"
DROP_IN = "socket-room.conf"
INSTALLED = "/opt/ryu-droplog/bin/ryu-droplog"
MOST_EXPOSED = "40"
"""Of 100, as systemd-analyze(1) counts; what most services have is above 90."""


def run(*command: str | Path) -> tuple[int, str]:
    """Exit status, and all that was said."""
    if shutil.which(command[0]) is None:
        pytest.fail(f"{command[0]} is not installed: run sudo tools/test", pytrace=False)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60, check=False, env={**os.environ, "SYSTEMD_COLORS": "0"},
    )  # fmt: skip
    return done.returncode, done.stdout


def settings(name: str) -> list[str]:
    """The values of a key of the unit, in order."""
    lines = (CONTRIB / UNIT).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def about_unit(said: str) -> list[str]:
    """Without what systemd-analyze says of the machine's own units."""
    return [line for line in said.splitlines() if UNIT in line]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the program where it is here."""
    text = (CONTRIB / UNIT).read_text()
    assert 2 == text.count(f"{INSTALLED} ")
    path = tmp_path / UNIT
    path.write_text(text.replace(INSTALLED, str(BIN / "ryu-droplog")))
    return path


def test_systemd_understands_every_line_of_the_unit(unit: Path) -> None:
    status, said = run("systemd-analyze", "verify", "--man=no", unit)
    assert (0, []) == (status, about_unit(said))


def test_unit_with_a_mistake_would_be_refused(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))
    _, said = run("systemd-analyze", "verify", "--man=no", unit)
    (mistake,) = about_unit(said)
    assert "ProtectClocks" in mistake


def test_unit_is_hardened(unit: Path) -> None:
    status, said = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit
    )
    assert 0 == status, said


def test_unit_lets_the_cleanup_process_outlive_the_program() -> None:
    """With `mixed` or `control-group` systemd kills it with SIGKILL as soon as the program ends."""
    assert ["process"] == settings("KillMode")
    assert settings("ExecStopPost") == [
        f"-{INSTALLED} clean --config /etc/ryu-droplog/droplog.yaml"
    ]


def test_unit_has_the_capabilities_that_it_needs_and_no_other() -> None:
    for name in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert ["CAP_DAC_OVERRIDE CAP_SYS_NICE"] == settings(name)


def with_drop_in(unit: Path) -> Path:
    """The unit with its drop-in beside it, as systemd finds it."""
    folder = unit.with_name(f"{UNIT}.d")
    folder.mkdir()
    shutil.copy(CONTRIB / DROP_IN, folder)
    return folder / DROP_IN


def test_systemd_understands_every_line_of_the_drop_in(unit: Path) -> None:
    drop_in = with_drop_in(unit)
    status, said = run("systemd-analyze", "verify", "--man=no", unit)
    assert (0, "") == (status, "\n".join(line for line in said.splitlines() if DROP_IN in line))
    drop_in.write_text(drop_in.read_text().replace("SystemCallFilter=", "SystemCallFilters="))
    assert DROP_IN in run("systemd-analyze", "verify", "--man=no", unit)[1]


def test_drop_in_adds_two_capabilities_and_one_system_call(unit: Path) -> None:
    """What a drop-in says of these keys is added to what the unit says (systemd.exec(5))."""
    lines = (CONTRIB / DROP_IN).read_text().splitlines()
    assert [
        "[Service]",
        "AmbientCapabilities=CAP_SYS_PTRACE CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_SYS_PTRACE CAP_NET_ADMIN",
        "SystemCallFilter=pidfd_getfd",
    ] == [line for line in lines if line and not line.startswith("#")]
    analyse = ("systemd-analyze", "security", "--offline=true", "--no-pager")
    refused = "CapabilityBoundingSet=~CAP_SYS_PTRACE"
    without = next(line for line in run(*analyse, unit)[1].splitlines() if refused in line)
    with_drop_in(unit)
    beside = next(line for line in run(*analyse, unit)[1].splitlines() if refused in line)
    assert ("✓", "✗") == (without.split()[0], beside.split()[0])


def test_configuration_to_begin_with_is_understood_and_has_the_units_directories() -> None:
    status, said = run(BIN / "ryu-droplog", "check-config", CONTRIB / "droplog.yaml")
    assert 0 == status, said
    assert "/var/log/ryu-droplog/drop.log" in said
    assert ["ryu-droplog"] == settings("LogsDirectory") == settings("RuntimeDirectory")
    assert "/run/ryu-droplog" in said


def test_users_and_directories_are_made_in_a_root_of_their_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("needs root: run sudo tools/test", pytrace=False)
    (tmp_path / "etc").mkdir()
    root = f"--root={tmp_path}"
    assert 0 == run("systemd-sysusers", root, CONTRIB / "sysusers.conf")[0]
    user = next(
        line.split(":")
        for line in (tmp_path / "etc/passwd").read_text().splitlines()
        if line.startswith("ryu-droplog:")
    )
    assert ("/", "/usr/sbin/nologin") == (user[5], user[6])
    assert ["ryu-droplog"] == settings("User") == settings("Group")
    assert (0, "") == run("systemd-tmpfiles", root, "--create", CONTRIB / "tmpfiles.conf")
    modes = {"run/ryu-droplog": 0o755, "var/log/ryu-droplog": 0o750}
    for name, mode in modes.items():
        made = (tmp_path / name).stat()
        assert (int(user[2]), int(user[3]), mode) == (
            made.st_uid,
            made.st_gid,
            made.st_mode & 0o777,
        )


def test_logrotate_turns_the_file_over(tmp_path: Path) -> None:
    logs = tmp_path / "log"
    logs.mkdir(0o750)
    (logs / "drop.log").write_text("a line\n")
    rules = (CONTRIB / "logrotate").read_text()
    # The machine that runs the tests need not have the user.
    rules = rules.replace("/var/log/ryu-droplog", str(logs))
    rules = rules.replace("ryu-droplog ryu-droplog", "root root")
    config = tmp_path / "rules"
    config.write_text(rules)
    config.chmod(0o644)
    assert (0, "") == run("logrotate", "--force", "--state", tmp_path / "state", config)
    assert {"drop.log": "", "drop.log.1": "a line\n"} == {
        path.name: path.read_text() for path in logs.iterdir()
    }
