"""Configuration: droplog.yaml becomes frozen Settings, and every mistake is named with its key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from ryu_droplog.config.endpoint import (
    Accepted,
    Endpoint,
    ServiceEndpoint,
    TcpEndpoint,
    UnixEndpoint,
    parse_connect,
    parse_listen,
    parse_receive,
    unix,
)
from ryu_droplog.config.filter_spec import DEFAULTS as DEFAULT_FILTERS
from ryu_droplog.config.filter_spec import FilterError, FilterSpec, parse_filter
from ryu_droplog.config.settings import (
    ANY_BRIDGE,
    LONGEST_LEASE,
    SYSLOG,
    Arrivals,
    Bridge,
    Deduplication,
    Events,
    ExplicitDrops,
    Lease,
    Meter,
    Opflex,
    Settings,
    is_bridge_name,
)
from ryu_droplog.model.bridge_name import PORT_NAME_LENGTH, port_name_of
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import AUTO, LAST_TABLE, Pipeline, PipelineName, Prefix
from ryu_droplog.schema import yaml_file
from ryu_droplog.schema.yaml_file import join, mistake, nearest, show

__all__ = [
    "ANY_BRIDGE",
    "SYSLOG",
    "Accepted",
    "Bridge",
    "Deduplication",
    "Endpoint",
    "Lease",
    "Meter",
    "ServiceEndpoint",
    "Settings",
    "TcpEndpoint",
    "UnixEndpoint",
    "check_pipelines",
    "load",
    "ovs_rundir",
    "parse",
    "run_directory",
]

T = TypeVar("T")

_TIME = re.compile(r"(?P<number>[0-9]{1,6}(?:\.[0-9]{1,3})?)(?P<unit>ms|s|m|h)", re.ASCII)
_RUN_DIRECTORY = re.compile(r"^run_directory:\s+[\"']?(/[^\s\"'#]*)", re.MULTILINE)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
DEFAULTS = "defaults"
"""`Settings.source` where there is no file."""

_Directory = Annotated[
    str, Meta(pattern=r"^/[^\x00-\x1f\x7f]{0,4094}\Z", description="an absolute path")
]


class _DropLogConfig(Struct, frozen=True, forbid_unknown_fields=True):
    enable: bool = True
    disable_events: bool = True
    opflex_redirect_drop_logs: str | None = None


_Tables = Annotated[
    Literal["all"] | tuple[Annotated[int, Meta(ge=0, le=LAST_TABLE)], ...],
    Meta(description=f'"all", or a list of table numbers from 0 to {LAST_TABLE}'),
]


class _ExplicitDrops(Struct, frozen=True, forbid_unknown_fields=True):
    log: _Tables = "all"
    modify: bool = False


_Explicit = Annotated[
    Literal["count", "log"] | _ExplicitDrops,
    Meta(description='"count", "log", or a mapping with the keys log, modify'),
]


class _Bridge(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    prefix: Prefix | None = None
    pipeline: PipelineName = AUTO
    connect: str | None = None
    explicit_drops: _Explicit | None = None


_Time = Annotated[
    int | float | str, Meta(description='a time such as "500ms", "1s" or "2m", or seconds')
]


_Bound = Annotated[int, Meta(ge=1, le=4096)]


class _Listen(Struct, frozen=True, forbid_unknown_fields=True):
    address: Annotated[int | str, Meta(description="ADDRESS:PORT or a port")]
    connections: _Bound = Arrivals().connections
    bridges: _Bound = Arrivals().bridges
    forget: _Time = Arrivals().forget


class _Throttle(Struct, frozen=True, forbid_unknown_fields=True):
    window: _Time
    entries: Annotated[int, Meta(ge=1, le=10_000_000)] = 65_536


class _Receive(Struct, frozen=True, forbid_unknown_fields=True):
    geneve: Annotated[int | str | None, Meta(description="ADDRESS:PORT, a port, or null")] = None


class _Prune(Struct, frozen=True, forbid_unknown_fields=True):
    defaults: bool = True
    filters: Annotated[tuple[dict[str, Any], ...], Meta(description="a list of filters")] = ()


_Group = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
_Tenant = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,64}\Z", description="1 to 64 printable ASCII characters without spaces"
    ),
]


class _Opflex(Struct, frozen=True, forbid_unknown_fields=True):
    droplog_directory: _Directory | None = None
    ids_directory: _Directory = "/var/lib/opflex-agent-ovs/ids"
    print_tenant: bool = False
    tenants: Annotated[
        dict[_Group, _Tenant],
        Meta(description="a mapping of group numbers to tenants without spaces"),
    ] = {}


class _Books(Struct, frozen=True, forbid_unknown_fields=True):
    interval: Annotated[int, Meta(ge=0, le=86_400)] = 60


_Node = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z",
        description="the name of a node as `kubectl get nodes` shows it",
    ),
]


class _Events(Struct, frozen=True, forbid_unknown_fields=True):
    socket: str = Events().socket
    max_age: _Time = Events().max_age
    interval: _Time = Events().interval
    node: _Node | None = None
    kubeconfig: _Directory | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    drop_log_config: _DropLogConfig | None = None
    format: Annotated[
        Literal["opflex", "extended", "json"], Meta(description="opflex, extended or json")
    ] = "opflex"
    log_directory: _Directory = "/var/log/ryu-droplog"
    run_directory: _Directory = "/run/ryu-droplog"
    pipeline_directory: _Directory | None = None
    bridges: Annotated[
        tuple[_Bridge, ...], Meta(min_length=1, description="a list of at least one bridge")
    ] = (_Bridge("br-int"),)
    explicit_drops: _Explicit = "count"
    listen: Annotated[
        int | str | _Listen | None,
        Meta(
            description="ADDRESS:PORT, a port, null, or a mapping with the keys address,"
            " connections, bridges, forget"
        ),
    ] = None
    meter: Meter | None = None
    lease: Lease | None = None
    throttle: _Throttle | None = None
    books: _Books | None = None
    receive: _Receive | None = None
    prune: _Prune | None = None
    opflex: _Opflex | None = None
    events: _Events | None = None


def load(path: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the file at `path`, or the defaults if it is None.

    `environ` is the environment that says where Open vSwitch keeps its sockets. Raises
    ConfigError if the file cannot be read, and for the first mistake in it.
    """
    if path is None:
        return parse("", DEFAULTS, environ)
    return parse(yaml_file.read(os.fspath(path)), os.fspath(path), environ)


def run_directory(path: str | os.PathLike[str] | None) -> str:
    """Where the program has its sockets that was started with the file at `path`.

    A running program goes on when somebody has made a mistake in its file: then the line counts
    that names the directory. Raises ConfigError if the file cannot be read.
    """
    if path is None:
        return _File().run_directory
    text = yaml_file.read(os.fspath(path))
    try:
        return parse(text, os.fspath(path)).run_directory
    except ConfigError:
        found = _RUN_DIRECTORY.search(text)
        return found[1] if found else _File().run_directory


def parse(text: str, source: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `text`, the content of the file named `source`; empty text is the defaults.

    Raises ConfigError for the first mistake.
    """
    data = yaml_file.load(text, source)
    file = yaml_file.convert({} if data is None else data, _File, source)
    drop_log = file.drop_log_config or _DropLogConfig()
    given = data or {}
    meter = _fitting_meter(file.meter or Meter(), given.get("meter") or {})
    lease = _fitting_lease(file.lease or Lease(), given.get("lease") or {})
    listen, arrivals = _listen(file.listen, source)
    geneve = (file.receive or _Receive()).geneve
    opflex = file.opflex or _Opflex()
    if lease.renew * 2 > lease.duration:
        raise mistake(
            source,
            "lease.renew",
            f"got {lease.renew}",
            f"at most half of lease.duration, which is {lease.duration}",
        )
    if meter.burst * 1000 < meter.rate:
        raise mistake(
            source,
            "meter.burst",
            f"got {meter.burst}",
            f"at least a thousandth of meter.rate, which is {meter.rate}",
        )
    return Settings(
        source=source,
        enable=drop_log.enable,
        disable_events=drop_log.disable_events,
        output=_output(drop_log.opflex_redirect_drop_logs, file.log_directory, source),
        log_directory=file.log_directory,
        run_directory=file.run_directory,
        pipeline_directory=file.pipeline_directory,
        bridges=tuple(_bridges(file, listen, source, environ)),
        listen=listen,
        arrivals=arrivals,
        meter=meter,
        lease=lease,
        throttle=_throttle(file.throttle, source),
        report_interval=(file.books or _Books()).interval,
        receive=_address(geneve, parse_receive, "receive.geneve", source),
        prune=_prune(file.prune or _Prune(), source),
        opflex=Opflex(
            opflex.droplog_directory, opflex.ids_directory, opflex.print_tenant, opflex.tenants
        ),
        format=file.format,
        events=_events(file.events or _Events(), source),
    )


def _fitting_meter(meter: Meter, given: Mapping[str, Any]) -> Meter:
    """The meter, with a burst that fits the rate where only the rate was `given`."""
    if "burst" in given:
        return meter
    return replace(meter, burst=max(meter.burst, -(-meter.rate // 1000)))


def _fitting_lease(lease: Lease, given: Mapping[str, Any]) -> Lease:
    """The lease, with what was not `given` of it fitted to what was."""
    if "renew" not in given:
        return replace(lease, renew=min(lease.renew, lease.duration // 2))
    if "duration" not in given:
        return replace(lease, duration=min(max(lease.duration, 3 * lease.renew), LONGEST_LEASE))
    return lease


def ovs_rundir(environ: Mapping[str, str]) -> str:
    """The directory where Open vSwitch keeps its sockets (OVS_RUNDIR in ovs-vswitchd(8))."""
    return environ.get("OVS_RUNDIR") or "/var/run/openvswitch"


def check_pipelines(settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
    """Raise ConfigError if a bridge of `settings` has a pipeline that is not in `pipelines`."""
    for index, bridge in enumerate(settings.bridges):
        if bridge.pipeline not in pipelines:
            raise mistake(
                settings.source,
                f"bridges[{index}].pipeline",
                f"got {show(bridge.pipeline)}{nearest(bridge.pipeline, pipelines)}",
                f"one of {', '.join(pipelines)}",
            )


def _throttle(throttle: _Throttle | None, source: str) -> Deduplication | None:
    if throttle is None:
        return None
    seconds = _seconds(throttle.window)
    if not 0.1 <= seconds <= 3600:
        wrong = f"got {show(throttle.window)}"
        raise mistake(source, "throttle.window", wrong, 'a time from "100ms" to "1h"')
    return Deduplication(seconds, throttle.entries)


def _address(
    value: int | str | None, parse: Callable[[int | str], T], key: str, source: str
) -> T | None:
    if value is None:
        return None
    try:
        return parse(value)
    except ValueError as error:
        raise mistake(source, key, f"got {show(value)}", str(error)) from None


def _listen(value: int | str | _Listen | None, source: str) -> tuple[TcpEndpoint | None, Arrivals]:
    if not isinstance(value, _Listen):
        return _address(value, parse_listen, "listen", source), Arrivals()
    address = _address(value.address, parse_listen, "listen.address", source)
    forget = _seconds(value.forget)
    if not 1 <= forget <= 86_400:
        wrong = f"got {show(value.forget)}"
        raise mistake(source, "listen.forget", wrong, 'a time from "1s" to "24h"')
    return address, Arrivals(value.connections, value.bridges, forget)


def _prune(prune: _Prune, source: str) -> tuple[FilterSpec, ...]:
    filters: dict[str, FilterSpec] = {f.name: f for f in DEFAULT_FILTERS} if prune.defaults else {}
    for index, fields in enumerate(prune.filters):
        key = f"prune.filters[{index}]"
        try:
            made = parse_filter(fields)
        except FilterError as error:
            where = join(key, error.key) if error.key else key
            raise mistake(source, where, error.wrong, error.expected) from None
        if made.name in filters:
            wrong = f"{show(made.name)} is the name of another filter already"
            raise mistake(source, f"{key}.name", wrong, "a name for each filter")
        filters[made.name] = made
    return tuple(filters.values())


def _seconds(time: int | float | str) -> float:
    """A time in seconds; -1 where it is none."""
    if isinstance(time, str):
        match = _TIME.fullmatch(time)
        return float(match["number"]) * _UNITS[match["unit"]] if match else -1.0
    try:
        return float(time)
    except OverflowError:
        return -1.0


def _events(events: _Events, source: str) -> Events:
    try:
        path = unix(events.socket).path
    except ValueError as error:
        raise mistake(source, "events.socket", f"got {show(events.socket)}", str(error)) from None
    max_age, interval = _seconds(events.max_age), _seconds(events.interval)
    if not 1 <= max_age <= 86_400:
        wrong = f"got {show(events.max_age)}"
        raise mistake(source, "events.max_age", wrong, 'a time from "1s" to "24h"')
    if not 0 <= interval <= 86_400:
        wrong = f"got {show(events.interval)}"
        raise mistake(source, "events.interval", wrong, 'a time from "0s" to "24h"')
    return Events(path, max_age, interval, events.node, events.kubeconfig)


def _output(name: str | None, log_directory: str, source: str) -> str | None:
    if not name:
        return None
    if name == SYSLOG:
        return SYSLOG
    if "/" in name or ".." in name or name == "." or not name.isprintable() or not name.strip():
        raise mistake(
            source,
            "drop_log_config.opflex_redirect_drop_logs",
            f"got {show(name)}",
            'the name of a file inside log_directory, "syslog", or null for standard output',
        )
    return os.path.join(log_directory, name)


def _explicit(wish: str | _ExplicitDrops) -> ExplicitDrops:
    if isinstance(wish, str):
        return ExplicitDrops(log=wish == "log")
    # A list of no tables is the wish to log none.
    return ExplicitDrops(wish.log == "all" or frozenset(wish.log) or False, wish.modify)


def _bridges(
    file: _File,
    listen: TcpEndpoint | None,
    source: str,
    environ: Mapping[str, str],
) -> Iterator[Bridge]:
    """The bridges with what only all of them together, `listen` and the environment can tell."""
    names: dict[str, int] = {}
    endpoints: dict[Endpoint, int] = {}
    heads: dict[str, int] = {}
    for index, bridge in enumerate(file.bridges):
        key = f"bridges[{index}]"
        if bridge.name != ANY_BRIDGE and not is_bridge_name(bridge.name):
            raise mistake(
                source,
                f"{key}.name",
                f"got {show(bridge.name)}",
                'a bridge name of 1 to 63 printable characters without spaces, "/" and "*", '
                'or "*" for any switch that connects to listen',
            )
        if bridge.name in names:
            raise mistake(
                source,
                f"{key}.name",
                f"{show(bridge.name)} is the name of bridges[{names[bridge.name]}] already",
                "a name for each bridge",
            )
        names[bridge.name] = index
        endpoint = _endpoint(bridge, f"{key}.connect", source, environ)
        if isinstance(endpoint, Accepted):
            if listen is None:
                wrong = f"{show(bridge.name)} waits for a connection, but listen is null"
                raise mistake(source, key, wrong, "listen with an address or a port")
            short = port_name_of(bridge.name)
            if short in heads:
                raise mistake(
                    source,
                    f"{key}.name",
                    f"{show(bridge.name)} begins as bridges[{heads[short]}] does, which waits for"
                    " a connection, too",
                    f"names that differ in their first {PORT_NAME_LENGTH} bytes: OpenFlow tells no"
                    " more",
                )
            heads[short] = index
        elif endpoint in endpoints:
            raise mistake(
                source,
                f"{key}.connect",
                f"{endpoint} is where bridges[{endpoints[endpoint]}] connects already",
                "an endpoint for each bridge",
            )
        endpoints[endpoint] = index
        wish = _explicit(
            file.explicit_drops if bridge.explicit_drops is None else bridge.explicit_drops
        )
        yield Bridge(bridge.name, bridge.prefix, bridge.pipeline, endpoint, wish)


def _endpoint(bridge: _Bridge, key: str, source: str, environ: Mapping[str, str]) -> Endpoint:
    if bridge.connect in (None, "service") and bridge.name != ANY_BRIDGE:
        rundir = ovs_rundir(environ)
        path = f"{rundir}/{bridge.name}.mgmt"
        try:
            management = unix(path)
        except ValueError as error:
            wrong = f"the management socket is {show(path)}, from OVS_RUNDIR"
            raise mistake(source, key, wrong, str(error)) from None
        if bridge.connect is None:
            return management
        return ServiceEndpoint(management, f"{rundir}/db.sock")
    try:
        endpoint = Accepted() if bridge.connect is None else parse_connect(bridge.connect)
    except ValueError as error:
        raise mistake(source, key, f"got {show(bridge.connect)}", str(error)) from None
    if bridge.name == ANY_BRIDGE and endpoint != Accepted():
        raise mistake(source, key, f"got {show(bridge.connect)}", '"listen" for the bridge "*"')
    return endpoint
