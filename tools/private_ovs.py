"""A private Open vSwitch: its own daemons, folder and network namespace, gone without a trace.

What the demonstration and the functional tests share. Standard library only, so that it runs with
any Python 3.10 or later before anything is installed. It needs root, and Open vSwitch, iproute2,
ethtool and util-linux on the PATH.

The switch uses the userspace datapath (`datapath_type=netdev`), or the kernel's where the
environment says `RYU_DROPLOG_DATAPATH=system` and the module openvswitch is loaded. The tap device
`ovs-netdev` of the one and the datapath `ovs-system` of the other can exist once in a network
namespace. So call `enter_private_namespaces` first, and have one `PrivateSwitch` at a time; a
switch that the machine itself runs is then neither seen nor touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from namespaces import (
    NETNS_FOLDER,
    SLOWNESS,
    CommandError,
    enter_private_namespaces,
    in_netns,
    in_private_namespaces,
    run,
    send_frame,
    signals_held,
    stop_process,
)

__all__ = [
    "DATAPATH",
    "KERNEL",
    "NETNS_FOLDER",
    "SLOWNESS",
    "CommandError",
    "Guest",
    "PrivateSwitch",
    "enter_private_namespaces",
    "in_netns",
    "run",
    "send_frame",
    "stop_process",
    "takes_connections",
]

DATAPATH = os.environ.get("RYU_DROPLOG_DATAPATH", "netdev")
"""The datapath_type of bridges (ovs-vswitchd.conf.db(5)): `netdev`, or `system`, the kernel's."""
KERNEL = DATAPATH == "system"
"""Whether bridges have the kernel's datapath."""
LOG_TAIL = 40
"""Lines of each daemon's log that are shown when the switch does not start."""

_OPENFLOW = "OpenFlow13"
_TIMEOUT = f"--timeout={10 * SLOWNESS:g}"
_TABLE = re.compile(r"\btable=(\d+)")
_PRIORITY = re.compile(r"\bpriority=(\d+)")


@dataclass(frozen=True)
class Guest:
    """A network namespace with one interface, `eth0`, that is plugged into a bridge."""

    name: str
    """Of the network namespace, and of its port on the bridge."""
    mac: str
    """Lower-case with colons."""
    ofport: int
    """OpenFlow port number on the bridge."""


def takes_connections(path: Path) -> bool:
    """Whether somebody listens on the Unix socket: it is there a moment before that."""
    folder = os.open(path.parent, os.O_RDONLY)  # the whole path may be longer than an address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
            visitor.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


class PrivateSwitch:
    """An ovsdb-server and an ovs-vswitchd of our own, for the length of a `with` block.

    At the end of the block its processes, guests and folder are gone, whatever ended it; when this
    process is killed outright, the kernel ends the daemons too (PR_SET_PDEATHSIG).
    Raises CommandError, with the ends of the daemons' logs, when the switch does not start, and
    RuntimeError outside of private namespaces.
    """

    rundir: Path
    """The run directory, where each bridge's `.mgmt` socket is."""
    env: dict[str, str]
    """The environment in which Open vSwitch's tools find this switch."""

    def __init__(self, *, kernel: bool = KERNEL) -> None:
        """`kernel`: bridges may have the kernel's datapath, where its module is; else none can."""
        self._kernel = kernel

    def __enter__(self) -> PrivateSwitch:
        if not in_private_namespaces():
            raise RuntimeError("a private switch needs enter_private_namespaces() first")
        self._links_before = _links()
        self.folder = Path(tempfile.mkdtemp(prefix="ryu-droplog-ovs-"))
        self.rundir = self.folder / "run"
        self.env = dict(os.environ)
        for name in ("RUN", "DB", "LOG", "SYSCONF"):
            folder = self.folder / name.lower()
            folder.mkdir()
            self.env[f"OVS_{name}DIR"] = str(folder)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._children: list[subprocess.Popen[bytes]] = []
        self._guests: list[str] = []
        self._starts = 0
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clean_up()

    # The daemons

    def _start(self) -> None:
        run("ovsdb-tool", "create", self._database, str(_schema()), env=self.env)
        self.start_database()
        self.vsctl("--no-wait", "init")
        self.start_vswitchd()

    @property
    def _database(self) -> str:
        return f"{self.folder}/db/conf.db"

    def start_database(self) -> None:
        """Start ovsdb-server with what the database has."""
        self._daemon("ovsdb-server", f"--remote=punix:{self.rundir}/db.sock", self._database)
        self._wait_for(self.rundir / "db.sock")

    def stop_database(self) -> None:
        """End ovsdb-server in good order; ovs-vswitchd goes on without."""
        stop_process(self._daemons.pop("ovsdb-server"))

    def _daemon(self, name: str, *arguments: str) -> None:
        options = ("--no-chdir", "--pidfile", "--log-file", "-vconsole:off")
        self._daemons[name] = self._spawn((name, *arguments, *options))

    def _spawn(
        self, command: Sequence[str], output: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", *command),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for this process, which then ends its children
        )

    def _wait_for(self, path: Path, patience: float = 30.0 * SLOWNESS) -> None:
        deadline = time.monotonic() + patience
        while not takes_connections(path):
            if time.monotonic() > deadline:
                raise CommandError(f"{path}: nobody there after {patience:g} s\n{self.logs()}")
            time.sleep(0.01)

    def start_vswitchd(self) -> None:
        """Start ovs-vswitchd, and wait until it has carried out what the database says.

        Raises CommandError, with the ends of the logs, when it does not.
        """
        only = () if self._kernel else ("--disable-system",)
        self._daemon("ovs-vswitchd", f"unix:{self.rundir}/db.sock", *only)
        self.wait_for_vswitchd()

    def wait_for_vswitchd(self) -> None:
        """Wait until it has carried out what the database says, as `start_vswitchd` does."""
        self._starts += 1
        try:
            # A change that is waited for: ovs-vsctl returns when ovs-vswitchd has seen it.
            self.vsctl("set", "Open_vSwitch", ".", f"external_ids:starts={self._starts}")
        except CommandError as error:
            raise CommandError(f"{error}\n{self.logs()}") from error

    def stop_vswitchd(self) -> None:
        """End ovs-vswitchd in good order; its bridges stay in the database, its flows do not."""
        stop_process(self._daemons.pop("ovs-vswitchd"))

    def kill_vswitchd(self) -> None:
        """Kill ovs-vswitchd (SIGKILL): its sockets stay behind and refuse connections."""
        process = self._daemons.pop("ovs-vswitchd")
        process.kill()
        process.wait()

    def restart_vswitchd(self) -> None:
        """End ovs-vswitchd in good order and start it again."""
        self.stop_vswitchd()
        self.start_vswitchd()

    def logs(self) -> str:
        """The last lines of both daemons' logs."""
        text = []
        for path in sorted((self.folder / "log").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL:]
            text += [f"--- {path.name}", *lines]
        return "\n".join(text)

    # What one does with a switch

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl and give back what it printed. Raises CommandError."""
        return run("ovs-vsctl", _TIMEOUT, *arguments, env=self.env)

    def ofctl(self, *arguments: str) -> str:
        """Run ovs-ofctl, with OpenFlow 1.3 unless `-O` says otherwise. Raises CommandError."""
        version = () if "-O" in arguments else ("-O", _OPENFLOW)
        return run("ovs-ofctl", *version, *arguments, env=self.env)

    def appctl(self, *arguments: str) -> str:
        """Run ovs-appctl (on ovs-vswitchd unless `-t` says otherwise). Raises CommandError."""
        return run("ovs-appctl", _TIMEOUT, *arguments, env=self.env)

    @contextlib.contextmanager
    def restarted_by(self, ovs_ctl: str) -> Iterator[None]:
        """Restart both daemons by ovs-ctl(8), and end those at the end of the block by it.

        `ovs_ctl` is the path of that script. Then the daemons are started as before; bridges stay
        in the database, their flows do not. Needs the kernel's module. Raises CommandError.
        """
        options = ("--system-id=random", "--no-mlockall", "--no-monitor")
        try:
            # It waits until the processes are gone, and children go when their parent has waited.
            for process in self._daemons.values():
                threading.Thread(target=process.wait, daemon=True).start()
            run(ovs_ctl, *options, "restart", env=self.env, timeout=60 * SLOWNESS)
            yield
        finally:
            run(ovs_ctl, "stop", env=self.env, timeout=60 * SLOWNESS)
            self.start_database()
            self.start_vswitchd()

    def add_bridge(
        self,
        name: str,
        fail_mode: str = "secure",
        protocols: Sequence[str] | None = None,
        datapath: str = DATAPATH,
    ) -> None:
        """Make a bridge; `protocols` as in ovs-vswitchd.conf.db(5), None: Open vSwitch's own."""
        settings = [f"datapath_type={datapath}", f"fail_mode={fail_mode}"]
        if protocols:
            settings.append(f"protocols={','.join(protocols)}")
        self.vsctl("add-br", name, "--", "set", "bridge", name, *settings)

    def add_port(self, bridge: str, port: str) -> int:
        """Plug an interface of this namespace into a bridge. Gives back its OpenFlow port."""
        self.vsctl("add-port", bridge, port)
        return int(self.vsctl("get", "interface", port, "ofport"))

    def flows(self, bridge: str, *extra: str) -> list[str]:
        """The bridge's flows as `ovs-ofctl dump-flows --no-stats` prints them.

        `extra` goes behind the bridge's name: a match such as `cookie=0x1/-1`, or options. In the
        order of table, then falling priority, then text.
        """
        dump = self.ofctl("dump-flows", "--no-stats", bridge, *extra).splitlines()
        return sorted((line.strip() for line in dump if "actions=" in line), key=_place)

    def guest(self, name: str, bridge: str, *addresses: str, mac: str | None = None) -> Guest:
        """Make a network namespace whose `eth0` is a port of the bridge; both are called `name`.

        `name` has 1 to 15 characters. An address is `10.2.0.229/16`, or the same for IPv6; without
        an IPv6 address the guest says nothing over IPv6. Transmit checksum offload is off, because
        userspace conntrack would call its packets invalid. Raises CommandError.
        """
        run("ip", "netns", "add", name)
        self._guests.append(name)
        peer = ("peer", "name", "eth0", "netns", name)
        run("ip", "link", "add", name, "type", "veth", *peer)
        run("ip", "link", "set", name, "addrgenmode", "none", "up")
        inside = ("ip", "-n", name)
        if mac is not None:
            run(*inside, "link", "set", "eth0", "address", mac)
        if not any(":" in address for address in addresses):
            run(*inside, "link", "set", "eth0", "addrgenmode", "none")
        run(*in_netns(name, "ethtool", "-K", "eth0", "tx", "off"))
        for address in addresses:
            without_dad = ("nodad",) if ":" in address else ()
            run(*inside, "addr", "add", address, "dev", "eth0", *without_dad)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "set", "eth0", "up")
        ofport = self.add_port(bridge, name)
        address_file = "/sys/class/net/eth0/address"
        return Guest(name, run(*in_netns(name, "cat", address_file)).strip(), ofport)

    def start(
        self, netns: str | None, *command: str, output: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a program in a guest; it ends with the switch at the latest.

        `output` is a file descriptor for both its outputs.
        """
        process = self._spawn(in_netns(netns, *command), output)
        self._children.append(process)
        return process

    # The end

    def _clean_up(self) -> None:
        # A second Ctrl-C must not leave half of it behind.
        with signals_held(signal.SIGINT, signal.SIGTERM):
            for process in reversed([*self._daemons.values(), *self._children]):
                stop_process(process)
            if self._kernel:
                _remove_datapaths()
            # Taps outlive ovs-vswitchd, and a veth goes some time after its namespace.
            for link in _links() - self._links_before:
                with contextlib.suppress(CommandError):
                    run("ip", "link", "del", link)
            for name in self._guests:
                with contextlib.suppress(CommandError):  # its making was cut short
                    run("ip", "netns", "del", name)
            shutil.rmtree(self.folder, ignore_errors=True)


def _remove_datapaths() -> None:
    """Take the kernel's datapaths away, with their ports: they outlive ovs-vswitchd."""
    with contextlib.suppress(CommandError):  # the module is not loaded
        for datapath in run("ovs-dpctl", "dump-dps").split():
            run("ovs-dpctl", "del-dp", datapath)


def _schema() -> Path:
    own = os.environ.get("OVS_PKGDATADIR", "/usr/share/openvswitch")  # as Open vSwitch's own tools
    for folder in (own, "/usr/local/share/openvswitch"):
        path = Path(folder, "vswitch.ovsschema")
        if path.exists():
            return path
    raise CommandError(f"{path}: no such file, expected it with Open vSwitch")


def _links() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _place(flow: str) -> tuple[int, int, str]:
    table, priority = _TABLE.search(flow), _PRIORITY.search(flow)
    # ovs-ofctl leaves table 0 out in OpenFlow 1.0, and the default priority, 32768, always.
    return (
        int(table[1]) if table else 0,
        -int(priority[1]) if priority else -32768,
        flow,
    )
