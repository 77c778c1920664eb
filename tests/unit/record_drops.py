"""Drops and what switches note of them, for the tests of records and encodings."""

from __future__ import annotations

import struct

from frames import syn

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import DropFlow, Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import EncoderContext

HOSTILE = '\x1b[2J\u202e"}\n\u2028\u732b\U0001f408\ud800\\\x7f'
"""What nobody should be called."""
TIME = 1_764_000_000.25
OBSERVED = 1_764_000_001.5
FLOW = DropFlow(0xDA8BEF6A, 2000, "tcp,tp_dst=80", {"stage": "ls_out_acl", "acl": "no-http"})


def place(
    reason: str = "MISS",
    flow: DropFlow | None = None,
    policy: str = "",
    table: str = "SEC_GROUP_IN_TABLE",
    bridge: str = "br-int",
) -> Location:
    """Where a packet was dropped: table 4, with a pipeline and a cause."""
    return Location(
        ("br-int", 4),
        bridge,
        4,
        table,
        reason,
        "Acc-",
        policy,
        flow=flow,
        pipeline="opflex-access",
        cause="no rule allows it",
    )


def oxm(oxm_class: int, field: int, value: bytes) -> bytes:
    """One OXM field without a mask (OpenFlow 1.3.5 section 7.2.3.2)."""
    return struct.pack("!HBB", oxm_class, field << 1, len(value)) + value


METADATA = b"".join(
    (
        oxm(0x8000, 0, (3).to_bytes(4, "big")),  # in_port
        oxm(0x8000, 2, (0x1122).to_bytes(8, "big")),  # metadata
        oxm(0x8000, 38, (0x2A).to_bytes(8, "big")),  # tunnel_id
        oxm(1, 5, (7).to_bytes(4, "big")),  # reg5
        oxm(1, 6, bytes(4)),  # reg6
        oxm(1, 31, bytes((192, 0, 2, 1))),  # tun_src
        oxm(1, 32, bytes((192, 0, 2, 2))),  # tun_dst
        oxm(1, 40, b"\x01\x02"),  # tun_metadata0
        oxm(1, 105, (0x21).to_bytes(4, "big")),  # ct_state: new, trk
        oxm(1, 106, (9).to_bytes(2, "big")),  # ct_zone
        oxm(1, 107, (1).to_bytes(4, "big")),  # ct_mark
        oxm(1, 108, (0xAB).to_bytes(16, "big")),  # ct_label
    )
)


def dropped(
    frame: bytes | None = None, location: Location | None = None, metadata: bytes = METADATA
) -> Drop:
    """A drop of a frame; without one, of a TCP SYN."""
    return decode(syn() if frame is None else frame, TIME, location or place(), metadata)


def context(**more: object) -> EncoderContext:
    """What an encoder is told, on the node `node-1`."""
    bridges = BridgeDirectory()
    bridges.learn_ports("br-int", {3: "tap3"})
    bridges.learn_datapath_id("br-int", 0xCAFE)
    made = EncoderContext("node-1", bridges=bridges, clock=lambda: OBSERVED)
    return made._replace(**more)  # type: ignore[arg-type]
