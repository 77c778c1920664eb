"""The bridges of droplog.yaml, with what only all of them together can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ryu_droplog.config.endpoint import (
    Accepted,
    Endpoint,
    ServiceEndpoint,
    TcpEndpoint,
    parse_connect,
    unix,
)
from ryu_droplog.config.file_schema import BridgeKeys, ConfigurationFile, ExplicitDropsKeys
from ryu_droplog.config.settings import ANY_BRIDGE, Bridge, ExplicitDrops
from ryu_droplog.model.bridge_name import PORT_NAME_LENGTH, port_name_of
from ryu_droplog.schema.wording import show
from ryu_droplog.schema.yaml_document import Document, Item


def ovs_rundir(environ: Mapping[str, str]) -> str:
    """The directory where Open vSwitch keeps its sockets (OVS_RUNDIR in ovs-vswitchd(8))."""
    return environ.get("OVS_RUNDIR") or "/var/run/openvswitch"


def bridges_of(
    file: ConfigurationFile,
    listen: TcpEndpoint | None,
    document: Document,
    environ: Mapping[str, str],
) -> Iterator[Bridge]:
    """The bridges in the file; raises ConfigError where they do not fit together.

    `environ` says where Open vSwitch keeps its sockets.
    """
    names: dict[str, int] = {}
    endpoints: dict[Endpoint, int] = {}
    heads: dict[str, int] = {}
    for index, bridge in enumerate(file.bridges):
        path = ("bridges", Item(index))
        if bridge.name in names:
            raise document.mistake(
                [*path, "name"],
                f"{show(bridge.name)} is the name of bridges[{names[bridge.name]}] already",
                "a name for each bridge",
            )
        names[bridge.name] = index
        endpoint = _endpoint(bridge, document, [*path, "connect"], environ)
        if isinstance(endpoint, Accepted):
            if listen is None:
                wrong = f"{show(bridge.name)} waits for a connection, but listen is null"
                raise document.mistake(path, wrong, "listen with an address or a port")
            short = port_name_of(bridge.name)
            if short in heads:
                raise document.mistake(
                    [*path, "name"],
                    f"{show(bridge.name)} begins as bridges[{heads[short]}] does, which waits for"
                    " a connection, too",
                    f"names that differ in their first {PORT_NAME_LENGTH} bytes: OpenFlow tells no"
                    " more",
                )
            heads[short] = index
        elif endpoint in endpoints:
            raise document.mistake(
                [*path, "connect"],
                f"{endpoint} is where bridges[{endpoints[endpoint]}] connects already",
                "an endpoint for each bridge",
            )
        endpoints[endpoint] = index
        drops = file.explicit_drops if bridge.explicit_drops is None else bridge.explicit_drops
        yield Bridge(bridge.name, bridge.prefix, bridge.pipeline, endpoint, _explicit_drops(drops))


def _endpoint(
    bridge: BridgeKeys, document: Document, path: list[object], environ: Mapping[str, str]
) -> Endpoint:
    if bridge.connect in (None, "service") and bridge.name != ANY_BRIDGE:
        rundir = ovs_rundir(environ)
        socket = f"{rundir}/{bridge.name}.mgmt"
        try:
            management = unix(socket)
        except ValueError as error:
            wrong = f"the management socket is {show(socket)}, from OVS_RUNDIR"
            raise document.mistake(path, wrong, str(error)) from None
        if bridge.connect is None:
            return management
        return ServiceEndpoint(management, f"{rundir}/db.sock")
    if bridge.connect in (None, "listen"):
        return Accepted()
    if bridge.name == ANY_BRIDGE:
        raise document.mistake(path, f"got {show(bridge.connect)}", '"listen" for the bridge "*"')
    return parse_connect(bridge.connect or "")


def _explicit_drops(wish: str | ExplicitDropsKeys) -> ExplicitDrops:
    if isinstance(wish, str):
        return ExplicitDrops(log=wish == "log")
    # A list of no tables is the wish to log none.
    return ExplicitDrops(wish.log == "all" or frozenset(wish.log) or False, wish.modify)
