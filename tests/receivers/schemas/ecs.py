"""Elastic Common Schema: does a document keep to it?

The fields are those of Elastic's own list (npm `@elastic/ecs` 9.4.0, Apache-2.0), which
tools/prepare --test installs.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from ..venv import VENV, node

_MODULE = VENV / "node_modules" / "@elastic" / "ecs" / "generated" / "ecs_flat.js"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_MAC = re.compile(r"[0-9A-F]{2}(-[0-9A-F]{2}){5}")
_OBJECTS = ("object", "flattened", "nested")


@functools.cache
def fields() -> Mapping[str, Mapping[str, Any]]:
    """Dotted name -> `type`, `level`, `normalize`, `allowed_values` where there are any."""
    script = "console.log(JSON.stringify(require(process.argv[1]).EcsFlat))"
    said = subprocess.run(
        [node(), "-e", script, str(_MODULE)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    return json.loads(said)  # type: ignore[no-any-return]


def problems(document: Mapping[str, Any], own: str = "openvswitch") -> list[str]:
    """What is wrong with a document, one line each; fields under `own` are not ECS's.

    It looks at names, types, which fields are lists, the values allowed for categories, the types
    expected in a category, and the form of addresses of network cards.
    """
    found = []
    if "version" not in document.get("ecs", {}):
        found.append("ecs.version: missing")
    for name, value in _leaves(document):
        if name.split(".")[0] == own:
            continue
        field = fields().get(name)
        if field is None:
            found.append(f"{name}: no such field")
        else:
            found += [f"{name}: {problem}" for problem in _field_problems(name, field, value)]
    return found + _category_problems(document.get("event", {}))


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        name = f"{prefix}{key}"
        field = fields().get(name)
        if isinstance(value, Mapping) and (field is None or field["type"] not in _OBJECTS):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _field_problems(name: str, field: Mapping[str, Any], value: Any) -> Iterator[str]:
    is_list = "array" in field["normalize"]
    if isinstance(value, list) != is_list:
        yield "expected a list" if is_list else "expected one value, got a list"
    allowed = [allowed["name"] for allowed in field.get("allowed_values", ())]
    for item in value if isinstance(value, list) else [value]:
        if not _has_type(field["type"], item):
            yield f"expected {field['type']}, got {item!r}"
        elif allowed and item not in allowed:
            yield f"expected one of {', '.join(allowed)}, got {item!r}"
        elif name.endswith(".mac") and not _MAC.fullmatch(item):
            yield f"expected the form 00-00-5E-00-53-23, got {item!r}"


def _has_type(kind: str, value: Any) -> bool:
    if kind in ("keyword", "constant_keyword", "wildcard", "text", "match_only_text"):
        return isinstance(value, str)
    if kind == "long":
        return type(value) is int and -(2**63) <= value < 2**63
    if kind in ("float", "scaled_float"):
        return type(value) in (int, float)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "date":
        return isinstance(value, str) and _DATE.fullmatch(value) is not None
    if kind == "ip":
        try:
            return isinstance(value, str) and bool(ipaddress.ip_address(value))
        except ValueError:
            return False
    return isinstance(value, Mapping) if kind in _OBJECTS else True


def _category_problems(event: Mapping[str, Any]) -> list[str]:
    categories, types = event.get("category"), event.get("type")
    if not isinstance(categories, list) or not isinstance(types, list):
        return []
    by_name = {one["name"]: one for one in fields()["event.category"]["allowed_values"]}
    expected = {
        kind
        for category in categories
        for kind in by_name.get(category, {}).get("expected_event_types", ())
    }
    return [
        f"event.type: {kind} is of none of {categories}" for kind in types if kind not in expected
    ]
