"""A real OVN on a private switch: northd, ovn-controller, two logical switches and a router.

Packages: ovn-central, ovn-host. Nothing of the machine's own OVN or Open vSwitch is touched.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from functools import partial
from pathlib import Path

from private_ovs import PrivateSwitch, run, stop_process, takes_connections

SCHEMAS = Path("/usr/share/ovn")
PATIENCE = 60.0
SWITCH_0, SWITCH_1, ROUTER = "ls0", "ls1", "lr0"
MACS = {"vm1": "00:00:00:00:00:01", "vm2": "00:00:00:00:00:02", "vm3": "00:00:00:00:00:03"}
IPS = {"vm1": "10.0.0.11", "vm2": "10.0.0.12", "vm3": "10.1.0.13"}
GATEWAYS = {"ls0": "00:00:00:00:ff:01", "ls1": "00:00:00:00:ff:02"}

_TOPOLOGY = f"""
ls-add ls0 -- ls-add ls1 -- lr-add lr0
lrp-add lr0 lr0-ls0 {GATEWAYS["ls0"]} 10.0.0.1/24
lrp-add lr0 lr0-ls1 {GATEWAYS["ls1"]} 10.1.0.1/24
lsp-add ls0 ls0-lr0 -- lsp-set-type ls0-lr0 router -- lsp-set-addresses ls0-lr0 router
lsp-set-options ls0-lr0 router-port=lr0-ls0
lsp-add ls1 ls1-lr0 -- lsp-set-type ls1-lr0 router -- lsp-set-addresses ls1-lr0 router
lsp-set-options ls1-lr0 router-port=lr0-ls1
lsp-add ls0 vm1
lsp-add ls0 vm2
lsp-add ls1 vm3
lsp-add ls0 nowhere -- lsp-set-addresses nowhere "00:00:00:00:00:04 10.0.0.14"
lsp-set-port-security vm1 "{MACS["vm1"]} {IPS["vm1"]}"
lsp-set-port-security vm2 "{MACS["vm2"]} {IPS["vm2"]}"
--name=no-http acl-add ls0 to-lport 1000 'outport == "vm2" && ip4 && tcp.dst == 80' drop
acl-add ls0 to-lport 1001 'outport == "vm2" && ip4 && udp.dst == 7000' drop
acl-add ls0 to-lport 1002 'outport == "vm2" && ip4.src == 10.0.0.99' allow-related
acl-add ls0 to-lport 1 ip allow-related
"""


class OvnBed:
    """OVN on `switch`, for the length of a `with` block: VMs `vm1`, `vm2` (ls0), `vm3` (ls1).

    `vmx` is an interface that belongs to no logical port.
    """

    def __init__(self, switch: PrivateSwitch) -> None:
        self.switch = switch
        folder = switch.folder / "ovn"
        self._folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {
            **switch.env,
            "OVN_NB_DB": f"unix:{folder}/nb.sock",
            "OVN_SB_DB": f"unix:{folder}/sb.sock",
            "OVN_RUNDIR": str(folder),
            "OVN_LOGDIR": str(folder),
        }

    def __enter__(self) -> OvnBed:
        self._folder.mkdir()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(list(self._daemons.values())):
            stop_process(process)

    def _start(self) -> None:
        folder, switch = self._folder, self.switch
        for name in ("nb", "sb"):
            database, socket = folder / f"{name}.db", folder / f"{name}.sock"
            run("ovsdb-tool", "create", str(database), str(SCHEMAS / f"ovn-{name}.ovsschema"))
            self._daemon(name, "ovsdb-server", str(database), f"--remote=punix:{socket}")
            wait_for(partial(takes_connections, socket))
        run("ovn-nbctl", "init", env=self.env)
        run("ovn-sbctl", "init", env=self.env)
        self._daemon("northd", "ovn-northd")
        ids = {
            "system-id": "host",
            "ovn-remote": self.env["OVN_SB_DB"],
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-bridge-datapath-type": "netdev",
        }
        known = [f"external_ids:{key}={value}" for key, value in ids.items()]
        switch.vsctl("set", "Open_vSwitch", ".", *known)
        switch.add_bridge("br-int")
        self.start_controller()
        for line in _TOPOLOGY.strip().splitlines():
            self.nbctl(line)
        for name, mac in MACS.items():
            self.nbctl(f'lsp-set-addresses {name} "{mac} {IPS[name]}"')
            gateway = f"{IPS[name].rpartition('.')[0]}.1"
            switch.guest(name, "br-int", f"{IPS[name]}/24", mac=mac)
            run("ip", "-n", name, "route", "add", "default", "via", gateway)
            switch.vsctl("set", "Interface", name, f"external_ids:iface-id={name}")
        switch.guest("vmx", "br-int")
        for name in MACS:
            self.nbctl(f"--timeout=60 wait-until Logical_Switch_Port {name} up=true")
        self.sync()

    def _daemon(self, name: str, *command: str) -> None:
        log = (self._folder / f"{name}.log").open("ab")
        options = () if name == "controller" else (f"--unixctl={self._folder}/{name}.ctl",)
        with log:
            self._daemons[name] = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *command, *options),
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start_controller(self) -> None:
        """Start ovn-controller; it clears br-int and programs it anew."""
        database = f"unix:{self.switch.rundir}/db.sock"
        pidfile = f"--pidfile={self._folder}/ovn-controller.pid"
        self._daemon("controller", "ovn-controller", database, pidfile)

    def restart_controller(self) -> None:
        """End ovn-controller as its service would for an upgrade, and start it anew."""
        controller = self._daemons["controller"]
        control = f"{self._folder}/ovn-controller.{controller.pid}.ctl"
        run("ovn-appctl", "-t", control, "exit", "--restart", env=self.env)
        with contextlib.suppress(subprocess.TimeoutExpired):
            controller.wait(PATIENCE)
        self.start_controller()
        self.sync()

    def nbctl(self, line: str) -> str:
        """A command of ovn-nbctl, written as in a shell."""
        return run("sh", "-c", f"ovn-nbctl {line}", env=self.env)

    def sync(self) -> None:
        """Wait until ovn-controller has carried out all that the northbound database says."""
        run("ovn-nbctl", "--wait=hv", "--timeout=20", "sync", env=self.env)
        self.switch.appctl("dpctl/flush-conntrack")


def wait_for(condition: object) -> None:
    """Wait until it holds; fails after `PATIENCE` seconds."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
