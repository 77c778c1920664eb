"""The reference page of the configuration: every key, from the schema, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ryu_droplog.config.file_schema import SinkKeys
from ryu_droplog.config.json_schema import sink_types
from ryu_droplog.config.registered_keys import whole_file
from ryu_droplog.config.sink_settings import options_of
from ryu_droplog.pipelines.file_schema import PipelineFile
from ryu_droplog.plugins.listing import parts
from ryu_droplog.plugins.parts import REGISTRIES
from ryu_droplog.schema.expected import (
    Kind,
    arguments,
    expected,
    items_of,
    kind_of_field,
    mapping_of,
    members,
    model_of,
    quantity_of,
)

_HEAD = """\
# Reference of the configuration

<!-- Written by tools/configuration-reference from the schema; do not edit. -->

Every key of `droplog.yaml` and of pipeline files, with what it may be, its default and its
meaning. [configuration.md](configuration.md) explains them; `ryu-droplog check-config` checks a
file against the same schema, and `ryu-droplog check-config --schema` prints it as a JSON Schema
for editors.

A time is a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d`. K, M and G are powers
of ten.
"""


def reference() -> str:
    """The page, with a final newline."""
    parts = [_HEAD, *_sections("droplog.yaml", "", whole_file(own=True))]
    models: list[type[BaseModel]] = [SinkKeys]
    for name in sink_types():
        options = options_of(name)
        if options.__module__.startswith("ryu_droplog."):  # and not of another package
            models.append(options)
            beside = "Beside the [keys of every sink](#every-sink):"
            table = _table(options.model_fields)
            parts.append(f"## Sinks of the type `{name}`\n\n{beside}\n\n{table}")
    parts += [
        f"## Every sink\n\nThe keys of each item of `sinks`, beside those of its type.\n\n"
        f"{_table(SinkKeys.model_fields)}",
        *dict.fromkeys(
            section
            for model in models
            for section in _sections("Sinks", "sinks[].", model, top=False)
        ),
        *_sections("Pipeline files", "", PipelineFile),
        *_parts(),
    ]
    return "\n".join(parts)


def _parts() -> Iterator[str]:
    """The parts that are registered, by the place in the configuration that names them."""
    yield (
        "## Parts\n\nWhat a configuration may name; [extending.md](extending.md) says how one is"
        " added. `ryu-droplog check-config --types` lists those of other packages, too.\n"
    )
    for registry in REGISTRIES:
        rows = [f"### {registry.where}\n", "| name | what |", "| --- | --- |"]
        rows += [f"| `{part.name}` | {_cell(part.about)} |" for part in parts(registry, own=True)]
        yield "\n".join(rows) + "\n"


def _sections(
    title: str, parent: str, model: type[BaseModel], *, top: bool = True
) -> Iterator[str]:
    """The keys of a model (where it is `top`), and those of the models in it."""
    if top:
        text = f"## {title}" if not parent else f"## `{parent.rstrip('.')}`"
        yield f"{text}\n\n{_table(model.model_fields)}"
    for key, field in model.model_fields.items():
        kind = kind_of_field(field)
        for inner, suffix in _inner(kind):
            yield from _sections(title, f"{parent}{key}{suffix}.", inner)


def _inner(kind: Kind) -> Iterator[tuple[type[BaseModel], str]]:
    """The models in a value, and what stands behind its key for one of them."""
    own, items, mapping = model_of(kind), items_of(kind), mapping_of(kind)
    if own is not None:
        yield own, ""
    if items is not None and (of_item := model_of(items)) is not None:
        yield of_item, "[]"
    if mapping is not None and (of_value := model_of(arguments(mapping)[1])) is not None:
        yield of_value, ".ID"


def _table(fields: dict[str, FieldInfo]) -> str:
    if not fields:
        return "No keys of its own.\n"
    rows = ["| key | what | default | meaning |", "| --- | --- | --- | --- |"]
    for key, field in fields.items():
        default = "(required)" if field.is_required() else _default(field)
        meaning = field.description or ""
        if field.examples:
            meaning += f"; for example {', '.join(_code(each) for each in field.examples)}"
        rows.append(
            f"| `{key}` | {_cell(_what(kind_of_field(field)))} | {default} | {_cell(meaning)} |"
        )
    return "\n".join(rows) + "\n"


def _what(kind: Kind) -> str:
    quantities = [found for part in [kind, *members(kind)] if (found := quantity_of(part))]
    return quantities[0].text if quantities else expected(kind)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its keys' own"
    if isinstance(value, tuple):
        value = [
            each.model_dump(exclude_unset=True) if isinstance(each, BaseModel) else each
            for each in value
        ]
    return _code(int(value) if isinstance(value, float) and value.is_integer() else value)


def _code(value: object) -> str:
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
