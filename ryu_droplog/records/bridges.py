"""What is known of the bridges that drops come from, beside where in them a packet was dropped."""

from __future__ import annotations

from collections.abc import Mapping


class BridgeDirectory:
    """Ports and datapath ids by the source of the drops; any thread may ask."""

    def __init__(self) -> None:
        self._ports: dict[str, Mapping[int, str]] = {}
        self._datapath_ids: dict[str, str] = {}

    def learn_ports(self, source: str, ports: Mapping[int, str]) -> None:
        """Take the names of a bridge's ports by OpenFlow port number."""
        self._ports[source] = ports

    def learn_datapath_id(self, source: str, datapath_id: int) -> None:
        """Take a bridge's datapath id, 64 bits."""
        self._datapath_ids[source] = f"{datapath_id:016x}"

    def port_name(self, source: str, number: int) -> str:
        """Name of a port; empty where it is not known."""
        ports = self._ports.get(source)
        return ports.get(number, "") if ports is not None else ""

    def datapath_id(self, source: str) -> str:
        """16 hexadecimal digits; empty where it is not known."""
        return self._datapath_ids.get(source, "")
