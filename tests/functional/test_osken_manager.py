"""`osken-manager`: with os-ken 3.1.1 the same as os-ken's own, to the letter; and its hubs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from functional.program import eventually

ROOT = Path(__file__).resolve().parents[2]
OS_KEN_3 = ROOT / ".venv-osken3" / "bin" / "python"
OS_KEN_4 = ROOT / ".venv" / "bin" / "python"
PATIENCE = 30.0
SCRIPT = "import sys\nfrom {module} import main\nsys.exit(main())\n"
PROBE = '''
"""An application that says how its process was prepared, and ends."""
import os, signal, sys, threading, time
from eventlet import patcher
from os_ken.base import app_manager
from os_ken.lib import hub

class Probe(app_manager.OSKenApp):
    def start(self):
        super().start()
        patched = [n for n in ("os", "select", "socket", "thread", "time")
                   if patcher.is_monkey_patched(n)]
        print("patched:", *patched, "lock:", type(threading.Lock()).__module__,
              "arguments:", *sys.argv[1:], "known:", *sorted(self.CONF), flush=True)
        return hub.spawn(lambda: None)
'''


def scripts(folder: Path) -> tuple[Path, Path]:
    """os-ken's own and ours, both called osken-manager."""
    both = []
    for name, module in (("theirs", "os_ken.cmd.manager"), ("ours", "ryu_droplog.osken_manager")):
        path = folder / name / "osken-manager"
        path.parent.mkdir()
        path.write_text(SCRIPT.format(module=module))
        both.append(path)
    (folder / "probe.py").write_text(PROBE)
    return both[0], both[1]


@dataclass(frozen=True)
class Ended:
    """How a program ended, and all that it said."""

    status: int
    output: str
    errors: str


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "OSKEN_HUB_TYPE"}
    # The order of what os-ken prints from sets of strings must not differ by chance.
    fixed = {"COLUMNS": "80", "PYTHONHASHSEED": "0", "PYTHONPATH": str(folder)}
    return {**kept, **fixed, **extra}


def run(script: Path, folder: Path, *arguments: str, **extra: str) -> Ended:
    python = OS_KEN_3
    if not python.exists():
        pytest.fail(f"{python}: no such file: run tools/test", pytrace=False)
    done = subprocess.run(
        [python, script, *arguments],
        cwd=folder, env=environment(folder, extra), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, without_frames(done.stderr))


def without_frames(text: str) -> str:
    """Without the lines of a traceback that say where it passed."""
    return re.sub(r'^  File "[^\n]*\n(    [^\n]*\n)*', "", text, flags=re.MULTILINE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens at this port of 127.0.0.1 (state 0A in proc(5)); asks nobody."""
    sockets = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    return any(f"0100007F:{port:04X}" == s.split()[1] and "0A" == s.split()[3] for s in sockets)


ARGUMENTS = {
    "help": (["--help"], 0),
    "version": (["--version"], 0),
    "unknown-app": (["nosuch.app"], 1),
    "unknown-option": (["--nosuch"], 2),
    "an-app": (["probe"], 0),
    "an-app-in-a-list": (["--app-lists", "probe"], 0),
    "verbose": (["--verbose", "probe"], 0),
    "debugger": (["--enable-debugger", "probe"], 0),
    "observe-links": (["--observe-links", "--ofp-listen-host", "127.0.0.1", "probe"], 0),
    "pid-file": (["--pid-file", "pid", "probe"], 0),
    "log-dir": (["--log-dir", ".", "probe"], 0),
    "user-flags": (["--user-flags", "flags.py", "probe", "--mine", "1"], 0),
    "config-file-missing": (["--config-file", "none.conf", "probe"], 1),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_with_os_ken_3_it_does_what_os_kens_own_does(tmp_path: Path, name: str) -> None:
    theirs, ours = scripts(tmp_path)
    (tmp_path / "flags.py").write_text(
        "from os_ken import cfg\ncfg.CONF.register_cli_opts([cfg.StrOpt('mine')])\n"
    )
    arguments, status = ARGUMENTS[name]
    expected = run(theirs, tmp_path, *arguments)
    written = {path.name for path in tmp_path.iterdir()}
    assert status == expected.status, expected.errors
    assert expected == run(ours, tmp_path, *arguments)
    assert written == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_os_ken_3_an_application_of_os_kens_runs_and_ends_as_under_os_kens_own(
    tmp_path: Path, number: signal.Signals
) -> None:
    ends = []
    port = free_port()
    for script in scripts(tmp_path):
        errors = tmp_path / f"{script.parent.name}.errors"
        command = (
            *(OS_KEN_3, script, "--verbose", "--pid-file", tmp_path / "pid"),
            *("--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", f"{port}"),
            "os_ken.topology.switches",
        )
        with (
            errors.open("wb") as said,
            subprocess.Popen(command, env=environment(tmp_path, {}), stderr=said) as program,
        ):
            try:
                assert eventually(True, lambda: listens(port), PATIENCE), errors.read_text()
                assert f"{program.pid}" == (tmp_path / "pid").read_text()
                program.send_signal(number)
                status = program.wait(PATIENCE)
            finally:
                program.kill()
        # What an application consumes is printed in the order of a set.
        ends.append((status, sorted(without_frames(errors.read_text()).splitlines())))
    assert ends[0] == ends[1]


def test_arguments_that_name_this_project_have_one_option_more(tmp_path: Path) -> None:
    _, ours = scripts(tmp_path)
    assert "--droplog-config FILE" in run(ours, tmp_path, "ryu_droplog.app", "--help").output
    assert "droplog" not in run(ours, tmp_path, "--help").output
    refused = run(ours, tmp_path, "--droplog-config", "none.yaml", "ryu_droplog.app")
    assert (1, "") == (refused.status, refused.output)
    assert "none.yaml: cannot be read" in refused.errors
    assert "Eventlet" not in refused.errors


HUBS = {
    "os-ken-3-native": (OS_KEN_3, "native", "eventlet, the only hub of os-ken 3.1.1"),
    "os-ken-3-unknown": (OS_KEN_3, "gevent", "eventlet, the only hub of os-ken 3.1.1"),
    "os-ken-4-unknown": (OS_KEN_4, "gevent", "one of eventlet, native, the hubs of os-ken 4"),
    "os-ken-4-empty": (OS_KEN_4, "", "one of eventlet, native, the hubs of os-ken 4"),
}
COMMANDS = {
    "run": ("ryu-droplog", "run"),
    "plan": ("ryu-droplog", "plan"),
    "doctor": ("ryu-droplog", "doctor"),
    "clean": ("ryu-droplog", "clean"),
    "osken-manager": ("osken-manager", "ryu_droplog.app"),
    "osken-manager-help": ("osken-manager", "--help"),
}


@pytest.mark.parametrize("name", HUBS)
@pytest.mark.parametrize("command", COMMANDS)
def test_hub_that_os_ken_has_not_is_one_line_that_names_those_it_has(
    tmp_path: Path, command: str, name: str
) -> None:
    python, asked, expected = HUBS[name]
    program, *arguments = COMMANDS[command]
    done = subprocess.run(
        [python.parent / program, *arguments],
        env=environment(tmp_path, {"OSKEN_HUB_TYPE": asked, "OVS_RUNDIR": str(tmp_path)}),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (2, "") == (done.returncode, done.stdout)
    begin = f'{program}: OSKEN_HUB_TYPE: got "{asked}"; expected {expected}'
    assert begin == done.stderr[: len(begin)]
    assert 1 == len(done.stderr.splitlines())


@pytest.mark.parametrize("name", HUBS)
def test_command_that_needs_no_hub_runs_under_any(tmp_path: Path, name: str) -> None:
    python, asked, _ = HUBS[name]
    path = tmp_path / "droplog.yaml"
    path.write_text("{}")
    done = subprocess.run(
        [python.parent / "ryu-droplog", "check-config", path],
        env=environment(tmp_path, {"OSKEN_HUB_TYPE": asked}),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)


def test_module_runs_as_the_command_does(tmp_path: Path) -> None:
    """For where pip took the script away, with an os-ken that had one of the same name."""
    for python, expected in ((OS_KEN_3, "osken-manager 3.1.1\n"), (OS_KEN_4, "osken-manager (os-")):
        done = subprocess.run(
            [python, "-m", "ryu_droplog.osken_manager", "--version"],
            env=environment(tmp_path, {}), capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert (0, expected) == (done.returncode, done.stdout[: len(expected)])
