"""Neutron's own neutron-openvswitch-agent, without a Neutron server.

Run by neutron_bed.py with the Python of .venv-neutron. The agent is upstream's: its loop, its
canary, its clean-up of stale flows, its firewall. Only the questions that it would ask a server by
RPC are answered here, from a file; a line on standard input names the security group whose rules
in that file have changed, `members GROUP` one whose members have. "ready" and "done" on standard
output say when the agent has worked through what it was told.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from unittest import mock

from neutron import privileged
from neutron.common import config as common_config
from neutron.conf.agent import securitygroups_rpc  # noqa: F401  registers its options
from neutron.plugins.ml2.drivers.openvswitch.agent import ovs_neutron_agent
from neutron.plugins.ml2.drivers.openvswitch.agent.common import config  # noqa: F401  the same
from neutron.plugins.ml2.drivers.openvswitch.agent.openflow.native import main as native
from neutron_lib import context

NETWORK = "0d4a7c1e-6b1f-4f59-9d3c-5c1f3f6d2b10"
OWNER = "compute:nova"

agents = []


def spec():
    """What a server would know: ports by id, rules and members by security group."""
    return json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))


class Server(mock.MagicMock):
    """Answers of the server about ports (neutron.agent.rpc.CacheBackedPluginApi)."""

    def get_devices_details_list_and_failed_devices(self, ctx, devices, *args, **kwargs):
        ports = spec()["ports"]
        details = []
        for device in devices:
            port = ports.get(device)
            known = port and {
                "port_id": device,
                "network_id": NETWORK,
                "network_type": "vlan",
                "physical_network": "physnet",
                "segmentation_id": 101,
                "fixed_ips": [{"ip_address": ip, "subnet_id": "s"} for ip in port["ips"]],
                "device_owner": OWNER,
                "allowed_address_pairs": [],
                "mac_address": port["mac"],
                "port_security_enabled": True,
                "admin_state_up": True,
                "profile": {},
                "vif_type": "ovs",
            }
            details.append({"device": device, **(known or {})})
        return {"devices": details, "failed_devices": []}

    def update_device_list(self, ctx, up, down, *args, **kwargs):
        gone = [{"device": device, "exists": True} for device in down or ()]
        return {
            "devices_up": list(up or ()),
            "failed_devices_up": [],
            "devices_down": gone,
            "failed_devices_down": [],
        }

    def get_network_details(self, *args, **kwargs):
        return {"mtu": 1500}


class Groups(mock.MagicMock):
    """Answers of the server about security groups (SecurityGroupServerRpcApi)."""

    def security_group_info_for_devices(self, ctx, devices):
        known = spec()
        told = {"devices": {}, "security_groups": {}, "sg_member_ips": {}}
        for device in devices:
            port = known["ports"].get(device)
            if port is None:
                continue
            rules = {group: known["rules"].get(group, []) for group in port["groups"]}
            told["security_groups"].update(rules)
            told["devices"][device] = {
                "device": device,
                "mac_address": port["mac"],
                "fixed_ips": port["ips"],
                "allowed_address_pairs": [],
                "network_id": NETWORK,
                "device_owner": OWNER,
                "port_security_enabled": True,
                "security_groups": port["groups"],
                "security_group_rules": [],
                "security_group_source_groups": [],
            }
        return told


def set_up_rpc(agent):
    """In the place of OVSNeutronAgent.setup_rpc."""
    agents.append(agent)
    agent.plugin_rpc = Server()
    agent.plugin_rpc.remote_resource_cache.get_resource_by_id.return_value = None
    agent.sg_plugin_rpc = Groups()
    agent.dvr_plugin_rpc = mock.MagicMock()
    agent.state_rpc = mock.MagicMock()
    agent.context = context.get_admin_context_without_session()
    agent.connection = mock.MagicMock()


def wait_for_rounds(count):
    """Wait until the agent's loop has gone round so often more."""
    while not agents or not hasattr(agents[-1], "iter_num"):
        time.sleep(0.1)
    goal = agents[-1].iter_num + count
    while agents[-1].iter_num < goal:
        time.sleep(0.1)


def obey():
    """Take the news on standard input."""
    wait_for_rounds(2)
    print("ready", flush=True)
    for line in sys.stdin:
        agents[-1].sg_agent.security_groups_rule_updated([line.strip()])
        wait_for_rounds(2)
        print("done", flush=True)


def main():
    common_config.register_common_config_options()
    common_config.init(["--config-file", sys.argv[1]])
    for name in ("default", "conntrack_cmd", "link_cmd", "namespace_cmd", "ovs_vsctl_cmd"):
        getattr(privileged, name).set_client_mode(False)
    native.init_config()
    common_config.setup_logging()
    threading.Thread(target=obey, daemon=True).start()
    real_main = ovs_neutron_agent.main

    def main_and_out(*args, **kwargs):
        try:
            real_main(*args, **kwargs)
        finally:
            os._exit(0)  # its conntrack workers would keep the process

    with (
        mock.patch.object(ovs_neutron_agent, "main", main_and_out),
        mock.patch.object(ovs_neutron_agent.OVSNeutronAgent, "setup_rpc", set_up_rpc),
    ):
        native.main()


main()
