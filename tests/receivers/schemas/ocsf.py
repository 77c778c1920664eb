"""OCSF 1.8.0, class Network Activity (4001): does an event keep to it?

The requirements are the published schema's, as PyPI's `ocsf-json-schema` (MIT) carries it, with
the profiles `host` and `security_control`; checked by `jsonschema`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
CLASS_UID = 4001
PROFILES = ("host", "security_control")


@functools.cache
def _validator(profiles: tuple[str, ...]) -> Draft202012Validator:
    published = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION))
    name = published.lookup_class_name_from_uid(class_uid=CLASS_UID)
    schema = published.get_class_schema(class_name=name, profiles=list(profiles))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def problems(event: Mapping[str, Any], profiles: tuple[str, ...] = PROFILES) -> list[str]:
    """What is wrong with an event, one line each: names, types, enumerations, what is required."""
    found = [
        f"{error.json_path}: {error.message[:300]}"
        for error in _validator(profiles).iter_errors(event)
    ]
    type_uid = CLASS_UID * 100 + event.get("activity_id", 0)
    if event.get("type_uid") != type_uid:
        found.append(f"$.type_uid: expected {type_uid}, got {event.get('type_uid')}")
    return found
