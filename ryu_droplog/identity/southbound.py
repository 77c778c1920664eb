"""The source `southbound`: ports that owners' databases know, OVN's southbound one among them.

Each is asked by whoever names the drops of its bridge, so that no host asks it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from ryu_droplog.config.settings import IDENTITY_DEFAULTS
from ryu_droplog.identity import values
from ryu_droplog.identity.base import IdentitySource, SourceContext
from ryu_droplog.identity.statement import Statement
from ryu_droplog.ovsdb.southbound_rows import LogicalPort

NAME = "southbound"
# What networking-ovn of Neutron, OVN-Kubernetes and Kube-OVN write to external_ids of a port.
_MACHINE_OWNER = "compute:"
_MACHINE, _OWNER = "neutron:device_id", "neutron:device_owner"


class Southbound(IdentitySource):
    """OVN's southbound database, of bridges that ovn-controller owns: logical ports and switches"""

    name = NAME
    KEY = Annotated[
        bool,
        Field(
            description="`true`: in OVN's southbound database, for bridges of ovn-controller's:"
            " logical ports and their addresses, switches, routers, VMs, pods"
        ),
    ]
    DEFAULT = IDENTITY_DEFAULTS["southbound"]

    def __init__(self, place: Any, context: SourceContext) -> None:
        super().__init__(place, context)
        self._seen: dict[str, Sequence[LogicalPort]] = {}
        self._made: dict[str, dict[Any, Statement]] = {}

    def look(self) -> None:
        """Take what is known of each bridge's networks."""
        found = dict(self.context.owner_ports())
        for bridge, ports in found.items():
            if ports is not self._seen.get(bridge):
                self._made[bridge] = {
                    (bridge, port.datapath, port.name): statement_of(port, bridge) for port in ports
                }
        for bridge in self._made.keys() - found.keys():
            del self._made[bridge]
        if found != self._seen or not found:
            self.tell({key: said for made in self._made.values() for key, said in made.items()})
        self._seen = found
        if any(found.values()):
            self.trouble = ""
        else:
            self.trouble = "no bridge has an owner whose database is known"


def statement_of(port: LogicalPort, bridge: str) -> Statement:
    """What is said of a logical port."""
    ids: Mapping[str, str] = port.external_ids
    pod, namespace = _pod(ids, port.name)
    is_machine = ids.get(_OWNER, "").startswith(_MACHINE_OWNER)
    return Statement(
        said_by=NAME,
        bridge=bridge,
        local=False,
        macs=values.macs(port.addresses),
        addresses=values.addresses(port.addresses),
        logical_port=values.name(port.name),
        vm_id=values.name(ids.get(_MACHINE)) if is_machine else "",
        pod=values.name(pod),
        namespace=values.name(namespace),
        network="" if port.is_router else values.name(port.datapath),
        router=values.name(port.datapath) if port.is_router else "",
        forwards=port.is_router or ids.get(_OWNER, "").startswith("network:router"),
    )


def _pod(ids: Mapping[str, str], name: str) -> tuple[str, str]:
    """Pod and its namespace: of Kube-OVN `pod` is both, of OVN-Kubernetes only that it is one."""
    pod, namespace = ids.get("pod", ""), ids.get("namespace", "")
    if "/" in pod:
        namespace, _, pod = pod.partition("/")
        return pod, namespace
    if pod == "true" and namespace:
        return name.rpartition(f"{namespace}_")[2], namespace
    return "", ""
