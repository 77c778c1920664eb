"""What is known of the bridges that drops come from, beside where in them a packet was dropped."""

from __future__ import annotations

from collections.abc import Mapping


class BridgeDirectory:
    """Ports and datapath ids by the source of the drops; any thread may ask."""

    def __init__(self) -> None:
        self._ports: dict[str, Mapping[int, str]] = {}
        self._datapath_ids: dict[str, str] = {}
        self.changes = 0
        """Another number whenever something new was learnt."""

    def learn_ports(self, source: str, ports: Mapping[int, str]) -> None:
        """Take the names of a bridge's ports by OpenFlow port number."""
        if self._ports.get(source) != ports:
            self._ports[source] = ports
            self.changes += 1

    def learn_datapath_id(self, source: str, datapath_id: int) -> None:
        """Take a bridge's datapath id, 64 bits."""
        text = f"{datapath_id:016x}"
        if self._datapath_ids.get(source) != text:
            self._datapath_ids[source] = text
            self.changes += 1

    def port_name(self, source: str, number: int) -> str:
        """Name of a port; empty where it is not known."""
        ports = self._ports.get(source)
        return ports.get(number, "") if ports is not None else ""

    def datapath_id(self, source: str) -> str:
        """16 hexadecimal digits; empty where it is not known."""
        return self._datapath_ids.get(source, "")
