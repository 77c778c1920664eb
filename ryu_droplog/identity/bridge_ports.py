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
    """All rows of one database, by UUID; what has not changed is not made again."""

    def __init__(self) -> None:
        self._interfaces: dict[str, InterfaceRow] = {}
        self._ports: dict[str, PortRow] = {}
        self._bridges: dict[str, BridgeRow] = {}
        self._parts: dict[str, list[str]] = {}
        """By bridge its ports, by port its interfaces."""
        self._made: dict[str, tuple[tuple[str, str], PortRow, Statement]] = {}
        """By interface, for as long as its row is the same: name and datapath id of its bridge,
        its port, and the statement that was made of these."""

    def take(self, uuid: str, row: Struct | None) -> None:
        """Take a row in place of the one with that UUID, which is none of another table; None: it
        is gone. Raises SwitchError where a column has something else than rows.
        """
        for table in (self._interfaces, self._ports, self._bridges, self._parts, self._made):
            table.pop(uuid, None)
        if isinstance(row, InterfaceRow):
            self._interfaces[uuid] = row
        elif isinstance(row, PortRow):
            self._ports[uuid], self._parts[uuid] = row, references(row.interfaces)
        elif isinstance(row, BridgeRow):
            self._bridges[uuid], self._parts[uuid] = row, references(row.ports)

    def statements(self) -> dict[str, Statement]:
        """What is said of each interface that has a port, by the UUID of its row."""
        found = {}
        for bridge_id, bridge in self._bridges.items():
            where = bridge.name, _datapath_id(bridge)
            for port, interface_id, interface in self._plugged(bridge_id):
                made = self._made.get(interface_id)
                if made is None or made[0] != where or made[1] is not port:
                    statement = _statement(*where, port, interface)
                    made = self._made[interface_id] = where, port, statement
                found[interface_id] = made[2]
        return found

    def domains(self) -> dict[str, int]:
        """Bridges by name and by datapath id; those that patch ports connect have one number."""
        patches: dict[str, tuple[str, str]] = {}
        """By name, the bridge where it is and the name of its peer."""
        for uuid in self._bridges:
            for _, _, interface in self._plugged(uuid):
                if interface.type == "patch":
                    patches[interface.name] = uuid, dict(interface.options[1]).get("peer", "")
        numbers = {uuid: number for number, uuid in enumerate(self._bridges)}
        for uuid, peer in patches.values():
            other = patches.get(peer, (uuid, ""))[0]
            kept, lost = numbers[uuid], numbers[other]
            if kept != lost:
                numbers = {k: kept if n == lost else n for k, n in numbers.items()}
        found = {}
        for uuid, bridge in self._bridges.items():
            for name in (bridge.name, _datapath_id(bridge)):
                if name:
                    found[name] = numbers[uuid]
        return found

    def _plugged(self, bridge_id: str) -> Iterator[tuple[PortRow, str, InterfaceRow]]:
        """The interfaces of a bridge, each with its port and its UUID."""
        for port_id in self._parts[bridge_id]:
            port = self._ports.get(port_id)
            if port is not None:
                for uuid in self._parts[port_id]:
                    interface = self._interfaces.get(uuid)
                    if interface is not None:
                        yield port, uuid, interface


def _statement(bridge: str, datapath_id: str, port: PortRow, interface: InterfaceRow) -> Statement:
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
        bridge=bridge,
        datapath_id=datapath_id,
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
