"""The JSON Schema of droplog.yaml, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ryu_droplog.config.file_schema import SinkKeys
from ryu_droplog.config.registered_keys import whole_file
from ryu_droplog.config.sink_settings import keys_of
from ryu_droplog.plugins.parts import SINKS

DIALECT = GenerateJsonSchema.schema_dialect
"""JSON Schema 2020-12."""


def json_schema() -> dict[str, Any]:
    """What droplog.yaml may hold, the sinks of every type that is installed among it.

    What depends on several keys at once, and the filters' own keys, it does not tell: the program
    is stricter.
    """
    types = sink_types()
    file = whole_file()
    models: list[Any] = [file, *types.values()]
    references, schema = models_json_schema([(model, "validation") for model in models])
    definitions = schema["$defs"]

    def definition(model: Any) -> Any:
        return definitions.pop(references[model, "validation"]["$ref"].rpartition("/")[2])

    root = definition(file)
    choices = []
    for name, model in types.items():
        definitions[f"sink-{name}"] = sink = definition(model)
        sink["properties"]["type"] = {"const": name, "description": f"a sink {name}"}
        choices.append({"$ref": f"#/$defs/sink-{name}"})
    sinks = root["properties"]["sinks"]
    for choice in sinks["anyOf"]:
        if choice.get("type") == "array":
            choice["items"] = {"oneOf": choices}
    return {
        "$schema": DIALECT,
        "title": "droplog.yaml",
        **root,
        "type": ["object", "null"],
        "$defs": definitions,
    }


def sink_types() -> dict[str, type[SinkKeys]]:
    """The keys of a sink of each type; a type of another package that cannot be loaded has none."""
    types = {}
    for name in SINKS.names():
        try:
            types[name] = keys_of(name)
        except Exception:  # whoever wants such a sink is told why
            continue
    return types
