"""`sip`, `dip`: the addresses of a packet, IPv4 or IPv6, and those of ARP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from netaddr import INET_PTON, AddrFormatError, IPAddress, IPNetwork

from ryu_droplog.filters.masked import Acceptance, Masked, acceptance, narrow
from ryu_droplog.filters.numbers import is_decimal
from ryu_droplog.model.drop import Arp, Drop
from ryu_droplog.packet import headers
from ryu_droplog.plugins.filter_key import FilterKey, Form, Test, indifferent

_BITS = {4: 32, 6: 128}
"""In an address, by the IP version."""


class IpKey(FilterKey):
    """An address or a prefix.

    It holds for an IP header of its own family alone, and the IPv4 one for ARP.
    """

    chance = 0.02
    cost = 3.0

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, description, {"type": "string"}, ("sip", "dip"))

    def parse(self, value: object) -> Masked:
        """The address and its mask, 4 or 16 bytes each; bits outside the prefix are ignored."""
        text, slash, prefix = value.partition("/") if isinstance(value, str) else ("", "", "")
        try:
            # INET_PTON: all four parts of an IPv4 address, in decimal without leading zeros.
            address = IPAddress(text, flags=INET_PTON)
        except (AddrFormatError, ValueError):
            address = None
        if address is None or (slash and not is_decimal(prefix, _BITS[address.version])):
            expected = 'an address or ADDRESS/PREFIX, IPv4 or IPv6, such as "10.0.0.0/8"'
            raise self.refuse(value, expected)
        network = IPNetwork(f"{address}/{prefix}" if slash else address)
        return network.network.packed, network.netmask.packed

    def form(self, value: Masked) -> Form:
        """The address, with the prefix where it leaves something out."""
        address, mask = value
        prefix = int.from_bytes(mask, "big").bit_count()
        text = str(ip_address(address))
        return text if prefix == len(mask) * 8 else f"{text}/{prefix}"

    def test(self, wanted: Mapping[str, Sequence[Masked | None]]) -> Test:
        """Look both addresses up."""
        sips, dips = wanted["sip"], wanted["dip"]
        sources, destinations = _acceptances(sips), _acceptances(dips)
        absent = indifferent(sips) & indifferent(dips)

        def test(left: int, drop: Drop) -> int:
            l3 = drop.l3
            if l3 is None:
                return left & absent
            if isinstance(l3, Arp):
                source, destination = l3.sender_ip, l3.target_ip
            else:
                source, destination = l3.src, l3.dst
            left = narrow(left, destinations[len(destination)], destination)
            return narrow(left, sources[len(source)], source) if left else 0

        return test


def _acceptances(wanted: Sequence[Masked | None]) -> dict[int, Acceptance]:
    lengths = headers.IPV4_ADDRESS_LENGTH, headers.IPV6_ADDRESS_LENGTH
    return {length: acceptance(wanted, length) for length in lengths}


_FORM = "an IPv4 or IPv6 address, or a prefix such as `10.0.0.0/8`"
SIP = IpKey("sip", f"source: {_FORM}. For ARP, the sender's protocol address")
DIP = IpKey("dip", f"destination: {_FORM}. For ARP, the target's protocol address")
