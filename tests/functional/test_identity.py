"""Whose a dropped packet was, on a switch whose ports are set as Nova, libvirt and CNI do it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from private_ovs import PrivateSwitch, send_frame

from .packets import IPV4, ethernet, ipv4, tcp
from .program import BIN, Program, eventually, watched

pytestmark = pytest.mark.ovs

SERVER = "5db4cf2d-6a5c-4c14-9d3e-0f2a7c1b9e55"
NOVA_PORT, LIBVIRT_PORT = "11111111-0000-4000-8000-00000000000a", "vnet-id"
NETWORK = "77777777-1111-4222-8333-444444444444"
MACS = {
    "nova": "fa:16:3e:00:00:01",
    "libv": "52:54:00:00:00:02",
    "kube": "0a:58:0a:00:00:03",
    "antr": "0a:58:0a:00:00:04",
    "ovnk": "0a:58:0a:00:00:05",
    "bare": "02:00:00:00:00:06",
}
ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate(MACS, 1)}
NEUTRON = ("set", "port", "nova", "tag=7", f"other_config:net_uuid={NETWORK}")
INTERFACES = {
    # os-vif of Nova, and Neutron's agent
    "nova": (
        f"external_ids:iface-id={NOVA_PORT}",
        f'external_ids:attached-mac="{MACS["nova"]}"',
        "external_ids:iface-status=active",
        f"external_ids:vm-uuid={SERVER}",
    ),
    # libvirt's own way
    "libv": (
        f"external_ids:iface-id={LIBVIRT_PORT}",
        f'external_ids:attached-mac="{MACS["libv"]}"',
        f"external_ids:vm-id={SERVER[::-1]}",
    ),
    # Kube-OVN
    "kube": (
        "external_ids:iface-id=web-0.shop",
        "external_ids:pod_name=web-0",
        "external_ids:pod_namespace=shop",
        f"external_ids:ip={ADDRESSES['kube']}",
    ),
    # OVN-Kubernetes
    "ovnk": (
        "external_ids:iface-id=shop_cart-1",
        f'external_ids:attached_mac="{MACS["ovnk"]}"',
        f'external_ids:ip_addresses="{ADDRESSES["ovnk"]}/24"',
        "external_ids:sandbox=0123abcd",
    ),
}
ANTREA = (
    *("set", "port", "antr", "external_ids:pod-name=db-0", "external_ids:pod-namespace=shop"),
    *(
        f'external_ids:attached-mac="{MACS["antr"]}"',
        f"external_ids:ip-address={ADDRESSES['antr']}",
    ),
)
DOMAIN = """\
<domstatus state='running'>
<domain type='kvm'>
  <name>instance-0000002a</name>
  <uuid>{uuid}</uuid>
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:name>shop "front" \u202e= 1</nova:name>
    </nova:instance>
  </metadata>
  <devices>
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br-id'/>
      <virtualport type='openvswitch'><parameters interfaceid='{port}'/></virtualport>
      <target dev='nova'/>
    </interface>
  </devices>
</domain>
</domstatus>
"""
CONFIG = """\
bridges: [{name: br-id}, {name: br-lab}]
prune: {defaults: false}
identity:
  libvirt: %(folder)s/libvirt
  opflex: %(folder)s/endpoints
  names: %(folder)s/names.yaml
sinks:
  - {type: file, name: records, path: "%(folder)s/records", encode: native}
  - {type: file, name: ecs, path: "%(folder)s/ecs", encode: ecs}
  - {type: file, name: hubble, path: "%(folder)s/hubble", encode: hubble}
  - {type: file, name: extended, path: "%(folder)s/extended", encode: extended}
  - {type: file, name: json, path: "%(folder)s/json", encode: json}
"""


class Scene:
    """A program at two bridges, and what it says of each packet that is sent."""

    def __init__(self, switch: PrivateSwitch, program: Program, folder: Path) -> None:
        self.switch = switch
        self.program = program
        self.folder = folder
        self._port = 20000

    def send(self, source: str, destination: str, **other: str) -> int:
        """Have a guest send a SYN to another; the port that it is sent to, told from all others."""
        self._port += 1
        address = other.get("ip") or ADDRESSES[destination]
        frame = ethernet(
            IPV4,
            ipv4(ADDRESSES[source], address, 6, tcp(1234, self._port)),
            smac=MACS[source],
            dmac=other.get("mac") or MACS[destination],
        )
        send_frame(source, "eth0", frame)
        return self._port

    def record(self, port: int, file: str = "records") -> dict[str, Any]:
        """What the program wrote of the packet to this port."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            for line in self.lines(file):
                if str(port) in line:
                    found.append(json.loads(line))
            return bool(found)

        assert eventually(True, look)
        return found[0]

    def lines(self, file: str) -> list[str]:
        """What was written to a file so far."""
        path = self.folder / file
        return path.read_text().splitlines() if path.exists() else []

    def ends(self, source: str, destination: str, **other: str) -> list[dict[str, Any]]:
        """Whose the ends of a packet are."""
        record = self.record(self.send(source, destination, **other))
        return [record[end].get("identity", {}) for end in ("source", "destination")]


@pytest.fixture(scope="module")
def scene(switch: PrivateSwitch) -> Iterator[Scene]:
    """Guests at two bridges, all of whose packets are dropped."""
    folder = switch.folder / "identity"
    for name in ("libvirt", "endpoints"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "names.yaml").write_text(
        "names:\n  - {ip: 203.0.113.9, vm: office printer, network: office}\n"
    )
    domain = DOMAIN.format(uuid=SERVER, mac=MACS["nova"], port=NOVA_PORT)
    (folder / "libvirt" / "instance-0000002a.xml").write_text(domain)
    switch.add_bridge("br-id")
    switch.add_bridge("br-lab")
    for name in MACS:
        switch.guest(name, "br-lab" if name == "bare" else "br-id", mac=MACS[name])
        if name in INTERFACES:
            switch.vsctl("set", "interface", name, *INTERFACES[name])
    switch.vsctl(*NEUTRON)
    switch.vsctl(*ANTREA)
    with Program(switch, CONFIG % {"folder": folder}) as program:
        scene = Scene(switch, program, folder)
        for bridge in ("br-id", "br-lab"):
            assert eventually([0], lambda bridge=bridge: watched(switch, bridge)) == [0]
        assert eventually(True, lambda: bool(scene.ends("nova", "antr")[1]))
        yield scene


NOVA = {
    "port": "nova",
    "logical_port": NOVA_PORT,
    "vm": 'shop "front" \\u202e= 1',
    "vm_id": SERVER,
    "network": NETWORK,
    "known_from": ["libvirt", "ovsdb"],
}


def test_ports_are_named_as_nova_neutron_libvirt_and_cni_plugins_set_them(scene: Scene) -> None:
    source, destination = scene.ends("nova", "antr")
    assert {**NOVA, "found_by": "port"} == source
    antrea = {"port": "antr", "pod": "db-0", "namespace": "shop", "known_from": ["ovsdb"]}
    assert {**antrea, "found_by": "mac"} == destination
    source, destination = scene.ends("kube", "libv")
    kube = {"port": "kube", "logical_port": "web-0.shop", "pod": "web-0", "namespace": "shop"}
    assert {**kube, "found_by": "port", "known_from": ["ovsdb"]} == source
    libvirt = {"port": "libv", "logical_port": LIBVIRT_PORT, "vm_id": SERVER[::-1]}
    assert {**libvirt, "found_by": "mac", "known_from": ["ovsdb"]} == destination
    source, destination = scene.ends("ovnk", "kube")
    ovn = {"port": "ovnk", "logical_port": "shop_cart-1", "pod": "cart-1", "namespace": "shop"}
    assert {**ovn, "found_by": "port", "known_from": ["ovsdb"]} == source
    assert {**kube, "found_by": "ip", "known_from": ["ovsdb"]} == destination


def test_lab_bridge_names_its_port_and_nobody_of_another_bridge(scene: Scene) -> None:
    source, destination = scene.ends("bare", "antr")
    assert {"port": "bare", "found_by": "port", "known_from": ["ovsdb"]} == source
    assert {} == destination  # its MAC and address are those of a pod on a bridge apart
    source, destination = scene.ends("bare", "", ip="203.0.113.9", mac="02:00:00:00:00:77")
    assert "office printer" == destination["vm"]
    assert ["names"] == destination["known_from"]


def test_patch_ports_make_two_bridges_one_network(scene: Scene) -> None:
    for here, there in (("br-id", "br-lab"), ("br-lab", "br-id")):
        scene.switch.vsctl(
            *("add-port", here, f"to-{there}", "--", "set", "interface", f"to-{there}"),
            *("type=patch", f"options:peer=to-{here}"),
        )
    try:
        assert eventually("db-0", lambda: scene.ends("bare", "antr")[1].get("pod")) == "db-0"
    finally:
        for bridge, port in (("br-id", "to-br-lab"), ("br-lab", "to-br-id")):
            scene.switch.vsctl("del-port", bridge, port)
    assert eventually({}, lambda: scene.ends("bare", "antr")[1]) == {}


def test_all_encodings_say_whose_it_was(scene: Scene) -> None:
    port = scene.send("nova", "antr")
    name = NOVA["vm"]
    assert [name, "db-0"] == scene.record(port, "ecs")["related"]["hosts"]
    flow = scene.record(port, "hubble")["flow"]
    assert {"pod_name": "db-0", "namespace": "shop", "labels": ["ovs:port=antr"]} == flow[
        "destination"
    ]
    assert f"ovs:vm={name}" in flow["source"]["labels"]
    assert name == scene.record(port, "json")["source"]["vm"]
    assert eventually(True, lambda: any(str(port) in line for line in scene.lines("extended")))
    [line] = [line for line in scene.lines("extended") if str(port) in line]
    assert ' SOURCE_VM="shop \\"front\\" \\\\u202e= 1" ' in line
    assert " DESTINATION_POD=db-0 DESTINATION_NAMESPACE=shop BRIDGE=br-id" in line


def test_port_that_another_gets_is_another(scene: Scene) -> None:
    set_name = ("set", "interface", "kube")
    before = scene.send("kube", "antr")
    assert "web-0" == scene.record(before)["source"]["identity"]["pod"]
    scene.switch.vsctl(*set_name, "external_ids:pod_name=web-1", "external_ids:iface-id=web-1.shop")
    try:
        assert eventually("web-1", lambda: scene.ends("kube", "antr")[0]["pod"]) == "web-1"
        assert "web-0" == scene.record(before)["source"]["identity"]["pod"]
    finally:
        scene.switch.vsctl(
            *set_name, "external_ids:pod_name=web-0", "external_ids:iface-id=web-0.shop"
        )
        assert eventually("web-0", lambda: scene.ends("kube", "antr")[0]["pod"]) == "web-0"


def test_endpoint_file_that_comes_and_goes_is_followed(scene: Scene) -> None:
    path = scene.folder / "endpoints" / "a_b_bare.ep"
    path.write_text(
        json.dumps(
            {
                "uuid": "f00|02-00-00-00-00-06",
                "eg-policy-space": "common",
                "endpoint-group": "kube|pods",
                "mac": MACS["bare"],
                "ip": [ADDRESSES["bare"]],
                "access-interface": "bare",
                "interface-name": "pi-bare",
                "attributes": {"vm-name": "job-7", "namespace": "batch"},
            }
        )
    )
    pod = {"port": "bare", "logical_port": "f00", "pod": "job-7", "namespace": "batch"}
    pod |= {"network": "common/kube|pods", "found_by": "port"}
    wanted = {**pod, "known_from": ["opflex", "ovsdb"]}
    assert eventually(wanted, lambda: scene.ends("bare", "antr")[0]) == wanted
    path.unlink()
    wanted = {"port": "bare", "found_by": "port", "known_from": ["ovsdb"]}
    assert eventually(wanted, lambda: scene.ends("bare", "antr")[0]) == wanted


def test_status_says_who_knows_how_many(scene: Scene) -> None:
    identity = scene.program.status()["identity"]
    assert {"ends": 1, "trouble": ""} == identity["names"]
    assert {"ends": 1, "trouble": ""} == identity["libvirt"]
    assert len(MACS) + 2 == identity["ovsdb"]["ends"]  # and the bridges' own ports


def test_source_that_the_configuration_leaves_out_says_nothing_any_more(scene: Scene) -> None:
    path = scene.program.config
    text = path.read_text()
    assert "libvirt" in scene.ends("nova", "antr")[0]["known_from"]
    path.write_text(text.replace(f"libvirt: {scene.folder}/libvirt", "libvirt: null"))
    try:
        without = ["ovsdb"]
        assert eventually(without, lambda: scene.ends("nova", "antr")[0]["known_from"]) == without
        assert "libvirt" not in scene.program.status()["identity"]
        assert eventually(1, lambda: scene.program.times("identity.libvirt:")) == 1
    finally:
        path.write_text(text)
    both = ["libvirt", "ovsdb"]
    assert eventually(both, lambda: scene.ends("nova", "antr")[0]["known_from"]) == both


def test_doctor_says_who_knows_how_many_ends(scene: Scene) -> None:
    """What the running program says, and of a program that does not run what a look finds."""
    config = scene.folder / "doctor.yaml"
    for run_directory in (scene.program.run_directory, f"{scene.folder}/elsewhere"):
        text = scene.program.config.read_text()
        config.write_text(text.replace(scene.program.run_directory, run_directory))
        command = (str(BIN / "ryu-droplog"), "doctor", "--config", str(config), "--bridge", "br-id")
        done = subprocess.run(
            (*command, "--json"), env=scene.program.env, capture_output=True, text=True, timeout=60
        )
        [report] = json.loads(done.stdout)
        ends = {name: state["ends"] for name, state in report["identity"].items()}
        wanted = {"names": 1, "opflex": 0, "southbound": 0, "libvirt": 1, "ovsdb": len(MACS) + 2}
        assert wanted == ends
    done = subprocess.run(
        command, env=scene.program.env, capture_output=True, text=True, timeout=60
    )
    assert f"libvirt 1 end, ovsdb {len(MACS) + 2} ends\n" in done.stdout


def identities(scene: Scene) -> dict[str, Any]:
    """What the source `ovsdb` says of itself."""
    told: dict[str, Any] = scene.program.status()["identity"]["ovsdb"]
    return told


def connections(scene: Scene) -> dict[str, bool]:
    """Whether each bridge is connected, and watched."""
    bridges = scene.program.status()["bridges"]
    return {
        name: state["connected"] and watched(scene.switch, name) == [0]
        for name, state in bridges.items()
    }


def test_database_that_is_away_changes_nothing_else(scene: Scene) -> None:
    """Open vSwitch itself answers nobody meanwhile; what comes after is named as before."""
    known = scene.ends("nova", "antr")
    scene.switch.stop_database()
    assert eventually(True, lambda: bool(identities(scene)["trouble"]))
    assert len(MACS) + 2 == identities(scene)["ends"]
    scene.switch.start_database()
    scene.switch.wait_for_vswitchd()
    connected = {"br-id": True, "br-lab": True}
    assert connected == eventually(connected, lambda: connections(scene))
    assert known == scene.ends("nova", "antr")
    well = {"ends": len(MACS) + 2, "trouble": ""}
    assert eventually(well, lambda: identities(scene)) == well
    scene.switch.vsctl("set", "interface", "nova", "external_ids:iface-id=again")
    try:
        port = eventually("again", lambda: scene.ends("nova", "antr")[0]["logical_port"])
        assert "again" == port
    finally:
        scene.switch.vsctl("set", "interface", "nova", f"external_ids:iface-id={NOVA_PORT}")
    assert [0] == eventually([0], lambda: watched(scene.switch, "br-id"))


def test_books_balance(scene: Scene) -> None:
    assert not any(scene.program.status()["unexplained"].values())
