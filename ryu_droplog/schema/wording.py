"""The words of a refusal: file, line, key, value, what was expected, and the nearest key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

from ryu_droplog.model.errors import ConfigError

_SHOWN = 60
"""Characters of a wrong value that an error message repeats."""
_PLAIN_KEY = re.compile(r"[\w-]+")


def mistake(
    source: str, key: str, wrong: str, expected: str, line: int | None = None
) -> ConfigError:
    """A ConfigError about the key with the path `key` (empty: the whole file) of the file `source`.

    `wrong` says what was wrong, `expected` what would be right; `line` counts from 1, None where
    the key is not in the file.
    """
    where = source if line is None else f"{source}:{line}"
    return ConfigError(f"{where}: {key and key + ': '}{wrong}; expected {expected}")


def join(parent: str, child: object) -> str:
    """The path of the key `child` in the mapping whose path is `parent` (empty: the whole file)."""
    name = show(child)
    if isinstance(child, str) and _PLAIN_KEY.fullmatch(child):
        name = child
    return f"{parent}.{name}" if parent else name


def show(value: object) -> str:
    """`value` in a few characters on one line, scalars as YAML writes them."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=not value.isprintable())
    elif isinstance(value, int) and value.bit_length() > 128:  # decimal digits may be refused
        text = f"an integer of {value.bit_length()} bits"
    else:
        text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def nearest(name: object, known: Iterable[str]) -> str:
    """`, nearest is <one of known>` if one is close to `name`, else nothing."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f", nearest is {close[0]}" if close else ""
