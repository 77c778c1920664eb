"""What the decoders of the layers share: what they fill in, and how they find the next one."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ryu_droplog.packet.deep.layers import Packet

NONE = -1
"""Stands for a number that a packet does not have."""
TUNNELS = 4
"""Tunnels within one another that are looked into at most."""


class Walk(Struct, gc=False):
    """A packet while it is taken apart: its layers, and what identifies its flow.

    Every decoder has the signature of `Decoder`. No length in a packet is trusted past `end`, and
    nothing is raised, whatever the bytes.
    """

    packet: Packet
    depth: int = 0
    """Tunnels around this packet."""
    ethertype: int = NONE
    """EtherType behind all tags and labels."""
    protocol: int = NONE
    """IP protocol number behind all extension headers."""
    source: bytes = b""
    """IP address, of ARP the sender's; empty where there is none."""
    destination: bytes = b""
    """IP address, of ARP the target's; empty where there is none."""
    source_port: int = NONE
    destination_port: int = NONE


Decoder = Callable[[Walk, bytes, int, int], int]
"""(walk, frame, start, end) -> where the last header that was read ends.

`start` is the header's first byte, `end` the first byte that does not belong to the packet.
"""


def cut(walk: Walk, end: int) -> int:
    """The header is cut: say so, and end at the packet's end."""
    walk.packet.truncated = True
    return end
