"""What the rows of Open vSwitch's database say of the ends at its ports. Pure.

Who sets which of the external_ids: Nova (os-vif), Neutron's agents and libvirt `iface-id`,
`attached-mac` and `vm-uuid` or `vm-id`; Kube-OVN `pod_name`, `pod_namespace`, `ip`; Antrea
`pod-name`, `pod-namespace`, `ip-address` (of the Port); OVN-Kubernetes `attached_mac`,
`ip_addresses`, `sandbox`, and an `iface-id` that is namespace and pod. Neutron's agent has the
network in other_config of the Port (neutron, ovs_neutron_agent.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from ryu_droplog.identity import values
from ryu_droplog.identity.statement import Statement
from ryu_droplog.ovsdb.client import Map, NoValue, References, references

NAME = "ovsdb"
_DEAD_VLAN = 4095
"""Of ports that Neutron's agent has not set up yet."""
_PASSAGES = frozenset(
    ("patch", "vxlan", "geneve", "gre", "ip6gre", "stt", "lisp", "erspan", "ip6erspan", "gtpu")
    + ("bareudp", "srv6")
)
"""Types of interfaces that lead to another bridge or host (ovs-vswitchd.conf.db(5))."""
_ROUTER_PORTS = ("qr-", "qg-", "sg-", "fg-")
"""How Neutron's L3 agent calls ports of its routers (neutron, agent/l3/router_info.py)."""


class InterfaceRow(Struct):
    """A row of Interface."""

    name: str
    type: str
    ofport: int | NoValue
    external_ids: Map
    options: Map
    mac_in_use: str | NoValue


class PortRow(Struct):
    """A row of Port."""

    name: str
    tag: int | NoValue
    interfaces: References
    external_ids: Map
    other_config: Map


class BridgeRow(Struct):
    """A row of Bridge."""

    name: str
    datapath_id: str | NoValue
    ports: References


TABLES: Mapping[str, type[Struct]] = {
    "Interface": InterfaceRow,
    "Port": PortRow,
    "Bridge": BridgeRow,
}


class Rows:
    """All rows of one database, by UUID."""

    def __init__(self) -> None:
        self.interfaces: dict[str, InterfaceRow] = {}
        self.ports: dict[str, PortRow] = {}
        self.bridges: dict[str, BridgeRow] = {}

    def table(self, name: str) -> dict[str, Struct]:
        """The rows of a table, one of `TABLES`."""
        tables = {"Interface": self.interfaces, "Port": self.ports, "Bridge": self.bridges}
        return tables[name]  # type: ignore[return-value]

    def statements(self) -> Iterator[tuple[str, Statement]]:
        """What is said of each interface that has a port, by the UUID of its row."""
        for bridge in self.bridges.values():
            for port_id in references(bridge.ports):
                port = self.ports.get(port_id)
                for interface_id in references(port.interfaces) if port is not None else ():
                    interface = self.interfaces.get(interface_id)
                    if port is not None and interface is not None:
                        yield interface_id, _statement(bridge, port, interface)

    def domains(self) -> dict[str, int]:
        """Bridges by name and by datapath id; those that patch ports connect have one number."""
        bridge_of = {
            interface.name: uuid
            for uuid, bridge in self.bridges.items()
            for interface in self._interfaces(bridge)
        }
        numbers = {uuid: number for number, uuid in enumerate(self.bridges)}
        for uuid, bridge in self.bridges.items():
            for interface in self._interfaces(bridge):
                peer = dict(interface.options[1]).get("peer") if interface.type == "patch" else None
                other = bridge_of.get(peer or "")
                if other is not None and numbers[other] != numbers[uuid]:
                    kept, lost = numbers[uuid], numbers[other]
                    numbers = {k: kept if n == lost else n for k, n in numbers.items()}
        found = {}
        for uuid, bridge in self.bridges.items():
            for name in (bridge.name, _datapath_id(bridge)):
                if name:
                    found[name] = numbers[uuid]
        return found

    def _interfaces(self, bridge: BridgeRow) -> Iterator[InterfaceRow]:
        for port_id in references(bridge.ports):
            port = self.ports.get(port_id)
            for uuid in references(port.interfaces) if port is not None else ():
                if uuid in self.interfaces:
                    yield self.interfaces[uuid]


def _statement(bridge: BridgeRow, port: PortRow, interface: InterfaceRow) -> Statement:
    ids = dict(port.external_ids[1]) | dict(interface.external_ids[1])
    iface_id = values.name(ids.get("iface-id"))
    pod = ids.get("pod_name") or ids.get("pod-name")
    namespace = ids.get("pod_namespace") or ids.get("pod-namespace")
    if not pod and "sandbox" in ids:  # NETWORK_namespace_pod, or namespace_pod
        rest, _, pod = iface_id.rpartition("_")
        namespace = rest.rpartition("_")[2]
    macs = [ids.get("attached-mac"), ids.get("attached_mac")]
    if interface.type == "internal":  # the end itself: no other of its host is behind it
        macs.append(interface.mac_in_use if isinstance(interface.mac_in_use, str) else None)
    texts = ",".join(filter(None, (ids.get("ip"), ids.get("ip-address"), ids.get("ip_addresses"))))
    return Statement(
        said_by=NAME,
        bridge=bridge.name,
        datapath_id=_datapath_id(bridge),
        in_port=interface.ofport
        if isinstance(interface.ofport, int) and interface.ofport > 0
        else 0,
        ports=(values.name(interface.name),),
        macs=values.macs(macs[:1] if ids.get("attached-mac") else macs),
        addresses=values.addresses(texts.split(",")),
        logical_port=iface_id,
        vm_id=values.name(ids.get("vm-uuid") or ids.get("vm-id")),
        pod=values.name(pod),
        namespace=values.name(namespace) if pod else "",
        network=_network(port),
        forwards=bool(iface_id) and interface.name.startswith(_ROUTER_PORTS),
        passage=interface.type in _PASSAGES,
    )


def _datapath_id(bridge: BridgeRow) -> str:
    return bridge.datapath_id if isinstance(bridge.datapath_id, str) else ""


def _network(port: PortRow) -> str:
    network = values.name(dict(port.other_config[1]).get("net_uuid"))
    if network or not isinstance(port.tag, int) or port.tag == _DEAD_VLAN:
        return network
    return f"vlan {port.tag}"
