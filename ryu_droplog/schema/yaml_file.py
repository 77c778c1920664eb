"""YAML files that a user writes: read strictly, every mistake named with its file and key."""

from __future__ import annotations

import difflib
import json
import os
import posix
import re
import select
import stat
import time
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import inspect

from ryu_droplog.model.errors import ConfigError

T = TypeVar("T")

LARGEST = 512 * 1024
"""Bytes of a file at most: it takes some seconds to read, far more than anyone writes by hand."""
FIFO_TIME = 10.0
"""Seconds that a FIFO has for all of its content."""
_SHOWN = 60
"""Characters of a wrong value that an error message repeats."""
_WHERE = re.compile(r" - at `(?:key` in `)?\$([^`]*)`\Z")
"""Where a msgspec.ValidationError says how far the data was right."""
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_SPECIAL_KEYS = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
"""Keys with a meaning in YAML 1.1 (`<<` and `=`), which PyYAML resolves by itself."""
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MOST_PARTS = 20
"""Parts of a number in the base of 60 at most: PyYAML's time grows with their square."""


def read(path: str) -> str:
    """The text of the file at `path`, UTF-8.

    Raises ConfigError if it cannot be read, has more than `LARGEST` bytes, or is not UTF-8.
    """
    try:
        text = _bounded(path).decode()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte 0x{error.object[error.start]:02x} at offset {error.start} is not UTF-8; "
            "expected a file in UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bounded(path: str) -> bytes:
    """All bytes of a file, which may be one without an end: no more than needed is read.

    A FIFO (`<(…)` of a shell, say) has `FIFO_TIME`, because the running program reads here, too.
    By the functions of C: eventlet's would wait without end.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = posix.open(path, flags)
    try:
        is_fifo = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        os.set_blocking(descriptor, not is_fifo)
        deadline = time.monotonic() + FIFO_TIME
        data, ready = b"", not is_fifo
        while len(data) <= LARGEST:
            part: bytes | None = None
            with suppress(BlockingIOError):
                part = posix.read(descriptor, LARGEST + 1 - len(data))
            data += part or b""
            if part == b"" and (data or ready):
                return data  # all who wrote have closed it
            if not part:
                left = deadline - time.monotonic()
                if left <= 0:
                    wrong = f"a FIFO to which nobody wrote all within {FIFO_TIME:g} seconds"
                    raise ConfigError(f"{path}: {wrong}; expected a file")
                ready = bool(select.select([descriptor], [], [], left)[0])
    finally:
        os.close(descriptor)
    raise ConfigError(f"{path}: more than {LARGEST} bytes; expected at most so many")


def load(text: str, source: str) -> Any:
    """What the one YAML document in `text` says (YAML 1.1, plain types only); None if it is empty.

    `source` is the name of the file. Raises ConfigError, with file and line, for what is not
    YAML, for types of other programs (`!!python/…`) and for a key that stands twice in a mapping.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{source}:{line}: character U+{ord(text[error.position]):04X}; "
            "expected printable characters"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = f"{error.context}: {error.problem}" if error.context else error.problem
        raise ConfigError(f"{source}:{line}: {problem}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested too deeply; expected a few levels") from error


def convert(data: object, kind: type[T], source: str, key: str = "") -> T:
    """`data`, as `load` returned it, as a `kind`: a msgspec Struct, strictly typed.

    `source` is the name of the file and `key` the path of the key at which `data` stands in it,
    empty for the whole file. Raises ConfigError for the first mistake.
    """
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        where = _WHERE.search(str(error))
        raise _explain(data, kind, source, key, where.group(1) if where else "") from None


def mistake(source: str, key: str, wrong: str, expected: str) -> ConfigError:
    """A ConfigError about the key with the path `key` (empty: the whole file) of the file `source`.

    `wrong` says what was wrong, `expected` what would be right.
    """
    return ConfigError(f"{source}: {key and key + ': '}{wrong}; expected {expected}")


def join(parent: str, child: object) -> str:
    """The path of the key `child` in the mapping whose path is `parent` (empty: the whole file)."""
    name = show(child)
    if isinstance(child, str) and re.fullmatch(r"[\w-]+", child):
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


_SURROGATE = re.compile("[\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without silence about keys that stand twice."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Look at the keys before a merge (`<<`) adds others, which may be overridden."""
        if node not in self._checked:
            self._checked.add(node)
            seen: set[Hashable] = set()
            for key_node, _ in node.value:
                if key_node.tag in _SPECIAL_KEYS:
                    continue
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, Hashable):
                    continue  # construct_mapping refuses it
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"duplicate key {show(key)}", key_node.start_mark
                    )
                seen.add(key)
        super().flatten_mapping(node)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Refuse what an escape such as `"\\ud800"` makes: half a character, good for no file."""
        value = super().construct_scalar(node)
        if isinstance(value, str) and _SURROGATE.search(value):
            raise yaml.constructor.ConstructorError(
                None, None, f"{show(value)} has half of a surrogate pair", node.start_mark
            )
        return value

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Refuse a scalar that its tag does not fit (`2024-99-99`) as a YAML error, too."""
        try:
            if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS:
                parts = node.value.count(":") + 1  # in the base of 60, as `1:30:00`
                if parts > _MOST_PARTS:
                    raise ValueError
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, ArithmeticError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{show(node.value)} is no {kind}", node.start_mark
            ) from error


def _explain(data: object, kind: type, source: str, key: str, where: str) -> ConfigError:
    """What is wrong with `data` at the path `where` (`.bridges[0].name`)."""
    node: inspect.Type = inspect.type_info(kind)
    for name, index in _STEP.findall(where):
        struct, items = _struct(node), _items(node)
        if struct and isinstance(data, dict) and name in data:
            node = next(field.type for field in struct.fields if field.name == name)
            key, data = join(key, name), data[name]
        elif items and isinstance(data, list) and index:
            node = items.item_type
            key, data = f"{key}[{index}]", data[int(index)]
    struct = _struct(node)
    if struct and isinstance(data, dict):
        known = [field.name for field in struct.fields]
        for child in data:
            if child not in known:
                return mistake(
                    source,
                    join(key, child),
                    f"unknown key{nearest(child, known)}",
                    f"one of {', '.join(known)}",
                )
        for field in struct.fields:
            if field.required and field.name not in data:
                return mistake(source, join(key, field.name), "missing", _expected(field.type))
    return mistake(source, key, f"got {show(data)}", _expected(node))


def _members(node: inspect.Type) -> list[inspect.Type]:
    if isinstance(node, inspect.Metadata):
        node = node.type
    return list(node.types) if isinstance(node, inspect.UnionType) else [node]


def _struct(node: inspect.Type) -> inspect.StructType | None:
    return next((n for n in _members(node) if isinstance(n, inspect.StructType)), None)


def _items(node: inspect.Type) -> inspect.VarTupleType | None:
    return next((n for n in _members(node) if isinstance(n, inspect.VarTupleType)), None)


def _expected(node: inspect.Type) -> str:
    """What a value of the type is, in words: the description in its Meta, or else its range."""
    if isinstance(node, inspect.Metadata):
        described = (node.extra_json_schema or {}).get("description")
        return described if isinstance(described, str) else _expected(node.type)
    if isinstance(node, inspect.UnionType):
        return " or ".join(_expected(member) for member in node.types)
    if isinstance(node, inspect.StructType):
        return f"a mapping with the keys {', '.join(field.name for field in node.fields)}"
    if isinstance(node, inspect.VarTupleType):
        return f"a list of at least {node.min_length or 0}"
    if isinstance(node, inspect.IntType) and node.ge is not None and node.le is not None:
        return f"an integer from {node.ge} to {node.le}"
    plain = {
        inspect.BoolType: "true or false",
        inspect.IntType: "an integer",
        inspect.StrType: "a string",
        inspect.NoneType: "null",
        inspect.DictType: "a mapping",
    }
    return plain.get(type(node), "a value of another type")
