"""What a source says of one end of packets: how it is found, and whose it is. Data only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

Key = tuple[str, str | int | bytes | tuple[str, int]]
"""What an end is found by: of which kind it is, and its value."""
IN_PORT, MAC, ADDRESS, PORT_NAME, LOGICAL_PORT, VM_ID = "in_port", "mac", "ip", "port", "id", "vm"


class Statement(Struct, frozen=True):
    """What one source says of one end, while it holds."""

    said_by: str
    """Name of the source."""
    bridge: str = ""
    """Name of the bridge where it is; empty: not known."""
    datapath_id: str = ""
    """16 hexadecimal digits, where they are known; they tell this host's bridge from another's."""
    local: bool = True
    """Whether it is at a bridge of this host, for certain."""
    in_port: int = 0
    """OpenFlow number of its port on that bridge; 0: not known."""
    ports: tuple[str, ...] = ()
    """Names of its ports; the one that is shown comes first."""
    macs: tuple[bytes, ...] = ()
    """6 bytes each."""
    addresses: tuple[bytes, ...] = ()
    """4 bytes each, or 16."""
    prefixes: tuple[Prefix, ...] = ()
    logical_port: str = ""
    vm: str = ""
    vm_id: str = ""
    pod: str = ""
    namespace: str = ""
    network: str = ""
    router: str = ""
    forwards: bool = False
    """Whether packets of others come and go by it: it is a router's."""
    passage: bool = False
    """Whether its port leads to another bridge or host: nobody is right behind it."""

    def found_by(self) -> Iterator[Key]:
        """What it is found by; one that says something of a virtual machine alone, by that."""
        if self.in_port and self.bridge:
            yield IN_PORT, (self.bridge, self.in_port)
        for name in self.ports:
            yield PORT_NAME, name
        if self.logical_port:
            yield LOGICAL_PORT, self.logical_port
        for mac in self.macs:
            yield MAC, mac
        for address in self.addresses:
            yield ADDRESS, address
        if self.vm_id and not (self.ports or self.logical_port or self.macs or self.has_address):
            yield VM_ID, self.vm_id

    @property
    def has_address(self) -> bool:
        """Whether it says which IP addresses the end has."""
        return bool(self.addresses or self.prefixes)

    @property
    def tells_who(self) -> bool:
        """Whether it says more than that there is a port."""
        return bool(
            self.logical_port
            or self.vm
            or self.vm_id
            or self.pod
            or self.router
            or self.macs
            or self.has_address
        )


class Prefix(NamedTuple):
    """A range of IP addresses."""

    address: bytes
    """The first one."""
    length: int
    """Bits that all have in common."""

    def has(self, address: bytes) -> bool:
        """Whether an address is in it."""
        if len(address) != len(self.address):
            return False
        rest = len(address) * 8 - self.length
        return int.from_bytes(address, "big") >> rest == int.from_bytes(self.address, "big") >> rest
