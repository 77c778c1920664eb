"""What differs between two configurations, key by key: what a reload tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import structs

from ryu_droplog.config.filter_spec import FilterSpec, fields
from ryu_droplog.config.settings import Bridge, Deduplication, ExplicitDrops, Settings
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.schema.wording import join, show
from ryu_droplog.text.printable import escape

ABSENT = "absent"
"""Stands for the value of a key that is not there."""


class Change(NamedTuple):
    """One key that has another value."""

    key: str
    old: str
    new: str
    off: bool
    """Whether something was on before, and is not any more."""

    def __str__(self) -> str:
        return f"{self.key}: {self.old} -> {self.new}"


class _Value(NamedTuple):
    text: str
    on: int = 0
    """How much is switched on by it: less of that than before is worth a warning."""


def changes(
    old: Settings,
    new: Settings,
    old_pipelines: Mapping[str, Pipeline],
    new_pipelines: Mapping[str, Pipeline],
) -> list[Change]:
    """What has changed, and what is off now comes first; each text is on one line."""
    receivers = list(dict.fromkeys([*old.receive, *new.receive]))
    before, after = dict(_values(old, receivers)), dict(_values(new, receivers))
    found = [
        Change(key, was.text, now.text, now.on < was.on)
        for key in dict.fromkeys([*before, *after])
        if (was := before.get(key, _Value(ABSENT))) != (now := after.get(key, _Value(ABSENT)))
    ]
    found = [
        change for change in found if not _of_an_entry_that_came_or_went(change, before, after)
    ]
    found += _of_pipelines(old_pipelines, new_pipelines)
    return sorted(found, key=lambda change: not change.off)


def _of_pipelines(old: Mapping[str, Pipeline], new: Mapping[str, Pipeline]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield Change(f"pipeline {name}", ABSENT, "present", off=False)
        elif name not in new:
            yield Change(f"pipeline {name}", "present", ABSENT, off=True)
        elif old[name] != new[name]:
            yield Change(f"pipeline {name}", "as it was", "as its file has it now", off=False)


def _values(settings: Settings, receivers: Sequence[str]) -> Iterator[tuple[str, _Value]]:
    """Every key with its value; the keys are those of the file, with names in place of numbers.

    `receivers` are the types of sources that either configuration has.
    """
    drop_log, opflex, events = "drop_log_config", settings.opflex, settings.events
    yield f"{drop_log}.enable", _flag(settings.enable)
    shown = _Value(show(settings.disable_events), on=not settings.disable_events)
    yield f"{drop_log}.disable_events", shown
    if settings.listed_sinks and settings.output is None:
        yield f"{drop_log}.opflex_redirect_drop_logs", _Value("null, and sinks are listed")
    else:
        yield f"{drop_log}.opflex_redirect_drop_logs", _optional(settings.output)
    yield "format", _Value(settings.format)
    for sink in settings.sinks if settings.listed_sinks else ():
        yield from _sink(sink)
    yield "log_directory", _Value(_path(settings.log_directory))
    yield "run_directory", _Value(_path(settings.run_directory))
    yield "pipeline_directory", _Value(_path(settings.pipeline_directory))
    for bridge in settings.bridges:
        yield from _bridge(bridge)
    yield "listen", _optional(settings.listen)
    for name in receivers:
        yield f"receive.{name}", _optional(settings.receive.get(name))
    for name, place in settings.identity.items():
        yield f"identity.{name}", _Value(show(place), on=bool(place))
    yield "socket_room", _Value(f"{settings.socket_room} bytes", settings.socket_room > 0)
    for key in ("rate", "burst", "required"):
        yield f"meter.{key}", _Value(show(getattr(settings.meter, key)))
    for key in ("enable", "per_table", "per_bridge"):
        yield f"storm.{key}", _Value(show(getattr(settings.storm, key)))
    for key in ("duration", "renew"):
        yield f"lease.{key}", _Value(show(getattr(settings.lease, key)))
    yield "throttle", _Value(_throttle(settings.throttle))
    yield "books.interval", _Value(f"{settings.report_interval} s", settings.report_interval > 0)
    for filter in settings.prune:
        yield join("prune", filter.name), _filter(filter)
    yield "opflex.droplog_directory", _optional(opflex.droplog_directory)
    yield "opflex.ids_directory", _Value(_path(opflex.ids_directory))
    yield "opflex.print_tenant", _flag(opflex.print_tenant)
    for group, tenant in opflex.tenants.items():
        yield f"opflex.tenants.{group}", _Value(show(tenant))
    if settings.flows is not None:
        yield "flows captured", _Value(show(len(settings.flows)))
    for key in ("socket", "max_age", "interval", "node", "kubeconfig"):
        yield f"events.{key}", _Value(show(getattr(events, key)))
    for key, value in structs.asdict(settings.ring).items():
        yield f"ring.{key}", _Value(show(value))
    yield "socket_group", _optional(settings.socket_group)
    yield "baseline", _optional(settings.baseline)


def _bridge(bridge: Bridge) -> Iterator[tuple[str, _Value]]:
    key = f"bridges[{show(bridge.name)}]"
    yield key, _Value("present", on=1)
    yield f"{key}.pipeline", _Value(bridge.pipeline)
    yield f"{key}.prefix", _Value(show(bridge.prefix))
    yield f"{key}.connect", _Value(escape(str(bridge.endpoint)))
    drops = bridge.explicit_drops
    yield f"{key}.explicit_drops", _Value(_explicit(drops), _logged(drops) + drops.modify)


def _sink(sink: SinkSpec) -> Iterator[tuple[str, _Value]]:
    key = f"sinks[{show(sink.name)}]"
    yield key, _Value("present", on=1)
    yield f"{key}.type", _Value(sink.type)
    for option, value in sink.options:
        yield f"{key}.{option}", _Value(show(value))
    for filter in sink.filters:
        yield f"{key}.filters[{show(filter.name)}]", _filter(filter)
    yield f"{key}.queue.drops", _Value(show(sink.queue.drops))
    yield f"{key}.queue.overflow", _Value(sink.queue.overflow)


def _filter(filter: FilterSpec) -> _Value:
    forms = (f"{key} {form}" for key, form in fields(filter).items() if key != "name")
    return _Value(show(", ".join(forms)).strip('"'))


def _of_an_entry_that_came_or_went(
    change: Change, before: Mapping[str, _Value], after: Mapping[str, _Value]
) -> bool:
    """Whether the change of the bridge or of the sink itself says it all."""
    entry, bracket, rest = change.key.partition("].")
    entry += "]"
    return bool(bracket and rest) and (entry in before) != (entry in after)


def _flag(value: bool) -> _Value:
    return _Value(show(value), on=value)


def _optional(value: object) -> _Value:
    return _Value(_path(None if value is None else str(value)), on=value is not None)


def _path(path: str | None) -> str:
    return show(None) if path is None else escape(path)


def _throttle(throttle: Deduplication | None) -> str:
    return f"{throttle.window:g} s, {throttle.entries} entries" if throttle else show(None)


def _explicit(drops: ExplicitDrops) -> str:
    if not drops.log:
        text = "count"
    elif drops.log is True:
        text = "log all"
    else:
        text = f"log tables {', '.join(map(str, sorted(drops.log)))}"
    return f"{text}, modify" if drops.modify else text


def _logged(drops: ExplicitDrops) -> int:
    """How many tables are logged, more than there can be for all of them."""
    return 1000 if drops.log is True else len(drops.log or ())
