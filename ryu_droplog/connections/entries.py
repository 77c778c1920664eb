"""Which entry of the configuration is for a bridge: by its name, or by what OpenFlow tells."""

from __future__ import annotations

from collections.abc import Sequence

from ryu_droplog.config.endpoint import Accepted
from ryu_droplog.config.settings import ANY_BRIDGE, Bridge, is_bridge_name
from ryu_droplog.model.bridge_name import port_name_of
from ryu_droplog.model.errors import SwitchError


def entry_named(bridges: Sequence[Bridge], name: str) -> Bridge | None:
    """The entry of the bridge that the program calls so, the entry `*` where no other has the name;
    None: it is not asked for (any more).
    """
    entries = {bridge.name: bridge for bridge in bridges}
    return entries.get(name) or entries.get(ANY_BRIDGE)


def waiting_entry(bridges: Sequence[Bridge], port_name: str) -> Bridge:
    """The entry for a switch that connects to us and whose LOCAL port has this name.

    What comes to us may have the name of an entry, or its first 15 bytes, only where an entry of
    that name waits for it. Raises SwitchError where none takes it.
    """
    said = f"the bridge there is called {port_name!r}"
    named = [
        bridge
        for bridge in bridges
        if bridge.name != ANY_BRIDGE and port_name in (bridge.name, port_name_of(bridge.name))
    ]
    for bridge in named:
        if isinstance(bridge.endpoint, Accepted):
            return bridge
    if named:
        raise SwitchError(f"{said}, and that one is not to connect to us ({named[0].endpoint})")
    anyone = next((bridge for bridge in bridges if bridge.name == ANY_BRIDGE), None)
    if anyone is None:
        raise SwitchError(f"{said}, and is not asked for")
    if not is_bridge_name(port_name) or port_name in (".", "..") or "\ufffd" in port_name:
        raise SwitchError(f"{said}, which is no name of a bridge")
    return anyone
