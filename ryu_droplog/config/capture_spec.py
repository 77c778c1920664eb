"""What a `*.dropflowcfg` file of the OpFlex agent asks for: drops that are to be captured."""

from __future__ import annotations

from msgspec import Struct

TUNNEL_ID = (0x8000, 38)
"""OXM_OF_TUNNEL_ID (OpenFlow 1.3.5 section 7.2.3.8)."""
TUN_SRC = (0x0001, 31)
"""NXM_NX_TUN_IPV4_SRC (Open vSwitch, include/openvswitch/meta-flow.h)."""
TUN_DST = (0x0001, 32)
"""NXM_NX_TUN_IPV4_DST."""


class FlowSpec(Struct, frozen=True):
    """What one `*.dropflowcfg` file asks for; None: any. All that is named must hold."""

    uuid: str
    outer_src: bytes | None = None
    """IPv4 source of the tunnel, 4 bytes, network byte order, as the other addresses."""
    outer_dst: bytes | None = None
    """IPv4 destination of the tunnel, 4 bytes."""
    inner_src: bytes | None = None
    """IPv4 or IPv6 source of the packet, 4 or 16 bytes."""
    inner_dst: bytes | None = None
    """IPv4 or IPv6 destination of the packet, 4 or 16 bytes."""
    src_mac: bytes | None = None
    """6 bytes."""
    dst_mac: bytes | None = None
    """6 bytes."""
    eth_type: int | None = None
    """0 to 0xffff; behind 802.1Q tags, the one behind them."""
    ip_proto: int | None = None
    """0 to 255; of an IPv6 packet, the next header of its fixed header."""
    src_port: int | None = None
    """0 to 65535, of TCP or UDP."""
    dst_port: int | None = None
    """0 to 65535, of TCP or UDP."""
    tunnel_id: int | None = None
    """0 to 0xffffff; 0: not from a tunnel, or from one without an id."""
