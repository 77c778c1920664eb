"""What the configuration says, in words: `ryu-droplog check-config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ryu_droplog.config import loader
from ryu_droplog.config.endpoint import Accepted, Endpoint
from ryu_droplog.config.filter_spec import FilterSpec
from ryu_droplog.config.settings import (
    ANY_BRIDGE,
    SYSLOG,
    Deduplication,
    ExplicitDrops,
    Opflex,
    RingBounds,
    Settings,
    Storm,
)
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.schema.wording import show
from ryu_droplog.text.phrases import count
from ryu_droplog.text.printable import escape

_PAYLOADS = {"headers": "its headers alone", "full": "all of these"}


def describe(settings: Settings, pipelines: Mapping[str, Pipeline]) -> str:
    """What was understood, defaults included: a page of text for people, without a final newline.

    Raises ConfigError if a bridge has a pipeline that is not in `pipelines`.
    """
    loader.check_pipelines(settings, pipelines)
    meter, lease = settings.meter, settings.lease
    drop_log = "on" if settings.enable else "off, nothing is added to the switch"
    lines = [
        ("configuration", settings.source),
        ("drop log", drop_log),
        ("drop lines go to", _log(settings)),
        ("format", settings.format),
        ("packet events", _events(settings)),
        ("filtered", _prune(settings.prune)),
        ("log directory", settings.log_directory),
        ("run directory", settings.run_directory),
        (
            "pipelines",
            f"{', '.join(pipelines)}; own files: {settings.pipeline_directory or 'none'}",
        ),
        ("listens on", _listen(settings)),
        ("receives at", _receive(settings.receive)),
        ("identity from", _identity(settings.identity)),
        ("opflex", _opflex(settings.opflex)),
        ("socket room", f"{settings.socket_room} bytes" if settings.socket_room else "as it is"),
        ("meter", f"{meter.rate} packets per second and table, burst of {meter.burst} packets"),
        (
            "without meters",
            "no flow is added" if meter.required else "flows are added all the same",
        ),
        ("in a storm", _storm(settings.storm)),
        ("lease", f"{lease.duration} s, renewed every {lease.renew} s"),
        ("repeats", _throttle(settings.throttle)),
        (
            "books",
            f"reported every {settings.report_interval} s"
            if settings.report_interval
            else "not reported",
        ),
        ("ring", _ring(settings.ring)),
        ("may observe", _observers(settings.socket_group)),
        ("baseline", _optional(settings.baseline)),
    ]
    page = [f"{name + ':':<18}{value}" for name, value in lines]
    if settings.listed_sinks:
        page += [line for sink in settings.sinks for line in _sink(sink)]
    for bridge in settings.bridges:
        pipeline = pipelines[bridge.pipeline]
        prefix = pipeline.prefix if bridge.prefix is None else bridge.prefix
        anyone = bridge.name == ANY_BRIDGE
        page += [
            "",
            "any bridge that connects" if anyone else f"bridge {bridge.name}",
            f"  {'reached at:':<16}{_endpoint(bridge.endpoint)}",
            f"  {'prefix:':<16}{show(prefix) if prefix else 'none'}",
            f"  {'pipeline:':<16}{pipeline.name}, {_tables(pipeline)}",
            f"  {'explicit drops:':<16}{_explicit(bridge.explicit_drops)}",
        ]
    page += [f"\nnote: {text}" for text in _notes(settings)]
    return "\n".join(page)


def _listen(settings: Settings) -> str:
    if settings.listen is None:
        return "nothing"
    arrivals = settings.arrivals
    return (
        f"{settings.listen}; {arrivals.connections} connections in the handshake,"
        f' {arrivals.bridges} bridges of "*", forgotten {arrivals.forget:g} s after their last'
        " connection"
    )


def _receive(places: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {escape(str(place))}" for name, place in places.items()) or "nothing"


def _identity(places: Mapping[str, object]) -> str:
    found = [
        name if place is True else f"{name} {escape(str(place))}"
        for name, place in places.items()
        if place
    ]
    return ", ".join(found) or "nowhere"


def _notes(settings: Settings) -> list[str]:
    """What is not wrong, and good to know."""
    if settings.format != "opflex":
        return []
    return [
        f"the lines of {', '.join(map(show, names))} do not say which bridge they are of:"
        " give each a prefix of its own (or take the format extended)"
        for names in settings.alike
    ]


def _events(settings: Settings) -> str:
    events = settings.events
    if settings.disable_events:
        return "off"
    return (
        f"to unix:{events.socket}; there, within {events.max_age:g} s,"
        f" one in {events.interval:g} s for a pair"
    )


def _prune(filters: Sequence[FilterSpec]) -> str:
    return ", ".join(show(filter.name).strip('"') for filter in filters) or "nothing"


def _opflex(opflex: Opflex) -> str:
    directory = opflex.droplog_directory
    control = f"control files in {directory}" if directory else "no control files"
    tenants = f"; tenants in the line, {len(opflex.tenants)} known" if opflex.print_tenant else ""
    return f"{control}; names of policies in {opflex.ids_directory}{tenants}"


def _storm(storm: Storm) -> str:
    if not storm.enable:
        return "no flow of packets steps aside"
    return (
        f"the loudest flows of packets step aside, {storm.per_table} a table and"
        f" {storm.per_bridge} a bridge at most"
    )


def _throttle(throttle: Deduplication | None) -> str:
    if throttle is None:
        return "each has its own line"
    return f"deduplicated within {throttle.window:g} s, {throttle.entries} at a time"


def _ring(ring: RingBounds) -> str:
    return (
        f"the last {ring.drops} drops of each bridge, {ring.bytes} bytes of memory at most;"
        f" {ring.snaplen} bytes of each frame, observers get {_PAYLOADS[ring.payload]}"
    )


def _observers(group: str | None) -> str:
    everyone = "root and the user of the program"
    return everyone if group is None else f"{everyone}, and the group {group}"


def _optional(path: str | None) -> str:
    return "none" if path is None else escape(path)


def _log(settings: Settings) -> str:
    if settings.listed_sinks and settings.output is None:
        return "the sinks below"
    also = " and the sinks below" if settings.listed_sinks else ""
    return _output(settings.output) + also


def _sink(sink: SinkSpec) -> Iterator[str]:
    yield f"\nsink {sink.name}"
    yield f"  {'type:':<16}{sink.type}"
    for key, value in sink.options:
        if value is not None:
            yield f"  {key + ':':<15} {escape(str(value))}"
    yield f"  {'filtered:':<16}{_prune(sink.filters)}"
    if sink.new_only:
        yield f"  {'new only:':<16}what the baseline has does not go here"
    yield (
        f"  {'queue:':<16}{sink.queue.drops} drops; while it is full, the {sink.queue.overflow}"
        " are refused"
    )


def _output(output: str | None) -> str:
    if output is None:
        return "standard output"
    return output if output == SYSLOG else f"the file {output}"


def _endpoint(endpoint: Endpoint) -> str:
    return "listens for it" if isinstance(endpoint, Accepted) else str(endpoint)


def _tables(pipeline: Pipeline) -> str:
    words = [count(len(pipeline.tables), "named table")]
    if pipeline.drop_table is not None:
        words.append(f"drop table {pipeline.drop_table}")
    if pipeline.discover:
        words.append("the tables that the bridge's flows use")
    return ", ".join(words)


def _explicit(wish: ExplicitDrops) -> str:
    if wish.log is False:
        return "counted"
    where = "all" if wish.log is True else f"those of table {', '.join(map(str, sorted(wish.log)))}"
    how = "; where need be, the owner's drop flows are changed" if wish.modify else ""
    return f"{where} logged{how}"
