"""A switch to try a flow in: its own daemons, folder and network namespace, gone with the command.

It has the dummy datapath of Open vSwitch's own tests, which opens no device and moves no packet.
The flows, groups and meters of a bridge are copied into it by ovs-ofctl, as `ovs-save` does when
Open vSwitch is restarted; ports get the numbers that they have, and no more of what they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from ryu_droplog.explain.trace import Tracer
from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.requests import METER_BASE
from ryu_droplog.ovsdb.jsonrpc import call, until
from ryu_droplog.text.printable import MESSAGE, printable

BRIDGE = "trial"
COMMAND_TIME = 20.0
"""Seconds that a command of Open vSwitch has."""
START_TIME = 10.0
"""Seconds in which the daemons must be there."""
_VERSIONS = "OpenFlow13,OpenFlow14,OpenFlow15"
_SCHEMAS = ("/usr/share/openvswitch", "/usr/local/share/openvswitch")
_NEEDED = (
    "ovsdb-tool",
    "ovsdb-server",
    "ovs-vswitchd",
    "ovs-ofctl",
    "ovs-vsctl",
    "unshare",
    "setpriv",
)
_PORTS_AT_ONCE = 200
_LOCAL = 0xFFFFFFFE
_OURS = re.compile(rf"controller\([^)]*\bid={cookie.SIGNATURE}\b[^)]*\),?")
_METERS = re.compile(r"^\s*meter=(\d+) ([a-z ]*)bands=\s*((?:\s*type=.*)+)", re.MULTILINE)
_COOKIE = re.compile(r"\bcookie=(0x[0-9a-f]+)")


class TrialSwitch:
    """For the length of a `with` block; raises SwitchError where it does not start."""

    def __init__(self) -> None:
        missing = [name for name in _NEEDED if shutil.which(name) is None]
        if missing:
            raise SwitchError(f"no switch to try it in: needs {', '.join(missing)}")
        self._stack = ExitStack()
        self._folder = ""

    def __enter__(self) -> TrialSwitch:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="ryu-droplog-trial-")
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        folder = self._folder
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            **{f"OVS_{name}DIR": folder for name in ("RUN", "DB", "LOG", "SYSCONF")},
        }
        own = os.environ.get("OVS_PKGDATADIR")  # as Open vSwitch's own tools
        folders = (own, *_SCHEMAS) if own else _SCHEMAS
        schema = next((p for d in folders if (p := Path(d, "vswitch.ovsschema")).exists()), None)
        if schema is None:
            raise SwitchError("no switch to try it in: vswitch.ovsschema is not there")
        database, socket = f"{folder}/conf.db", f"unix:{folder}/db.sock"
        self._run("ovsdb-tool", "create", database, str(schema))
        self._daemon("ovsdb-server", f"--remote=p{socket}", database)
        self._wait(lambda: bool(self._database("list_dbs", [])))
        self._run("ovs-vsctl", f"--db={socket}", "--no-wait", "init")
        bridge = ["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=dummy"]
        bridge += ["fail_mode=secure", f"protocols={_VERSIONS}"]
        self._run("ovs-vsctl", f"--db={socket}", "--no-wait", *bridge)
        self._daemon("ovs-vswitchd", socket, "--enable-dummy", "--disable-system")
        self._wait(lambda: Path(folder, f"{BRIDGE}.mgmt").exists())

    def _daemon(self, *command: str) -> None:
        shielded = ("setpriv", "--pdeathsig", "KILL", "unshare", "--net", *command)
        options = ("--no-chdir", "--pidfile", f"--log-file={self._folder}/{command[0]}.log")
        process = subprocess.Popen(
            (*shielded, *options, "-vconsole:off"),
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._stack.callback(_end, process)

    def _database(self, method: str, params: list[object]) -> object:
        try:
            return call(f"{self._folder}/db.sock", method, params, deadline=until(COMMAND_TIME))
        except SwitchError:
            return None

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIME
        while not ready():
            if time.monotonic() > deadline:
                raise SwitchError(f"the switch to try it in is not there after {START_TIME:g} s")
            time.sleep(0.01)

    def _run(self, *command: str, given: str = "") -> str:
        try:
            done = subprocess.run(
                command, env=self._env, input=given, capture_output=True, text=True,
                timeout=COMMAND_TIME, check=False, errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise SwitchError(f"{command[0]}: no end after {COMMAND_TIME:g} s") from error
        if done.returncode:
            said = printable(done.stderr.strip(), MESSAGE)
            raise SwitchError(f"{command[0]}: {said or f'exit status {done.returncode}'}")
        return done.stdout

    # What is tried

    def copy(self, management: str, ports: Sequence[int]) -> None:
        """Take the flows of the bridge with this management socket, but those of this program.

        `ports` are its OpenFlow port numbers. Raises SwitchError.
        """
        numbers = [port for port in ports if 0 < port < _LOCAL]
        for start in range(0, len(numbers), _PORTS_AT_ONCE):
            words: list[str] = []
            for port in numbers[start : start + _PORTS_AT_ONCE]:
                words += ["--", "add-port", BRIDGE, f"p{port}", "--", "set", "interface"]
                words += [f"p{port}", "type=dummy", f"ofport_request={port}"]
            self._run("ovs-vsctl", f"--db=unix:{self._folder}/db.sock", *words[1:])
        source, target = f"unix:{management}", f"unix:{self._folder}/{BRIDGE}.mgmt"
        self._copy_options(source, target)
        self._copy_meters(source, target)
        groups = self._ofctl("dump-groups", source)
        lines = [line.strip() for line in groups.splitlines() if "group_id=" in line]
        if lines:
            self._ofctl("add-groups", target, "-", given="\n".join(lines))
        flows = self._ofctl("dump-flows", "--no-names", "--no-stats", source)
        kept = [kept for line in flows.splitlines() if (kept := _kept(line.strip()))]
        self._ofctl("--bundle", "add-flows", target, "-", given="\n".join(kept))

    def _copy_options(self, source: str, target: str) -> None:
        """What tun_metadata fields stand for, which flows that match them need."""
        mapping = self._ofctl("dump-tlv-map", source)
        rows = re.findall(
            r"^\s*(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(\d+)\s+(tun_metadata\d+)$", mapping, re.M
        )
        if rows:
            words = [f"{{class={c},type={t},len={size}}}->{name}" for c, t, size, name in rows]
            self._ofctl("add-tlv-map", target, ",".join(words))

    def _copy_meters(self, source: str, target: str) -> None:
        for number, flags, bands in _METERS.findall(self._ofctl("dump-meters", source)):
            if int(number) < METER_BASE:
                words = ",".join([*flags.split(), "bands=" + ",".join(bands.split())])
                self._ofctl("add-meter", target, f"meter={number},{words}")

    def add(self, flow: str) -> None:
        """Add a flow as ovs-ofctl writes it. Raises SwitchError where it is none."""
        target = f"unix:{self._folder}/{BRIDGE}.mgmt"
        self._ofctl("add-flow", target, "-", given=flow)

    def tracer(self) -> Tracer:
        """Asks this switch."""
        return Tracer(self._folder)

    def _ofctl(self, *words: str, given: str = "") -> str:
        return self._run("ovs-ofctl", "-O", _VERSIONS, *words, given=given)


def _kept(line: str) -> str:
    """A flow as the owner has it: without the action that tells this program; empty: it is ours."""
    if "actions=" not in line:
        return ""
    match, _, actions = line.partition("actions=")
    if not _OURS.search(actions):
        return line
    number = _COOKIE.search(match)
    if number is not None and cookie.unpack(int(number[1], 16)) is not None:
        return ""
    return f"{match}actions={_OURS.sub('', actions).rstrip(',') or 'drop'}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
