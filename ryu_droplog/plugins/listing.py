"""All parts that are registered, with what each says of itself: for people, and the reference."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from ryu_droplog.plugins.parts import REGISTRIES
from ryu_droplog.plugins.registry import Registry


class Part(NamedTuple):
    """One part."""

    name: str
    about: str
    """One sentence, or why it cannot be loaded."""


def parts(registry: Registry[Any], *, own: bool = False) -> Iterator[Part]:
    """Those of a registry, the project's first; `own`: those alone."""
    for name in registry.own_names() if own else registry.names():
        try:
            about = _about(registry.get(name))
        except Exception as error:  # another package may raise anything
            about = f"cannot be loaded: {error or type(error).__name__}"
        yield Part(name, about)


def listing() -> str:
    """All parts, a heading for each kind, without a final newline."""
    blocks = []
    for registry in REGISTRIES:
        found = list(parts(registry))
        width = max(len(part.name) for part in found)
        lines = [f"  {part.name:<{width}}  {part.about}" for part in found]
        blocks.append("\n".join([f"{registry.where}:", *lines]))
    return "\n\n".join(blocks)


def _about(part: Any) -> str:
    """What a filter's key says of itself; the first sentence of all others."""
    description = getattr(part, "description", None)
    if isinstance(description, str):
        return description
    text = " ".join((inspect.getdoc(part) or "").partition("\n\n")[0].split())
    return text.removesuffix(".") or "says nothing of itself"
