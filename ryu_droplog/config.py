"""Configuration: droplog.yaml becomes frozen Settings, and every mistake is named with its key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ryu_droplog import yamlfile
from ryu_droplog.endpoint import (
    Accepted,
    Endpoint,
    ServiceEndpoint,
    TcpEndpoint,
    UnixEndpoint,
    parse_connect,
    parse_listen,
    unix,
)
from ryu_droplog.pipelines import AUTO, LAST_TABLE, Pipeline, PipelineName, Prefix
from ryu_droplog.settings import (
    ANY_BRIDGE,
    SYSLOG,
    Bridge,
    ExplicitDrops,
    Lease,
    Meter,
    Settings,
    Throttle,
)
from ryu_droplog.yamlfile import mistake, nearest, show

__all__ = [
    "ANY_BRIDGE",
    "SYSLOG",
    "Accepted",
    "Bridge",
    "Endpoint",
    "Lease",
    "Meter",
    "ServiceEndpoint",
    "Settings",
    "TcpEndpoint",
    "Throttle",
    "UnixEndpoint",
    "check_pipelines",
    "describe",
    "load",
    "ovs_rundir",
    "parse",
]

_TIME = re.compile(r"(?P<number>[0-9]{1,6}(?:\.[0-9]{1,3})?)(?P<unit>ms|s|m|h)", re.ASCII)
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


class _Throttle(Struct, frozen=True, forbid_unknown_fields=True):
    window: Annotated[
        int | float | str, Meta(description='a time such as "500ms", "1s" or "2m", or seconds')
    ]
    entries: Annotated[int, Meta(ge=1, le=10_000_000)] = 65_536


class _Books(Struct, frozen=True, forbid_unknown_fields=True):
    interval: Annotated[int, Meta(ge=0, le=86_400)] = 60


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
    listen: Annotated[int | str | None, Meta(description="ADDRESS:PORT, a port, or null")] = None
    meter: Meter | None = None
    lease: Lease | None = None
    throttle: _Throttle | None = None
    books: _Books | None = None


def load(path: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the file at `path`, or the defaults if it is None.

    `environ` is the environment that says where Open vSwitch keeps its sockets. Raises
    ConfigError if the file cannot be read, and for the first mistake in it.
    """
    if path is None:
        return parse("", DEFAULTS, environ)
    return parse(yamlfile.read(os.fspath(path)), os.fspath(path), environ)


def parse(text: str, source: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `text`, the content of the file named `source`; empty text is the defaults.

    Raises ConfigError for the first mistake.
    """
    data = yamlfile.load(text, source)
    file = yamlfile.convert({} if data is None else data, _File, source)
    drop_log = file.drop_log_config or _DropLogConfig()
    meter, lease = file.meter or Meter(), file.lease or Lease()
    listen = None
    if file.listen is not None:
        try:
            listen = parse_listen(file.listen)
        except ValueError as error:
            raise mistake(source, "listen", f"got {show(file.listen)}", str(error)) from None
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
        meter=meter,
        lease=lease,
        throttle=_throttle(file.throttle, source),
        report_interval=(file.books or _Books()).interval,
        format=file.format,
    )


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


def describe(settings: Settings, pipelines: Mapping[str, Pipeline]) -> str:
    """What was understood, defaults included: a page of text for people, without a final newline.

    Raises ConfigError if a bridge has a pipeline that is not in `pipelines`.
    """
    check_pipelines(settings, pipelines)
    meter, lease = settings.meter, settings.lease
    drop_log = "on" if settings.enable else "off, nothing is added to the switch"
    lines = [
        ("configuration", settings.source),
        ("drop log", drop_log),
        ("drop lines go to", _output_in_words(settings.output)),
        ("format", settings.format),
        ("packet events", "off" if settings.disable_events else "on"),
        ("log directory", settings.log_directory),
        ("run directory", settings.run_directory),
        (
            "pipelines",
            f"{', '.join(pipelines)}; own files: {settings.pipeline_directory or 'none'}",
        ),
        ("listens on", str(settings.listen or "nothing")),
        ("meter", f"{meter.rate} packets per second and table, burst of {meter.burst} packets"),
        (
            "without meters",
            "no flow is added" if meter.required else "flows are added all the same",
        ),
        ("lease", f"{lease.duration} s, renewed every {lease.renew} s"),
        ("repeats", _throttle_in_words(settings.throttle)),
        (
            "books",
            f"reported every {settings.report_interval} s"
            if settings.report_interval
            else "not reported",
        ),
    ]
    page = [f"{name + ':':<18}{value}" for name, value in lines]
    for bridge in settings.bridges:
        pipeline = pipelines[bridge.pipeline]
        prefix = pipeline.prefix if bridge.prefix is None else bridge.prefix
        anyone = bridge.name == ANY_BRIDGE
        page += [
            "",
            "any bridge that connects" if anyone else f"bridge {bridge.name}",
            f"  {'reached at:':<16}{_endpoint_in_words(bridge.endpoint)}",
            f"  {'prefix:':<16}{show(prefix) if prefix else 'none'}",
            f"  {'pipeline:':<16}{pipeline.name}, {_tables_in_words(pipeline)}",
            f"  {'explicit drops:':<16}{_explicit_in_words(bridge.explicit_drops)}",
        ]
    return "\n".join(page)


def _throttle_in_words(throttle: Throttle | None) -> str:
    if throttle is None:
        return "each has its own line"
    return f"folded within {throttle.window:g} s, {throttle.entries} at a time"


def _output_in_words(output: str | None) -> str:
    if output is None:
        return "standard output"
    return output if output == SYSLOG else f"the file {output}"


def _endpoint_in_words(endpoint: Endpoint) -> str:
    return "listens for it" if isinstance(endpoint, Accepted) else str(endpoint)


def _tables_in_words(pipeline: Pipeline) -> str:
    count = len(pipeline.tables)
    words = [f"{count} named table{'' if count == 1 else 's'}"]
    if pipeline.drop_table is not None:
        words.append(f"drop table {pipeline.drop_table}")
    if pipeline.discover:
        words.append("the tables that the bridge's flows use")
    return ", ".join(words)


def _explicit_in_words(wish: ExplicitDrops) -> str:
    if wish.log is False:
        return "counted"
    where = "all" if wish.log is True else f"those of table {', '.join(map(str, sorted(wish.log)))}"
    how = "; where need be, the owner's drop flows are changed" if wish.modify else ""
    return f"{where} logged{how}"


def _throttle(throttle: _Throttle | None, source: str) -> Throttle | None:
    if throttle is None:
        return None
    window = throttle.window
    if isinstance(window, str):
        match = _TIME.fullmatch(window)
        seconds = float(match["number"]) * _UNITS[match["unit"]] if match else -1.0
    else:
        seconds = float(window)
    if not 0.1 <= seconds <= 3600:
        wrong = f"got {show(window)}"
        raise mistake(source, "throttle.window", wrong, 'a time from "100ms" to "1h"')
    return Throttle(seconds, throttle.entries)


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
    for index, bridge in enumerate(file.bridges):
        key = f"bridges[{index}]"
        if not _is_bridge_name(bridge.name):
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


def _is_bridge_name(name: str) -> bool:
    if name == ANY_BRIDGE:
        return True
    return 1 <= len(name) <= 63 and name.isprintable() and not set(name) & set(" /*")


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
