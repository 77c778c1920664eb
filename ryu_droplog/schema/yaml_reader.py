"""ruamel.yaml set up for files of users: YAML 1.1, plain types, nothing that is said twice."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from ryu_droplog.schema.wording import show

_TAG = "tag:yaml.org,2002:"
_MERGE, _VALUE = f"{_TAG}merge", f"{_TAG}value"
"""Keys with a meaning in YAML 1.1: `<<` and `=`."""
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")
_SURROGATE = re.compile("[\ud800-\udfff]")

# The types of YAML 1.1 (https://yaml.org/type/), but for numbers in the base of 60: `10:20:30` is
# a text, as a MAC address or a time of day wants it. An exponent has a sign and stands behind a
# decimal point, as YAML 1.1 has it.
_SCALARS: tuple[tuple[str, str, str], ...] = (
    (
        "bool",
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    (
        "float",
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    (
        "int",
        r"[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
        "-+0123456789",
    ),
    ("merge", "<<", "<"),
    ("null", "~|null|Null|NULL|", "~nN"),
    (
        "timestamp",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}"
        r":[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?",
        "0123456789",
    ),
    ("value", "=", "="),
)
"""Type, how a plain scalar of it is written, and its first characters (the empty one, too)."""


def _by_first_character() -> dict[str, list[tuple[Tag, re.Pattern[str]]]]:
    table: dict[str, list[tuple[Tag, re.Pattern[str]]]] = {}
    for name, pattern, first in _SCALARS:
        entry = Tag(suffix=_TAG + name), re.compile(pattern)
        for character in [*first, ""] if name == "null" else first:
            table.setdefault(character, []).append(entry)
    return table


class _Resolver(VersionedResolver):
    """Types of plain scalars by YAML 1.1, whatever a `%YAML` directive says."""

    _types = _by_first_character()

    @property
    def processing_version(self) -> tuple[int, int]:
        return (1, 1)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            for tag, pattern in self._types.get(value[:1], ()):
                if pattern.fullmatch(value):
                    return tag
        return super().resolve(kind, value, (False, False))


class _Composer(Composer):
    """An anchor may be set anew, as YAML has it, without a warning."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False


class _Constructor(SafeConstructor):
    """Plain types only, and no silence about keys that stand twice."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._flat: set[MappingNode] = set()

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        if not isinstance(node, MappingNode):
            raise _problem(node, f"expected a mapping node, but found {node.id}")
        self.flatten_mapping(node)
        mapping = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise ConstructorError(
                    "while constructing a mapping",
                    node.start_mark,
                    "found unhashable key",
                    key_node.start_mark,
                )
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping

    def flatten_mapping(self, node: Any) -> None:
        """Put what `<<` merges in before the mapping's own keys, which override it.

        The own keys are looked at before, for one that stands twice.
        """
        if node in self._flat:
            return
        self._flat.add(node)
        merged: list[Any] = []
        own: list[Any] = []
        seen: set[Hashable] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += self._merged(node, value_node)
                continue
            own.append((key_node, value_node))
            if key_node.tag == _VALUE:
                key_node.tag = f"{_TAG}str"
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # construct_mapping refuses it
            if key in seen:
                raise _problem(key_node, f"duplicate key {show(key)}")
            seen.add(key)
        node.value = merged + own

    def _merged(self, node: Any, value_node: Any) -> Iterator[Any]:
        """The keys of the mapping that is merged, or of those in a list: the first counts most."""
        many = isinstance(value_node, SequenceNode)
        for each in reversed(value_node.value) if many else [value_node]:
            if not isinstance(each, MappingNode):
                expected = "a mapping" if many else "a mapping or list of mappings"
                raise ConstructorError(
                    "while constructing a mapping",
                    node.start_mark,
                    f"expected {expected} for merging, but found {each.id}",
                    each.start_mark,
                )
            self.flatten_mapping(each)
            yield from each.value

    def construct_scalar(self, node: Any) -> Any:
        """Refuse what an escape such as `"\\ud800"` makes: half a character, good for no file."""
        value = super().construct_scalar(node)
        if isinstance(value, str) and _SURROGATE.search(value):
            raise _problem(node, f"{show(value)} has half of a surrogate pair")
        return value

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Refuse a scalar that its tag does not fit (`2024-99-99`) as a YAML error, too."""
        if node in self.recursive_objects:
            raise _problem(node, "found unconstructable recursive node")
        try:
            if isinstance(node, ScalarNode) and node.tag in _NUMBERS and ":" in node.value:
                raise ValueError("a number in the base of 60")  # by an explicit tag alone
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, ArithmeticError, AttributeError, AssertionError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _problem(node, f"{show(node.value)} is no {kind}") from error


def _problem(node: Any, text: str) -> ConstructorError:
    return ConstructorError(None, None, text, node.start_mark)


def new_reader() -> YAML:
    """A reader for one document: `compose` gives its nodes, `constructor` what they say."""
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 1)
    reader.Resolver = _Resolver
    reader.Composer = _Composer
    reader.Constructor = _Constructor
    return reader
