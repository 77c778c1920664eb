"""Neutron's own agent with two VMs behind its firewall, on a private switch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from private_ovs import Guest, PrivateSwitch, stop_process

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-neutron" / "bin" / "python"
AGENT = Path(__file__).with_name("neutron_agent.py")
PATIENCE = 60.0
"""Seconds that the agent has to start, or for two rounds of its loop."""

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"
"""Ids of the ports."""
OUT, IN = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
"""Security groups: of vma's port, and of vmb's."""
MAC_A, MAC_B, MAC_X = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b", "fa:16:3e:00:00:99"
IP_A, IP_B, IP_X = "10.0.0.10", "10.0.0.11", "10.0.0.99"
LL_A, LL_B = "fe80::f816:3eff:fe00:a", "fe80::f816:3eff:fe00:b"

SSH_FROM_A = {
    "direction": "ingress",
    "ethertype": "IPv4",
    "protocol": "tcp",
    "port_range_min": 22,
    "port_range_max": 22,
    "source_ip_prefix": f"{IP_A}/32",
    "security_group_id": IN,
}
SPEC: dict[str, Any] = {
    "ports": {
        A: {"mac": MAC_A, "ips": [IP_A], "groups": [OUT]},
        B: {"mac": MAC_B, "ips": [IP_B], "groups": [IN]},
    },
    "rules": {
        OUT: [
            {"direction": "egress", "ethertype": "IPv4", "security_group_id": OUT},
            {"direction": "egress", "ethertype": "IPv6", "security_group_id": OUT},
        ],
        IN: [{"direction": "egress", "ethertype": "IPv4", "security_group_id": IN}, SSH_FROM_A],
    },
}

_CONFIG = """
[DEFAULT]
transport_url = fake://
use_stderr = false
log_file = {folder}/agent.log
state_path = {folder}/state
host = compute-1
[OVS]
ovsdb_connection = unix:{rundir}/db.sock
integration_bridge = br-int
datapath_type = netdev
bridge_mappings = physnet:br-ex
of_listen_address = 127.0.0.1
of_listen_port = 6633
[AGENT]
root_helper = /usr/bin/env
report_interval = 0
polling_interval = 1
[SECURITYGROUP]
firewall_driver = openvswitch
"""


class NeutronBed:
    """The agent on `switch`, for the length of a `with` block.

    Guests `vma` and `vmb` are VMs, `ext` is a host behind the uplink. vma may send anything;
    vmb may be reached from vma on TCP port 22 alone.
    """

    def __init__(self, switch: PrivateSwitch) -> None:
        self.switch = switch
        self._folder = switch.folder / "neutron"
        self._spec = json.loads(json.dumps(SPEC))
        self._agent: subprocess.Popen[str] | None = None

    def __enter__(self) -> NeutronBed:
        switch, folder = self.switch, self._folder
        folder.mkdir()
        # The agent asks the kernel's conntrack(8) to forget connections; they are not there.
        tool = folder / "conntrack"
        tool.write_text("#!/bin/sh\nexit 0\n")
        tool.chmod(0o755)
        self._spec_file = folder / "ports.json"
        self._write_spec()
        (folder / "agent.ini").write_text(_CONFIG.format(folder=folder, rundir=switch.rundir))
        switch.add_bridge("br-ex")
        switch.add_bridge("br-int")
        self.uplink = switch.guest("ext", "br-ex", f"{IP_X}/24", mac=MAC_X)
        switch.vsctl("set", "port", "ext", "vlan_mode=native-untagged", "tag=101")
        self.a = self._vm("vma", A, f"{IP_A}/24", MAC_A)
        self.b = self._vm("vmb", B, f"{IP_B}/24", MAC_B)
        self.start_agent()
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            stop_process(self._agent)

    def _vm(self, name: str, port_id: str, address: str, mac: str) -> Guest:
        guest = self.switch.guest(name, "br-int", address, mac=mac)
        self.plug(name, port_id, mac)
        return guest

    def plug(self, name: str, port_id: str, mac: str) -> None:
        """Plug a guest's interface in, and say whose port it is, as nova does."""
        ids = (f"iface-id={port_id}", f"attached-mac={mac}", "iface-status=active")
        keys = [f"external_ids:{one}" for one in ids]
        port = ("--may-exist", "add-port", "br-int", name)
        self.switch.vsctl(*port, "--", "set", "Interface", name, *keys)

    def plug_again(self, name: str) -> None:
        """The same for a guest whose port was taken off the bridge."""
        self.plug(name, *{"vma": (A, MAC_A), "vmb": (B, MAC_B)}[name])

    def start_agent(self) -> None:
        """Start the agent, and wait until it has programmed its bridges."""
        env = {
            **self.switch.env,
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
        }
        with (self._folder / "agent.err").open("a") as errors:
            self._agent = subprocess.Popen(
                (PYTHON, AGENT, self._folder / "agent.ini", self._spec_file),
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._await("ready")

    def restart_agent(self) -> None:
        """End the agent as its service would, and start it anew."""
        assert self._agent is not None
        self._agent.send_signal(signal.SIGTERM)
        self._agent.wait(PATIENCE)
        self.start_agent()

    def set_rules(self, group: str, rules: list[dict[str, Any]]) -> None:
        """Give a security group other rules, and wait until the agent has applied them."""
        self._spec["rules"][group] = rules
        self._write_spec()
        assert self._agent is not None
        assert self._agent.stdin is not None
        self._agent.stdin.write(f"{group}\n")
        self._agent.stdin.flush()
        self._await("done")

    def settle(self) -> None:
        """Wait until both VMs have their flows, and all stay as they are for three seconds."""
        before: list[str] = []
        calm = time.monotonic()
        deadline = calm + PATIENCE
        while time.monotonic() - calm < 3 and time.monotonic() < deadline:
            flows = self.switch.flows("br-int")
            both = all(any(f"nw_src={ip}" in flow for flow in flows) for ip in (IP_A, IP_B))
            if flows != before or not both:
                before, calm = flows, time.monotonic()
            time.sleep(0.5)

    def _write_spec(self) -> None:
        self._spec_file.write_text(json.dumps(self._spec))

    def _await(self, word: str) -> None:
        assert self._agent is not None
        assert self._agent.stdout is not None
        for line in self._agent.stdout:
            if line.strip() == word:
                return
        errors = (self._folder / "agent.err").read_text()[-3000:]
        raise RuntimeError(f"neutron-openvswitch-agent has ended\n{errors}")
