"""What the switch had noted of a packet, from the OXM fields of its PacketIn, for a record."""

from __future__ import annotations

from ryu_droplog.packet import headers
from ryu_droplog.packet.packet_in import oxm_fields
from ryu_droplog.records.record import Conntrack, Context, Tunnel
from ryu_droplog.text.addresses import IPV4_TEXT, IPV6_TEXT

CACHE_SIZE = 4_096
"""Contexts that are remembered at most."""

# ovs-fields(7): numbers of NXM_NX fields, and of OpenFlow's own tunnel id.
_OXM_TUNNEL_ID, _NXM_TUNNEL_ID = 38, 16
_NXM_TUN_IPV4 = {31: "source", 32: "destination"}
_NXM_TUN_IPV6 = {109: "source", 110: "destination"}
_TUN_METADATA = range(headers.NXM_TUN_METADATA_0, headers.NXM_TUN_METADATA_0 + 64)


class SwitchContexts(dict[bytes, tuple[int, Context | None]]):
    """Port and context by the OXM fields, each read once; when it is full, it is emptied."""

    def __missing__(self, metadata: bytes) -> tuple[int, Context | None]:
        if len(self) >= CACHE_SIZE:
            self.clear()
        read = self[metadata] = read_context(metadata)
        return read


def read_context(metadata: bytes) -> tuple[int, Context | None]:
    """Number of the ingress port (0: not there), and the rest; raises on no content."""
    in_port = 0
    context, tunnel, conntrack = Context(), Tunnel(), Conntrack()
    registers: dict[int, int] = {}
    options: dict[int, str] = {}
    for oxm_class, field, value, _mask in oxm_fields(metadata):
        number = int.from_bytes(value, "big")
        if oxm_class == headers.OXM_CLASS_BASIC:
            if field == headers.OXM_IN_PORT:
                in_port = number & 0xFFFFFFFF
            elif field == headers.OXM_METADATA and number:
                context.metadata = f"{number:#x}"
            elif field == _OXM_TUNNEL_ID:
                tunnel.id = f"{number:#x}"
        elif oxm_class == headers.OXM_CLASS_NXM_1:
            if field < headers.NXM_REGISTERS:
                registers[field] = number & 0xFFFFFFFF
            elif field == _NXM_TUNNEL_ID:
                tunnel.id = f"{number:#x}"
            elif field in _TUN_METADATA:
                options[field - headers.NXM_TUN_METADATA_0] = f"{number:#x}"
            elif not _tunnel_end(tunnel, field, value):
                _conntrack(conntrack, field, number)
    context.registers = {f"reg{i}": registers[i] for i in sorted(registers) if registers[i]}
    tunnel.metadata = {f"tun_metadata{i}": options[i] for i in sorted(options)}
    context.tunnel = tunnel if tunnel != Tunnel() else None
    context.conntrack = conntrack if conntrack != Conntrack() else None
    return in_port, context if context != Context() else None


def _tunnel_end(tunnel: Tunnel, field: int, value: bytes) -> bool:
    """Take an address of the tunnel; False where the field is none."""
    if field in _NXM_TUN_IPV4 and len(value) == headers.IPV4_ADDRESS_LENGTH:
        setattr(tunnel, _NXM_TUN_IPV4[field], IPV4_TEXT[value])
    elif field in _NXM_TUN_IPV6 and len(value) == headers.IPV6_ADDRESS_LENGTH:
        setattr(tunnel, _NXM_TUN_IPV6[field], IPV6_TEXT[value])
    else:
        return False
    return True


def _conntrack(conntrack: Conntrack, field: int, number: int) -> None:
    if field == headers.NXM_CT_STATE:
        names = headers.CT_STATE_NAMES
        conntrack.state = tuple(name for bit, name in enumerate(names) if number >> bit & 1)
    elif field == headers.NXM_CT_ZONE:
        conntrack.zone = number & 0xFFFF
    elif field == headers.NXM_CT_MARK and number:
        conntrack.mark = number & 0xFFFFFFFF
    elif field == headers.NXM_CT_LABEL and number:
        conntrack.label = f"{number:#x}"
