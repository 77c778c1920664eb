"""Configuration: droplog.yaml becomes frozen Settings, and every mistake is named with its key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ryu_droplog.config.bridge_settings import bridges_of, ovs_rundir
from ryu_droplog.config.endpoint import (
    Accepted,
    Endpoint,
    ServiceEndpoint,
    TcpEndpoint,
    UnixEndpoint,
    parse_listen,
)
from ryu_droplog.config.file_schema import (
    BooksKeys,
    ConfigurationFile,
    DropLogConfigKeys,
    EventsKeys,
    LeaseKeys,
    ListenKeys,
    MeterKeys,
    OpflexKeys,
    PruneKeys,
)
from ryu_droplog.config.filter_settings import filters_of
from ryu_droplog.config.filter_spec import DEFAULTS as DEFAULT_FILTERS
from ryu_droplog.config.observer_keys import RingKeys
from ryu_droplog.config.registered_keys import IDENTITY, RECEIVE, file_model, places
from ryu_droplog.config.settings import (
    ANY_BRIDGE,
    IDENTITY_DEFAULTS,
    LONGEST_LEASE,
    SYSLOG,
    Arrivals,
    Bridge,
    Deduplication,
    Events,
    KeyLines,
    Lease,
    Meter,
    Opflex,
    RingBounds,
    Settings,
    Storm,
)
from ryu_droplog.config.sink_settings import sinks_of
from ryu_droplog.config.storm_settings import StormKeys
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.schema import text_file
from ryu_droplog.schema.convert import convert
from ryu_droplog.schema.wording import mistake, nearest, show
from ryu_droplog.schema.yaml_document import Document, Item

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

DEFAULTS = "defaults"
"""`Settings.source` where there is no file."""
_RUN_DIRECTORY = re.compile(r"^run_directory:\s+[\"']?(/[^\s\"'#]*)", re.MULTILINE)


def load(path: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the file at `path`, or the defaults if it is None.

    `environ` is the environment that says where Open vSwitch keeps its sockets. Raises
    ConfigError if the file cannot be read, and for what is wrong in it.
    """
    if path is None:
        return parse("", DEFAULTS, environ)
    return parse(text_file.read(os.fspath(path)), os.fspath(path), environ)


def run_directory(path: str | os.PathLike[str] | None) -> str:
    """Where the program has its sockets that was started with the file at `path`.

    A running program goes on when somebody has made a mistake in its file: then the line counts
    that names the directory. Raises ConfigError if the file cannot be read.
    """
    if path is None:
        return ConfigurationFile().run_directory
    text = text_file.read(os.fspath(path))
    try:
        return parse(text, os.fspath(path)).run_directory
    except ConfigError:
        found = _RUN_DIRECTORY.search(text)
        return found[1] if found else ConfigurationFile().run_directory


def parse(text: str, source: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `text`, the content of the file named `source`; empty text is the defaults.

    Raises ConfigError for what is wrong in it.
    """
    document = Document(text, source)
    data = {} if document.data is None else document.data
    file = convert(document, file_model(document, data), data)
    drop_log = file.drop_log_config or DropLogConfigKeys()
    listen, arrivals = _listen(file.listen)
    opflex, events = file.opflex or OpflexKeys(), file.events or EventsKeys()
    prune, throttle = file.prune or PruneKeys(), file.throttle
    output = _output(drop_log.opflex_redirect_drop_logs, file.log_directory, document)
    return Settings(
        source=source,
        enable=drop_log.enable,
        disable_events=drop_log.disable_events,
        output=output,
        log_directory=file.log_directory,
        run_directory=file.run_directory,
        pipeline_directory=file.pipeline_directory,
        bridges=tuple(bridges_of(file, listen, document, environ)),
        listen=listen,
        arrivals=arrivals,
        meter=_meter(file.meter or MeterKeys(), document),
        lease=_lease(file.lease or LeaseKeys(), document),
        storm=Storm(**dict(file.storm or StormKeys())),
        throttle=Deduplication(throttle.window, throttle.entries) if throttle else None,
        socket_room=file.socket_room,
        report_interval=(file.books or BooksKeys()).interval,
        receive=_receive(file),
        identity=places(IDENTITY, file) or IDENTITY_DEFAULTS,
        prune=filters_of(
            prune.filters,
            document,
            ["prune", "filters"],
            DEFAULT_FILTERS if prune.defaults else (),
        ),
        opflex=Opflex(**dict(opflex)),
        format=file.format,
        events=Events(**dict(events)),
        sinks=sinks_of(file, output, drop_log.disable_events, events.socket, document),
        listed_sinks=file.sinks is not None,
        ring=RingBounds(**dict(file.ring or RingKeys())),
        socket_group=file.socket_group,
        baseline=file.baseline,
        lines=KeyLines(document.line),
    )


def check_pipelines(settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
    """Raise ConfigError if a bridge of `settings` has a pipeline that is not in `pipelines`."""
    for index, bridge in enumerate(settings.bridges):
        if bridge.pipeline not in pipelines:
            raise mistake(
                settings.source,
                f"bridges[{index}].pipeline",
                f"got {show(bridge.pipeline)}{nearest(bridge.pipeline, pipelines)}",
                f"one of {', '.join(pipelines)}",
                settings.lines.of(["bridges", Item(index), "pipeline"]),
            )


def _receive(file: ConfigurationFile) -> dict[str, Any]:
    """Where drops are received, by the type of source."""
    found = places(RECEIVE, file) or {}
    return {name: place for name, place in found.items() if place is not None}


def _meter(keys: MeterKeys, document: Document) -> Meter:
    """The meter, with a burst that fits the rate where only the rate is given."""
    burst = keys.burst
    if "burst" not in keys.model_fields_set:
        burst = max(burst, -(-keys.rate // 1000))
    if burst * 1000 < keys.rate:
        expected = f"at least a thousandth of meter.rate, which is {keys.rate}"
        raise document.mistake(["meter", "burst"], f"got {burst}", expected)
    return Meter(keys.rate, burst, keys.required)


def _lease(keys: LeaseKeys, document: Document) -> Lease:
    """The lease, with what is not given of it fitted to what is."""
    duration, renew = keys.duration, keys.renew
    if "renew" not in keys.model_fields_set:
        renew = min(renew, duration // 2)
    elif "duration" not in keys.model_fields_set:
        duration = min(max(duration, 3 * renew), LONGEST_LEASE)
    if renew * 2 > duration:
        expected = f"at most half of lease.duration, which is {duration}"
        raise document.mistake(["lease", "renew"], f"got {renew}", expected)
    return Lease(duration, renew)


def _listen(value: int | str | ListenKeys | None) -> tuple[TcpEndpoint | None, Arrivals]:
    if value is None:
        return None, Arrivals()
    if not isinstance(value, ListenKeys):
        return parse_listen(value), Arrivals()
    arrivals = Arrivals(value.connections, value.bridges, value.forget)
    return parse_listen(value.address), arrivals


def _output(name: str | None, log_directory: str, document: Document) -> str | None:
    if not name:
        return None
    if name == SYSLOG:
        return SYSLOG
    if "/" in name or ".." in name or name == "." or not name.isprintable() or not name.strip():
        raise document.mistake(
            ["drop_log_config", "opflex_redirect_drop_logs"],
            f"got {show(name)}",
            'the name of a file inside log_directory, "syslog", or null for standard output',
        )
    return os.path.join(log_directory, name)
