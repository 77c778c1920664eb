"""The sources of droplog.yaml: `receive` has a key for each type, which the type itself declares.

A type is loaded only where a configuration has `receive`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import create_model
from pydantic.fields import FieldInfo

from ryu_droplog.config.file_schema import ConfigurationFile, ReceiveKeys
from ryu_droplog.plugins.parts import SOURCES
from ryu_droplog.schema.wording import show
from ryu_droplog.schema.yaml_document import Document

RECEIVE = "receive"


def file_model(document: Document, data: Any) -> type[ConfigurationFile]:
    """The model of a file that says this. Raises ConfigError where a type cannot be loaded."""
    keys = data.get(RECEIVE) if isinstance(data, dict) else None
    if keys is None:
        return ConfigurationFile
    names = SOURCES.names()
    wanted = keys if isinstance(keys, dict) else ()
    for name in names:
        if name in wanted:
            try:
                source_key(name)
            except Exception as error:  # another package may raise anything
                wrong = f"{show(name)} cannot be loaded: {error or type(error).__name__}"
                expected = f"one of {', '.join(names)}"
                raise document.mistake([RECEIVE, name], wrong, expected) from error
    return file_with(tuple(source_types()))


@cache
def file_with(types: tuple[str, ...]) -> type[ConfigurationFile]:
    """The model of droplog.yaml with these types of sources."""
    fields: dict[str, Any] = {name: (source_key(name), None) for name in types}
    keys = create_model("ReceiveKeys", __base__=ReceiveKeys, **fields)
    field = FieldInfo.merge_field_infos(
        ConfigurationFile.model_fields[RECEIVE], annotation=keys | None
    )
    receive: dict[str, Any] = {RECEIVE: (keys | None, field)}
    return create_model(ConfigurationFile.__name__, __base__=ConfigurationFile, **receive)


def source_types() -> list[str]:
    """All types of sources; one of another package that cannot be loaded is left out."""
    types = []
    for name in SOURCES.names():
        try:
            source_key(name)
        except Exception:  # whoever wants such a source is told why
            continue
        types.append(name)
    return types


def source_key(name: str) -> Any:
    """What the key of a type takes, annotated.

    Raises LookupError where there is no such type, and TypeError where its class has no `KEY`.
    """
    key = getattr(SOURCES.get(name), "KEY", None)
    if key is None:
        raise TypeError("its class has no KEY, which says what stands there")
    return key


def receive_of(file: ConfigurationFile) -> dict[str, Any]:
    """Where drops are received, by the type of source."""
    keys = {} if file.receive is None else dict(file.receive)
    return {name: place for name, place in keys.items() if place is not None}
