"""What OpenFlow tells of a bridge's name.

Open vSwitch takes bridge names of any length. A switch tells its name as that of its LOCAL port,
for which OpenFlow 1.3 has room for 15 bytes (OFP_MAX_PORT_NAME_LEN, section 7.2.1), as have 1.4 and
1.5. Where two bridges of one host begin with the same 15 bytes, only one of them gets a LOCAL port:
the interfaces of the system have room for 15 bytes, too.
"""

from __future__ import annotations

PORT_NAME_LENGTH = 15
"""Bytes of a bridge's name that OpenFlow 1.3 tells."""


def port_name_of(bridge: str) -> str:
    """The LOCAL port's name of a bridge of that name, as it is read from the switch."""
    return bridge.encode()[:PORT_NAME_LENGTH].decode("utf-8", "replace")


def may_be_cut(port_name: str) -> bool:
    """Whether there may be more of the name than the switch tells."""
    return len(port_name.encode()) >= PORT_NAME_LENGTH
