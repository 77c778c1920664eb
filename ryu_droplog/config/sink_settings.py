"""The sinks of droplog.yaml: those that `sinks` lists, and what the short way means.

The short way is `drop_log_config`, `format` and `events.socket`: one sink for the log, and one for
packet events. It makes the same `SinkSpec`s as the list.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from msgspec.structs import replace
from pydantic import create_model

from ryu_droplog.config.file_schema import ConfigurationFile, SinkKeys
from ryu_droplog.config.filter_settings import filters_of
from ryu_droplog.config.settings import SYSLOG
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.plugins.sink_options import OptionsContext, SinkOptions
from ryu_droplog.schema.convert import Mistakes, convert
from ryu_droplog.schema.wording import nearest, show
from ryu_droplog.schema.yaml_document import Document, Item

LOG = "log"
"""Name of the sink that the short way makes for drop lines."""
PACKET_EVENTS = "packet-events"
"""Name and type of the one that it makes for packet events."""
EVENTS_HELD = 30
"""Packet events that wait at most for their listener: it wants no old ones."""


def sinks_of(
    file: ConfigurationFile,
    output: str | None,
    disable_events: bool,
    socket: str,
    document: Document,
) -> tuple[SinkSpec, ...]:
    """The sinks in the file; `output` is as in `Settings`. Raises ConfigError."""
    given = file.format if "format" in file.model_fields_set else None
    context = OptionsContext(file.log_directory, file.format, given)
    sinks = []
    if file.sinks is None or output is not None:
        sinks.append(_log(output, context))
    if not disable_events:
        sinks.append(_packet_events(socket, context))
    names = {sink.name: "by drop_log_config" for sink in sinks}
    files = {_file(sink): "by drop_log_config" for sink in sinks}
    mistakes: list[ConfigError] = []
    for index, data in enumerate(file.sinks or ()):
        path = ("sinks", Item(index))
        try:
            sink = _listed(data, document, path, context)
        except Mistakes as error:
            mistakes += error.mistakes
            continue
        except ConfigError as error:
            mistakes.append(error)
            continue
        if sink.name in names:
            wrong = f"{show(sink.name)} is the name of a sink already, {names[sink.name]}"
            mistakes.append(document.mistake([*path, "name"], wrong, "a name for each sink"))
        names[sink.name] = f"of sinks[{index}]"
        target = _file(sink)
        if target is not None and target in files:
            wrong = f"{show(target)} is the file of a sink already, {files[target]}"
            mistakes.append(document.mistake([*path, "path"], wrong, "a file for each sink"))
        files[target] = f"of sinks[{index}]"
        sinks.append(sink)
    if mistakes:
        raise Mistakes(mistakes)
    return tuple(sinks)


@cache
def options_of(name: str) -> type[SinkOptions]:
    """What the sinks of a type have for keys of their own.

    Raises LookupError where there is no such type, and TypeError where it has no `Options` that
    can stand beside the keys of every sink.
    """
    options = getattr(SINKS.get(name), "Options", None)
    if not (isinstance(options, type) and issubclass(options, SinkOptions)):
        raise TypeError("its class has no Options, a subclass of SinkOptions")
    taken = options.model_fields.keys() & SinkKeys.model_fields.keys()
    if taken:
        raise TypeError(f"its Options have the key {min(taken)}, which every sink has")
    return options


@cache
def keys_of(name: str) -> type[SinkKeys]:
    """All keys of a sink of this type; raises as `options_of`."""
    options = options_of(name)
    bases: Any = options, SinkKeys  # the keys of every sink come first; mypy knows one type
    model: type[SinkKeys] = create_model(f"{options.__qualname__}Keys", __base__=bases)
    return model


def _listed(
    data: dict[Any, Any], document: Document, path: tuple[object, ...], context: OptionsContext
) -> SinkSpec:
    model = _keys(data, document, path)
    own = {key: value for key, value in data.items() if key not in SinkKeys.model_fields}
    try:
        keys = convert(document, model, data, path, context)
        options = options_of(keys.type).model_validate(own, context=context)
    except ConfigError:
        raise
    except Exception as error:  # a validator of another package may raise anything
        wrong = f"its options cannot be checked: {error or type(error).__name__}"
        raise document.mistake(path, wrong, f"the keys of a sink {show(data['type'])}") from error
    return SinkSpec(
        name=keys.name,
        type=keys.type,
        filters=filters_of(keys.filters, document, [*path, "filters"]),
        queue=QueueSpec(keys.queue.drops, keys.queue.overflow),
        new_only=keys.new_only,
        options=options,
    )


def _file(sink: SinkSpec) -> str | None:
    """The file that a sink writes, where no other sink may write; devices take any number."""
    path: str | None = sink.options.file()
    return None if path is None or path.startswith("/dev/") else os.path.normpath(path)


def _keys(data: dict[Any, Any], document: Document, path: tuple[object, ...]) -> type[SinkKeys]:
    name = data.get("type")
    if not isinstance(name, str):
        return SinkKeys  # which says what is wrong
    try:
        return keys_of(name)
    except Exception as error:  # another package may raise anything
        names = SINKS.names()
        wrong = f"{show(name)} cannot be loaded: {error or type(error).__name__}"
        if isinstance(error, LookupError):
            wrong = f"got {show(name)}{nearest(name, names)}"
        raise document.mistake([*path, "type"], wrong, f"one of {', '.join(names)}") from error


def _log(output: str | None, context: OptionsContext) -> SinkSpec:
    if output is None:
        return _spec(LOG, "stdout", {}, context, "standard output")
    if output == SYSLOG:
        return _spec(LOG, "syslog", {}, context, "syslog")
    return _spec(LOG, "file", {"path": output, "encode": context.format}, context, output)


def _packet_events(socket: str, context: OptionsContext) -> SinkSpec:
    title = f"packet events to {socket}"
    made = _spec(PACKET_EVENTS, PACKET_EVENTS, {"socket": socket}, context, title)
    return replace(made, queue=QueueSpec(EVENTS_HELD))


def _spec(
    name: str, type: str, options: dict[str, str], context: OptionsContext, title: str
) -> SinkSpec:
    return SinkSpec(
        name=name,
        type=type,
        options=options_of(type).model_validate(options, context=context),
        title=title,
    )
