"""Sections of droplog.yaml with a key for each part of a kind, which the part itself declares.

`receive` has the sources of drops, `identity` the sources of identities. A part is loaded only
where a configuration has its section.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from ryu_droplog.config.file_schema import ConfigurationFile, IdentityKeys, ReceiveKeys
from ryu_droplog.plugins.parts import IDENTITIES, SOURCES
from ryu_droplog.plugins.registry import Registry
from ryu_droplog.schema.wording import show
from ryu_droplog.schema.yaml_document import Document


class Section(NamedTuple):
    """A section whose keys are names of parts."""

    key: str
    registry: Registry[type[Any]]
    """Each part is a class with a `KEY`, and maybe a `DEFAULT`."""
    base: type[BaseModel]


RECEIVE = Section("receive", SOURCES, ReceiveKeys)
IDENTITY = Section("identity", IDENTITIES, IdentityKeys)
SECTIONS = (RECEIVE, IDENTITY)


def file_model(document: Document, data: Any) -> type[ConfigurationFile]:
    """The model of a file that says this. Raises ConfigError where a part cannot be loaded."""
    model = ConfigurationFile
    for section in SECTIONS:
        keys = data.get(section.key) if isinstance(data, dict) else None
        if keys is not None:
            _check(section, keys, document)
            model = _with(model, section, tuple(names(section)))
    return model


@cache
def whole_file(*, own: bool = False) -> type[ConfigurationFile]:
    """The model of droplog.yaml with all parts that are installed; `own`: the project's own."""
    model = ConfigurationFile
    for section in SECTIONS:
        model = _with(
            model, section, tuple(section.registry.own_names() if own else names(section))
        )
    return model


def names(section: Section) -> list[str]:
    """All keys of a section; a part of another package that cannot be loaded is left out."""
    found = []
    for name in section.registry.names():
        try:
            part_key(section, name)
        except Exception:  # whoever wants such a part is told why
            continue
        found.append(name)
    return found


def part_key(section: Section, name: str) -> tuple[Any, Any]:
    """What the key of a part takes, annotated, and its default.

    Raises LookupError where there is no such part, and TypeError where its class has no `KEY`.
    """
    part = section.registry.get(name)
    key = getattr(part, "KEY", None)
    if key is None:
        raise TypeError("its class has no KEY, which says what stands there")
    return key, getattr(part, "DEFAULT", None)


def places(section: Section, file: ConfigurationFile) -> dict[str, Any] | None:
    """The values of a section by the names of their parts; None: the file has it not."""
    keys = getattr(file, section.key)
    return None if keys is None else dict(keys)


@cache
def _with(
    model: type[ConfigurationFile], section: Section, parts: tuple[str, ...]
) -> type[ConfigurationFile]:
    fields: dict[str, Any] = {name: part_key(section, name) for name in parts}
    keys = create_model(section.base.__name__, __base__=section.base, **fields)
    field = FieldInfo.merge_field_infos(
        ConfigurationFile.model_fields[section.key], annotation=keys | None
    )
    more: dict[str, Any] = {section.key: (keys | None, field)}
    return create_model(ConfigurationFile.__name__, __base__=model, **more)


def _check(section: Section, keys: Any, document: Document) -> None:
    known = section.registry.names()
    wanted = keys if isinstance(keys, dict) else ()
    for name in known:
        if name in wanted:
            try:
                part_key(section, name)
            except Exception as error:  # another package may raise anything
                wrong = f"{show(name)} cannot be loaded: {error or type(error).__name__}"
                expected = f"one of {', '.join(known)}"
                raise document.mistake([section.key, name], wrong, expected) from error
